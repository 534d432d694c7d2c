package tracing

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"activation-worker/internal/tracing/tracingtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const key = "hunter2-collector-key"

// start exports to a URL, with a key.
func start(t *testing.T, url string, change func(*Options)) (*Tracing, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	o := Options{
		Endpoint: url, Protocol: "http/protobuf", Timeout: 10 * time.Second, Log: zap.New(core), Version: "v1", Instance: "worker-1",
		Headers: func() (string, error) { return "x-api-key=" + key + ", Authorization=Bearer%20" + key, nil },
	}
	change(&o)
	tracing, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tracing.Stop) // twice is harmless
	return tracing, logs
}

func plain(*Options) {}

// spans makes so many.
func (t *Tracing) spans(n int) {
	for range n {
		_, span := t.Tracer().Start(context.Background(), "a span")
		span.End()
	}
}

func TestSpansAreSentAtTheEnd(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Options){"plain": plain, "zipped": func(o *Options) { o.Gzip = true }} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := tracingtest.Start(t)
			tracing, logs := start(t, c.URL+"/v1/traces", change)
			tracing.spans(3)
			tracing.Stop()
			if got := c.Spans(); len(got) != 3 || got[0].Name != "a span" {
				t.Errorf("%d spans came, wanted 3", len(got))
			}
			for _, r := range c.Requests() {
				if r.URL.Path != "/v1/traces" || r.Header.Get("X-Api-Key") != key || r.Header.Get("Authorization") != "Bearer "+key {
					t.Errorf("a request to %s, of %d headers", r.URL.Path, len(r.Header))
				}
			}
			for _, want := range []string{`"activation-worker"`, `"v1"`, `"worker-1"`} {
				if !strings.Contains(c.Text(), want) {
					t.Errorf("the resource lacks %s", want)
				}
			}
			if logs.Len() > 0 {
				t.Errorf("says %v", logs.All())
			}
		})
	}
}

func TestResourceIsTheOperators(t *testing.T) {
	t.Parallel()
	c := tracingtest.Start(t)
	tracing, _ := start(t, c.URL, func(o *Options) { o.Service, o.Attributes = "activations", "service.name=other, team=sign%20up" })
	tracing.spans(1)
	tracing.Stop()
	if text := c.Text(); !strings.Contains(text, `"activations"`) || !strings.Contains(text, `"sign up"`) || strings.Contains(text, `"other"`) {
		t.Errorf("sent %s", text)
	}
}

// A collector that fails costs spans and one line of the log, which holds nothing of what it says.
func TestCollectorFails(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Int32
	other := tracingtest.Start(t)
	other.Answer = func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"refuses, and repeats the key": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte("bad key " + r.Header.Get("x-api-key")))
		}, "status 401"},
		"sends us elsewhere": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		}, "status 307"},
		"answers without end": {func(w http.ResponseWriter, _ *http.Request) {
			for line := []byte(strings.Repeat(key, 1000)); ; {
				if _, err := w.Write(line); err != nil {
					return
				}
			}
		}, "not understood"},
		"closes the connection": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "collector"},
		"answers with nonsense": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/x-protobuf")
			_, _ = w.Write([]byte("\xff\xff" + key))
		}, "not understood"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := tracingtest.Start(t)
			c.Answer = tt.answer
			tracing, logs := start(t, c.URL, plain)
			tracing.spans(2)
			tracing.Stop()
			said := logs.FilterMessage("traces could not be sent to the collector, they are dropped").All()
			if len(said) != 1 {
				t.Fatalf("says %v", logs.All())
			}
			fields := said[0].ContextMap()
			because, _ := fields["because"].(string)
			if !strings.Contains(because, tt.want) && !strings.Contains(said[0].Message, tt.want) || fields["lost_spans"] != int64(2) {
				t.Errorf("says %v, wanted %q", fields, tt.want)
			}
			if strings.Contains(because, key) {
				t.Error("the log has the key")
			}
		})
	}
	t.Cleanup(func() {
		if elsewhere.Load() > 0 {
			t.Error("a redirect was followed, with the key")
		}
	})
}

// Neither spans nor the end wait for a collector that says nothing.
func TestSilentCollectorHoldsNothingUp(t *testing.T) {
	t.Parallel()
	c := tracingtest.Start(t)
	gone := make(chan struct{})
	c.Answer = func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done(); close(gone) }
	tracing, logs := start(t, c.URL, plain)
	began := time.Now()
	tracing.spans(10_000) // more than wait their turn
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("10,000 spans took %s", took)
	}
	began = time.Now()
	tracing.Stop()
	if took := time.Since(began); took > stopTime+endTime+time.Second {
		t.Errorf("the end took %s", took)
	}
	<-gone
	if n := logs.FilterMessageSnippet("could not be sent").Len(); n == 0 || n > 20 {
		t.Errorf("says it %d times", n)
	}
	tracing.spans(1) // harmless
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, protocol := range []string{"http/protobuf", "grpc"} {
		tracing, logs := start(t, url, func(o *Options) { o.Protocol = protocol })
		tracing.spans(1)
		tracing.Stop()
		all := logs.FilterMessageSnippet("could not be sent").All()
		if len(all) != 1 || strings.Contains(all[0].ContextMap()["because"].(string), key) {
			t.Errorf("%s says %v", protocol, all)
		}
	}
}

// overGRPC is a collector that keeps the metadata of calls.
type grpcCollector struct {
	collector.UnimplementedTraceServiceServer
	got chan metadata.MD
}

func (c *grpcCollector) Export(ctx context.Context, _ *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	c.got <- md
	return &collector.ExportTraceServiceResponse{}, nil
}

