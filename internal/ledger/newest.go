package ledger

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"activation-worker/internal/events"
)

const (
	// newestBatch is how many records are looked at together: most of those that are overtaken are so within it.
	newestBatch = 2048
	// newestAtOnce is how many requests are made at the same time about the others.
	newestAtOnce = 32
)

// Newest calls fn for each customer whose newest record is in one of the states (none:
// any) and is wanted, in the order of the stream, until fn returns an error, which it returns. The records
// come without the partner's object, and a few thousand are held at a time. One that is to be left
// alone goes to foreign, if that is not nil. What is written meanwhile may be missed. wanted (nil: all are) is asked first, about
// records too that are not the newest any more: to find out costs a request for each that is wanted.
func (l *Ledger) Newest(ctx context.Context, states []events.State, wanted func(*events.Record) bool, foreign func(error), fn func(*events.Record) error) error {
	if len(states) == 0 {
		states = events.States()
	}
	cfg := jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy}
	for _, s := range states {
		cfg.FilterSubjects = append(cfg.FilterSubjects, events.SubjectState(s))
	}
	var batch []*events.Record
	var failed error
	flush := func() bool {
		failed = l.keepNewest(ctx, batch, wanted)
		for _, r := range batch {
			if failed == nil && r != nil {
				failed = fn(r)
			}
		}
		batch = batch[:0]
		return failed == nil
	}
	err := l.each(ctx, l.streams.Ledger, cfg, func(e Entry) bool {
		r, err := events.DecodeRecord(e.Subject, e.Sequence, e.Data)
		if err != nil {
			if foreign != nil {
				foreign(err)
			}
			return true
		}
		r.Customer = nil // may be half a megabyte
		batch = append(batch, r)
		return len(batch) < newestBatch || flush()
	})
	if failed == nil && err == nil {
		flush()
	}
	if failed != nil {
		return failed
	}
	return err
}

// keepNewest replaces the records by nil that are not wanted or not their customers' newest.
func (l *Ledger) keepNewest(ctx context.Context, batch []*events.Record, wanted func(*events.Record) bool) error {
	last := make(map[int64]int, len(batch))
	for i, r := range batch {
		last[r.DomainID] = i
	}
	asking, ctx := errgroup.WithContext(ctx)
	asking.SetLimit(newestAtOnce)
	for i, r := range batch {
		switch {
		case last[r.DomainID] != i, wanted != nil && !wanted(r):
			batch[i] = nil // overtaken in sight, or of no interest
			continue
		case r.State == events.Activated:
			continue // nothing follows but that it is forgotten, and then it is erased
		}
		asking.Go(func() error {
			m, err := l.last(ctx, l.streams.Ledger, events.CustomerFamily(r.DomainID))
			if sequenceOf(m) != r.Sequence {
				batch[i] = nil
			}
			return err
		})
	}
	return asking.Wait()
}

// Queued lists the customers whom a replay has queued since a sequence, as far as their records are kept, and when
// the last of them is due.
func (l *Ledger) Queued(ctx context.Context, replayID string, since uint64) (ids []int64, last time.Time, err error) {
	cfg := jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{events.SubjectState(events.Deferred)},
		DeliverPolicy:  jetstream.DeliverByStartSequencePolicy, OptStartSeq: max(1, since),
	}
	err = l.each(ctx, l.streams.Ledger, cfg, func(e Entry) bool {
		r, err := events.DecodeRecord(e.Subject, e.Sequence, e.Data)
		if err == nil && r.Awaits(events.TriggerReplay) && r.Trigger.ID == replayID {
			ids = append(ids, r.DomainID)
			if r.NextAttemptAt.After(last) {
				last = r.NextAttemptAt
			}
		}
		return true
	})
	slices.Sort(ids)
	return slices.Compact(ids), last, err
}

// LastSequence is that of the ledger's stream.
func (l *Ledger) LastSequence(ctx context.Context) (uint64, error) {
	return l.lastSequence(ctx, l.streams.Ledger)
}

func (l *Ledger) lastSequence(ctx context.Context, stream string) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	s, err := l.js.Stream(ctx, stream)
	if err != nil {
		return 0, fmt.Errorf("read stream %s: %w", stream, err)
	}
	return s.CachedInfo().State.LastSeq, nil
}
