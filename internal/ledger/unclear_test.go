package ledger_test

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
)

// behind is a ledger whose connection goes through a proxy.
func (w *world) behind(t *testing.T) (*ledger.Ledger, *proxy) {
	t.Helper()
	p := newProxy(t, w.url)
	return w.ledger(t, over(w.connect(t, p.url()))), p
}

// wantCut fails unless the proxy did cut: else the test proves nothing.
func wantCut(t *testing.T, p *proxy) {
	t.Helper()
	select {
	case <-p.cut:
	default:
		t.Fatal("the connection was not cut")
	}
}

func testAnswerLost(t *testing.T, _ *place, w *world) {
	l, p := w.behind(t)
	id := w.customer()
	p.arm(id, true, nil)
	first := claim(t, l, record(id, events.Started), 0)
	wantCut(t, p)
	w.wantStates(t, id, events.Started)
	if got := w.stored(t, id)[0].Sequence; got != first.Sequence {
		t.Errorf("claimed at %d, stored at %d", first.Sequence, got)
	}
	store(t, l, record(id, events.Activated), first.Sequence)
	w.wantStates(t, id, events.Started, events.Activated)
}

func testRequestLost(t *testing.T, _ *place, w *world) {
	l, p := w.behind(t)
	id := w.customer()
	first := claim(t, l, record(id, events.Started), 0)
	p.arm(id, false, nil)
	got := store(t, l, record(id, events.Activated), first.Sequence)
	wantCut(t, p)
	w.wantStates(t, id, events.Started, events.Activated)
	if kept := w.stored(t, id)[1].Sequence; kept != got.Sequence {
		t.Errorf("recorded at %d, stored at %d", got.Sequence, kept)
	}
}

func testRivalWhileLost(t *testing.T, _ *place, w *world) {
	l, p := w.behind(t)
	rival, id := w.ledger(t), w.customer()
	ctx := limited(t)
	var winner *events.Record
	p.arm(id, false, func() {
		var err error
		if winner, err = rival.Claim(ctx, record(id, events.Started, worker("rival")), 0); err != nil {
			t.Errorf("the rival's claim: %v", err)
		}
	})
	current, err := l.Claim(ctx, record(id, events.Started), 0)
	wantCut(t, p)
	wantConflict(t, current, err, winner)
	w.wantStates(t, id, events.Started)
}

func testRivalAfterAnswerLost(t *testing.T, _ *place, w *world) {
	l, p := w.behind(t)
	rival, id := w.ledger(t), w.customer()
	ctx := limited(t)
	var winner *events.Record
	p.arm(id, true, func() {
		mine, err := rival.Load(ctx, id)
		if err != nil || mine == nil {
			t.Errorf("the write is not there: %v %v", mine, err)
			return
		}
		if winner, err = rival.Claim(ctx, record(id, events.Started, worker("rival")), mine.Sequence); err != nil {
			t.Errorf("the rival's claim: %v", err)
		}
	})
	current, err := l.Claim(ctx, record(id, events.Started), 0)
	wantCut(t, p)
	wantConflict(t, current, err, winner)
	w.wantStates(t, id, events.Started, events.Started)
}

// A write that was given up may be stored yet: whoever then sends its copy again is refused.
func testLateCopy(t *testing.T, _ *place, w *world) {
	l, id := w.ledger(t), w.customer()
	sent := w.subscribe(t, events.CustomerFamily(id))
	claim(t, l, record(id, events.Started), 0)
	m := receive(t, sent)
	_, err := w.js.PublishMsg(limited(t), &nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data}, jetstream.WithRetryAttempts(0))
	if err == nil {
		t.Error("the copy was acknowledged")
	}
	w.wantStates(t, id, events.Started)
}
