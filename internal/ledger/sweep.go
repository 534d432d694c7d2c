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
	sweepBatch = 256
	// A request that nobody answers is sent again so often, so much later.
	maxSweepBlips = 20
	sweepBlip     = 100 * time.Millisecond
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
func (l *Ledger) Sweep(ctx context.Context, worker string, foreign func(error)) (armed int, err error) {
	faults.Before(faults.SweepBegin)
	creating, cancel := context.WithTimeout(ctx, requestTimeout)
	cons, err := l.js.CreateConsumer(creating, l.streams.Ledger, jetstream.ConsumerConfig{
		Durable:           sweepConsumer, // hence replicated as the stream is: it must not be lost, and in the way, with one node
		Description:       "recovery sweep of one worker",
		Metadata:          map[string]string{"worker": worker, "run": l.run}, // two workers may have been given one id
		FilterSubjects:    []string{events.SubjectState(events.Started), events.SubjectState(events.Deferred), events.SubjectState(events.Forgotten)},
		DeliverPolicy:     jetstream.DeliverLastPerSubjectPolicy,
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
	blips := maxSweepBlips
	for left := cons.CachedInfo().NumPending; left > 0; {
		// No more than there are, so that the last request does not wait for others.
		batch, err := cons.Fetch(int(min(sweepBatch, left)), jetstream.FetchMaxWait(requestTimeout))
		if err != nil {
			return armed, fmt.Errorf("sweep stream %s: %w", l.streams.Ledger, err)
		}
		got := uint64(0)
		for msg := range batch.Messages() {
			got++
			again, err := l.rearm(ctx, msg, foreign)
			if err != nil {
				return armed, err
			}
			if again {
				armed++
			}
		}
		switch err := batch.Error(); {
		case errors.Is(err, nats.ErrNoResponders) && pause(ctx, sweepBlip):
			if blips--; blips >= 0 {
				continue // on replicated streams a new consumer takes a moment to answer
			}
			fallthrough
		case err != nil:
			return armed, fmt.Errorf("sweep stream %s: %w", l.streams.Ledger, err)
		}
		if got == 0 || ctx.Err() != nil {
			break
		}
		left -= min(left, got)
	}
	return armed, ctx.Err()
}

// rearm arms a timer for one overdue record, if it is still the newest and nothing will wake it.
func (l *Ledger) rearm(ctx context.Context, msg jetstream.Msg, foreign func(error)) (bool, error) {
	meta, err := msg.Metadata()
	if err != nil {
		return false, fmt.Errorf("sweep stream %s: %w", l.streams.Ledger, err)
	}
	r, err := events.DecodeRecord(msg.Subject(), meta.Sequence.Stream, msg.Data())
	if err != nil {
		foreign(err)
		return false, nil
	}
	if r.State == events.Forgotten {
		return false, l.eraseLeft(ctx, r)
	}
	// Who waits for DNS has looks before the next attempt, of which only the timer knows.
	due, ok := DueAt(r)
	watched := r.State == events.Deferred && r.Reason == events.DNSUnverified
	if !ok || l.now().Sub(due) < sweepGrace && !watched {
		return false, nil
	}
	attended, err := l.Attended(ctx, r.DomainID, r.Sequence)
	if err != nil || attended {
		return false, err
	}
	l.log.Debug("timer was lost, armed again", zap.Int64("domain_id", r.DomainID), zap.String("state", string(r.State)))
	faults.Before(faults.SweepArm)
	if err := l.Arm(ctx, r.DomainID, events.WakeUpSubject(r), l.now()); err != nil {
		return false, err
	}
	faults.After(faults.SweepArm)
	return true, nil
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
	if err != nil {
		return false
	}
	at, err := time.Parse(scheduleAt, header.Get(scheduleHeader))
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
