package simulator

import (
	"math"
	"net/http"
	"strconv"
	"time"
)

// quota counts requests in fixed minutes, for each operation by itself, and those under way.
type quota struct {
	limit    int // a minute; 0: none
	atOnce   int // 0: none
	underWay int
	windows  map[Operation]*window
}

type window struct {
	start time.Time
	used  int
}

// rate is what the headers of one answer say.
type rate struct {
	limit, used int
	reset       time.Duration
}

func newQuota(limit, atOnce int) quota {
	return quota{limit: limit, atOnce: atOnce, windows: map[Operation]*window{}}
}

// take counts one request of the operation and tells whether it is within the limit.
func (q *quota) take(op Operation, now time.Time, refusedUncounted bool) (rate, bool) {
	w := q.window(op, now)
	w.used++
	at := rate{limit: q.limit, used: w.used, reset: w.start.Add(time.Minute).Sub(now)}
	within := q.limit <= 0 || w.used <= q.limit
	if !within && refusedUncounted {
		w.used--
	}
	return at, within
}

// eat counts n requests of another client.
func (q *quota) eat(op Operation, n int, now time.Time) { q.window(op, now).used += n }

func (q *quota) window(op Operation, now time.Time) *window {
	start := now.Truncate(time.Minute)
	w := q.windows[op]
	if w == nil || w.start.Before(start) {
		w = &window{start: start}
		q.windows[op] = w
	}
	return w
}

// remaining is what is left of the minute.
func (r rate) remaining() int { return max(0, r.limit-r.used) }

// set writes the headers, spelled as the partner does. Without a limit there are none.
func (r rate) set(h http.Header, usedHeader string) {
	if r.limit <= 0 {
		return
	}
	h["rateLimit-limit"] = []string{strconv.Itoa(r.limit)}
	h["rateLimit-remaining"] = []string{strconv.Itoa(r.remaining())}
	h["rateLimit-reset"] = []string{strconv.Itoa(int(math.Ceil(r.reset.Seconds())))}
	h[usedHeader] = []string{strconv.Itoa(r.used)}
}

// SetRate changes the limit a minute from the next request on; 0 is none.
func (s *Simulator) SetRate(perMinute int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quota.limit = perMinute
}
