package quota

import (
	"context"
	"fmt"
	"time"
)

// Permit is leave for one request. [Permit.Begin] says that it is being written now,
// [Permit.End] that it is over; a permit ended before it began is given back.
type Permit struct {
	pacer *Pacer
	op    *operation
	place bool // one of the simultaneous requests
	held  int  // leave given
	begun int  // requests written
}

// Acquire waits for leave to send one request of an operation. Who waits holds neither a
// place among the simultaneous requests nor a share of the rate, so that nobody waits for
// them in vain. The only errors are those of ctx.
func (p *Pacer) Acquire(ctx context.Context, lane Lane, name string) (*Permit, error) {
	p.mu.Lock()
	permit := &Permit{pacer: p, op: p.operation(name)}
	now := p.now()
	switch {
	case ctx.Err() != nil:
		p.mu.Unlock()
		return nil, fmt.Errorf("wait for leave: %w", context.Cause(ctx))
	case p.queued == 0 && p.places < p.concurrency && p.wait(permit.op, now) == 0:
		permit.occupy()
		permit.give(now)
		p.mu.Unlock()
		return permit, nil
	}
	w := p.queue(permit, lane)
	p.dispatch()
	p.mu.Unlock()
	if err := w.await(ctx); err != nil {
		permit.End()
		return nil, err
	}
	return permit, nil
}

// Again waits for leave to send a further request within the same permit, such as a repeat
// or a redirect, after the one before it was answered. It goes before those who have not begun.
func (permit *Permit) Again(ctx context.Context) error {
	p := permit.pacer
	p.mu.Lock()
	permit.settle()
	w := p.queue(permit, again)
	p.dispatch()
	p.mu.Unlock()
	return w.await(ctx)
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
	defer p.mu.Unlock()
	permit.settle()
	if permit.place {
		permit.place = false
		p.places--
	}
	p.dispatch()
}

// occupy takes a place among the simultaneous requests, give a share of the rate, and settle counts what was begun as
// ended now and gives back what was not. The caller holds the lock.
func (permit *Permit) occupy() {
	permit.place = true
	permit.pacer.places++
}

func (permit *Permit) give(now time.Time) {
	permit.op.open++
	permit.op.latest = now
	permit.held++
}

func (permit *Permit) settle() {
	p, op := permit.pacer, permit.op
	op.open -= permit.held
	if len(p.limits) > 0 {
		op.end(permit.begun, p.now())
	}
	permit.held, permit.begun = 0, 0
}
