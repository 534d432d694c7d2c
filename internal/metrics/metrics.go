// Package metrics keeps what the worker tells Prometheus: how often and how long, as it happens, and how things stand,
// asked for at each scrape. It owns a registry of its own, and every name, label and value in it; docs/metrics.md says what
// each is for. It stands alone: who has something to tell declares a small interface, which [Metrics] has the methods
// for, and who can be asked is handed over as a func in [State]. The arguments are plain values.
//
// Labels have few values, all of them known beforehand: a metric never bears a customer's id, a host, a text or a code
// that came from elsewhere.
package metrics

import (
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// namespace begins the name of all but what the client library tells of the process.
const namespace = "activation"

// Metrics are all that a worker exports. Make them with [New]. They are safe for concurrent use, and no method blocks.
type Metrics struct {
	registry *prometheus.Registry
	requests requests
	asked    asked

	outcomes  *prometheus.CounterVec
	activated *prometheus.HistogramVec
	attempts  prometheus.Observer
	rejected  prometheus.Counter
	unknown   *prometheus.CounterVec
	probes    *prometheus.CounterVec
	tokens    *prometheus.CounterVec
	waited    map[string]prometheus.Observer // by lane
	late      map[string]prometheus.Observer // by lane
	sweeps    *prometheus.CounterVec
	rearmed   prometheus.Counter
	swept     prometheus.Gauge
	looks     *prometheus.CounterVec
}

// New returns the metrics of a build, with nothing counted yet.
func New(version, commit string, s State) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.asked.kept = map[string]noted{}
	m.make()
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		newStateCollector(s, &m.asked),
	)
	gauge(m.registry, "build_info", "Version, commit and Go of this worker; always 1.", "version", "commit", "goversion").
		WithLabelValues(version, commit, runtime.Version()).Set(1)
	return m
}

// Bounds of one scrape. A second one at the same time is a human's beside Prometheus.
const (
	scrapeTime     = 5 * time.Second // shorter than what the server takes for an answer
	scrapesAtOnce  = 4
	nativeFactor   = 1.1 // from bucket to bucket, at most
	nativeBuckets  = 160 // then they get coarser
	nativeLifetime = time.Hour
)

// Handler serves them in whatever form of Prometheus the client prefers; native histograms are in the protobuf form alone.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorHandling:       promhttp.ContinueOnError, // what can be told is told
		EnableOpenMetrics:   true,
		Timeout:             scrapeTime,
		MaxRequestsInFlight: scrapesAtOnce,
	})
}

// Gatherer is for tests and for who exports in another way.
func (m *Metrics) Gatherer() prometheus.Gatherer { return m.registry }

func counter(r prometheus.Registerer, name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	r.MustRegister(c)
	return c
}

func gauge(r prometheus.Registerer, name, help string, labels ...string) *prometheus.GaugeVec {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, labels)
	r.MustRegister(g)
	return g
}

// histogram is native and classic at once: a Prometheus of whatever age and setting finds the one that it reads.
func histogram(r prometheus.Registerer, name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: name, Help: help, Buckets: buckets,
		NativeHistogramBucketFactor: nativeFactor, NativeHistogramMaxBucketNumber: nativeBuckets, NativeHistogramMinResetDuration: nativeLifetime,
	}, labels)
	r.MustRegister(h)
	return h
}
