package ledger

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/events"
)

// Scan calls fn for each message that a stream holds now on some subjects, from a sequence on, in order, until fn returns
// false. On a replicated stream it may not see yet what was written in the last moments. An error wraps
// [jetstream.ErrStreamNotFound] where there is no such stream.
func (l *Ledger) Scan(ctx context.Context, stream string, subjects []string, from uint64, fn func(Entry) bool) error {
	cfg := jetstream.OrderedConsumerConfig{FilterSubjects: subjects, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: max(1, from)}
	return l.each(ctx, stream, cfg, fn)
}

// At is what the ledger's leader has at a sequence; nil for nothing (any more).
func (l *Ledger) At(ctx context.Context, sequence uint64) (*Entry, error) {
	m, err := l.get(ctx, l.streams.Ledger, map[string]any{"seq": sequence})
	if err != nil {
		return nil, fmt.Errorf("read record %d of stream %s: %w", sequence, l.streams.Ledger, err)
	}
	if m == nil {
		return nil, nil
	}
	return m.entry(), nil
}

// Kept is what the stream's leader has of a customer, oldest first. settled is false where it was written to meanwhile: as each
// write may drop the oldest record of its state, one may be missing between others. [Ledger.History] is quicker, and may lag.
func (l *Ledger) Kept(ctx context.Context, domainID int64) (kept []Entry, settled bool, err error) {
	family := events.CustomerFamily(domainID)
	newest, err := l.last(ctx, l.streams.Ledger, family)
	for next := uint64(1); err == nil; {
		var m *stored
		if m, err = l.get(ctx, l.streams.Ledger, map[string]any{"seq": next, "next_by_subj": family}); err != nil {
			return nil, false, fmt.Errorf("read %s of stream %s: %w", family, l.streams.Ledger, err)
		}
		if m == nil {
			return kept, len(kept) == 0 && newest == nil || len(kept) > 0 && kept[len(kept)-1].Sequence == sequenceOf(newest), nil
		}
		kept, next = append(kept, *m.entry()), m.Sequence+1
	}
	return nil, false, err
}
