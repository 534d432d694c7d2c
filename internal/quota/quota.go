// Package quota paces the requests to the partner: never more than the peak rate in any
// sliding unit of time, nor than the sustained rate over half an hour, each operation by
// itself, and never more than so many at once over all operations. It counts for one
// process; what waits for leave waits in the order of its coming.
//
// When a request arrives at the partner is not known, only that it is between its being
// written and its answer. So it fills a place from the leave given until a window after
// its end: then no two arrivals can be nearer than they may, whatever delays them.
package quota

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// Rate is so many in any sliding unit of time; the zero value is no limit.
type Rate struct {
	N   int
	Per time.Duration
}

// SustainedOver is the time over which the sustained rate is an average (partner sheet §5).
const SustainedOver = 30 * time.Minute

// Options of a [Pacer].
type Options struct {
	Peak        Rate
	Sustained   Rate
	Concurrency int // at least 1
	Now         func() time.Time
}

// Pacer gives leave for requests. It is safe for concurrent use.
type Pacer struct {
	limits []Rate
	now    func() time.Time
	slots  *semaphore.Weighted

	mu         sync.Mutex
	operations map[string]*operation
}

// operation is what was begun for one partner operation.
type operation struct {
	turn    chan struct{} // held by the one who is next
	changed chan struct{} // closed when something below changed

	open   int         // leave given, and not ended
	ended  []time.Time // ends of what was begun within the longest limit, ascending
	paused time.Time   // no leave before this
}

// New returns a pacer.
func New(o Options) *Pacer {
	p := &Pacer{now: o.Now, slots: semaphore.NewWeighted(int64(max(1, o.Concurrency))), operations: map[string]*operation{}}
	if p.now == nil {
		p.now = time.Now
	}
	if o.Peak.N > 0 {
		p.limits = append(p.limits, Rate{o.Peak.N, o.Peak.Per + margin})
	}
	if o.Sustained.N > 0 {
		// N per unit on average is that many more units' worth in half an hour.
		n := int(int64(o.Sustained.N) * int64(SustainedOver) / int64(o.Sustained.Per))
		p.limits = append(p.limits, Rate{max(1, n), SustainedOver + margin})
	}
	return p
}

// margin keeps two requests apart that would otherwise be a window apart to the tick.
const margin = 10 * time.Millisecond

// Permit is leave for one request. [Permit.Begin] says that it is being written now,
// [Permit.End] that it is over; a permit ended before it began is given back.
type Permit struct {
	pacer *Pacer
	op    *operation
	slot  bool
	held  int // leave given
	begun int // requests written
}

// Acquire waits for leave to send one request of an operation. Who waits holds neither a
// place among the simultaneous requests nor a share of the rate, so that nobody waits for them in vain.
func (p *Pacer) Acquire(ctx context.Context, name string) (*Permit, error) {
	permit := &Permit{pacer: p, op: p.operation(name)}
	select {
	case permit.op.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the pace: %w", context.Cause(ctx))
	}
	defer func() { <-permit.op.turn }()
	for {
		if err := permit.await(ctx); err != nil {
			return nil, err
		}
		if err := p.slots.Acquire(ctx, 1); err != nil {
			return nil, fmt.Errorf("wait for one of the simultaneous requests to end: %w", err)
		}
		if permit.take() {
			permit.slot = true
			return permit, nil
		}
		p.slots.Release(1)
	}
}

// Again waits for leave to send a further request within the same permit, such as a repeat
// or a redirect, after the one before it was answered. It goes before those who have not begun.
func (permit *Permit) Again(ctx context.Context) error {
	permit.pacer.mu.Lock()
	permit.settle()
	permit.pacer.mu.Unlock()
	for {
		if err := permit.await(ctx); err != nil {
			return err
		}
		if permit.take() {
			return nil
		}
	}
}

// await blocks until the rate has room, which somebody else may take.
func (permit *Permit) await(ctx context.Context) error {
	p, op := permit.pacer, permit.op
	for {
		p.mu.Lock()
		wait, changed := op.wait(p.limits, p.now()), op.changed
		p.mu.Unlock()
		if wait == 0 {
			return nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-changed:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("wait for the pace: %w", context.Cause(ctx))
		}
	}
}

// take takes a share of the rate if there is room.
func (permit *Permit) take() bool {
	p, op := permit.pacer, permit.op
	p.mu.Lock()
	defer p.mu.Unlock()
	if op.wait(p.limits, p.now()) > 0 {
		return false
	}
	op.open++
	permit.held++
	return true
}

// Begin says that a request is being written now.
func (permit *Permit) Begin() {
	permit.pacer.mu.Lock()
	defer permit.pacer.mu.Unlock()
	permit.begun++
}

// End gives back what was not begun and frees the place of a simultaneous request. It may be called twice.
func (permit *Permit) End() {
	p := permit.pacer
	p.mu.Lock()
	permit.settle()
	p.mu.Unlock()
	if permit.slot {
		permit.slot = false
		p.slots.Release(1)
	}
}

// settle counts what was begun as ended now, and gives back what was not.
func (permit *Permit) settle() {
	p, op := permit.pacer, permit.op
	op.open -= permit.held
	if len(p.limits) > 0 {
		now := p.now()
		if n := len(op.ended); n > 0 && now.Before(op.ended[n-1]) {
			now = op.ended[n-1] // the clock was set back
		}
		for range permit.begun {
			op.ended = append(op.ended, now)
		}
	}
	permit.held, permit.begun = 0, 0
	op.wake()
}

// Pause gives no more leave for an operation until then: the partner said so. It reports whether that is news.
func (p *Pacer) Pause(name string, until time.Time) (longer bool) {
	op := p.operation(name)
	p.mu.Lock()
	defer p.mu.Unlock()
	if !until.After(op.paused) {
		return false
	}
	longer = op.paused.Before(p.now())
	op.paused = until
	op.wake()
	return longer
}

func (p *Pacer) operation(name string) *operation {
	p.mu.Lock()
	defer p.mu.Unlock()
	op := p.operations[name]
	if op == nil {
		op = &operation{turn: make(chan struct{}, 1), changed: make(chan struct{})}
		p.operations[name] = op
	}
	return op
}

func (op *operation) wake() {
	close(op.changed)
	op.changed = make(chan struct{})
}

// wait is how long there is no leave for sure; 0 means leave now.
func (op *operation) wait(limits []Rate, now time.Time) time.Duration {
	wait := max(0, op.paused.Sub(now))
	longest := time.Duration(0)
	for _, limit := range limits {
		longest = max(longest, limit.Per)
		within := op.ended[after(op.ended, now.Add(-limit.Per)):]
		over := len(within) + op.open - limit.N // how many must leave the window, less one
		switch {
		case over < 0:
		case over >= len(within):
			wait = max(wait, limit.Per) // too many are under way: the end of one wakes us
		default:
			wait = max(wait, within[over].Add(limit.Per).Sub(now))
		}
	}
	op.ended = slices.Delete(op.ended, 0, after(op.ended, now.Add(-longest)))
	return wait
}

// after is the index of the first time after a bound.
func after(times []time.Time, bound time.Time) int {
	i, _ := slices.BinarySearchFunc(times, bound, func(t, bound time.Time) int {
		if t.After(bound) {
			return 1
		}
		return -1
	})
	return i
}
