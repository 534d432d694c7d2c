package consumer_test

import (
	"testing"
	"time"

	"activation-worker/internal/broker"
	"activation-worker/internal/consumer"
	"activation-worker/internal/events"
	"activation-worker/internal/partnerapi"
	"activation-worker/internal/partnerapi/simulator"
	"activation-worker/internal/quota"
)

// slow lets one call of an operation through in so long a time.
func slow(per time.Duration) func(*consumer.Options, *partnerapi.Config) {
	return func(o *consumer.Options, _ *partnerapi.Config) {
		o.Pacer = pacer(o.JetStream, quota.Limits{Concurrency: 3, Peak: quota.Rate{N: 1, Per: per}})
	}
}

// awaitInHand waits until so many announcements are in hand.
func (h *house) awaitInHand(count int) {
	h.t.Helper()
	in := -1
	eventually(h.t, "announcements in hand", func() bool {
		cons, err := h.js.Consumer(h.t.Context(), events.DefaultIntakeStream, events.ConsumerActivator)
		if err == nil {
			in = cons.CachedInfo().NumAckPending
		}
		return in >= count
	}, func() string { return "" })
}

// Who waits for the pace when the ledger is lost is called in the one accepted after it by nobody who has not looked first.
func TestWhoWasInHandWhenTheLedgerWasLostIsLookedUpFirst(t *testing.T) {
	t.Parallel()
	h := build(t, simulator.Options{}, slow(10*time.Second))
	h.start()
	h.announce(7401, "e")
	h.awaitState(7401, events.Activated)
	h.announce(7401, "again")
	h.awaitInHand(1)
	if err := h.js.DeleteStream(t.Context(), events.DefaultStream); err != nil {
		t.Fatal(err)
	}
	h.awaitCheck("streams", false, "--accept-ledger")
	if _, err := broker.Accept(t.Context(), h.js, h.layout); err != nil {
		t.Fatal(err)
	}
	h.awaitState(7401, events.Activated)
	if got := h.counts(7401); got.Activates != 1 || got.Lookups == 0 {
		t.Errorf("%d activate requests and %d look-ups, want 1, and one that was looked up", got.Activates, got.Lookups)
	}
}

// Work that is halted calls nobody, those in hand neither, and goes on when the cause is gone.
func TestHaltedWorkCallsNobody(t *testing.T) {
	t.Parallel()
	h := build(t, simulator.Options{}, slow(4*time.Second))
	h.layout.Binding = broker.Binding{Host: "api.example"}
	h.start()
	const customers = 6
	for id := int64(7301); id < 7301+customers; id++ {
		h.announce(id, "e")
	}
	eventually(t, "the first call", func() bool { return len(h.partner.Journal().Calls) > 0 }, func() string { return "there is none" })
	h.awaitInHand(2)
	bind := func(host string) {
		t.Helper()
		l := h.layout
		l.Binding = broker.Binding{Host: host}
		if _, err := broker.Rebind(t.Context(), h.js, l); err != nil {
			t.Fatal(err)
		}
	}
	bind("other.example")
	h.awaitCheck("streams", false, "other.example")
	calls := len(h.partner.Journal().Calls)
	timer := time.NewTimer(9 * time.Second) // more than two of those in hand would have had their turns
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
	if got := len(h.partner.Journal().Calls); got != calls {
		t.Errorf("%d requests to the partner while work is halted", got-calls)
	}
	bind("api.example")
	for id := int64(7301); id < 7301+customers; id++ {
		h.awaitState(id, events.Activated)
	}
}
