// Package tracing sends spans to an OpenTelemetry collector. It is the one place that knows the SDK: whoever makes spans
// gets a [trace.Tracer] in its options, and where there is none makes none.
//
// A collector that is away, slow or hostile never holds up or fails the worker: spans wait in a queue of bounded length,
// what has no room there is dropped, and nothing that a collector says is logged but the status of its answer.
package tracing

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
)

// scope names the instrumentation in what is exported.
const scope = "activation-worker"

const (
	// stopTime is how long [Tracing.Stop] waits for the last spans to leave. With the worker's own end it has to stay
	// within what the contract promises.
	stopTime = time.Second
	// endTime is how long it then waits for a send that was cut off to notice.
	endTime = 250 * time.Millisecond
)

// Options say where spans go. Endpoint, Protocol and Timeout are required.
type Options struct {
	Endpoint string // a whole URL, http or https
	Protocol string // "http/protobuf", "http/json" or "grpc"

	// Headers are sent with each request: key=value,…, values percent-encoded. They may hold a key, which is never logged.
	// They are read anew at each request, so that a rotated key is found. Nil: none.
	Headers func() (string, error)

	Timeout time.Duration // of one request
	Gzip    bool
	TLS     *tls.Config // nil: the system's roots, no certificate of ours

	Sampler    string // as the standard names it; empty: parentbased_always_on
	SamplerArg string

	Service    string // service.name; empty: that of Attributes, else activation-worker
	Version    string // service.version
	Instance   string // service.instance.id
	Attributes string // of the resource besides: key=value,…, values percent-encoded

	Log *zap.Logger // nil: none
}

// Tracing is a running exporter. Make one with [Start] and end it with [Tracing.Stop].
type Tracing struct {
	provider *sdk.TracerProvider
	sending  *sending
}

// Start begins to export. It makes no connection before there is a span to send; an error is a setting that cannot be
// right. What the SDK would write to stderr by itself is silenced for the whole process: it may show headers.
func Start(ctx context.Context, o Options) (*Tracing, error) {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	otel.SetLogger(logr.Discard())
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {})) // of sends, package tracing itself tells
	sampler, err := samplerOf(o.Sampler, o.SamplerArg)
	if err != nil {
		return nil, err
	}
	about, err := resourceOf(o)
	if err != nil {
		return nil, err
	}
	exporter, answers, err := newExporter(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("traces cannot be sent: %w", err)
	}
	s := newSending(exporter, answers, o.Log.Named("tracing"))
	return &Tracing{
		provider: sdk.NewTracerProvider(sdk.WithBatcher(s), sdk.WithSampler(sampler), sdk.WithResource(about)),
		sending:  s,
	}, nil
}

// Tracer makes spans that are exported. It is safe for concurrent use, also after [Tracing.Stop], when nothing is sent any more.
func (t *Tracing) Tracer() trace.Tracer { return t.provider.Tracer(scope) }

// Stop sends what waits, gives up on it after a second, and ends the exporter.
func (t *Tracing) Stop() {
	cutting := time.AfterFunc(stopTime, t.sending.cut)
	defer cutting.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), stopTime+endTime)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		t.sending.log.Debug("traces were not all sent before the end")
	}
	t.sending.cut()
}

// Cut gives up on what is being sent, and on all that is sent later. A [Tracing.Stop] is then over at once.
func (t *Tracing) Cut() { t.sending.cut() }
