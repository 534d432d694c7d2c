package metrics

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var requestBuckets = []float64{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30}

// requests are those to the partner. Only what was met is exported: most of what could be answered to an operation never is.
type requests struct {
	durations *prometheus.HistogramVec

	mu  sync.RWMutex
	met map[request]prometheus.Observer
}

// request is what the requests of one series have in common.
type request struct {
	operation string
	status    int
	result    string
}

func (q *requests) make(r prometheus.Registerer) {
	q.met = map[request]prometheus.Observer{}
	q.durations = histogram(r, "partner_request_duration_seconds", "HTTP requests to the partner, from the look for a connection to the end of the answer.", requestBuckets, "operation", "status", "result")
}

// of is where the like of a request is counted. It is looked up without making a text of the status.
func (q *requests) of(like request) prometheus.Observer {
	q.mu.RLock()
	h := q.met[like]
	q.mu.RUnlock()
	if h != nil {
		return h
	}
	h = q.durations.WithLabelValues(like.operation, status(like.status), like.result)
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.met) < mostKept {
		q.met[like] = h
	}
	return h
}

// mostKept bounds what is kept for statuses that nobody has given a name to; what is not kept costs more, and counts as well.
const mostKept = 1000

// Requested is told of each HTTP request to the partner: the operation, the status answered (0: none) and what that means.
func (m *Metrics) Requested(operation string, status int, result string, took time.Duration) {
	m.requests.of(request{operation, status, result}).Observe(took.Seconds())
}
