package ledger_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"activation-worker/internal/events"
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
func wantFired(t *testing.T, fired <-chan *nats.Msg, id int64, at time.Time) {
	t.Helper()
	m := receive(t, fired)
	now := time.Now()
	if m.Subject != events.DueSubject(id) {
		t.Errorf("%s fired, want %s", m.Subject, events.DueSubject(id))
	}
	if now.Before(at) {
		t.Errorf("fired %s early", at.Sub(now))
	}
	if late := now.Sub(at); late > 5*time.Second {
		t.Errorf("fired %s late", late)
	}
}

func testTimerFires(t *testing.T, _ *place, w *world) {
	l, id := w.ledger(t), w.customer()
	fired := w.subscribe(t, events.DueSubject(id))
	at := soon()
	if err := l.Arm(limited(t), id, at); err != nil {
		t.Fatal(err)
	}
	m := w.last(t, w.layout.Streams.Work, events.TimerSubject(id))
	if m == nil {
		t.Fatal("there is no timer")
	}
	if got, want := m.Header.Get("Nats-Schedule"), "@at "+at.UTC().Format(time.RFC3339Nano); got != want {
		t.Errorf("armed for %s, want %s", got, want)
	}
	wantFired(t, fired, id, at)
	if m := w.last(t, w.layout.Streams.Work, events.DueSubject(id)); m == nil {
		t.Error("the wake-up is not in the queue")
	}
	// A time that has passed is due at once.
	if err := l.Arm(limited(t), id, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	receive(t, fired)
}

func testTimerReplaced(t *testing.T, _ *place, w *world) {
	l := w.ledger(t)
	sooner, later, clock := w.customer(), w.customer(), w.customer()
	at := soon()
	firedSooner, firedLater, firedClock := w.subscribe(t, events.DueSubject(sooner)), w.subscribe(t, events.DueSubject(later)), w.subscribe(t, events.DueSubject(clock))
	for _, a := range []struct {
		id int64
		at time.Time
	}{
		{sooner, at.Add(time.Hour)}, {sooner, at},
		{later, at}, {later, at.Add(time.Hour)},
		{clock, at.Add(200 * time.Millisecond)},
	} {
		if err := l.Arm(limited(t), a.id, a.at); err != nil {
			t.Fatal(err)
		}
	}
	wantFired(t, firedSooner, sooner, at)
	wantFired(t, firedClock, clock, at.Add(200*time.Millisecond))
	select {
	case <-firedLater:
		t.Error("a timer fired that was replaced by a later one")
	case <-firedSooner:
		t.Error("a replaced timer fired twice")
	default:
	}
	if w.last(t, w.layout.Streams.Work, events.TimerSubject(later)) == nil {
		t.Error("the later timer is gone")
	}
}
