package quota

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Permit is leave for one request. [Permit.Begin] says that it is being written now,
// [Permit.End] that it is over; a permit ended before it began is given back.
type Permit struct {
	pacer     *Pacer
	operation string
	place     bool // one of the simultaneous requests
	held      int  // leave given
	begun     int  // requests written
}

// ErrLeaseEnded is the error of [Permit.Begin] when the leave may count for nothing any more.
var ErrLeaseEnded = errors.New("the share of the quota could not be kept: nothing is sent")

// Acquire waits for leave to send one request of an operation. Who waits holds neither a
// place among the simultaneous requests nor a share of the rate, so that nobody waits for
// them in vain. It fails only when ctx ends, or [Pacer.Run] does.
func (p *Pacer) Acquire(ctx context.Context, lane Lane, name string) (*Permit, error) {
	if ctx.Err() != nil {
		return nil, fmt.Errorf("wait for leave: %w", context.Cause(ctx))
	}
	permit := &Permit{pacer: p, operation: name}
	if err := permit.await(ctx, lane); err != nil {
		permit.End()
		return nil, err
	}
	return permit, nil
}

// Again waits for leave to send a further request within the same permit, such as a repeat
// or a redirect, after the one before it was answered. It goes before those who have not begun.
func (permit *Permit) Again(ctx context.Context) error { return permit.await(ctx, again) }

func (permit *Permit) await(ctx context.Context, lane Lane) error {
	p := permit.pacer
	p.mu.Lock()
	now := p.Now()
	permit.settle(now)
	if p.queued == 0 && !p.rivals && p.unlimited(permit.operation, lane) && (lane == again || p.busy < p.held) && p.leased(now) {
		p.used = now
		p.hand(permit, lane) // nobody else wants it
		p.mu.Unlock()
		p.waited(lane, 0)
		return nil
	}
	w := p.queue(permit, lane, now)
	p.serve(now)
	p.mu.Unlock()
	err := w.await(ctx)
	if err == nil {
		p.waited(lane, p.Now().Sub(now))
	}
	return err
}

func (p *Pacer) waited(lane Lane, d time.Duration) {
	if p.Waited != nil {
		p.Waited(lane, d)
	}
}

// hand gives leave. The caller holds the lock.
func (p *Pacer) hand(permit *Permit, lane Lane) {
	if lane != again {
		permit.place = true
		p.busy++
	}
	permit.held++
	p.open[permit.operation]++
}

// Begin says that a request is being written now. It fails with [ErrLeaseEnded] where the request could last
// longer than this replica is known to hold its share: then it must not be written.
func (permit *Permit) Begin() error {
	p := permit.pacer
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.leased(p.Now()) {
		p.wake(0)
		return ErrLeaseEnded
	}
	permit.begun++
	return nil
}

// End gives back what was not begun and frees the place of a simultaneous request. It may be called twice.
func (permit *Permit) End() {
	p := permit.pacer
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.Now()
	permit.settle(now)
	if permit.place {
		permit.place = false
		p.busy--
	}
	p.serve(now)
}

// settle counts what was begun as ended now, and gives back what was not. The caller holds the lock.
func (permit *Permit) settle(now time.Time) {
	p := permit.pacer
	if permit.held == 0 {
		return
	}
	p.open[permit.operation] -= permit.held
	if permit.begun > 0 && len(p.limits) > 0 {
		_, hi := p.clock.now(now)
		p.ended = append(p.ended, ended{permit.operation, end{hi, permit.begun}})
	}
	permit.held, permit.begun = 0, 0
}
