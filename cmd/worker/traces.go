package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"activation-worker/internal/config"
	"activation-worker/internal/tracing"
)

// spansUntil is until when, beyond a request's time and from the signal to stop on, spans are sent. Where nobody answers, NATS neither, the
// worker's own end takes nearly all of the ten seconds that are promised.
const spansUntil = 9 * time.Second

// tracerOf makes the spans of the service; nil where no collector is named. done sends the last of them, as far as there is time.
func tracerOf(ctx context.Context, c *config.Config, log *zap.Logger) (tracer trace.Tracer, done func(), err error) {
	collector, on := c.Tracing.Collector()
	if !on {
		return nil, func() {}, nil
	}
	roots, err := rootsOf("OTEL_EXPORTER_OTLP_CERTIFICATE", collector.CA)
	if err != nil {
		return nil, nil, usageError{err}
	}
	secured := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	if collector.Cert != "" {
		certificate, err := tls.LoadX509KeyPair(collector.Cert, collector.Key)
		if err != nil {
			return nil, nil, usageError{fmt.Errorf("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE, OTEL_EXPORTER_OTLP_CLIENT_KEY: %w", err)}
		}
		secured.Certificates = []tls.Certificate{certificate}
	}
	t, err := tracing.Start(ctx, tracing.Options{
		Endpoint: collector.Endpoint, Protocol: collector.Protocol, Headers: collector.Headers.Read,
		Timeout: collector.Timeout, Gzip: collector.Compression == "gzip", TLS: secured,
		Sampler: c.Tracing.Sampler, SamplerArg: c.Tracing.SamplerArg,
		Service: c.Tracing.ServiceName, Attributes: c.Tracing.ResourceAttributes, Version: buildVersion(), Instance: c.Worker.ID,
		Log: log,
	})
	if err != nil {
		return nil, nil, usageError{err}
	}
	log.Info("traces are sent", zap.String("protocol", collector.Protocol))
	unhook := context.AfterFunc(ctx, func() { time.AfterFunc(c.Partner.Timeout+spansUntil, t.Cut) })
	return t.Tracer(), func() { unhook(); t.Stop() }, nil //nolint:contextcheck // ctx has ended by then
}
