package config

import (
	"strings"
	"testing"
	"time"
)

func TestCollector(t *testing.T) {
	t.Parallel()
	const all, traces = "OTEL_EXPORTER_OTLP_ENDPOINT=", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="
	grpc := "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"
	for name, tt := range map[string]struct {
		env  []string
		want string // endpoint; empty: no traces
	}{
		"nothing is set":                {},
		"an exporter alone":             {env: []string{"OTEL_TRACES_EXPORTER=otlp", "OTEL_SERVICE_NAME=x"}},
		"all signals":                   {env: []string{all + "http://c:4318"}, want: "http://c:4318/v1/traces"},
		"all signals, with a path":      {env: []string{all + "https://c/otlp/"}, want: "https://c/otlp/v1/traces"},
		"traces alone, as written":      {env: []string{traces + "https://c/x", all + "http://other"}, want: "https://c/x"},
		"grpc":                          {env: []string{all + "http://c:4317", grpc}, want: "http://c:4317"},
		"grpc without a scheme":         {env: []string{all + "c:4317", grpc}, want: "https://c:4317"},
		"in clear, without a scheme":    {env: []string{all + "c:4317", grpc, "OTEL_EXPORTER_OTLP_INSECURE=true"}, want: "http://c:4317"},
		"not in clear, of traces":       {env: []string{all + "c:4317", grpc, "OTEL_EXPORTER_OTLP_INSECURE=true", "OTEL_EXPORTER_OTLP_TRACES_INSECURE=false"}, want: "https://c:4317"},
		"in clear, of traces":           {env: []string{all + "c:4317", grpc, "OTEL_EXPORTER_OTLP_INSECURE=false", "OTEL_EXPORTER_OTLP_TRACES_INSECURE=true"}, want: "http://c:4317"},
		"switched off":                  {env: []string{all + "http://c:4318", "OTEL_SDK_DISABLED=true"}},
		"no exporter":                   {env: []string{all + "http://c:4318", "OTEL_TRACES_EXPORTER=none"}},
		"not switched off":              {env: []string{all + "http://c:4318", "OTEL_SDK_DISABLED=False"}, want: "http://c:4318/v1/traces"},
		"the protocol of traces counts": {env: []string{all + "http://c:1", grpc, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/protobuf"}, want: "http://c:1/v1/traces"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := mustLoad(t, flagsOf(t), tt.env...)
			got, on := c.Tracing.Collector()
			if got.Endpoint != tt.want || on != (tt.want != "") {
				t.Errorf("traces go to %q (%t), wanted %q", got.Endpoint, on, tt.want)
			}
			if len(c.Warnings) > 0 {
				t.Errorf("warns: %q", c.Warnings)
			}
		})
	}
}

func TestCollectorOfTracesOverAll(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, flagsOf(t), "OTEL_EXPORTER_OTLP_ENDPOINT=http://c", "OTEL_EXPORTER_OTLP_TIMEOUT=3000", "OTEL_EXPORTER_OTLP_HEADERS=a=hunter2",
		"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT=50", "OTEL_EXPORTER_OTLP_COMPRESSION=gzip")
	o, _ := c.Tracing.Collector()
	if o.Timeout != 50*time.Millisecond || o.Compression != "gzip" || o.Protocol != ProtocolProtobuf {
		t.Errorf("got %+v", o)
	}
	if h, err := o.Headers.Read(); h != "a=hunter2" || err != nil {
		t.Errorf("headers are of %d bytes, %v", len(h), err)
	}
	if shown := printed(t, c); strings.Contains(shown, "hunter2") || !strings.Contains(shown, "# OTEL_EXPORTER_OTLP_HEADERS: (hidden)") {
		t.Errorf("shows a key, or not that there is one:\n%s", shown)
	}
}

