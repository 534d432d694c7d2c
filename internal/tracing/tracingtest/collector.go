// Package tracingtest is a trace collector for tests: it takes OTLP over HTTP, keeps what came, and misbehaves when asked to.
package tracingtest

import (
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/zap"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
)

// Collector keeps the spans that it is sent. It is safe for concurrent use.
type Collector struct {
	*httptest.Server

	// Answer answers in place of the collector where it is set; the spans are kept all the same. Set it before the first request.
	Answer http.HandlerFunc

	t        testing.TB
	mu       sync.Mutex
	requests []*http.Request
	raw      []byte
	spans    []*otlp.Span
	text     []byte
}

// Start starts one, which the test ends.
func Start(t testing.TB) *Collector {
	t.Helper()
	c := newCollector(t)
	c.Server.Start()
	return c
}

// StartTLS is Start of one that speaks TLS alone, with a certificate that httptest signs.
func StartTLS(t testing.TB) *Collector {
	t.Helper()
	c := newCollector(t)
	c.Config.ErrorLog = zap.NewStdLog(zap.NewNop())
	c.Server.StartTLS()
	return c
}

func newCollector(t testing.TB) *Collector {
	c := &Collector{t: t}
	c.Server = httptest.NewUnstartedServer(http.HandlerFunc(c.take))
	t.Cleanup(c.Close)
	return c
}

func (c *Collector) take(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(r.Body)
		if err != nil {
			c.t.Errorf("collector: %v", err)
			return
		}
		body = unzipped
	}
	raw, err := io.ReadAll(body)
	if err != nil {
		return // the sender has gone
	}
	var sent collector.ExportTraceServiceRequest
	if err := proto.Unmarshal(raw, &sent); err != nil {
		c.t.Errorf("collector: %s is sent what is no OTLP: %v", r.URL.Path, err)
	}
	c.mu.Lock()
	c.requests, c.raw = append(c.requests, r), append(c.raw, raw...)
	c.text = append(c.text, prototext.Format(&sent)...)
	for _, resource := range sent.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			c.spans = append(c.spans, scope.Spans...)
		}
	}
	c.mu.Unlock()
	if c.Answer != nil {
		c.Answer(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// Requests are those that came.
func (c *Collector) Requests() []*http.Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*http.Request(nil), c.requests...)
}

// Text is all that came: decoded, and as it was sent.
func (c *Collector) Text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.text) + string(c.raw)
}

// Spans are those that came, in that order.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]Span, 0, len(c.spans))
	for _, s := range c.spans {
		all = append(all, spanOf(s))
	}
	return all
}

// Span is a span as tests look at it: ids in hexadecimal, values as text.
type Span struct {
	Trace, ID, Parent, State string
	Name                     string
	Kind                     otlp.Span_SpanKind
	Failed                   bool
	Attributes               map[string]string
	Links                    []string // trace-span
}

func spanOf(s *otlp.Span) Span {
	span := Span{
		Trace: hex.EncodeToString(s.TraceId), ID: hex.EncodeToString(s.SpanId), Parent: hex.EncodeToString(s.ParentSpanId), State: s.TraceState,
		Name: s.Name, Kind: s.Kind, Failed: s.Status.GetCode() == otlp.Status_STATUS_CODE_ERROR, Attributes: map[string]string{},
	}
	for _, a := range s.Attributes {
		span.Attributes[a.Key] = textOf(a.Value)
	}
	for _, l := range s.Links {
		span.Links = append(span.Links, hex.EncodeToString(l.TraceId)+"-"+hex.EncodeToString(l.SpanId))
	}
	return span
}

func textOf(v *common.AnyValue) string {
	switch v := v.GetValue().(type) {
	case *common.AnyValue_StringValue:
		return v.StringValue
	case *common.AnyValue_IntValue:
		return fmt.Sprint(v.IntValue)
	case *common.AnyValue_BoolValue:
		return fmt.Sprint(v.BoolValue)
	}
	return v.String()
}
