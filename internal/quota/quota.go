// Package quota paces the requests to the partner: never more than the peak rate in any
// sliding unit of time, nor than the sustained rate over half an hour, each operation by
// itself, and never more than so many at once over all operations. It counts for one
// process; who goes first among those that wait is a matter of their lanes, see [Lane].
//
// When a request arrives at the partner is not known, only that it is between its being
// written and its answer. So it fills a place from the leave given until a window after
// its end: then no two arrivals can be nearer than they may, whatever delays them.
package quota

import (
	"sync"
	"time"
)

// Rate is so many in any sliding unit of time; the zero value is no limit.
type Rate struct {
	N   int
	Per time.Duration
}

// distance is the time from one request to the next if all are equally far apart; 0 without a limit.
func (r Rate) distance() time.Duration {
	if r.N <= 0 {
		return 0
	}
	return r.Per / time.Duration(r.N)
}

// SustainedOver is the time over which the sustained rate is an average (partner sheet §5).
const SustainedOver = 30 * time.Minute

// margin keeps two requests apart that would otherwise be a window apart to the tick.
const margin = 10 * time.Millisecond

// Options of a [Pacer].
type Options struct {
	Peak        Rate
	Sustained   Rate
	Concurrency int // at least 1
	Now         func() time.Time
}

// Pacer gives leave for requests. It is safe for concurrent use.
type Pacer struct {
	limits      []Rate // a margin longer than the partner's
	apart       time.Duration
	interval    time.Duration
	concurrency int
	now         func() time.Time

	mu         sync.Mutex
	operations map[string]*operation
	places     int           // of the simultaneous requests, taken
	gentle     time.Time     // leaves are kept apart until then
	queued     int           // who waits, whatever for
	came       uint64        // how many ever waited
	passed     [allLanes]int // by lane, see next
	timer      *time.Timer   // for the next time at which something may be given; nil: never needed yet
}

// New returns a pacer.
func New(o Options) *Pacer {
	p := &Pacer{
		apart: o.Peak.distance(), interval: o.Peak.distance(),
		concurrency: max(1, o.Concurrency), now: o.Now, operations: map[string]*operation{},
	}
	if p.now == nil {
		p.now = time.Now
	}
	if o.Peak.N > 0 {
		p.limits = append(p.limits, Rate{o.Peak.N, o.Peak.Per + margin})
	}
	if o.Sustained.N > 0 {
		// N per unit on average is that many more units' worth in half an hour.
		n := max(1, int(int64(o.Sustained.N)*int64(SustainedOver)/int64(o.Sustained.Per)))
		p.limits = append(p.limits, Rate{n, SustainedOver + margin})
		p.interval = max(p.interval, Rate{n, SustainedOver}.distance())
	}
	return p
}

// Interval is the average time from one request of an operation to the next in a long run,
// as far as the rates decide it; 0 without rates. So n requests take about n times as long.
func (p *Pacer) Interval() time.Duration { return p.interval }

// Pause gives no more leave for an operation until then: the partner said so. It reports whether that is news.
func (p *Pacer) Pause(name string, until time.Time) (longer bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	op := p.operation(name)
	if !until.After(op.paused) {
		return false
	}
	longer = op.paused.Before(p.now())
	op.paused = until
	p.dispatch()
	return longer
}

// Gently keeps the leaves of one operation as far apart as the peak rate has them on average,
// until then: what has gathered in a pause does not go out in one burst. Of several times the
// last counts. Without a peak rate it does nothing.
func (p *Pacer) Gently(until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if until.After(p.gentle) {
		p.gentle = until
	}
	p.dispatch()
}

// operation returns what is known about a partner operation. The caller holds the lock.
func (p *Pacer) operation(name string) *operation {
	op := p.operations[name]
	if op == nil {
		op = &operation{}
		p.operations[name] = op
	}
	return op
}
