package quota

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Outlook is the shared record at one moment, as somebody sees it who only looks, and what follows from it. It does not
// change, and is safe for concurrent use. The zero value is unusable: see [Look].
type Outlook struct {
	Limits
	At     time.Time // by the clock of whoever keeps the record
	record *record
	limits []Rate
	now    int64
}

// Look reads the record once. It writes nothing, and nobody has to run a [Pacer] for it. Where no replica has ever
// written, nothing is used and nobody waits.
func Look(ctx context.Context, store Store, limits Limits) (Outlook, error) {
	data, _, err := store.Load(ctx)
	if err != nil {
		return Outlook{}, fmt.Errorf("read the shared quota: %w", err)
	}
	at, err := store.Time(ctx)
	if err != nil {
		return Outlook{}, fmt.Errorf("ask for the time by which the quota is shared: %w", err)
	}
	r := newRecord()
	if data != nil {
		if r, err = decode(data); err != nil {
			return Outlook{}, err
		}
	}
	o := Outlook{Limits: limits, At: at, record: r, limits: limits.windows(), now: at.UnixMicro()}
	r.settle(o.now, o.now, o.limits)
	return o, nil
}

// Outlook is the shared record as it is known here, with what was done here since. It asks nobody. as is how old that
// knowledge is: now unless another replica has written since it was read; zero where nothing was read yet.
func (p *Pacer) Outlook() (o Outlook, as time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shared == nil {
		return Outlook{}, time.Time{}
	}
	if as = p.looked; !p.stale && !p.outdated {
		as = p.Now()
	}
	lo, hi := p.clock.now(p.Now())
	r := p.shared.clone()
	me := r.Replicas[p.Replica]
	if me == nil {
		me = &replica{}
		r.Replicas[p.Replica] = me
	}
	me.Open, me.Places, me.Until = maps.Clone(p.open), p.held, max(me.Until, hi+1)
	r.settle(lo, hi, p.limits)
	for _, e := range p.ended {
		r.operation(e.operation, p.limits).end(e.at, e.n)
	}
	return Outlook{Limits: p.Limits, At: time.UnixMicro(lo), record: r, limits: p.limits, now: lo}, as
}

// After is the same so much later, if nothing was sent meanwhile.
func (o Outlook) After(d time.Duration) Outlook {
	o.At, o.now, o.record = o.At.Add(d), o.now+d.Microseconds(), o.record.clone()
	o.record.settle(o.now, o.now, o.limits)
	return o
}

// Queued is how many wait for leave here, by lane.
func (p *Pacer) Queued() Queue {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := Queue{}
	for _, of := range p.queues {
		for lane, waiters := range of {
			q[min(Lane(lane), Replay)] += len(waiters)
		}
	}
	return q
}

// Places is how many of the simultaneous requests' places are held, and by how many replicas.
func (o Outlook) Places() (held, replicas int) {
	for _, rep := range o.record.Replicas {
		if held += rep.Places; rep.Places > 0 {
			replicas++
		}
	}
	return held, replicas
}

// Busy reports whether a replica waits for leave or uses it.
func (o Outlook) Busy() bool {
	for _, rep := range o.record.Replicas {
		if len(rep.Open)+len(rep.Wants) > 0 {
			return true
		}
	}
	return false
}

// Queue is how many wait in each lane.
type Queue map[Lane]int

// Waiting is how many wait at the replicas for leave for an operation.
func (o Outlook) Waiting(operation string) Queue {
	q := Queue{}
	for _, rep := range o.record.Replicas {
		for _, w := range rep.Wants {
			if w.Operation == operation {
				q[min(w.Lane, Replay)] += max(0, min(w.N, mostAtATime))
			}
		}
	}
	return q
}

// Use is what is used of an operation's quota.
type Use struct {
	Operation       string
	Peak, Sustained int           // requests within the unit of the peak rate, and within half an hour, those under way included
	Left            int           // how many more the partner takes by its own count; -1: it has not said, or its count is over
	Paused          time.Duration // for how long the partner still wants no request; 0 for no pause
}

