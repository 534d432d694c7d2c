package ledger_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"activation-worker/internal/broker/brokertest"
	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
)

// leader is the node that leads a stream.
func (w *world) leader(t *testing.T, c *brokertest.Cluster, stream string) *brokertest.Server {
	t.Helper()
	s, err := w.js.Stream(limited(t), stream)
	if err != nil {
		t.Fatalf("stream %s: %v", stream, err)
	}
	for _, node := range c.Nodes {
		if node.Name() == s.CachedInfo().Cluster.Leader {
			return node
		}
	}
	t.Fatalf("no node leads %s: %+v", stream, s.CachedInfo().Cluster)
	return nil
}

// Two workers race for each of many customers, and the ledger's leader goes away in the middle: each customer has one
// claim and one outcome, and whoever believes that it won, did.
func TestLeaderFailover(t *testing.T) {
	t.Parallel()
	const customers, pairs, stopAfter = 240, 6, 60
	p, c := threeNodes(t)
	w := p.world(t)
	leader := w.leader(t, c, w.layout.Streams.Ledger)
	ctx := limited(t)

	ids := make(chan int64)
	winners := make([]atomic.Int32, customers+1)
	var done atomic.Int32
	halfway := make(chan struct{})
	var all sync.WaitGroup
	for n := range pairs {
		l := w.ledger(t, over(w.connect(t, w.url)))
		all.Go(func() {
			for id := range ids {
				var pair sync.WaitGroup
				for side := range 2 {
					pair.Go(func() {
						name := fmt.Sprintf("w%d.%d", n, side)
						got, err := l.Claim(ctx, record(id, events.Started, worker(name)), 0)
						for err != nil && !errors.Is(err, ledger.ErrConflict) && ctx.Err() == nil {
							// Without a leader it cannot be told whether there is room; nothing was written, and the message comes again.
							got, err = l.Claim(ctx, record(id, events.Started, worker(name)), 0)
						}
						if errors.Is(err, ledger.ErrConflict) {
							return
						}
						if err != nil {
							t.Errorf("claim %d: %v", id, err)
							return
						}
						defer l.Release()
						winners[id].Add(1)
						if _, err := l.Record(ctx, record(id, events.Activated, worker(name)), got.Sequence); err != nil {
							t.Errorf("outcome of %d: %v", id, err)
						}
					})
				}
				pair.Wait()
				if done.Add(1) == stopAfter {
					close(halfway)
				}
			}
		})
	}
	all.Go(func() {
		<-halfway
		leader.Stop()
	})
	for id := range customers {
		ids <- int64(id + 1)
	}
	close(ids)
	all.Wait()

	kept := w.counts(t, w.layout.Streams.Ledger, events.SubjectCustomers)
	for id := int64(1); id <= customers; id++ {
		if n := winners[id].Load(); n != 1 {
			t.Errorf("%d workers believe that they claimed %d", n, id)
		}
		claims, outcomes := kept[events.CustomerSubject(id, events.Started)], kept[events.CustomerSubject(id, events.Activated)]
		if claims != 1 || outcomes != 1 {
			t.Errorf("%d has %d claims and %d outcomes, want one of each", id, claims, outcomes)
		}
	}
	if len(kept) != 2*customers {
		t.Errorf("%d subjects, want %d", len(kept), 2*customers)
	}
}
