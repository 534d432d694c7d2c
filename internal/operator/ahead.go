package operator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/activation"
	"activation-worker/internal/events"
	"activation-worker/internal/quota"
)

// Ahead is who waits for the partner's pace, as somebody sees it who only looks. What it expects is about right as long
// as workers take work and nobody comes who goes before.
type Ahead struct {
	Outlook           quota.Outlook
	intake, due, redo line
}

// line is what a consumer has still to deliver.
type line struct {
	pending   int
	delivered uint64 // sequence of the newest message delivered
}

// upTo is how many are delivered before a message.
func (l line) upTo(sequence uint64) int {
	if sequence <= l.delivered {
		return 0
	}
	return max(0, int(min(uint64(l.pending), sequence-l.delivered))-1)
}

// ReadAhead looks at the shared quota and at the three lines. It changes nothing.
func ReadAhead(ctx context.Context, js jetstream.JetStream, store quota.Store, limits quota.Limits, streams events.Streams, intake string) (a Ahead, err error) {
	if a.Outlook, err = quota.Look(ctx, store, limits); err != nil {
		return a, err
	}
	for _, c := range []struct {
		line         *line
		stream, name string
	}{
		{&a.intake, intake, events.ConsumerActivator},
		{&a.due, streams.Work, events.ConsumerDue},
		{&a.redo, streams.Work, events.ConsumerRedo},
	} {
		cons, err := js.Consumer(ctx, c.stream, c.name)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound), errors.Is(err, jetstream.ErrConsumerNotFound): // nobody waits there
		case err != nil:
			return a, fmt.Errorf("read consumer %s of stream %s: %w", c.name, c.stream, err)
		default:
			info := cons.CachedInfo()
			*c.line = line{int(info.NumPending), info.Delivered.Stream}
		}
	}
	return a, nil
}

// Expected is when somebody's turn comes.
type Expected struct {
	Before int           // how many go before
	In     time.Duration // in how long
	Own    time.Duration // in how long its own time comes, before which it is not attempted in any case; 0 or less: it has come
	Paused time.Duration // for how long the partner wants no request; 0 for no pause
	pace   time.Duration // from one to the next on average
}

func (a Ahead) expect(operation activation.Operation, lane quota.Lane, before quota.Queue, own time.Duration) Expected {
	n := quota.Turn(lane, before)
	return Expected{
		Before: n - 1, In: max(a.Outlook.When(string(operation), lane, n), own), Own: own,
		Paused: a.Outlook.Paused(string(operation)), pace: a.Outlook.Interval(),
	}
}

// queues are all who wait for an operation, each in its lane; of those whom no worker has read yet nobody knows for which.
func (a Ahead) queues(operation activation.Operation) quota.Queue {
	q := a.Outlook.Waiting(string(operation))
	q[quota.Fresh] += a.intake.pending
	q[quota.Waiting] += a.due.pending
	q[quota.Replay] += a.redo.pending
	return q
}

// WaitsForPace reports whether the time of a customer has come, or was chosen by the pace alone.
func WaitsForPace(r *events.Record, now time.Time) bool {
	return r.State == events.Deferred && (!r.NextAttemptAt.After(now) || r.Reason == events.Backlog || r.Reason == events.Replay)
}

// Deferred is when a deferred customer's turn comes, whose wake-up has fired with that sequence, else is armed for that time.
func (a Ahead) Deferred(r *events.Record, fired uint64, armed, now time.Time) Expected {
	operation, lane, l := activation.Activate, quota.Waiting, a.due
	if r.Unsettled || r.LookFirst {
		operation = activation.LookUp
	}
	if r.Awaits(events.TriggerReplay) {
		lane, l = quota.Replay, a.redo
	}
	before := a.queues(operation)
	switch {
	case fired > l.delivered:
		before[lane] += l.upTo(fired) - l.pending
	case fired > 0: // a worker has it, and it waits there with the others
		before[lane] = max(0, before[lane]-l.pending-1)
	}
	own := r.NextAttemptAt
	if armed.After(own) {
		own = armed
	}
	return a.expect(operation, lane, before, own.Sub(now))
}

// Announced is when a customer's turn comes whose announcement has that sequence and is not acknowledged; backlog tells
// that it is an old one.
func (a Ahead) Announced(sequence uint64, backlog bool) Expected {
	operation, lane := activation.Activate, quota.Fresh
	if backlog {
		operation, lane = activation.LookUp, quota.Waiting
	}
	before := a.queues(operation)
	before[quota.Fresh] += a.intake.upTo(sequence) - a.intake.pending
	if sequence <= a.intake.delivered && lane == quota.Fresh {
		before[lane] = max(0, before[lane]-1) // it is one of them
	}
	if backlog { // so are those before it, most probably
		before[lane] += before[quota.Fresh]
		before[quota.Fresh] = 0
	}
	return a.expect(operation, lane, before, 0)
}

// Replayed is when the last of so many is attempted whom a replay queues now, the last of them after a while.
func (a Ahead) Replayed(n int, last time.Duration) Expected {
	before := a.queues(activation.Activate)
	before[quota.Replay] += max(0, n-1)
	return a.expect(activation.Activate, quota.Replay, before, last)
}

// All is when the last of all who wait now has had its turn; waiting is how many they are.
func (a Ahead) All() (e Expected, waiting int) {
	q, lane := a.queues(activation.Activate), quota.Fresh
	for l, n := range q {
		if waiting += n; n > 0 {
			lane = max(lane, l)
		}
	}
	if waiting == 0 {
		return e, 0
	}
	q[lane]-- // the last is one of them
	return a.expect(activation.Activate, lane, q, 0), waiting
}

// soon is so early that nobody has to be told when.
const soon = time.Second

// Sentence says when, seen from now; at writes a time.
func (e Expected) Sentence(now time.Time, at func(time.Time) string) string {
	text, before := "at once", fmt.Sprintf("%d before it", e.Before)
	if e.In > soon {
		text = fmt.Sprintf("about %s (in %s)", at(now.Add(e.In)), e.In.Round(time.Second))
	}
	switch {
	case e.In > soon && e.In == e.Own:
		text += ", its own time"
		if e.Before > 0 {
			text += ": " + before + " will have had their turn"
		}
	case e.In > soon && (e.Before > 0 || e.Paused <= 0):
		text += ": " + before + " at the partner's pace" + e.paceText()
	case e.In <= soon && e.Before > 0:
		text += ": " + before + ", and the partner's pace has room"
	}
	if e.Paused > 0 {
		text += "; the partner wants no request before " + at(now.Add(e.Paused))
	}
	return text
}

func (e Expected) paceText() string {
	if e.pace <= 0 {
		return ""
	}
	return ", " + shown(float64(time.Minute)/float64(e.pace))
}
