package tracing

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/grpclog"
)

const (
	// answerMost is the longest answer of a collector that is read.
	answerMost = 64 << 10
	// connectTime bounds TCP and TLS, each.
	connectTime = 5 * time.Second
)

// Between a send that failed for a moment and its repeats; all in all no longer than a queue can take in.
const (
	retryFirst = time.Second
	retryMost  = 5 * time.Second
	retryFor   = 15 * time.Second
)

// newExporter returns an exporter, and where the status of the collector's last answer is to be found, of HTTP alone.
func newExporter(ctx context.Context, o Options) (sdk.SpanExporter, *atomic.Int32, error) {
	if o.TLS == nil {
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if o.Protocol == "grpc" {
		exporter, err := overGRPC(ctx, o)
		return exporter, new(atomic.Int32), err
	}
	through := &headed{headers: o.Headers, base: &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: connectTime}).DialContext,
		TLSHandshakeTimeout:    connectTime,
		TLSClientConfig:        o.TLS,
		MaxIdleConns:           1,
		IdleConnTimeout:        time.Minute,
		MaxResponseHeaderBytes: answerMost,
		ForceAttemptHTTP2:      true,
	}}
	options := []otlptracehttp.Option{
		otlptracehttp.WithEndpointURL(o.Endpoint), otlptracehttp.WithTimeout(o.Timeout), otlptracehttp.WithMaxResponseSize(answerMost),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: true, InitialInterval: retryFirst, MaxInterval: retryMost, MaxElapsedTime: retryFor}),
		otlptracehttp.WithHTTPClient(&http.Client{
			Timeout: o.Timeout, Transport: through,
			// Headers, a key perhaps, are for this collector alone.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}),
		otlptracehttp.WithHeaders(nil),         // through sets them
		otlptracehttp.WithTLSClientConfig(nil), // and knows whom to trust
		otlptracehttp.WithCompression(otlptracehttp.NoCompression),
		otlptracehttp.WithEncoding(otlptracehttp.EncodingProtobuf),
	}
	if o.Gzip {
		options = append(options, otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
	}
	if o.Protocol == "http/json" {
		options = append(options, otlptracehttp.WithEncoding(otlptracehttp.EncodingJSON))
	}
	exporter, err := otlptracehttp.New(ctx, options...)
	return exporter, &through.status, err
}

// quietGRPC keeps the library from writing to stderr.
var quietGRPC = sync.OnceFunc(func() { grpclog.SetLoggerV2(grpclog.NewLoggerV2(nowhere{}, nowhere{}, nowhere{})) })

type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }

func overGRPC(ctx context.Context, o Options) (sdk.SpanExporter, error) {
	quietGRPC()
	options := []otlptracegrpc.Option{
		otlptracegrpc.WithEndpointURL(o.Endpoint), otlptracegrpc.WithTimeout(o.Timeout),
		otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{Enabled: true, InitialInterval: retryFirst, MaxInterval: retryMost, MaxElapsedTime: retryFor}),
		otlptracegrpc.WithHeaders(nil), // each call reads them
		otlptracegrpc.WithDialOption(
			grpc.WithPerRPCCredentials(callHeaders(o.Headers)),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(answerMost)),
		),
	}
	if strings.HasPrefix(o.Endpoint, "http://") {
		options = append(options, otlptracegrpc.WithInsecure())
	} else {
		options = append(options, otlptracegrpc.WithTLSCredentials(credentials.NewTLS(o.TLS)))
	}
	if o.Gzip {
		options = append(options, otlptracegrpc.WithCompressor("gzip"))
	}
	return otlptracegrpc.New(ctx, options...)
}

// headed adds the headers to each request, and remembers the status of the last answer.
type headed struct {
	headers func() (string, error)
	base    http.RoundTripper
	status  atomic.Int32 // 0: none came
}

func (h *headed) RoundTrip(req *http.Request) (*http.Response, error) {
	h.status.Store(0)
	headers, err := readHeaders(h.headers)
	if err != nil {
		return nil, err
	}
	req = req.Clone(req.Context())
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	resp, err := h.base.RoundTrip(req)
	if err == nil {
		h.status.Store(int32(resp.StatusCode)) // three digits
	}
	return resp, err
}

// callHeaders adds the headers to each call.
type callHeaders func() (string, error)

// GetRequestMetadata returns the headers of a call.
func (h callHeaders) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	headers, err := readHeaders(h)
	lower := make(map[string]string, len(headers))
	for name, value := range headers {
		lower[strings.ToLower(name)] = value
	}
	return lower, err
}

// RequireTransportSecurity leaves that to whoever has chosen the endpoint.
func (callHeaders) RequireTransportSecurity() bool { return false }

// errHeaders does not say more: what is wrong may be the key itself.
var errHeaders = errors.New("OTEL_EXPORTER_OTLP_HEADERS cannot be used; wanted key=value,…, values percent-encoded, or a file that holds that")

func readHeaders(read func() (string, error)) (map[string]string, error) {
	if read == nil {
		return nil, nil
	}
	text, err := read()
	if err != nil {
		return nil, errHeaders
	}
	headers := map[string]string{}
	for pair := range strings.SplitSeq(text, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, value, found := strings.Cut(pair, "=")
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if name = strings.TrimSpace(name); !found || name == "" || err != nil {
			return nil, errHeaders
		}
		headers[name] = value
	}
	return headers, nil
}
