package consumer

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"activation-worker/internal/activation"
	"activation-worker/internal/events"
	"activation-worker/internal/quota"
)

// A wake-up that cannot be attempted now goes back to its timer, so that what waits for the
// partner never stands in the way of what waits for something else.
const (
	// permitTime is how long a wake-up waits for leave to ask the partner.
	permitTime = 5 * time.Second
	// roomTime is how long it waits for a place among those who wait for leave.
	roomTime = 250 * time.Millisecond
	// A wake-up comes again after the time that those behind it will take, within these bounds.
	postponeLeast = 5 * time.Second
	postponeMost  = 30 * time.Minute
	postponeShut  = 5 * time.Minute // while the gate is shut
)

// postpone returns a wake-up to its timer; the record, which says when it was due, stays as it is.
func (w *Worker) postpone(ctx context.Context, d delivery, r *events.Record, wait time.Duration) error {
	wait = min(max(wait, postponeLeast), postponeMost)
	at := w.now().Add(wait/2 + time.Duration(w.Jitter()*float64(wait)))
	w.log.Debug("wake-up postponed", zap.Int64("domain_id", d.domainID), zap.Time("until", at))
	return w.armFor(ctx, d, r, at)
}

// stepBack ends a wake-up that has got no turn. It returns a record only where another was written meanwhile.
func (w *Worker) stepBack(ctx context.Context, d delivery, r *events.Record, l later) (*events.Record, error) {
	if l.full {
		// Written down, so that DNS is watched meanwhile as before any other call.
		if next := activation.GivenWay(r, w.Policy, w.now(), w.Jitter()); next != nil {
			return w.put(ctx, d, r, next)
		}
	}
	return nil, w.postpone(ctx, d, r, l.wait)
}

// full is that not all who wait in a delivery's lane can be served: they come again when those behind it, at whatever
// worker, have had their turn at the pace of all workers together.
func (w *Worker) full(d delivery) later {
	return later{wait: time.Duration(d.pending) * w.Pacer.Interval(), full: true}
}

// room is where the wake-ups of a lane wait for leave; a full one takes no more.
type room chan struct{}

// roomsFor are the rooms in which a wake-up must find a place: those who give way fill only half of their lane's.
func (w *Worker) roomsFor(d delivery, r *events.Record) []room {
	rooms := []room{w.rooms[d.lane()]}
	if activation.GivesWay(r, w.Policy, w.now()) {
		rooms = []room{w.forced, rooms[0]}
	}
	return rooms
}

// enter takes a place in each of some rooms, or none.
func (w *Worker) enter(ctx context.Context, rooms []room) (leave func(), ok bool) {
	var taken []room
	leave = func() {
		for _, r := range taken {
			r.leave()
		}
	}
	for _, r := range rooms {
		if !r.enter(ctx) {
			leave()
			return nil, false
		}
		taken = append(taken, r)
	}
	return leave, true
}

// enter waits a moment for a place: those behind are not held up, and do not come round and round either.
func (r room) enter(ctx context.Context) bool {
	timer := time.NewTimer(roomTime)
	defer timer.Stop()
	select {
	case r <- struct{}{}:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

func (r room) leave() { <-r }

// spread gives each announcement of old a time of its own, as far apart as the partner's pace allows.
type spread struct {
	mu   sync.Mutex
	next time.Time
}

func (s *spread) at(now time.Time, apart time.Duration) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next.Before(now) {
		s.next = now
	}
	at := s.next
	s.next = at.Add(apart)
	return at
}

// queued is the record of an announcement of old, which waits its turn behind fresh customers.
func (w *Worker) queued(d delivery, r *events.Record) *events.Record {
	now := w.now()
	trigger := events.Trigger{Kind: events.TriggerAccepted, ID: d.accepted.Event.ID}
	return activation.Queued(r, d.accepted, d.domainID, events.Backlog, trigger, w.backlog.at(now, w.Pacer.Interval()))
}

// lane is in which order leave is given: fresh customers first, replays last.
func (d delivery) lane() quota.Lane {
	switch {
	case d.accepted != nil:
		return quota.Fresh
	case d.redo:
		return quota.Replay
	}
	return quota.Waiting
}