func TestOverGRPC(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &grpcCollector{got: make(chan metadata.MD, 10)}
	quietGRPC() // before anybody uses the library, as it asks for: a worker serves none
	server := grpc.NewServer()
	collector.RegisterTraceServiceServer(server, c)
	ended := make(chan error)
	go func() { ended <- server.Serve(l) }()
	t.Cleanup(func() { server.Stop(); <-ended })
	for _, gzip := range []bool{false, true} {
		tracing, logs := start(t, "http://"+l.Addr().String(), func(o *Options) { o.Protocol, o.Gzip = "grpc", gzip })
		tracing.spans(1)
		tracing.Stop()
		select {
		case md := <-c.got:
			if !slices.Equal(md["x-api-key"], []string{key}) || !slices.Equal(md["authorization"], []string{"Bearer " + key}) {
				t.Errorf("%d headers came", len(md))
			}
		default:
			t.Fatalf("nothing came: %v", logs.All())
		}
	}
}

func TestCertificateIsChecked(t *testing.T) {
	t.Parallel()
	c := tracingtest.StartTLS(t)
	tracing, logs := start(t, c.URL, plain)
	tracing.spans(1)
	tracing.Stop()
	if all := logs.All(); len(all) != 1 || !strings.Contains(all[0].ContextMap()["because"].(string), "OTEL_EXPORTER_OTLP_CERTIFICATE") || len(c.Spans()) > 0 {
		t.Errorf("%d spans came, says %v", len(c.Spans()), all)
	}
	roots := x509.NewCertPool()
	roots.AddCert(c.Certificate())
	tracing, logs = start(t, c.URL, func(o *Options) { o.TLS = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12} })
	tracing.spans(1)
	tracing.Stop()
	if len(c.Spans()) != 1 {
		t.Errorf("%d spans came, says %v", len(c.Spans()), logs.All())
	}
}

// The exporter reads the environment by itself too, and would not start with a certificate it has no use for. The test sets it,
// and so runs alone.
func TestCertificateForAnEndpointInClear(t *testing.T) {
	c := tracingtest.Start(t)
	signed := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: tracingtest.StartTLS(t).Certificate().Raw})
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, signed, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", path)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "from=environment,%%")
	tracing, logs := start(t, c.URL, plain)
	tracing.spans(1)
	tracing.Stop()
	if requests := c.Requests(); len(requests) != 1 || requests[0].Header.Get("from") != "" || logs.Len() > 0 {
		t.Errorf("%d requests came, says %v", len(requests), logs.All())
	}
}

// A key that cannot be used, and might stand in an error as it is, is not shown.
func TestHeadersThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	for _, text := range []string{key, "=" + key, "x=%zz" + key} {
		c := tracingtest.Start(t)
		tracing, logs := start(t, c.URL, func(o *Options) { o.Headers = func() (string, error) { return text, nil } })
		tracing.spans(1)
		tracing.Stop()
		all := logs.All()
		if len(all) != 1 || all[0].ContextMap()["because"] != errHeaders.Error() || len(c.Requests()) > 0 {
			t.Errorf("%d requests, says %d lines", len(c.Requests()), len(all))
		}
	}
}

func TestSampling(t *testing.T) {
	t.Parallel()
	sampled := base(trace.FlagsSampled)
	unsampled := base(0)
	for name, tt := range map[string]struct {
		sampler, arg string
		parent       trace.SpanContext
		want         int
	}{
		"a root":                       {want: 1},
		"a sampled parent":             {parent: sampled, want: 1},
		"an unsampled parent":          {parent: unsampled, want: 0},
		"off":                          {sampler: "always_off", parent: sampled, want: 0},
		"on, whatever the parent says": {sampler: "always_on", parent: unsampled, want: 1},
		"no root":                      {sampler: "parentbased_always_off", want: 0},
		"no root, but a parent":        {sampler: "parentbased_always_off", parent: sampled, want: 1},
		"none of the roots":            {sampler: "parentbased_traceidratio", arg: "0", want: 0},
		"all of the roots":             {sampler: "traceidratio", arg: "1", want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := tracingtest.Start(t)
			tracing, _ := start(t, c.URL, func(o *Options) { o.Sampler, o.SamplerArg = tt.sampler, tt.arg })
			ctx := trace.ContextWithRemoteSpanContext(t.Context(), tt.parent)
			ctx, span := tracing.Tracer().Start(ctx, "x")
			carrier := propagation.MapCarrier{}
			propagation.TraceContext{}.Inject(ctx, carrier)
			span.End()
			tracing.Stop()
			if got := len(c.Spans()); got != tt.want {
				t.Errorf("%d spans came, wanted %d", got, tt.want)
			}
			if flags := carrier["traceparent"][53:]; (flags == "01") != (tt.want == 1) {
				t.Errorf("carries on %s", carrier["traceparent"])
			}
		})
	}
}

func base(flags trace.TraceFlags) trace.SpanContext {
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: flags, Remote: true})
}

func TestSettingsThatCannotBeRight(t *testing.T) {
	t.Parallel()
	for want, o := range map[string]Options{
		"OTEL_TRACES_SAMPLER":      {Sampler: "x"},
		"OTEL_TRACES_SAMPLER_ARG":  {Sampler: "traceidratio", SamplerArg: "x"},
		"OTEL_RESOURCE_ATTRIBUTES": {Attributes: "x"},
	} {
		o.Endpoint, o.Protocol, o.Timeout = "http://127.0.0.1:1", "http/protobuf", time.Second
		if _, err := Start(t.Context(), o); err == nil || !strings.HasPrefix(err.Error(), want+": ") {
			t.Errorf("%s: %v", want, err)
		}
	}
}
