package quota

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// waiter waits for leave.
type waiter struct {
	permit   *Permit
	lane     Lane
	number   uint64 // in the order of coming
	came     time.Time
	promised bool          // leave for it is being written down
	ready    chan struct{} // closed when leave was given
}

// queues are those who wait for one operation, each lane in the order of coming.
type queues [allLanes][]*waiter

func (p *Pacer) queue(permit *Permit, lane Lane, now time.Time) *waiter {
	w := &waiter{permit: permit, lane: lane, number: p.came, came: now, ready: make(chan struct{})}
	p.came++
	p.queued++
	of := p.queues[permit.operation]
	if of == nil {
		of = &queues{}
		p.queues[permit.operation] = of
	}
	of[lane] = append(of[lane], w)
	return w
}

// leave takes a waiter out, and reports whether it still stood there. The caller holds the lock.
func (p *Pacer) leave(w *waiter) bool {
	line := &p.queues[w.permit.operation][w.lane]
	i := slices.Index(*line, w)
	if i < 0 {
		return false
	}
	*line = slices.Delete(*line, i, i+1)
	p.queued--
	return true
}

// give gives leave to one who waits. The caller holds the lock.
func (p *Pacer) give(w *waiter) {
	if !p.leave(w) {
		return // gave up
	}
	p.hand(w.permit, w.lane)
	close(w.ready)
}

// errEnded is why nobody gets leave any more.
var errEnded = errors.New("the quota is not shared any more: the worker has stopped")

// await blocks until leave was given or ctx ended; if both at the same moment, the permit may hold leave after an error,
// which its End gives back.
func (w *waiter) await(ctx context.Context) error {
	p := w.permit.pacer
	var cause error
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
		cause = context.Cause(ctx)
	case <-p.stopped:
		cause = errEnded
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leave(w)
	what := "a share of the quota"
	if p.trouble != nil {
		what = fmt.Sprintf("%s (%v)", what, p.trouble)
	}
	return fmt.Errorf("wait for %s: %w", what, cause)
}

// lines are those who wait here and are promised nothing yet.
func (p *Pacer) lines(now time.Time) (lines []*line) {
	for name, of := range p.queues {
		for lane, waiters := range of {
			l := &line{operation: name, lane: Lane(lane), waiters: waiters}
			if p.trim(l, now) {
				lines = append(lines, l)
			}
		}
	}
	return lines
}

// trim drops the first of a line of ours as long as they are promised something, and reports whether anybody is left.
func (p *Pacer) trim(l *line, now time.Time) bool {
	for len(l.waiters) > 0 && l.waiters[0].promised {
		l.waiters = l.waiters[1:]
	}
	if len(l.waiters) == 0 {
		return false
	}
	_, hi := p.clock.now(now)
	l.since = hi - now.Sub(l.waiters[0].came).Microseconds()
	return true
}

// serve gives leave that needs nobody's consent: for an operation without limits, in a place that is held. What does not
// get it so is looked at by [Pacer.Run]. It is called after every change, with the lock held.
func (p *Pacer) serve(now time.Time) {
	p.used = now
	for p.queued > 0 && p.shared != nil && p.mine(now) {
		c := choice{lines: p.lines(now), passed: p.shared.passed(p.limits), places: p.busy < p.held, room: p.unlimited, paced: func(string) bool { return false }}
		if p.rivals && !oneLane(append(c.lines, p.elsewhere(p.shared, now, 0)...)) {
			break // whose turn it is, only the record can tell
		}
		l, could := c.next()
		if l == nil {
			break
		}
		c.pass(c.passed, l, could)
		p.give(l.waiters[0])
	}
	switch {
	case p.queued > 0 && (len(p.limits) > 0 || p.busy < p.held || p.taken() < p.Concurrency):
		p.wake(0)
	case p.queued > 0:
		p.wake(wantTime) // all places are taken
	default:
		p.wake(idleTime)
	}
}

func oneLane(lines []*line) bool {
	return !slices.ContainsFunc(lines, func(l *line) bool { return l.lane != lines[0].lane })
}

// mine reports whether places may pass from hand to hand here.
func (p *Pacer) mine(now time.Time) bool {
	return (!p.rivals || now.Before(p.turn)) && p.leased(now)
}

// leased reports whether what is held is held for longer than any request can last that begins now.
func (p *Pacer) leased(now time.Time) bool {
	_, hi := p.clock.now(now)
	return hi+p.Timeout.Microseconds() <= p.lease
}

// taken is how many places of simultaneous requests are held, as far as is known.
func (p *Pacer) taken() int {
	if p.shared == nil {
		return 0
	}
	return p.held + p.shared.placesOfOthers(p.Replica)
}

// unlimited reports whether an operation needs no share of a rate.
func (p *Pacer) unlimited(name string, _ Lane) bool {
	if len(p.limits) > 0 || p.shared == nil {
		return false
	}
	_, asked := p.asked[name]
	said, heard := p.news[name]
	op := p.shared.Operations[name]
	return !asked && (!heard || said.Left >= p.plenty()) && (op == nil || op.Paused == 0 && op.Credit == nil)
}
