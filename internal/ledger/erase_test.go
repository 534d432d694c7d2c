package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"activation-worker/internal/events"
)

// replayed marks a record as queued by a replay.
func replayed(id string) func(*events.Record) {
	return func(r *events.Record) {
		r.Reason, r.Queued, r.Trigger = events.Replay, true, events.Trigger{Kind: events.TriggerReplay, ID: id}
	}
}

func testDisarm(t *testing.T, p *place, _ *world) {
	w := p.world(t)
	l, fired := w.ledger(t), w.wakeUps(t)
	dropped, kept := w.customer(), w.customer()
	at := soon().Add(3 * time.Second) // the one is dropped before it fires, on a busy machine too
	for _, id := range []int64{dropped, kept} {
		if err := l.Arm(limited(t), id, events.DueSubject(id), at.Add(time.Duration(id-dropped)*200*time.Millisecond)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Disarm(limited(t), dropped); err != nil {
		t.Fatal(err)
	}
	wantFired(t, fired, kept, at.Add(200*time.Millisecond)) // and not the other before it
	if m := w.last(t, w.layout.Streams.Work, events.TimerSubject(dropped)); m != nil {
		t.Errorf("the timer is still there: %+v", m)
	}
}

// What a customer's wake-up takes with it is nobody else's: nats-server 2.15.2 loses what a consumer has in hand, and has
// delivered earlier, when another of its messages is purged.
func testDisarmLeavesOthers(t *testing.T, p *place, _ *world) {
	w := p.world(t)
	l, ctx := w.ledger(t), limited(t)
	before, dropped, after := w.customer(), w.customer(), w.customer()
	hands := w.inHand(t, before, dropped, after)
	if err := l.Disarm(ctx, dropped); err != nil {
		t.Fatal(err)
	}
	if err := hands[after].DoubleAck(ctx); err != nil {
		t.Fatal(err)
	}
	if err := hands[before].Nak(); err != nil {
		t.Fatal(err)
	}
	if id := w.wakeUps(t)(); id != before {
		t.Fatalf("%d came back, want %d", id, before)
	}
	eventually(t, func(context.Context) error {
		if n := w.count(t, w.layout.Streams.Work, ">"); n != 0 {
			return fmt.Errorf("%d messages are left", n)
		}
		return nil
	})
}

func testRedoTarget(t *testing.T, p *place, _ *world) {
	w := p.world(t)
	l, id := w.ledger(t), w.customer()
	r := record(id, events.Deferred, replayed("R"))
	if err := l.Arm(limited(t), id, events.WakeUpSubject(r), time.Now()); err != nil {
		t.Fatal(err)
	}
	eventually(t, func(context.Context) error {
		if w.last(t, w.layout.Streams.Work, events.RedoSubject(id)) == nil {
			return fmt.Errorf("nothing arrived in the lane of replays")
		}
		return nil
	})
}

func testErase(t *testing.T, _ *place, shared *world) {
	l, id, other := shared.ledger(t), shared.customer(), shared.customer()
	store(t, l, record(other, events.Started), 0)
	first := store(t, l, record(id, events.Started), 0)
	second := store(t, l, record(id, events.Activated), first.Sequence)
	last := store(t, l, record(id, events.Forgotten), second.Sequence)
	if err := l.Erase(limited(t), last); err != nil {
		t.Fatal(err)
	}
	if got := shared.stored(t, id); len(got) != 1 || got[0].Sequence != last.Sequence {
		t.Errorf("%d records are left", len(got))
	}
	if got := shared.stored(t, other); len(got) != 1 {
		t.Errorf("%d records of another customer are left, want 1", len(got))
	}
	// The chain goes on.
	again := store(t, l, record(id, events.Started), last.Sequence)
	if got, err := l.Load(limited(t), id); err != nil || got.Sequence != again.Sequence {
		t.Errorf("%+v, %v", got, err)
	}
}

// testSweepWatches: a customer who waits for DNS is looked for before the next attempt is due, so the timer must be there.
func testSweepWatches(t *testing.T, p *place, _ *world) {
	w := p.world(t)
	l := w.ledger(t)
	dns := func(r *events.Record) { r.Reason, r.NextAttemptAt = events.DNSUnverified, time.Now().Add(time.Hour) }
	with, without, erased, back := w.customer(), w.customer(), w.customer(), w.customer()
	store(t, l, record(with, events.Deferred, dns), 0)
	store(t, l, record(without, events.Deferred, dns), 0)
	store(t, l, record(erased, events.Forgotten), store(t, l, record(erased, events.Failed), 0).Sequence)
	forgotten := store(t, l, record(back, events.Forgotten), store(t, l, record(back, events.Failed), 0).Sequence)
	store(t, l, record(back, events.Started), forgotten.Sequence) // announced again before anything was erased
	later := time.Now().Add(time.Hour)
	if err := l.Arm(limited(t), with, events.DueSubject(with), later); err != nil {
		t.Fatal(err)
	}
	total := 0
	eventually(t, func(ctx context.Context) error {
		n, err := l.Sweep(ctx, "w1", noForeign(t))
		total += n
		switch left := w.stored(t, erased); {
		case err != nil:
			return err
		case total == 0:
			return fmt.Errorf("nothing is armed")
		case len(left) != 1:
			return fmt.Errorf("%d records are left of a customer who was forgotten", len(left))
		case len(w.stored(t, back)) != 2:
			return errors.New("older records are left of a customer who was forgotten and announced anew")
		}
		return nil
	})
	if total != 1 {
		t.Errorf("%d are armed, want the one without a timer", total)
	}
	fired := w.wakeUps(t)
	if id := fired(); id != without {
		t.Errorf("%d is woken, want %d", id, without)
	}
}

func testRequests(t *testing.T, p *place, _ *world) {
	w := p.world(t)
	l := w.ledger(t)
	subjects := []string{"activation.request.replay.aki.r1", "activation.request.cancel.mori.r2", "activation.request.replay.mori.r3"}
	for _, s := range subjects {
		if _, err := w.js.Publish(limited(t), s, []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	subjectsNow := func() (got []string) {
		pending, err := l.Requests(limited(t))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range pending {
			got = append(got, e.Subject)
		}
		return got
	}
	if got := subjectsNow(); !slices.Equal(got, subjects) {
		t.Errorf("pending are %v", got)
	}
	// An id is the asker's choice: another may have taken the same.
	again := "activation.request.replay.zoe.r1"
	if _, err := w.js.Publish(limited(t), again, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []bool{true, false} {
		if was, err := l.WithdrawReplay(limited(t), "r1"); err != nil || was != want {
			t.Fatalf("withdrawn: %v, %v; want %v", was, err, want)
		}
	}
	for s, want := range map[string]bool{subjects[0]: false, again: false, subjects[1]: true, subjects[2]: true} {
		if stands, err := l.RequestStands(limited(t), s); err != nil || stands != want {
			t.Errorf("%s stands: %v, %v", s, stands, err)
		}
	}
	pending, err := l.Requests(limited(t))
	if err != nil || len(pending) != 2 {
		t.Fatalf("%v, %v", pending, err)
	}
	for range 2 { // what is gone already is no error
		if err := l.EraseRequest(limited(t), pending[0].Sequence); err != nil {
			t.Error(err)
		}
	}
	if got := subjectsNow(); !slices.Equal(got, subjects[2:]) {
		t.Errorf("pending are %v", got)
	}
}

func testReplays(t *testing.T, _ *place, shared *world) {
	l, a, b, c := shared.ledger(t), shared.customer(), shared.customer(), shared.customer()
	replay := fmt.Sprintf("R%d", a)
	if r, _, err := l.LastReplay(limited(t), replay); r != nil || err != nil {
		t.Errorf("before it: %+v, %v", r, err)
	}
	planned := events.ReplayEvent{ReplayID: replay, By: "aki", Why: "a test", Phase: events.Planned, Planned: 2}
	for range 2 { // said twice, stored once
		if err := l.AnnounceReplay(limited(t), planned); err != nil {
			t.Fatal(err)
		}
	}
	got, sequence, err := l.LastReplay(limited(t), replay)
	if err != nil || got == nil || *got != planned {
		t.Fatalf("%+v, %v", got, err)
	}
	if n := shared.count(t, shared.layout.Streams.Ledger, events.ReplaySubject(replay)); n != 1 {
		t.Errorf("%d events", n)
	}
	first := store(t, l, record(a, events.Deferred, replayed(replay)), 0)
	store(t, l, record(a, events.Started), first.Sequence) // attempted since: counts all the same
	store(t, l, record(b, events.Deferred, replayed(replay)), 0)
	store(t, l, record(c, events.Deferred, replayed("another")), 0)
	eventually(t, func(ctx context.Context) error {
		ids, last, err := l.Queued(ctx, replay, sequence)
		if err == nil && last.IsZero() {
			t.Error("nobody is due")
		}
		if err == nil && !slices.Equal(ids, []int64{a, b}) {
			err = fmt.Errorf("queued are %v, want %v", ids, []int64{a, b})
		}
		return err
	})
}
