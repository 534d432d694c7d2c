package ledger_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
)

func testClaim(t *testing.T, _ *place, w *world) {
	l, id := w.ledger(t), w.customer()
	before := time.Now()
	got := claim(t, l, record(id, events.Started), 0)
	if got.Sequence == 0 || got.ID != events.RecordID(id, 0, events.Started) || got.Time.Before(before.Add(-time.Second)) {
		t.Errorf("claimed %+v", got)
	}
	read, err := l.Load(limited(t), id)
	if err != nil || read == nil {
		t.Fatalf("load: %v %v", read, err)
	}
	if read.Sequence != got.Sequence || read.State != events.Started || read.Worker != "w1" || read.ID != got.ID {
		t.Errorf("read %+v, want %+v", read, got)
	}
	e := w.stored(t, id)[0]
	if s, err := events.DecodeSummary(e.Data); err != nil || s.Source != source {
		t.Errorf("source is %q: %v", s.Source, err)
	}
}

func testClaimConflict(t *testing.T, _ *place, w *world) {
	l, id := w.ledger(t), w.customer()
	first := claim(t, l, record(id, events.Started), 0)
	current, err := l.Claim(limited(t), record(id, events.Started, worker("w2")), 0)
	wantConflict(t, current, err, first)
	current, err = l.Claim(limited(t), record(id, events.Started, worker("w2")), first.Sequence+1)
	wantConflict(t, current, err, first)
	w.wantStates(t, id, events.Started)
	// Where something is expected and nothing is there, there is nothing to return.
	current, err = l.Claim(limited(t), record(w.customer(), events.Started), 7)
	if !errors.Is(err, ledger.ErrConflict) || current != nil {
		t.Errorf("a claim that expects what is not there: %v %v", current, err)
	}
}

func testRivals(t *testing.T, _ *place, w *world) {
	wantOneWinner(t, w, w.customer(), 0, 100)
}

func testRivalTakeover(t *testing.T, _ *place, w *world) {
	id := w.customer()
	first := claim(t, w.ledger(t), record(id, events.Started, worker("dead")), 0)
	wantOneWinner(t, w, id, first.Sequence, 40)
}

// wantOneWinner claims a customer for n workers at once, each with its own connection or sharing one with others.
func wantOneWinner(t *testing.T, w *world, id int64, expected uint64, n int) {
	t.Helper()
	ledgers := []*ledger.Ledger{w.ledger(t)}
	for range 4 {
		ledgers = append(ledgers, w.ledger(t, over(w.connect(t, w.url))))
	}
	var mu sync.Mutex
	var winners []*events.Record
	var seen []string // by the losers
	var all sync.WaitGroup
	begin := make(chan struct{})
	ctx := limited(t)
	for i := range n {
		l := ledgers[i%len(ledgers)]
		all.Go(func() {
			<-begin
			got, err := l.Claim(ctx, record(id, events.Started, worker(fmt.Sprintf("rival%d", i))), expected)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				winners = append(winners, got)
			case errors.Is(err, ledger.ErrConflict) && got != nil:
				seen = append(seen, got.Worker)
			default:
				t.Errorf("rival %d: %+v %v", i, got, err)
			}
		})
	}
	close(begin)
	all.Wait()
	if len(winners) != 1 {
		t.Fatalf("%d rivals believe that they won, want 1: %+v", len(winners), winners)
	}
	slices.Sort(seen)
	if seen = slices.Compact(seen); len(seen) != 1 || seen[0] != winners[0].Worker {
		t.Errorf("the losers saw %q win, want %q", seen, winners[0].Worker)
	}
	current, err := ledgers[0].Load(ctx, id)
	if err != nil || current.Worker != winners[0].Worker || current.Sequence != winners[0].Sequence {
		t.Errorf("there is %+v (%v), want the winner's %+v", current, err, winners[0])
	}
}

