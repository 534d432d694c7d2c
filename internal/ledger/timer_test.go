package ledger_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
)

// soon is a moment with a large fraction of a second: a time cut to whole seconds would be early.
func soon() time.Time {
	at := time.Now().Truncate(time.Second).Add(900*time.Millisecond + 123*time.Microsecond)
	if time.Until(at) < 300*time.Millisecond {
		at = at.Add(time.Second)
	}
	return at
}

// wantFired fails unless the wake-up came at its time.
func wantFired(t *testing.T, fired func() int64, id int64, at time.Time) {
	t.Helper()
	woken := fired()
	now := time.Now()
	if woken != id {
		t.Errorf("%d was woken, want %d", woken, id)
	}
	if now.Before(at) {
		t.Errorf("fired %s early", at.Sub(now))
	}
	if late := now.Sub(at); late > 5*time.Second {
		t.Errorf("fired %s late", late)
	}
}

// wakeUps takes one wake-up after the other from the queue.
func (w *world) wakeUps(t *testing.T) func() (id int64) {
	t.Helper()
	ctx := limited(t)
	c, err := w.js.Consumer(ctx, w.layout.Streams.Work, events.ConsumerDue)
	if err != nil {
		t.Fatal(err)
	}
	messages, err := c.Messages()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(messages.Stop)
	return func() int64 {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			t.Fatalf("no wake-up came: %v", err)
		}
		if err := m.DoubleAck(ctx); err != nil {
			t.Fatal(err)
		}
		id, _ := events.DomainOfSubject(m.Subject())
		return id
	}
}

// inHand publishes wake-ups and takes them without an answer.
func (w *world) inHand(t *testing.T, ids ...int64) map[int64]jetstream.Msg {
	t.Helper()
	ctx := limited(t)
	c, err := w.js.Consumer(ctx, w.layout.Streams.Work, events.ConsumerDue)
	if err != nil {
		t.Fatal(err)
	}
	taken := map[int64]jetstream.Msg{}
	for _, id := range ids {
		if _, err := w.js.Publish(ctx, events.DueSubject(id), nil); err != nil {
			t.Fatal(err)
		}
		if taken[id], err = c.Next(jetstream.FetchContext(ctx)); err != nil {
			t.Fatalf("no wake-up came: %v", err)
		}
	}
	return taken
}

func testTimerFires(t *testing.T, p *place, _ *world) {
	w := p.world(t)
	l, id := w.ledger(t), w.customer()
	fired := w.wakeUps(t)
	at := soon()
	if err := l.Arm(limited(t), id, events.DueSubject(id), at); err != nil {
		t.Fatal(err)
	}
	m := w.last(t, w.layout.Streams.Work, events.TimerSubject(id))
	if m == nil {
		t.Fatal("there is no timer")
	}
	h, err := nats.DecodeHeadersMsg(m.Header)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := strings.CutPrefix(h.Get("Nats-Schedule"), "@at ")
	if got, err := time.Parse(time.RFC3339, text); err != nil || !got.Equal(at) {
		t.Errorf("armed for %q, want %s: %v", h.Get("Nats-Schedule"), at, err)
	}
	wantFired(t, fired, id, at)
	eventually(t, func(context.Context) error { // an ack of a replicated queue takes effect a moment later
		if n := w.count(t, w.layout.Streams.Work, ">"); n != 0 {
			return fmt.Errorf("%d messages are left of a wake-up that was taken", n)
		}
		return nil
	})
	// A time that has passed is due at once.
	if err := l.Arm(limited(t), id, events.DueSubject(id), time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	wantFired(t, fired, id, at)
}

func testWakeUpSaysWhen(t *testing.T, p *place, _ *world) {
	w := p.world(t)
	l, id := w.ledger(t), w.customer()
	at := time.Now().Add(-time.Hour).UTC().Truncate(time.Microsecond)
	if err := l.Arm(limited(t), id, events.DueSubject(id), at); err != nil {
		t.Fatal(err)
	}
	c, err := w.js.Consumer(limited(t), w.layout.Streams.Work, events.ConsumerDue)
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.Next(jetstream.FetchContext(limited(t)))
	if err != nil {
		t.Fatalf("no wake-up came: %v", err)
	}
	if got := ledger.ArmedFor(m.Headers()); !got.Equal(at) {
		t.Errorf("the wake-up was set for %s, want %s; its headers are %v", got, at, m.Headers())
	}
	if got := ledger.ArmedFor(nats.Header{}); !got.IsZero() {
		t.Errorf("a wake-up that does not say was set for %s", got)
	}
}

func testTimerReplaced(t *testing.T, p *place, _ *world) {
	w := p.world(t)
	l, fired := w.ledger(t), w.wakeUps(t)
	sooner, later, clock := w.customer(), w.customer(), w.customer()
	at := soon().Add(3 * time.Second) // all are armed before the first fires, on a busy machine too
	for _, a := range []struct {
		id int64
		at time.Time
	}{
		{sooner, at.Add(time.Hour)},
		{sooner, at},
		{later, at},
		{later, at.Add(time.Hour)},
		{clock, at.Add(200 * time.Millisecond)},
	} {
		if err := l.Arm(limited(t), a.id, events.DueSubject(a.id), a.at); err != nil {
			t.Fatal(err)
		}
	}
	wantFired(t, fired, sooner, at)
	wantFired(t, fired, clock, at.Add(200*time.Millisecond)) // and neither of the replaced ones before it
	if w.last(t, w.layout.Streams.Work, events.TimerSubject(later)) == nil {
		t.Error("the later timer is gone")
	}
}

func testWakeUp(t *testing.T, p *place, _ *world) {
	w := p.world(t)
	l := w.ledger(t)
	r := &events.Record{State: events.Deferred, DomainID: w.customer(), Reason: events.Transient}
	wants := func(fires bool, at time.Time) {
		t.Helper()
		eventually(t, func(ctx context.Context) error {
			fired, armed, err := l.WakeUp(ctx, r)
			if err == nil && (!armed.Equal(at) || fired > 0 != fires) {
				err = fmt.Errorf("fired as %d, armed for %s; want %t and %s", fired, armed, fires, at)
			}
			return err
		})
	}
	wants(false, time.Time{})
	at := time.Now().Add(time.Hour).Truncate(time.Microsecond)
	if err := l.Arm(limited(t), r.DomainID, events.WakeUpSubject(r), at); err != nil {
		t.Fatal(err)
	}
	wants(false, at)
	if err := l.Arm(limited(t), r.DomainID, events.WakeUpSubject(r), time.Now()); err != nil {
		t.Fatal(err)
	}
	wants(true, time.Time{}) // and lies there, as nobody takes it
}
