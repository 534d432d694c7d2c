package ledger

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/events"
)

// Reject records an intake message that nobody can act on, once however often it is tried.
func (l *Ledger) Reject(ctx context.Context, m events.Message, why *events.Undecodable) error {
	id, data, err := events.EncodeRejection(m, why, l.source, int(l.conn.MaxPayload()), l.now())
	if err != nil {
		return err
	}
	err = l.publishUntil(ctx, &nats.Msg{
		Subject: events.RejectedSubject(m.Sequence),
		Header:  nats.Header{"Content-Type": {events.ContentType}, jetstream.MsgIDHeader: {id}},
		Data:    data,
	})
	if err != nil {
		return fmt.Errorf("record the rejection of %s %d: %w", m.Stream, m.Sequence, err)
	}
	return nil
}

// AnnounceIntake tells the event stream that a worker stopped (paused) or resumed taking work.
func (l *Ledger) AnnounceIntake(ctx context.Context, in events.Intake, paused bool) error {
	subject, id, data, err := events.EncodeIntake(in, paused, l.source, l.now())
	if err != nil {
		return err
	}
	err = l.publishUntil(ctx, &nats.Msg{
		Subject: subject,
		Header:  nats.Header{"Content-Type": {events.ContentType}, jetstream.MsgIDHeader: {id}},
		Data:    data,
	})
	if err != nil {
		return fmt.Errorf("announce that the intake of %s changed: %w", in.Worker, err)
	}
	return nil
}
