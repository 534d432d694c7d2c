package ledger_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/events"
)

// A sweep whose worker and whose server node die together must free the place too: else nobody sweeps until that node
// is back, which may be never.
func TestSweepAfterItsNodeIsGone(t *testing.T) {
	t.Parallel()
	p, c := threeNodes(t)
	w := p.world(t)
	ctx := limited(t)
	l := w.ledger(t)
	store(t, l, record(1, events.Deferred, due(time.Now().Add(-time.Hour))), 0)
	release := make(chan struct{})
	began, result := w.sweeping(ctx, t, release)
	<-began
	cons, err := w.js.Consumer(ctx, w.layout.Streams.Ledger, "sweep")
	if err != nil {
		t.Fatal(err)
	}
	config := cons.CachedInfo().Config
	close(release)
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	drop(t, w, 1)

	// The same sweep of a worker that dies, forgotten sooner than in half a minute.
	config.InactiveThreshold = time.Second
	config.Metadata = map[string]string{"worker": "dead"}
	if cons, err = w.js.CreateConsumer(ctx, w.layout.Streams.Ledger, config); err != nil {
		t.Fatal(err)
	}
	for _, node := range c.Nodes {
		if node.Name() == cons.CachedInfo().Cluster.Leader {
			node.Stop()
		}
	}
	eventually(t, func(ctx context.Context) error {
		n, err := l.Sweep(ctx, "w2", func(error) {})
		if err == nil && n == 0 {
			return errors.New("the dead sweep still holds the place, and nobody sweeps")
		}
		return err
	})
}

// drop removes a customer's timer and wake-up.
func drop(t *testing.T, w *world, id int64) {
	t.Helper()
	s, err := w.js.Stream(limited(t), w.layout.Streams.Work)
	if err != nil {
		t.Fatal(err)
	}
	for _, subject := range []string{events.TimerSubject(id), events.DueSubject(id)} {
		if err := s.Purge(limited(t), jetstream.WithPurgeSubject(subject)); err != nil {
			t.Fatal(err)
		}
	}
}
