package consumer

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/zap"

	"activation-worker/internal/activation"
	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
	"activation-worker/internal/quota"
)

// Spans of an event's way, below that of the delivery; requests to the partner have theirs from package partnerapi. They
// hold words and numbers of ours, and of the customer the domain id alone.
const (
	spanQuota  = "wait for quota"
	spanClaim  = "claim"
	spanDNS    = "look at DNS"
	spanRecord = "record"
)

// processes names the span of a delivery by its lane, as the messaging conventions do: what is done, and with what.
var processes = map[string]string{
	laneIntake: "process terms accepted", laneDue: "process due", laneRedo: "process redo",
}

var w3c propagation.TraceContext

// contextOf is the trace context that a record or an event carries; invalid where there is none, or none that can be used.
func contextOf(ctx context.Context, parent, state string) trace.SpanContext {
	carrier := propagation.MapCarrier{"traceparent": parent, "tracestate": state}
	return trace.SpanContextFromContext(w3c.Extract(trace.ContextWithSpanContext(ctx, trace.SpanContext{}), carrier))
}

// process begins the span of a delivery: in the trace of the announcement, or of the record that a wake-up is about. r is
// the record read, nil for none. Without a tracer what is carried stays as it came.
func (w *Worker) process(ctx context.Context, d delivery, r *events.Record) (context.Context, trace.Span) {
	if w.Tracer == nil {
		return ctx, noop.Span{}
	}
	lane := laneDue
	var came trace.SpanContext
	switch {
	case d.accepted != nil:
		lane, came = laneIntake, contextOf(ctx, d.accepted.TraceParent, d.accepted.TraceState)
	case d.redo:
		lane = laneRedo
	}
	if d.accepted == nil && r != nil {
		came = contextOf(ctx, r.TraceParent, r.TraceState)
	}
	return w.Tracer.Start(trace.ContextWithRemoteSpanContext(ctx, came), processes[lane],
		trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(
			attribute.String("messaging.system", "nats"), attribute.String("messaging.operation.type", "process"),
			attribute.String("activation.lane", lane), attribute.Int64("activation.domain_id", d.domainID),
			attribute.Int64("messaging.nats.deliveries", int64(d.tries)),
		))
}

// linkTo ties the delivery's span to whoever wrote the record that it found: days and restarts may lie between.
func linkTo(ctx context.Context, r *events.Record) {
	span := trace.SpanFromContext(ctx)
	if r == nil || !span.IsRecording() {
		return
	}
	if wrote := contextOf(ctx, r.TraceParent, r.TraceState); wrote.IsValid() {
		span.AddLink(trace.Link{SpanContext: wrote, Attributes: []attribute.KeyValue{attribute.String("activation.state", string(r.State))}})
	}
}

// begin begins a span below the delivery's.
func (w *Worker) begin(ctx context.Context, name string, attributes ...attribute.KeyValue) (context.Context, trace.Span) {
	if w.Tracer == nil {
		return ctx, noop.Span{}
	}
	return w.Tracer.Start(ctx, name, trace.WithAttributes(attributes...))
}

// end ends a span; an error's text may be anybody's and is not shown.
func end(span trace.Span, err error) {
	switch {
	case errors.Is(err, ledger.ErrConflict):
		span.SetAttributes(attribute.Bool("activation.overtaken", true))
	case err != nil:
		span.SetStatus(codes.Error, "")
	}
	span.End()
}

// record begins the span that writes a record, which carries its context on: whoever reads the event goes on from there.
func (w *Worker) record(ctx context.Context, name string, r *events.Record) (context.Context, trace.Span) {
	ctx, span := w.begin(ctx, name, attribute.String("activation.state", string(r.State)))
	if c := span.SpanContext(); c.IsValid() {
		carrier := propagation.MapCarrier{}
		w3c.Inject(ctx, carrier)
		r.TraceParent, r.TraceState = carrier["traceparent"], carrier["tracestate"]
	}
	return ctx, span
}

// acquire waits for leave to ask the partner.
func (w *Worker) acquire(ctx context.Context, lane quota.Lane, op activation.Operation) (*quota.Permit, error) {
	ctx, span := w.begin(ctx, spanQuota, attribute.String("activation.operation", string(op)))
	permit, err := w.Pacer.Acquire(ctx, lane, string(op))
	end(span, err)
	return permit, err
}

// tell adds an outcome to the delivery's span.
func tell(ctx context.Context, r *events.Record) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(
		attribute.Int("activation.round", r.Round), attribute.Int("activation.attempt", r.Attempt),
		attribute.String("activation.trigger", string(r.Trigger.Kind)), attribute.String("activation.state", string(r.State)),
	)
	if r.Reason != "" {
		span.SetAttributes(attribute.String("activation.reason", string(r.Reason)))
	}
	if r.State == events.Activated {
		span.SetAttributes(attribute.String("activation.via", string(r.Via)))
	}
}

// traceID is the field that leads from a line of the log to its trace, whoever has begun that; left out where there is none.
func traceID(parent string) zap.Field {
	const from, to = len("00-"), len("00-") + 32
	if len(parent) < to {
		return zap.Skip()
	}
	return zap.String("trace_id", parent[from:to])
}
