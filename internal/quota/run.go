package quota

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strconv"
	"time"

	"go.uber.org/zap"
)

const (
	requestTime = 3 * time.Second         // of one request to the store
	leaveTime   = 1500 * time.Millisecond // for giving back what is held at the end
	retryLeast  = 50 * time.Millisecond
	retryMost   = 2 * time.Second
)

func randomID() string { return strconv.FormatUint(rand.Uint64(), 36) }

// Run keeps the shared record until ctx ends; then it gives back what this replica holds, and nobody gets leave
// here any more. It is called once. Whoever holds a permit should have ended it before.
func (p *Pacer) Run(ctx context.Context) {
	defer close(p.stopped)
	changes := p.watch(ctx)
	timer := time.NewTimer(0)
	defer timer.Stop()
	retry := retryLeast
	for {
		select {
		case <-ctx.Done():
			p.leaveFleet(context.WithoutCancel(ctx))
			return
		case <-p.kick:
		case <-timer.C:
		case _, open := <-changes:
			if !open {
				changes = nil // from now on the record is looked at now and then
			}
			if !p.heard() {
				continue
			}
		}
		wait, err := p.round(ctx)
		if p.report(ctx, err) {
			wait = retry
			retry = min(2*retry, retryMost)
		} else {
			retry = retryLeast
		}
		p.mu.Lock()
		p.next = p.Now().Add(wait)
		p.mu.Unlock()
		timer.Reset(wait)
	}
}

// watch is where changes are told; nil if they are not.
func (p *Pacer) watch(ctx context.Context) <-chan struct{} {
	changes, err := p.Store.Watch(ctx)
	if err != nil {
		p.Log.Warn("changes of the shared quota are not told, it is looked at now and then", zap.Error(err))
		return nil
	}
	return changes
}

// heard notes that somebody has written, and reports whether that matters now.
func (p *Pacer) heard() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stale = true
	return p.queued > 0 || p.held > p.busy
}

// wake makes Run look again after so long, or earlier. The caller holds the lock.
func (p *Pacer) wake(in time.Duration) {
	at := p.Now().Add(in)
	if !p.next.IsZero() && !at.Before(p.next) {
		return
	}
	p.next = at
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// report says when the record cannot be used, and when it can be again, and reports whether it cannot.
func (p *Pacer) report(ctx context.Context, err error) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ctx.Err() != nil {
		return false
	}
	switch was := p.trouble; {
	case err != nil && (was == nil || was.Error() != err.Error()):
		p.Log.Warn("no request to the partner is sent: the quota shared by all replicas cannot be used", zap.Error(err))
	case err == nil && was != nil:
		p.Log.Info("the shared quota can be used again")
	}
	p.trouble = err
	return err != nil
}

// Trouble is why nobody gets leave, nil if they do.
func (p *Pacer) Trouble() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.trouble
}

// round makes the record what it should be, and returns when to look again.
func (p *Pacer) round(ctx context.Context) (time.Duration, error) {
	for {
		wait, again, err := p.try(ctx)
		if !again || err != nil || ctx.Err() != nil {
			return wait, err
		}
	}
}

// try is one attempt; again tells that there may be more to do at once.
func (p *Pacer) try(ctx context.Context) (wait time.Duration, again bool, err error) {
	p.mu.Lock()
	now := p.Now()
	idle := p.queued == 0 && p.held == 0 && len(p.ended)+len(p.asked) == 0 && p.gentle == 0 && !p.present()
	late := p.queued > 0 && now.Sub(p.looked) >= lookTime
	old := p.clock.old(now)
	load := p.shared == nil || p.outdated || (p.stale || late) && (p.queued > 0 || p.held > p.busy)
	p.next = time.Time{} // whoever comes from now on is not seen here, and has to kick
	p.mu.Unlock()
	if idle {
		return longest, false, nil
	}
	if old {
		if err := p.setClock(ctx); err != nil {
			return 0, false, err
		}
	}
	if load {
		if err := p.load(ctx); err != nil {
			return 0, false, err
		}
	}
	p.mu.Lock()
	p.next = time.Time{}
	pl := p.plan(p.Now())
	if pl.due != 0 {
		defer p.mu.Unlock()
		wait := pl.wait
		if pl.due > 0 {
			wait = min(wait, pl.due)
		}
		return wait, false, nil
	}
	return 0, true, p.write(ctx, pl)
}

