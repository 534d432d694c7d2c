package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
)

// followAgain is how long is waited before reading goes on after trouble.
const followAgain = 500 * time.Millisecond

// Follow calls fn for each event of the ledger's stream and for each rejection, as they are stored: those from now
// on, or since a time. Of one stream they come in order and each once, also over lost connections. It ends with an
// error: fn's, the end of ctx, or a stream that is not there.
func (l *Ledger) Follow(ctx context.Context, since time.Time, fn func(Entry) error) error {
	var mu sync.Mutex
	one := func(e Entry) error {
		mu.Lock()
		defer mu.Unlock()
		return fn(e)
	}
	var both []follower
	for _, stream := range []string{l.streams.Ledger, l.streams.Rejected} {
		last, err := l.lastSequence(ctx, stream)
		if err != nil {
			return err
		}
		both = append(both, follower{ledger: l, stream: stream, next: last + 1, since: since, fn: one})
	}
	following, ctx := errgroup.WithContext(ctx)
	for _, f := range both {
		following.Go(func() error { return f.run(ctx) })
	}
	return following.Wait()
}

// follower reads one stream for ever.
type follower struct {
	ledger *Ledger
	stream string
	next   uint64    // sequence to go on from
	since  time.Time // zero: next counts
	fn     func(Entry) error
}

func (f *follower) run(ctx context.Context) error {
	for {
		final, err := f.read(ctx)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case final, errors.Is(err, jetstream.ErrStreamNotFound):
			return err
		}
		timer := time.NewTimer(followAgain)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
	}
}

// read follows until there is trouble; final tells that it is fn's.
func (f *follower) read(ctx context.Context) (final bool, err error) {
	cfg := jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: f.next,
		MaxResetAttempts: 1, // it would go on for ever otherwise, whatever ctx says
	}
	if !f.since.IsZero() {
		cfg.DeliverPolicy, cfg.OptStartSeq, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, 0, &f.since
	}
	asking, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	cons, err := f.ledger.js.OrderedConsumer(asking, f.stream, cfg)
	if err != nil {
		return false, fmt.Errorf("follow stream %s: %w", f.stream, err)
	}
	defer f.ledger.forget(ctx, f.stream, cons)
	messages, err := cons.Messages()
	if err != nil {
		return false, fmt.Errorf("follow stream %s: %w", f.stream, err)
	}
	defer messages.Stop()
	for {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return false, fmt.Errorf("follow stream %s: %w", f.stream, err)
		}
		meta, err := msg.Metadata()
		if err != nil {
			return false, fmt.Errorf("follow stream %s: %w", f.stream, err)
		}
		if err := f.fn(Entry{Subject: msg.Subject(), Sequence: meta.Sequence.Stream, Header: msg.Headers(), Data: msg.Data(), StoredAt: meta.Timestamp}); err != nil {
			return true, err
		}
		f.next, f.since = meta.Sequence.Stream+1, time.Time{}
	}
}

// Rejections calls fn for each rejection that is kept, oldest first, until it returns an error, which it returns.
func (l *Ledger) Rejections(ctx context.Context, fn func(Entry) error) error {
	var failed error
	err := l.each(ctx, l.streams.Rejected, jetstream.OrderedConsumerConfig{}, func(e Entry) bool {
		failed = fn(e)
		return failed == nil
	})
	if failed != nil {
		return failed
	}
	return err
}
