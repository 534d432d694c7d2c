package consumer_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"activation-worker/internal/activation"
	"activation-worker/internal/consumer"
	"activation-worker/internal/events"
	"activation-worker/internal/ownership"
	"activation-worker/internal/partnerapi"
	"activation-worker/internal/partnerapi/simulator"
)

// slowZone shows nothing, and takes its time once told to.
type slowZone struct {
	mu      sync.Mutex
	slow    bool
	looking chan struct{}
	goOn    chan struct{}
}

func (z *slowZone) Look(ctx context.Context, _ ownership.Values) (ownership.Sight, error) {
	z.mu.Lock()
	slow := z.slow
	z.slow = false
	z.mu.Unlock()
	if slow {
		close(z.looking)
		select {
		case <-z.goOn:
		case <-ctx.Done():
		}
	}
	return ownership.Sight{}, nil
}

// A look in hand arms the next look from a record that is not the newest any more: its timer replaces that of a newer attempt.
func TestALookInHandLeavesTheTimerOfANewerAttempt(t *testing.T) {
	t.Parallel()
	z := &slowZone{looking: make(chan struct{}), goOn: make(chan struct{})}
	const watch = 14 * time.Second // stands for 30 minutes
	h := build(t, simulator.Options{}, func(o *consumer.Options, _ *partnerapi.Config) {
		o.Looker = z
		o.Policy = o.Policy.With(map[events.Reason][]time.Duration{events.Transient: {2 * time.Second}}, nil)
		o.Policy.DNS.WatchFirst, o.Policy.DNS.WatchLast = watch, watch
	})
	h.unready(7801)
	h.start()
	h.announce(7801, "e1")
	h.await(7801, "waits for DNS", reasonIs(events.DNSUnverified))
	z.mu.Lock()
	z.slow = true
	z.mu.Unlock()
	<-z.looking
	h.partner.Script(7801, simulator.OpActivate, "307-none*")
	r, err := h.ledger.Load(t.Context(), 7801)
	if err != nil {
		t.Fatal(err)
	}
	next := activation.Hastened(r, events.Trigger{Kind: events.TriggerReplay, ID: "x"}, time.Now())
	if _, err := h.ledger.PutWaiting(t.Context(), next, r.Sequence, time.Now()); err != nil {
		t.Fatal(err)
	}
	r = h.await(7801, "was attempted", func(r *events.Record) bool { return r.State == events.Deferred && r.Reason != events.DNSUnverified })
	due := r.NextAttemptAt
	h.partner.Script(7801, simulator.OpActivate)
	h.partner.SetDNS(7801, true)
	close(z.goOn)
	got := h.awaitState(7801, events.Activated)
	if late := got.ActivatedAt.Sub(due); late > watch/2 {
		t.Errorf("attempted %v late: the timer of the look in hand (%v) has replaced the attempt's", late, watch)
	}
}
