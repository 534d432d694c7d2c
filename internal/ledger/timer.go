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
		},
	})
}

// Disarm drops a customer's wake-up, and what has fired of it and is not handled yet.
func (l *Ledger) Disarm(ctx context.Context, domainID int64) error {
	for _, subject := range []string{events.TimerSubject(domainID), events.DueSubject(domainID), events.RedoSubject(domainID)} {
		if _, err := l.purge(ctx, l.streams.Work, subject, 0); err != nil {
			return err
		}
	}
	return nil
}
