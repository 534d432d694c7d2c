package consumer_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/consumer"
	"activation-worker/internal/events"
	"activation-worker/internal/partnerapi"
	"activation-worker/internal/partnerapi/simulator"
)

// heldProbe is a partner who refuses everybody until the gate is shut, and then takes its time.
type heldProbe struct {
	consumer.Partner
	well    atomic.Bool
	shut    func() bool
	began   chan struct{}
	release chan struct{}
}

func (p *heldProbe) Activate(ctx context.Context, id int64, call partnerapi.Call) (partnerapi.Customer, error) {
	if !p.well.Load() && !p.shut() {
		call.Starting()
		return partnerapi.Customer{}, &partnerapi.Error{Kind: partnerapi.Refused, Status: 405, Sent: 1, RetryAfter: -1}
	}
	p.well.Store(true)
	select {
	case p.began <- struct{}{}:
	default:
	}
	<-p.release
	return p.Partner.Activate(ctx, id, call)
}

// While one announcement is the probe, the others stay with whoever can act on them.
func TestAProbeKeepsNoOtherAnnouncement(t *testing.T) {
	t.Parallel()
	p := &heldProbe{began: make(chan struct{}, 1), release: make(chan struct{})}
	h := build(t, simulator.Options{}, func(o *consumer.Options, pc *partnerapi.Config) {
		c, err := partnerapi.New(*pc)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		p.Partner, o.Partner = c, p
	})
	p.shut = func() bool {
		last, err := h.ledger.LastIntake(context.Background())
		return err == nil && last != nil && last.Subject == events.SubjectIntakePaused
	}
	const all = 20
	h.start()
	for id := int64(7851); id < 7851+all; id++ {
		h.announce(id, "e")
	}
	select {
	case <-p.began:
	case <-t.Context().Done():
	}
	deferred := 0
	err := h.ledger.Newest(t.Context(), []events.State{events.Deferred}, nil, nil, func(*events.Record) error { deferred++; return nil })
	if err != nil {
		t.Fatal(err)
	}
	cons, err := h.js.Consumer(t.Context(), "SIGNUP", events.ConsumerActivator)
	if err != nil {
		t.Fatal(err)
	}
	// Another worker, whose gate is open, can have them.
	var others []jetstream.Msg
	batch, err := cons.Fetch(all-deferred-1, jetstream.FetchMaxWait(1500*time.Millisecond)) // before the ack wait is over
	if err != nil {
		t.Fatal(err)
	}
	for msg := range batch.Messages() {
		others = append(others, msg)
	}
	close(p.release)
	if got := len(others); got < all-deferred-3 { // one or two may have been on their way to us when the gate shut
		t.Errorf("%d of %d announcements can be had while one is the probe", got, all-deferred-1)
	}
	for _, msg := range others {
		if err := msg.Nak(); err != nil {
			t.Error(err)
		}
	}
	for id := int64(7851); id < 7851+all; id++ {
		h.awaitState(id, events.Activated)
	}
}
