package config

import (
	"cmp"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Protocols of a trace collector, as the standard names them.
const (
	ProtocolGRPC     = "grpc"
	ProtocolProtobuf = "http/protobuf"
	ProtocolJSON     = "http/json"
)

// Tracing holds what the standard variables of OpenTelemetry say of traces. Those that are not here (OTEL_BSP_…, limits of
// spans) the library reads from the environment by itself.
type Tracing struct {
	Disabled           bool   // OTEL_SDK_DISABLED
	Exporter           string // "otlp" or "none"
	ServiceName        string // empty: the product's
	ResourceAttributes string // key=value,…
	Sampler            string // empty: parentbased_always_on
	SamplerArg         string

	all, traces OTLP // of all signals, of traces alone
}

// OTLP says where a collector is, and how to speak to it. Fields left out are the zero value.
type OTLP struct {
	Endpoint    string // host and path, see [Tracing.Collector]
	Protocol    string // "http/protobuf", "http/json" or "grpc"
	Headers     Secret // key=value,…, values percent-encoded; it may hold a key
	Timeout     time.Duration
	Compression string // "gzip" or "none"
	Insecure    *bool  // for an endpoint without a scheme; nil: not said, which is no
	CA          string // path of a PEM file
	Cert, Key   string // paths of PEM files
}

// Collector returns where traces are sent to, with each setting of traces alone over that of all signals, and a whole URL
// as endpoint. It reports false where there are no traces: that is so unless an endpoint is named.
func (t Tracing) Collector() (OTLP, bool) {
	o, a := t.traces, t.all
	if t.Disabled || t.Exporter == "none" || o.Endpoint == "" && a.Endpoint == "" {
		return OTLP{}, false
	}
	o.Protocol = cmp.Or(o.Protocol, a.Protocol, ProtocolProtobuf)
	o.Timeout = cmp.Or(o.Timeout, a.Timeout, 10*time.Second)
	o.Compression = cmp.Or(o.Compression, a.Compression)
	o.CA, o.Cert, o.Key = cmp.Or(o.CA, a.CA), cmp.Or(o.Cert, a.Cert), cmp.Or(o.Key, a.Key)
	o.Insecure = cmp.Or(o.Insecure, a.Insecure)
	if !o.Headers.Set() {
		o.Headers = a.Headers
	}
	path := ""
	if o.Endpoint == "" {
		if o.Endpoint = strings.TrimRight(a.Endpoint, "/"); o.Protocol != ProtocolGRPC {
			path = "/v1/traces"
		}
	}
	if !strings.Contains(o.Endpoint, "://") {
		scheme := "https://"
		if o.Insecure != nil && *o.Insecure {
			scheme = "http://"
		}
		o.Endpoint = scheme + o.Endpoint
	}
	o.Endpoint += path
	return o, true
}

// tracingSettings are the standard's, hence without flags and not listed one by one in the table for people.
func tracingSettings() []setting {
	rows := []setting{
		{name: "OTEL_SDK_DISABLED", value: bind(boolean(), func(c *Config) *bool { return &c.Tracing.Disabled })},
		{name: "OTEL_TRACES_EXPORTER", value: bind(choice("otlp", "none"), func(c *Config) *string { return &c.Tracing.Exporter })},
		{name: "OTEL_SERVICE_NAME", value: bind(text(), func(c *Config) *string { return &c.Tracing.ServiceName })},
		{name: "OTEL_RESOURCE_ATTRIBUTES", value: bind(pairs(), func(c *Config) *string { return &c.Tracing.ResourceAttributes })},
		{name: "OTEL_TRACES_SAMPLER", value: bind(choice("always_on", "always_off", "traceidratio", "parentbased_always_on",
			"parentbased_always_off", "parentbased_traceidratio"), func(c *Config) *string { return &c.Tracing.Sampler })},
		{name: "OTEL_TRACES_SAMPLER_ARG", value: bind(ratio(), func(c *Config) *string { return &c.Tracing.SamplerArg })},
	}
	rows = append(rows, otlpSettings("OTEL_EXPORTER_OTLP_", func(c *Config) *OTLP { return &c.Tracing.all })...)
	rows = append(rows, otlpSettings("OTEL_EXPORTER_OTLP_TRACES_", func(c *Config) *OTLP { return &c.Tracing.traces })...)
	for i := range rows {
		rows[i].group, rows[i].standard = GroupLog, true
	}
	return rows
}

func otlpSettings(prefix string, at func(*Config) *OTLP) []setting {
	return []setting{
		{name: prefix + "ENDPOINT", value: bind(collector(), func(c *Config) *string { return &at(c).Endpoint })},
		{name: prefix + "PROTOCOL", value: bind(choice(ProtocolProtobuf, ProtocolGRPC, ProtocolJSON), func(c *Config) *string { return &at(c).Protocol })},
		{name: prefix + "HEADERS", secret: func(c *Config) *Secret { return &at(c).Headers }},
		{name: prefix + "TIMEOUT", value: bind(milliseconds(), func(c *Config) *time.Duration { return &at(c).Timeout })},
		{name: prefix + "COMPRESSION", value: bind(choice("gzip", "none"), func(c *Config) *string { return &at(c).Compression })},
		{name: prefix + "INSECURE", value: bind(said(boolean()), func(c *Config) **bool { return &at(c).Insecure })},
		{name: prefix + "CERTIFICATE", value: bind(path(), func(c *Config) *string { return &at(c).CA })},
		{name: prefix + "CLIENT_CERTIFICATE", value: bind(path(), func(c *Config) *string { return &at(c).Cert })},
		{name: prefix + "CLIENT_KEY", private: true, value: bind(path(), func(c *Config) *string { return &at(c).Key })},
	}
}

// checkTracing wants the parts of a client certificate together.
func checkTracing(c *Config) Faults {
	o, on := c.Tracing.Collector()
	if !on || (o.Cert == "") == (o.Key == "") {
		return nil
	}
	return Faults{{Key: "OTEL_EXPORTER_OTLP_CLIENT_KEY", Problem: "and OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE belong together; wanted both or neither"}}
}

// excuse makes warnings of what is wrong with standard variables where no traces are sent: they are often set for all programs of a
// machine, in words that other libraries know. An address that is none was meant to have traces sent; and what should be
// the path of a secret may be the secret, which would be shown.
func (l *loader) excuse(c *Config) {
	if _, on := c.Tracing.Collector(); on {
		return
	}
	off := c.Tracing.Disabled || c.Tracing.Exporter == "none"
	l.faults = slices.DeleteFunc(l.faults, func(f Fault) bool {
		s := l.known[f.Key]
		needless := s.standard && !s.private && s.secret == nil && (off || !strings.HasSuffix(f.Key, "_ENDPOINT"))
		if needless {
			l.warnings = append(l.warnings, f.Error()+"; it is passed over, since no traces are sent")
		}
		return needless
	})
}

// collector is the address of a trace collector: a URL, or host:port. Its errors do not show the value, since people
// write credentials into URLs.
func collector() kind[string] {
	return kind[string]{"URL", func(s string) (string, error) {
		whole := s
		if !strings.Contains(s, "://") {
			whole = "https://" + s
		}
		u, err := url.Parse(whole)
		switch {
		case err != nil || u.Hostname() == "" || (u.Scheme != "https" && u.Scheme != "http"):
			return "", errors.New("is not the address of a collector; wanted something like http://host:4318")
		case u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
			return "", errors.New("holds more than host and path; wanted no user, no query and no fragment: a key belongs into OTEL_EXPORTER_OTLP_HEADERS")
		}
		return s, nil
	}}
}

func boolean() kind[bool] {
	return kind[bool]{"choice", func(s string) (bool, error) {
		switch strings.ToLower(s) {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return false, complain(s, "known here", "true or false")
	}}
}

// said is a kind of which it matters whether there is a value at all.
func said[T any](k kind[T]) kind[*T] {
	return kind[*T]{k.name, func(s string) (*T, error) {
		v, err := k.parse(s)
		return &v, err
	}}
}

func milliseconds() kind[time.Duration] {
	return kind[time.Duration]{"number", func(s string) (time.Duration, error) {
		n, err := strconv.ParseInt(s, 10, 31)
		if err != nil || n < 1 {
			return 0, complain(s, "a time", "a whole number of milliseconds, something like 10000")
		}
		return time.Duration(n) * time.Millisecond, nil
	}}
}

// ratio is a part from 0 to 1, as written.
func ratio() kind[string] {
	return kind[string]{"number", func(s string) (string, error) {
		if f, err := strconv.ParseFloat(s, 64); err != nil || !(f >= 0 && f <= 1) {
			return "", complain(s, "a ratio", "a number from 0 to 1")
		}
		return s, nil
	}}
}

// pairs is a list key=value,…, as written.
func pairs() kind[string] {
	return kind[string]{"list", func(s string) (string, error) {
		for pair := range strings.SplitSeq(s, ",") {
			key, value, found := strings.Cut(pair, "=")
			if _, err := url.PathUnescape(value); strings.TrimSpace(pair) != "" && (!found || strings.TrimSpace(key) == "" || err != nil) {
				return "", complain(pair, "an attribute", "key=value,…, values percent-encoded")
			}
		}
		return s, nil
	}}
}