func testChain(t *testing.T, _ *place, w *world) {
	l, id := w.ledger(t), w.customer()
	var expected uint64
	for i, s := range []events.State{events.Started, events.Deferred, events.Started, events.Failed, events.Started, events.Activated} {
		var got *events.Record
		if s == events.Started {
			got = claim(t, l, record(id, s), expected)
		} else {
			got = store(t, l, record(id, s), expected)
		}
		if got.Sequence <= expected || got.ID != events.RecordID(id, expected, s) || got.State != s {
			t.Fatalf("record %d is %+v after sequence %d", i, got, expected)
		}
		expected = got.Sequence
	}
	current, err := l.Load(limited(t), id)
	if err != nil || current.State != events.Activated || current.Sequence != expected {
		t.Fatalf("newest record is %+v: %v", current, err)
	}
	if string(current.Customer) != `{"enableActiveDomain":true}` {
		t.Errorf("the partner's object is %s", current.Customer)
	}
	w.wantStates(t, id, events.Started, events.Deferred, events.Started, events.Failed, events.Started, events.Activated)
}

func testOutcomeConflict(t *testing.T, _ *place, w *world) {
	l, id := w.ledger(t), w.customer()
	mine := claim(t, l, record(id, events.Started), 0)
	taken := claim(t, l, record(id, events.Started, worker("w2")), mine.Sequence)
	current, err := l.Record(limited(t), record(id, events.Activated), mine.Sequence)
	wantConflict(t, current, err, taken)
	done := store(t, l, record(id, events.Activated, func(r *events.Record) { r.Customer = json.RawMessage(`{"a":1}`) }), taken.Sequence)
	current, err = l.Record(limited(t), record(id, events.Failed), taken.Sequence)
	wantConflict(t, current, err, done)
	w.wantStates(t, id, events.Started, events.Started, events.Activated)
}

func testHeaders(t *testing.T, _ *place, w *world) {
	l, id := w.ledger(t), w.customer()
	sent := w.subscribe(t, events.CustomerFamily(id))
	first := claim(t, l, record(id, events.Started), 0)
	second := store(t, l, record(id, events.Deferred), first.Sequence)
	accepted := func(r *events.Record) { r.Calls, r.AcceptedAt = 1, time.Date(2026, 3, 2, 9, 0, 0, 5e8, time.UTC) }
	store(t, l, record(id, events.Activated, accepted), second.Sequence)
	var tokens []string
	for i, expected := range []string{"0", fmt.Sprint(first.Sequence), fmt.Sprint(second.Sequence)} {
		h := receive(t, sent).Header
		tokens = append(tokens, h.Get(events.HeaderWriteToken))
		want := map[string]string{
			"Content-Type":                                events.ContentType,
			events.HeaderWriteToken:                       tokens[i],
			"Nats-Expected-Last-Subject-Sequence":         expected,
			"Nats-Expected-Last-Subject-Sequence-Subject": events.CustomerFamily(id),
		}
		switch i {
		case 1:
			want[events.HeaderReason] = string(events.Transient)
		case 2:
			want[events.HeaderAcceptedAt] = "2026-03-02T09:00:00.5Z"
		}
		for name, value := range want {
			if h.Get(name) != value || value == "" {
				t.Errorf("write %d: header %s is %q, want %q", i, name, h.Get(name), value)
			}
		}
		for name := range h {
			if _, ok := want[name]; !ok {
				t.Errorf("write %d has a header %s, which no state record may have", i, name)
			}
		}
	}
	if tokens[0] == tokens[1] {
		t.Errorf("both writes have the token %s", tokens[0])
	}
}

// A write that was ended by its context is neither a success nor a conflict.
func testWriteEnds(t *testing.T, _ *place, w *world) {
	l, id := w.ledger(t), w.customer()
	ctx, cancel := context.WithCancelCause(limited(t))
	cause := errors.New("told to stop")
	cancel(cause)
	got, err := l.Record(ctx, record(id, events.Started), 0)
	if got != nil || errors.Is(err, ledger.ErrConflict) || !errors.Is(err, cause) {
		t.Errorf("a stopped write returns %+v and %v, want the cause of the stop", got, err)
	}
	if n := w.count(t, w.layout.Streams.Ledger, events.CustomerFamily(id)); n != 0 {
		t.Errorf("a write that was stopped before it began has stored %d records", n)
	}
}