// present reports whether the record has something about this replica.
func (p *Pacer) present() bool { return p.shared != nil && p.shared.Replicas[p.Replica] != nil }

// write stores a plan and gives what it promises. It is called with the lock held, and gives it back.
func (p *Pacer) write(ctx context.Context, pl plan) error {
	data, err := pl.next.encode()
	if err != nil {
		p.mu.Unlock()
		return err
	}
	me := pl.next.Replicas[p.Replica]
	if me == nil {
		me = &replica{}
	}
	p.writes = me.Writes
	p.held = min(p.held, me.Places-pl.places) // what is given back is not used meanwhile
	for _, w := range pl.grants {
		w.promised = true
	}
	asked, news, gentle, version := maps.Clone(p.asked), maps.Clone(p.news), p.gentle, p.version
	p.mu.Unlock()

	storing, cancel := context.WithTimeout(ctx, requestTime)
	stored, err := p.Store.Update(storing, data, version)
	cancel()

	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range pl.grants {
		w.promised = false
	}
	switch {
	case errors.Is(err, ErrConflict):
		p.outdated = true
		return nil
	case err != nil:
		p.outdated, p.unsure = true, pl.ended
		return fmt.Errorf("write the shared quota: %w", err)
	}
	now := p.Now()
	p.shared, p.version, p.held, p.lease, p.wrote, p.looked = pl.next, stored, me.Places, me.Until, now, now
	p.turn = now.Add(turnTime)
	p.ended = p.ended[pl.ended:]
	maps.DeleteFunc(p.asked, func(name string, ask pause) bool { return asked[name] == ask })
	maps.DeleteFunc(p.news, func(name string, c credit) bool { return news[name] == c })
	if p.gentle == gentle {
		p.gentle = 0
	}
	for _, w := range pl.grants {
		p.give(w)
	}
	return nil
}

// load reads the record.
func (p *Pacer) load(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	data, version, err := p.Store.Load(ctx)
	if err != nil {
		return fmt.Errorf("read the shared quota: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.looked = p.Now()
	unsure := p.unsure
	p.stale, p.outdated, p.unsure = false, false, 0
	if p.shared != nil && version == p.version {
		return nil
	}
	shared, err := decode(data)
	switch {
	case errors.Is(err, ErrNewer):
		return err
	case data == nil, err != nil:
		// Nobody has used it yet; or it is lost, and what we remember of it is better than nothing.
		if err != nil && data != nil {
			p.Log.Error("begun anew", zap.Error(err))
		}
		if shared = p.shared; shared == nil {
			shared = newRecord()
		}
	}
	if me := shared.Replicas[p.Replica]; unsure > 0 && me != nil && me.Writes == p.writes {
		p.ended = p.ended[unsure:] // it was stored, though nobody said so
	}
	p.shared, p.version = shared, version
	return nil
}

// setClock asks for the server's time.
func (p *Pacer) setClock(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	sent := p.Now()
	server, err := p.Store.Time(ctx)
	if err != nil {
		return fmt.Errorf("ask for the time by which the quota is shared: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clock.set(sent, server, p.Now())
	p.lease = min(p.lease, p.clock.hi+(p.Timeout+grace).Microseconds()) // it may have been set back
	return nil
}

// leaveFleet gives back what this replica holds.
func (p *Pacer) leaveFleet(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, leaveTime)
	defer cancel()
	for ctx.Err() == nil {
		p.mu.Lock()
		p.leaving = true
		if p.shared == nil || !p.present() && !p.outdated && len(p.ended) == 0 {
			p.mu.Unlock()
			return
		}
		if err := p.write(ctx, p.plan(p.Now())); err != nil {
			return
		}
		p.mu.Lock()
		done := !p.outdated
		p.mu.Unlock()
		if done || p.load(ctx) != nil {
			return
		}
	}
}
