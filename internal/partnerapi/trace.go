package partnerapi

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// templates are the paths as a span names them: without ids.
var templates = map[Operation]string{
	OpActivate:      "/partners/customers/{domainId}/activate",
	OpCustomer:      "/partners/customers/{domainId}",
	OpUpgradeDomain: "/partners/customers/{domainId}/upgrade-domain",
	OpList:          "/partners/customers",
	OpToken:         "/token",
}

// span begins the span of one HTTP request. Its context is not sent: the partner has no use for ids of ours. Nor is
// anything of the partner's text in it.
func (cfg Config) span(ctx context.Context, op Operation, method string, to *url.URL, domainID int64) (context.Context, trace.Span) {
	if cfg.Tracer == nil {
		return ctx, noop.Span{}
	}
	attributes := []attribute.KeyValue{
		attribute.String("activation.operation", string(op)), attribute.String("http.request.method", method),
		attribute.String("url.template", templates[op]), attribute.String("server.address", to.Hostname()),
	}
	if port, err := strconv.Atoi(to.Port()); err == nil {
		attributes = append(attributes, attribute.Int("server.port", port))
	}
	if domainID != 0 {
		attributes = append(attributes, attribute.Int64("activation.domain_id", domainID))
	}
	return cfg.Tracer.Start(ctx, method+" "+templates[op], trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attributes...))
}

// endSpan ends it with the answer's status, or with why there is none.
func endSpan(span trace.Span, ans *answer, fail *Error) {
	var status int
	switch {
	case ans != nil:
		status = ans.status
	case fail != nil:
		status = fail.Status
	default:
		status = http.StatusOK
	}
	switch {
	case status != 0:
		span.SetAttributes(attribute.Int("http.response.status_code", status))
		if status >= http.StatusBadRequest {
			span.SetAttributes(attribute.String("error.type", strconv.Itoa(status)))
			span.SetStatus(codes.Error, "")
		}
	case fail != nil:
		span.SetAttributes(attribute.String("error.type", string(fail.Kind)))
		span.SetStatus(codes.Error, "")
	}
	span.End()
}
