package ledger_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/broker"
	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
)

// twoAttempts is a ledger that has room for the outcomes of two attempts, and not of three.
func twoAttempts(l *broker.Layout) { l.MaxBytes = 1536 << 10 }

// longest is an activated record with the longest object that is kept.
func longest(l *world) func(*events.Record) {
	object := fmt.Sprintf(`{"x":%q}`, bytes.Repeat([]byte("x"), ledger.MaxObject(l.nc)-len(`{"x":""}`)))
	return func(r *events.Record) { r.Customer = json.RawMessage(object) }
}

func (w *world) resize(t *testing.T, maxBytes int64) {
	t.Helper()
	s, err := w.js.Stream(limited(t), w.layout.Streams.Ledger)
	if err != nil {
		t.Fatalf("read the ledger's settings: %v", err)
	}
	c := s.CachedInfo().Config
	c.MaxBytes = maxBytes
	if _, err := w.js.UpdateStream(limited(t), c); err != nil {
		t.Fatalf("resize the ledger: %v", err)
	}
}

func (w *world) wantFull(t *testing.T, l *ledger.Ledger, id int64) {
	t.Helper()
	got, err := l.Claim(limited(t), record(id, events.Started), 0)
	if !errors.Is(err, ledger.ErrFull) || got != nil {
		t.Fatalf("a claim without room: %+v %v", got, err)
	}
	if l.NoRoom() == nil {
		t.Error("Full is false after a claim that found no room")
	}
	w.wantStates(t, id) // nothing
}

func testRoom(t *testing.T, p *place, _ *world) {
	w := p.world(t, twoAttempts)
	l := w.ledger(t)
	first := claim(t, l, record(1, events.Started), 0)
	second := claim(t, l, record(2, events.Started), 0)
	if l.NoRoom() != nil {
		t.Error("Full is true while there is room")
	}
	w.wantFull(t, l, 3)
	for _, r := range []*events.Record{first, second} {
		store(t, l, record(r.DomainID, events.Activated, longest(w)), r.Sequence)
		l.Release()
	}
	w.wantFull(t, l, 3) // what is left is not enough for a longest outcome
	w.resize(t, 8<<20)
	claim(t, l, record(3, events.Started), 0)
	if l.NoRoom() != nil {
		t.Error("Full is true after the ledger was made larger")
	}
	l.Release()
	w.wantStates(t, 3, events.Started)
	l.Release() // each attempt of this test gives back once more with its end
	for range 2 {
		if _, err := l.Claim(limited(t), record(w.customer(), events.Started), 0); err != nil {
			t.Fatalf("claim in a ledger with room: %v", err)
		}
	}
}

// Attempts of other workers need room too: claims of the last lease that have no outcome.
func testRoomElsewhere(t *testing.T, p *place, _ *world) {
	w := p.world(t, twoAttempts)
	now := time.Now()
	lasting := func(o *ledger.Options) {
		o.Lease = time.Minute
		o.Now = func() time.Time { return now }
	}
	other, l := w.ledger(t, lasting), w.ledger(t, lasting)
	first := claim(t, other, record(1, events.Started), 0)
	claim(t, other, record(2, events.Started), 0)
	w.wantFull(t, l, 3)

	if _, err := other.Record(limited(t), record(1, events.Failed), first.Sequence); err != nil {
		t.Fatal(err)
	}
	now = now.Add(3 * time.Second) // the look at what runs elsewhere is believed for moments only
	claim(t, l, record(3, events.Started), 0)
	w.wantFull(t, l, 4)

	now = now.Add(2 * time.Minute) // whoever held 2 is dead
	claim(t, l, record(4, events.Started), 0)
}

// Whoever needs room asks again within moments: a refusal that nobody repeats says nothing any more.
func testFullIsForgotten(t *testing.T, p *place, _ *world) {
	w := p.world(t, twoAttempts)
	now := time.Now()
	l := w.ledger(t, func(o *ledger.Options) { o.Now = func() time.Time { return now } })
	claim(t, l, record(1, events.Started), 0)
	claim(t, l, record(2, events.Started), 0)
	w.wantFull(t, l, 3)
	if now = now.Add(10 * time.Second); l.NoRoom() != nil {
		t.Error("Full is true long after the last claim that found no room")
	}
}

func testRoomAfterConflict(t *testing.T, p *place, _ *world) {
	w := p.world(t, twoAttempts)
	l := w.ledger(t)
	first := claim(t, l, record(1, events.Started), 0)
	for range 5 {
		current, err := l.Claim(limited(t), record(1, events.Started, worker("w2")), 0)
		wantConflict(t, current, err, first)
	}
	claim(t, l, record(2, events.Started), 0)
	w.wantFull(t, l, 3)
	l.Release()
	if _, err := l.Claim(limited(t), record(3, events.Started), 0); err != nil {
		t.Fatalf("claim after another was released: %v", err)
	}
}

// fill leaves no room in the ledger.
func (w *world) fill(t *testing.T) {
	t.Helper()
	for size := 256 << 10; size > 0; {
		_, err := w.js.Publish(limited(t), "activation.replay."+fmt.Sprint(w.customer()), bytes.Repeat([]byte("x"), size))
		switch {
		case err == nil:
		case apiCode(err) == 10077:
			size /= 4
		default:
			t.Fatalf("fill the ledger: %v", err)
		}
	}
}

func apiCode(err error) jetstream.ErrorCode {
	if e, ok := errors.AsType[*jetstream.APIError](err); ok {
		return e.ErrorCode
	}
	return 0
}

func testFullOutcome(t *testing.T, p *place, _ *world) {
	w := p.world(t, twoAttempts)
	l := w.ledger(t)
	first := claim(t, l, record(1, events.Started), 0)
	w.fill(t)
	result := make(chan error, 1)
	ctx := limited(t)
	go func() {
		_, err := l.Record(ctx, record(1, events.Activated), first.Sequence)
		result <- err
	}()
	eventually(t, func(context.Context) error {
		if l.NoRoom() == nil {
			return errors.New("Full is false while an outcome finds no room")
		}
		return nil
	})
	w.resize(t, 8<<20)
	if err := <-result; err != nil {
		t.Fatalf("the outcome was not recorded once there was room: %v", err)
	}
	if l.NoRoom() != nil {
		t.Error("Full is true after the outcome was recorded")
	}
	w.wantStates(t, 1, events.Started, events.Activated)
}

// Announcing is less than working: whoever announces must be able to go on.
func testFullAnnouncement(t *testing.T, p *place, _ *world) {
	w := p.world(t, twoAttempts)
	l := w.ledger(t)
	w.fill(t)
	ctx, cancel := context.WithTimeout(limited(t), 3*time.Second)
	defer cancel()
	err := l.AnnounceIntake(ctx, events.Intake{Worker: "w1", Reason: "no_credentials", Since: time.Now()}, true)
	if !errors.Is(err, ledger.ErrFull) || ctx.Err() != nil {
		t.Errorf("announcing into a full ledger returns %v, want ErrFull at once", err)
	}
}
