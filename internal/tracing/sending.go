package tracing

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync/atomic"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.uber.org/zap"
	"google.golang.org/grpc/status"
)

// sending is an exporter that tells the log what it could not send, in words of ours, and that can be cut off.
type sending struct {
	sdk.SpanExporter
	answer *atomic.Int32 // status of the last answer over HTTP
	log    *zap.Logger
	lost   int // spans; of the one goroutine that exports

	over context.Context // ends with cut
	cut  context.CancelFunc
}

func newSending(e sdk.SpanExporter, answer *atomic.Int32, log *zap.Logger) *sending {
	s := &sending{SpanExporter: e, answer: answer, log: log}
	s.over, s.cut = context.WithCancel(context.Background())
	return s
}

// ExportSpans sends spans. Its error is told here, since the SDK would only print it.
func (s *sending) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.over, cancel)() //nolint:contextcheck // two ends: the caller's and ours
	err := s.SpanExporter.ExportSpans(ctx, spans)
	if err == nil {
		return nil
	}
	s.lost += len(spans)
	s.log.Warn("traces could not be sent to the collector, they are dropped", zap.String("because", s.because(err)), zap.Int("lost_spans", s.lost))
	return nil
}

// because puts an error into words that hold nothing of what the collector has said: it was told a key, and might repeat it.
func (s *sending) because(err error) string {
	var op *net.OpError
	var unknown *net.DNSError
	var untrusted *tls.CertificateVerificationError
	switch answer := s.answer.Load(); {
	case errors.Is(err, errHeaders):
		return errHeaders.Error()
	case errors.As(err, &untrusted):
		return "its certificate is not trusted: check OTEL_EXPORTER_OTLP_CERTIFICATE"
	case errors.As(err, &unknown):
		return "its host is not known: check OTEL_EXPORTER_OTLP_ENDPOINT"
	case answer >= 300:
		return fmt.Sprintf("it answers with status %d", answer)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return "it does not answer in time"
	case errors.As(err, &op):
		if op.Timeout() {
			return "it does not answer in time"
		}
		return fmt.Sprintf("it cannot be reached: %s failed; check OTEL_EXPORTER_OTLP_ENDPOINT", op.Op)
	}
	if said, ok := status.FromError(err); ok {
		return fmt.Sprintf("it cannot be reached or answers with %s", said.Code())
	}
	return "it has not taken all of them, or its answer is not understood"
}
