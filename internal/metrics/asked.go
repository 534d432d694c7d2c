package metrics

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// keptFor is for how long an answer of the server's counts that no newer one has followed: a request that was lost must
// make no gap, after which an alert would begin to wait anew; what is older says nothing.
const keptFor = time.Minute

// asked is what the server was last asked about its streams and consumers. No scrape asks it.
type asked struct {
	mu   sync.Mutex
	kept map[string]noted // by kind and name
}

// noted are the samples of one answer.
type noted struct {
	at      time.Time
	samples []prometheus.Metric
}

func (a *asked) note(what string, samples ...prometheus.Metric) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.kept[what] = noted{at: time.Now(), samples: samples}
}

func (a *asked) collect(out chan<- prometheus.Metric) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for what, n := range a.kept {
		if time.Since(n.at) > keptFor {
			delete(a.kept, what)
			continue
		}
		for _, s := range n.samples {
			out <- s
		}
	}
}

var (
	streamMessages    = desc("stream_messages", "Messages in a stream.", "stream")
	streamBytes       = desc("stream_bytes", "Bytes that a stream takes.", "stream")
	streamMaxBytes    = desc("stream_max_bytes", "Bytes that a stream may take; absent where there is no limit.", "stream")
	consumerPending   = desc("consumer_pending_messages", "Messages that a consumer has not delivered yet.", "consumer")
	consumerUnackeds  = desc("consumer_ack_pending_messages", "Messages that a consumer has delivered and nobody has acknowledged yet.", "consumer")
	askedDescriptions = []*prometheus.Desc{streamMessages, streamBytes, streamMaxBytes, consumerPending, consumerUnackeds}
)

// Stream notes what the server says of a stream, named by its role: ledger, work, rejected or intake. maxBytes is 0 or
// less where there is no limit.
func (m *Metrics) Stream(role string, messages, bytes uint64, maxBytes int64) {
	samples := []prometheus.Metric{sample(streamMessages, float64(messages), role), sample(streamBytes, float64(bytes), role)}
	if maxBytes > 0 {
		samples = append(samples, sample(streamMaxBytes, float64(maxBytes), role))
	}
	m.asked.note("stream "+role, samples...)
}

// Consumer notes what the server says of a consumer.
func (m *Metrics) Consumer(name string, pending, unacknowledged uint64) {
	m.asked.note("consumer "+name, sample(consumerPending, float64(pending), name), sample(consumerUnackeds, float64(unacknowledged), name))
}
