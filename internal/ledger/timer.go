package ledger

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"

	"activation-worker/internal/events"
)

// Arm sets a customer's one wake-up, in place of any earlier one. The server fires it
// once, at that time or soon after; it is a hint only, the record says when.
func (l *Ledger) Arm(ctx context.Context, domainID int64, at time.Time) error {
	return l.publishUntil(ctx, &nats.Msg{
		Subject: events.TimerSubject(domainID),
		Header: nats.Header{
			// Written here because the client's own option truncates to whole seconds.
			"Nats-Schedule":        {"@at " + at.UTC().Format("2006-01-02T15:04:05.000000Z")},
			"Nats-Schedule-Target": {events.DueSubject(domainID)},
		},
	})
}