// Uses is what is used now, operation by operation.
func (o Outlook) Uses() (uses []Use) {
	r := o.record.clone()
	for _, name := range slices.Sorted(maps.Keys(r.Operations)) {
		use, op := Use{Operation: name, Left: -1, Paused: o.Paused(name)}, r.operation(name, o.limits)
		if op.Credit != nil {
			use.Left = max(0, op.Credit.Left)
		}
		used := func(per time.Duration) int {
			if w := op.window(per + margin); w != nil {
				return r.open(name) + w.count()
			}
			return r.open(name)
		}
		use.Peak, use.Sustained = used(o.Limits.Peak.Per), used(SustainedOver)
		uses = append(uses, use)
	}
	return uses
}

// Paused is for how long the partner still wants no request of an operation; 0 for no pause.
func (o Outlook) Paused(operation string) time.Duration {
	op := o.record.Operations[operation]
	if op == nil {
		return 0
	}
	return time.Duration(max(0, op.Paused-o.now)) * time.Microsecond
}

// Turn is how many leaves are given, with their own, until somebody has leave who stands in a lane behind so many.
// Whoever comes meanwhile is not in it.
func Turn(lane Lane, before Queue) int {
	own, others := before[lane]+1, 0
	for l := Fresh; l < lane; l++ {
		others += before[l]
	}
	if patience[lane] > 0 {
		others = min(others, patience[lane]*own)
	}
	n := before[Running] + own + others
	for l := lane + 1; l <= Replay; l++ {
		if patience[l] > 0 {
			n += min(before[l], n/patience[l])
		}
	}
	return n
}

// When is in how long the n-th next request of an operation in a lane can have leave, as far as the rates, the
// partner's own count and its pauses decide it, if all before it are sent as soon as they may be. What is under way
// counts as if it ended now.
func (o Outlook) When(operation string, lane Lane, n int) time.Duration {
	r := o.record.clone()
	op := r.operation(operation, o.limits)
	op.end(o.now, r.open(operation))
	f := future{operation: op, limits: o.limits, lane: lane, gentle: max(op.Gentle, r.Gentle), apart: o.Limits.Peak.distance().Microseconds()}
	at := max(o.now, op.Paused)
	for n = max(n, 1); ; {
		var room int
		if at, room = f.next(at, n); n <= room {
			return time.Duration(at-o.now) * time.Microsecond
		}
		f.send(at, room)
		n -= room
	}
}

// future is an operation as it will be.
type future struct {
	*operation
	limits []Rate
	lane   Lane
	gentle int64 // until when requests are kept apart
	apart  int64
}

// next is when there is room for requests, not before a time, and for how many then, at most so many.
func (f future) next(at int64, most int) (_ int64, room int) {
	for {
		free := at
		if at < f.gentle {
			free = max(free, min(f.Latest+f.apart, f.gentle))
		}
		if f.Credit != nil && f.Credit.Left <= 0 {
			free = max(free, f.Credit.Until)
		}
		room = most
		for _, limit := range f.limits {
			w, n := f.window(limit.Per), limitFor(limit, f.lane)
			w.settle(at, at)
			left := n - w.count()
			room = min(room, left)
			if left <= 0 && n > 0 {
				out, _ := w.free(1 - left)
				free = max(free, out)
			}
		}
		switch {
		case free > at:
			at = free
			continue
		case at < f.gentle && f.apart > 0:
			room = 1
		case f.Credit != nil && at < f.Credit.Until:
			room = min(room, f.Credit.Left)
		}
		return at, max(room, 1)
	}
}

// send notes that so many requests are sent then.
func (f future) send(at int64, n int) {
	f.end(at, n)
	f.Latest = at
	if f.Credit != nil {
		f.Credit.Left -= n
	}
}

// InHalfAnHour is how many requests the sustained rate admits in half an hour, for one operation; 0 without one.
func (l Limits) InHalfAnHour() int {
	if l.Sustained.N <= 0 {
		return 0
	}
	return l.inHalfAnHour()
}
