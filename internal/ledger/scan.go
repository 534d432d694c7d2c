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

// keptTries is how often a family is read again that changes while it is read.
const keptTries = 20

// Kept is what the stream's leader has of a customer, oldest first: all of one moment. [Ledger.History] is quicker, and may lag.
func (l *Ledger) Kept(ctx context.Context, domainID int64) ([]Entry, error) {
	family := events.CustomerFamily(domainID)
	for range keptTries {
		newest, err := l.last(ctx, l.streams.Ledger, family)
		if err != nil {
			return nil, err
		}
		var kept []Entry
		for next := uint64(1); ; {
			m, err := l.get(ctx, l.streams.Ledger, map[string]any{"seq": next, "next_by_subj": family})
			if err != nil {
				return nil, fmt.Errorf("read %s of stream %s: %w", family, l.streams.Ledger, err)
			}
			if m == nil {
				break
			}
			kept, next = append(kept, *m.entry()), m.Sequence+1
		}
		// A write makes room for itself by dropping the oldest: what was read over one is of no moment.
		if n := len(kept); n == 0 && newest == nil || n > 0 && kept[n-1].Sequence == sequenceOf(newest) {
			return kept, nil
		}
	}
	return nil, fmt.Errorf("read %s of stream %s: it changes all the time", family, l.streams.Ledger)
}