func TestCollectorInTheSettingsFile(t *testing.T) {
	t.Parallel()
	file := write(t, "worker.yaml", "otel_exporter_otlp_endpoint: http://file:4318\notel_service_name: activations\n")
	c := mustLoad(t, flagsOf(t, "--config", file), "OTEL_SERVICE_NAME=over")
	if o, on := c.Tracing.Collector(); !on || o.Endpoint != "http://file:4318/v1/traces" || c.Tracing.ServiceName != "over" || len(c.Warnings) > 0 {
		t.Errorf("got %+v, %+v, warnings %q", o, c.Tracing, c.Warnings)
	}
}

func TestStandardSettingsNotUnderstood(t *testing.T) {
	t.Parallel()
	for setting, want := range map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://u:hunter2@c":        "holds more than host and path",
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://c?k=hunter2": "holds more than host and path",
		"OTEL_EXPORTER_OTLP_ENDPOINT=ftp://hunter2":             "is not the address of a collector",
		"OTEL_EXPORTER_OTLP_PROTOCOL=http":                      "wanted one of http/protobuf, grpc, http/json",
		"OTEL_EXPORTER_OTLP_TIMEOUT=10s":                        "a whole number of milliseconds",
		"OTEL_TRACES_EXPORTER=zipkin":                           "wanted one of otlp, none",
		"OTEL_TRACES_SAMPLER=sometimes":                         "wanted one of always_on",
		"OTEL_TRACES_SAMPLER_ARG=1.5":                           "a number from 0 to 1",
		"OTEL_TRACES_SAMPLER_ARG=NaN":                           "a number from 0 to 1",
		"OTEL_SDK_DISABLED=yes":                                 "true or false",
		"OTEL_RESOURCE_ATTRIBUTES=a":                            "key=value",
		"OTEL_EXPORTER_OTLP_CERTIFICATE=/nowhere/ca.pem":        "names no file",
	} {
		env := []string{setting}
		if !strings.Contains(setting, "ENDPOINT=") {
			env = append(env, "OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318")
		}
		got := faultsOf(t, flagsOf(t), env...).Error()
		if name, _, _ := strings.Cut(setting, "="); !strings.HasPrefix(got, name+": ") || !strings.Contains(got, want) || strings.Contains(got, "hunter2") {
			t.Errorf("%s: %s", setting, got)
		}
	}
}

// What other programs' libraries are told, perhaps in words that only they know, does not stop a worker that sends no traces.
func TestStandardSettingsThatAreNotNeeded(t *testing.T) {
	t.Parallel()
	const bad = "OTEL_EXPORTER_OTLP_ENDPOINT=http://u:hunter2@c"
	for setting, off := range map[string][]string{
		"OTEL_TRACES_EXPORTER=zipkin":                    nil,
		"OTEL_TRACES_EXPORTER=console,otlp":              nil,
		"OTEL_TRACES_SAMPLER=xray":                       nil,
		"OTEL_TRACES_SAMPLER_ARG=endpoint=http://x:1":    nil,
		"OTEL_RESOURCE_ATTRIBUTES=a":                     nil,
		"OTEL_EXPORTER_OTLP_TIMEOUT=10s":                 nil,
		"OTEL_EXPORTER_OTLP_CERTIFICATE=/nowhere/ca.pem": nil,
		"OTEL_SDK_DISABLED=1":                            nil,
		bad:                                              {"OTEL_SDK_DISABLED=true"},
		"OTEL_EXPORTER_OTLP_PROTOCOL=http":               {"OTEL_TRACES_EXPORTER=none", "OTEL_EXPORTER_OTLP_ENDPOINT=http://c"},
	} {
		c := mustLoad(t, flagsOf(t), append(off, setting)...)
		name, _, _ := strings.Cut(setting, "=")
		if len(c.Warnings) != 1 || !strings.HasPrefix(c.Warnings[0], name+": ") || strings.Contains(c.Warnings[0], "hunter2") {
			t.Errorf("%s: warns %q", setting, c.Warnings)
		}
		if _, on := c.Tracing.Collector(); on {
			t.Errorf("%s: traces are sent", setting)
		}
		printed(t, c)
	}
}
