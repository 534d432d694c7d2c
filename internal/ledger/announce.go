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
	if err := l.announce(ctx, events.RejectedSubject(m.Sequence), id, data); err != nil {
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
	if err := l.announce(ctx, subject, id, data); err != nil {
		return fmt.Errorf("announce that the intake of %s changed: %w", in.Worker, err)
	}
	return nil
}

// AnnounceReplay tells the event stream what a replay is about to do, or has done.
func (l *Ledger) AnnounceReplay(ctx context.Context, r events.ReplayEvent) error {
	id, data, err := events.EncodeReplay(r, l.source, l.now())
	if err != nil {
		return err
	}
	if err := l.announce(ctx, events.ReplaySubject(r.ReplayID), id, data); err != nil {
		return fmt.Errorf("announce that replay %s is %s: %w", r.ReplayID, r.Phase, err)
	}
	return nil
}

// LastReplay is the newest event of a replay, from the stream's leader; nil for none. sequence is its own.
func (l *Ledger) LastReplay(ctx context.Context, replayID string) (r *events.ReplayEvent, sequence uint64, err error) {
	m, err := l.last(ctx, l.streams.Ledger, events.ReplaySubject(replayID))
	if err != nil || m == nil {
		return nil, 0, err
	}
	event, err := events.DecodeReplay(m.Data)
	return &event, m.Sequence, err
}

// announce publishes one event that is nobody's state, once however often it is tried.
func (l *Ledger) announce(ctx context.Context, subject, id string, data []byte) error {
	return l.publishUntil(ctx, &nats.Msg{
		Subject: subject,
		Header:  nats.Header{"Content-Type": {events.ContentType}, jetstream.MsgIDHeader: {id}},
		Data:    data,
	})
}
