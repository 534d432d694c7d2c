package ledger

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"

	"activation-worker/internal/events"
)

// A schedule as the server reads it.
const (
	scheduleHeader = "Nats-Schedule"
	scheduleAt     = "@at 2006-01-02T15:04:05.000000Z"
)

// headerArmedFor is passed on to the wake-up, of which nothing else says for when it was set.
const headerArmedFor = "Activation-Armed-For"

// ArmedFor is when a wake-up was to come; zero where an older worker has set its timer.
func ArmedFor(wakeUp nats.Header) time.Time {
	at, _ := time.Parse(time.RFC3339Nano, wakeUp.Get(headerArmedFor)) // zero with its error
	return at
}

// Arm sets a customer's one wake-up, in place of any earlier one. The server fires it
// once, at that time or soon after, as a message on target ([events.DueSubject],
// [events.RedoSubject]); it is a hint only, the record says when.
func (l *Ledger) Arm(ctx context.Context, domainID int64, target string, at time.Time) error {
	return l.publishUntil(ctx, &nats.Msg{
		Subject: events.TimerSubject(domainID),
		Header: nats.Header{
			// Written here because the client's own option truncates to whole seconds.
			scheduleHeader:         {at.UTC().Format(scheduleAt)},
			"Nats-Schedule-Target": {target},
			headerArmedFor:         {at.UTC().Format(time.RFC3339Nano)},
		},
	})
}

// Disarm drops a customer's wake-up, and what has fired of it and is not handled yet.
func (l *Ledger) Disarm(ctx context.Context, domainID int64) error {
	if err := l.purge(ctx, l.streams.Work, events.TimerSubject(domainID), 0); err != nil {
		return err
	}
	for _, subject := range []string{events.DueSubject(domainID), events.RedoSubject(domainID)} {
		if _, err := l.takeOut(ctx, subject); err != nil {
			return err
		}
	}
	return nil
}

// takeOut removes the one message of a subject that a consumer of the work stream delivers. It is never purged: with a purge
// of what a consumer has in hand the server forgets others that it had delivered earlier, for good (nats-server 2.15.2).
func (l *Ledger) takeOut(ctx context.Context, subject string) (found bool, err error) {
	m, err := l.last(ctx, l.streams.Work, subject)
	if err != nil || m == nil {
		return false, err
	}
	return true, l.delete(ctx, l.streams.Work, m.Sequence)
}

// WakeUp tells where the wake-up of a deferred record is, from the stream's leader: fired is its sequence in the work
// stream where it has fired and nobody has acknowledged it yet, else armed is for when. Both are zero where there is none.
func (l *Ledger) WakeUp(ctx context.Context, r *events.Record) (fired uint64, armed time.Time, err error) {
	m, err := l.last(ctx, l.streams.Work, events.WakeUpSubject(r))
	if err != nil {
		return 0, armed, err
	}
	if m != nil {
		return m.Sequence, armed, nil
	}
	m, err = l.last(ctx, l.streams.Work, events.TimerSubject(r.DomainID))
	if err != nil || m == nil {
		return 0, armed, err
	}
	header, err := nats.DecodeHeadersMsg(m.Header)
	if err != nil {
		return 0, armed, err
	}
	armed, _ = time.Parse(scheduleAt, header.Get(scheduleHeader)) // in another's form it is no time of ours
	return 0, armed, nil
}
