package census

import (
	"time"

	"activation-worker/internal/events"
)

// Span is a time up to now.
type Span int

// Spans.
const (
	Hour Span = iota // 240 points of 15 s
	Day              // 96 points of 15 min
	Week             // 168 points of 1 h
)

// spans are how many points each has, and how many buckets of which ring make one of them.
var spans = map[Span]struct {
	points int64
	each   int64
	of     func(*activations) *ring
}{
	Hour: {240, 1, func(a *activations) *ring { return &a.fine }},
	Day:  {96, 1, func(a *activations) *ring { return &a.coarse }},
	Week: {168, 4, func(a *activations) *ring { return &a.coarse }},
}

// activations are those of the last days. It is not safe for concurrent use.
type activations struct {
	fine   ring // 15 s, as time zones go by whole quarters of an hour
	coarse ring // 15 min: every time zone's midnight is where one begins
}

// What is stamped ahead of our clock is kept until its time comes, up to an hour and nearly a day.
func newActivations() activations {
	const week = 7 * 24 * 4
	return activations{fine: newRing(15*time.Second, 240, 240), coarse: newRing(15*time.Minute, week+1, 95)}
}

// note takes note of an activation. It took from when the customer had accepted until the record was stored.
func (a *activations) note(b events.Brief, stored, now time.Time) {
	took := time.Duration(-1)
	if !b.AcceptedAt.IsZero() {
		took = max(0, stored.Sub(b.AcceptedAt)) // another's clock may be ahead
	}
	a.fine.add(stored, now, took)
	a.coarse.add(stored, now, took)
}

// Activations are columns, the oldest point first, and what they come to. The last point has begun and is not over.
//
// A time to activate is from when the customer accepted until the activated record was stored; records of older workers do not tell it,
// nor do those of customers who were active before the worker called. Times come from classes each of which is wider than the one before by the
// square root of two: what is said lies in the class of the true value (the nearest rank), so it is at most 41% above or 29% below it, under
// a quarter of a second at most that far off. 48 days stand for what took longer.
type Activations struct {
	Step        time.Duration
	Times       []time.Time // at which points begin
	Counts      []int
	Median, P90 []time.Duration // negative: none is known

	Total, Timed          int // activations in the span; of them with a known time to activate
	TotalMedian, TotalP90 time.Duration
	Today                 int // activations since midnight
}

// Activations are those of the time up to now. midnight is when the reader's day began, at most seven days ago. A customer who was activated and
// forgotten since counts until the ledger is read anew, as after a restart: then nothing is left to count.
func (c *Census) Activations(span Span, midnight, now time.Time) Activations {
	kind, known := spans[span]
	if !known {
		kind = spans[Hour]
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	r := kind.of(&c.activations)
	a := Activations{Step: time.Duration(kind.each) * r.step, Today: c.activations.coarse.since(c.activations.coarse.number(midnight))}
	var all bucket
	present := floored(r.number(now), kind.each)
	for n := present - kind.points + 1; n <= present; n++ {
		var b bucket
		r.sum(&b, n*kind.each, n*kind.each+kind.each-1)
		a.Times = append(a.Times, time.Unix(0, 0).UTC().Add(time.Duration(n)*a.Step))
		a.Counts = append(a.Counts, b.count)
		a.Median, a.P90 = append(a.Median, b.times.quantile(0.5)), append(a.P90, b.times.quantile(0.9))
		all.count += b.count
		all.times.merge(&b.times)
	}
	a.Total, a.Timed = all.count, all.times.total()
	a.TotalMedian, a.TotalP90 = all.times.quantile(0.5), all.times.quantile(0.9)
	return a
}
