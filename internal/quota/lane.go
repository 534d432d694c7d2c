package quota

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Lane says who goes first among those that wait: the smaller one, and within a lane and an
// operation whoever came first. An operation without room stops nobody who wants another.
//
// Running is neither held up nor counted: it is what those already served need to come to an
// end, a few requests each. Of all other leaves that somebody in Waiting could have used at
// least every fifth is given there, and to Replay at least every twentieth, over all
// operations and of each one by itself; so no lane starves, however much comes in above it.
type Lane int

// The lanes, in their order.
const (
	Running Lane = iota // a further request of a step whose claim is held
	Fresh               // the first one of a customer just announced
	Waiting             // of one whose time has come
	Replay              // of one that an operator had queued again

	allLanes

	again Lane = -1 // not a lane: has a place already, and goes before all
)

// patience is how many leaves may go to others before a lane must get one. Replay leaves room for those of Waiting
// that become due at the same moment, one for each of the partner's three operations.
var patience = [allLanes]int{Waiting: 4, Replay: 16}

// waiter waits for leave.
type waiter struct {
	permit *Permit
	lane   Lane
	number uint64        // in the order of coming
	ready  chan struct{} // closed when leave was given
}

// line is where a waiter stands.
func (w *waiter) line() *[]*waiter {
	if w.lane == again {
		return &w.permit.op.again
	}
	return &w.permit.op.waiting[w.lane]
}

// queue adds a waiter. The caller holds the lock.
func (p *Pacer) queue(permit *Permit, lane Lane) *waiter {
	w := &waiter{permit: permit, lane: lane, number: p.came, ready: make(chan struct{})}
	p.came++
	p.queued++
	*w.line() = append(*w.line(), w)
	return w
}

// leave takes a waiter out, if it still stands there. The caller holds the lock.
func (p *Pacer) leave(w *waiter) {
	line := w.line()
	if i := slices.Index(*line, w); i >= 0 {
		*line = slices.Delete(*line, i, i+1)
		p.queued--
	}
}

// await blocks until leave was given or ctx ended; if both at the same moment, the permit may hold leave after an error,
// which its End gives back.
func (w *waiter) await(ctx context.Context) error {
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
	}
	p := w.permit.pacer
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leave(w)
	what := "one of the simultaneous requests to end"
	if p.wait(w.permit.op, p.now()) > 0 {
		what = "the pace"
	}
	return fmt.Errorf("wait for %s: %w", what, context.Cause(ctx))
}

// dispatch gives leave to all who can have it now, and comes back at the earliest time at which somebody else can. It
// is called after every change, with the lock held.
func (p *Pacer) dispatch() {
	if p.queued == 0 {
		return // a timer that still runs finds nobody
	}
	now := p.now()
	for w := p.next(now); w != nil; w = p.next(now) {
		p.leave(w)
		if w.lane != again {
			w.permit.occupy()
		}
		w.permit.give(now)
		close(w.ready)
	}
	earliest := time.Duration(0)
	for _, op := range p.operations {
		if op.wanted() {
			if wait := p.wait(op, now); wait > 0 && (earliest == 0 || wait < earliest) {
				earliest = wait
			}
		}
	}
	switch {
	case earliest == 0: // the end of a request helps, or nobody waits
	case p.timer == nil:
		p.timer = time.AfterFunc(earliest, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.dispatch()
		})
	default:
		p.timer.Reset(earliest)
	}
}

// wanted reports whether anybody waits for the operation.
func (op *operation) wanted() bool {
	return len(op.again) > 0 || slices.ContainsFunc(op.waiting[:], func(line []*waiter) bool { return len(line) > 0 })
}

// next is who gets leave now, nil if nobody can, and counts whom that passes over: the others at the head of a line
// who could have used this leave. Counted by lane alone, one for a rarely free operation could be passed over for ever
// while its lane gets its share by another; counted by operation alone, one that is never given could.
func (p *Pacer) next(now time.Time) *waiter {
	var first, due [allLanes]*waiter // those who could have leave, and those of them who have been patient
	for _, op := range p.operations {
		if !op.wanted() || p.wait(op, now) > 0 {
			continue
		}
		if len(op.again) > 0 {
			return op.again[0]
		}
		for lane, line := range op.waiting {
			if len(line) == 0 {
				continue
			}
			first[lane] = earlier(first[lane], line[0])
			if op.passed[lane] >= patience[lane] {
				due[lane] = earlier(due[lane], line[0])
			}
		}
	}
	if p.places >= p.concurrency {
		return nil
	}
	for lane := range allLanes {
		if due[lane] == nil && p.passed[lane] >= patience[lane] {
			due[lane] = first[lane]
		}
	}
	for _, w := range []*waiter{first[Running], due[Waiting], due[Replay], first[Fresh], first[Waiting], first[Replay]} {
		if w != nil {
			p.pass(w, first)
			return w
		}
	}
	return nil
}

// pass counts a leave, among those who could have it.
func (p *Pacer) pass(w *waiter, could [allLanes]*waiter) {
	if w.lane == Running {
		return
	}
	op := w.permit.op
	for lane := range allLanes {
		if could[lane] != nil {
			p.passed[lane]++
		}
		if len(op.waiting[lane]) > 0 {
			op.passed[lane]++
		}
	}
	p.passed[w.lane], op.passed[w.lane] = 0, 0
}

// earlier is whoever came first; a may be nil.
func earlier(a, b *waiter) *waiter {
	if a == nil || b.number < a.number {
		return b
	}
	return a
}
