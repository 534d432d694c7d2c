package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"activation-worker/internal/events"
	"activation-worker/internal/faults"
)

// sweepConsumer reads the ledger during a sweep. As a consumer of that name can exist
// only once with one configuration, it is at the same time what lets one replica sweep.
const sweepConsumer = "sweep"

const (
	// sweepTimeout bounds the wait for the place: to count what is to be read takes the server a moment where there are millions.
	sweepTimeout = 10 * time.Second
	// sweepIdle is how long a sweep may rest before the server forgets it, so that a dead sweeper frees the place.
	sweepIdle = 30 * time.Second
	// sweepGrace is how late a record is before it is looked at: its wake-up may be on its way.
	sweepGrace = 2 * time.Second
	// timerGrace is how late a timer is before it counts as one that never fires: clocks differ, and the server was perhaps away.
	timerGrace = 15 * time.Second
)

// Sweep finds what should have been woken and has neither timer nor wake-up nor a live
// lease, and arms a timer for it; and it ends what erasing a customer has left. One replica sweeps at a time; where another is at it,
// Sweep returns at once. foreign is called for each record that is to be left alone.
//
// It reads the names of the records and not what they say, once from the first on, and then, as only the newest of a customer
// counts, from the oldest on that somebody may still wait at. Who has a timer or a wake-up is asked for some hundred customers at
// once, and only of the others the record is read, so that it takes some ten seconds for each 100,000 who wait, and a few megabytes for any
// number.
func (l *Ledger) Sweep(ctx context.Context, worker string, foreign func(error)) (armed int, err error) {
	from, err := l.swept.from(ctx, l)
	if err != nil {
		return 0, fmt.Errorf("begin to sweep stream %s: %w", l.streams.Ledger, err)
	}
	faults.Before(faults.SweepBegin)
	creating, cancel := context.WithTimeout(ctx, sweepTimeout)
	cons, err := l.js.CreateConsumer(creating, l.streams.Ledger, jetstream.ConsumerConfig{
		Durable:           sweepConsumer, // hence replicated as the stream is: it must not be lost, and in the way, with one node
		Description:       "recovery sweep of one worker",
		Metadata:          map[string]string{"worker": worker, "run": l.run}, // two workers may have been given one id
		FilterSubject:     events.SubjectCustomers,
		HeadersOnly:       true,
		DeliverPolicy:     jetstream.DeliverByStartSequencePolicy, // to find the last of each subject would hold up whoever writes, for seconds where there are millions
		OptStartSeq:       from,
		AckPolicy:         jetstream.AckNonePolicy,
		InactiveThreshold: sweepIdle,
		MemoryStorage:     true,
	})
	cancel()
	if errors.Is(err, jetstream.ErrConsumerExists) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("begin to sweep stream %s: %w", l.streams.Ledger, err)
	}
	faults.After(faults.SweepBegin)
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
		defer cancel()
		faults.Before(faults.SweepEnd)
		if err := l.js.DeleteConsumer(ctx, l.streams.Ledger, sweepConsumer); err != nil {
			l.log.Debug("sweep consumer not deleted", zap.Error(err))
		}
		faults.After(faults.SweepEnd)
	}()
	s := &sweeping{Ledger: l, cons: cons, left: cons.CachedInfo().NumPending, foreign: foreign, newest: map[int64]uint64{}}
	if err := s.run(ctx); err != nil {
		return s.armed, err
	}
	if s.complete() {
		l.swept.done(s, from, l.now())
	}
	return s.armed, ctx.Err()
}

// Attended reports whether a customer whose newest record had that sequence has a timer or a wake-up, or a newer
// record by now. A delivery of the intake that nobody has acknowledged yet does not count.
func (l *Ledger) Attended(ctx context.Context, domainID int64, sequence uint64) (bool, error) {
	timer, err := l.last(ctx, l.streams.Work, events.TimerSubject(domainID))
	if err != nil || l.willFire(timer) {
		return err == nil, err
	}
	for consumer, subject := range map[string]string{events.ConsumerDue: events.DueSubject(domainID), events.ConsumerRedo: events.RedoSubject(domainID)} {
		wakeUp, err := l.last(ctx, l.streams.Work, subject)
		if err != nil {
			return false, err
		}
		if comes, err := l.willCome(ctx, consumer, wakeUp); err != nil || comes {
			return err == nil, err
		}
	}
	newest, err := l.last(ctx, l.streams.Ledger, events.CustomerFamily(domainID))
	return err == nil && sequenceOf(newest) != sequence, err
}

// willCome reports whether a wake-up is still to be delivered, or delivered again. What the floor of a consumer's
// acknowledgements has passed never is, though nobody has acknowledged it: the server can lose what was in hand
// (nats-server 2.15.2, where another message in hand is purged), and leaves it in the stream.
func (l *Ledger) willCome(ctx context.Context, consumer string, wakeUp *stored) (bool, error) {
	if wakeUp == nil {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	c, err := l.js.Consumer(ctx, l.streams.Work, consumer)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound):
		return true, nil // it is made anew, and begins with the first
	case err != nil:
		return false, fmt.Errorf("read consumer %s of stream %s: %w", consumer, l.streams.Work, err)
	}
	return wakeUp.Sequence > c.CachedInfo().AckFloor.Stream, nil
}

// willFire reports whether a timer can still be relied on. A node that was killed can have lost that it had dropped one after it
// fired, and is left with a timer that never fires again, and that it shows to everybody once it leads (nats-server 2.15.2).
func (l *Ledger) willFire(timer *stored) bool {
	if timer == nil {
		return false
	}
	header, err := nats.DecodeHeadersMsg(timer.Header)
	return err == nil && l.fires(header)
}

func (l *Ledger) fires(timer nats.Header) bool {
	at, err := time.Parse(scheduleAt, timer.Get(scheduleHeader))
	return err == nil && l.now().Sub(at) < timerGrace
}

// DueAt is when a record must be looked at again: a deferred one at its next attempt, a
// started one at the end of its lease. Final ones never.
func DueAt(r *events.Record) (time.Time, bool) {
	switch r.State {
	case events.Deferred:
		return r.NextAttemptAt, true
	case events.Started:
		return r.LeaseExpiresAt, true
	}
	return time.Time{}, false
}
