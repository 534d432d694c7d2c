package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
)

// A stream that was made anew between two writes is told by its sequences, before anybody is called.
func testSequencesGoOn(t *testing.T, p *place, _ *world) {
	w := p.world(t)
	accepted := events.Mark{}
	l := w.ledger(t, func(o *ledger.Options) { o.Mark = func() events.Mark { return accepted } })
	for id := int64(1); id <= 3; id++ {
		c := claim(t, l, record(id, events.Started), 0)
		store(t, l, record(id, events.Activated), c.Sequence)
		l.Release()
		if !l.Claimed(c.Sequence) || l.Claimed(c.Sequence+1) {
			t.Errorf("claims of its own are not told apart")
		}
	}
	s, err := w.js.Stream(limited(t), w.layout.Streams.Ledger)
	if err != nil {
		t.Fatal(err)
	}
	config := s.CachedInfo().Config
	if err := w.js.DeleteStream(limited(t), config.Name); err != nil {
		t.Fatal(err)
	}
	eventually(t, func(ctx context.Context) error { // while a cluster drops it, it may be that nobody answers
		if err := l.Usable(ctx); !errors.Is(err, jetstream.ErrStreamNotFound) {
			return fmt.Errorf("without a stream: %w", err)
		}
		return nil
	})
	if _, err := w.js.CreateStream(limited(t), config); err != nil {
		t.Fatal(err)
	}
	if r, err := l.Claim(limited(t), record(1, events.Started), 0); !errors.Is(err, ledger.ErrLost) {
		t.Fatalf("a claim in another ledger: %+v, %v", r, err)
	}
	if err := l.Usable(limited(t)); !errors.Is(err, ledger.ErrLost) {
		t.Errorf("another ledger is usable: %v", err)
	}
	if _, err := l.Claim(limited(t), record(2, events.Started), 0); !errors.Is(err, ledger.ErrLost) {
		t.Errorf("a second claim in another ledger: %v", err)
	}
	if s, err = w.js.Stream(limited(t), config.Name); err != nil {
		t.Fatal(err)
	}
	if got := s.CachedInfo().State.Msgs; got != 1 {
		t.Errorf("%d records in the other ledger, want the one by which it was told", got)
	}
	accepted = events.MarkOf(config.Name, s.CachedInfo().Created, nil)
	claim(t, l, record(3, events.Started), 0)
}
