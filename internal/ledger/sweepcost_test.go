package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
)

// crowded stores customers who wait for DNS, each after a claim and with a timer, and then some who are active.
func (w *world) crowded(t *testing.T, waiting, active int) {
	t.Helper()
	nc, _ := w.connect(t, w.url)
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(1000))
	if err != nil {
		t.Fatal(err)
	}
	send := func(m *nats.Msg) {
		if _, err := js.PublishMsgAsync(m, jetstream.WithStallWait(testLimit)); err != nil {
			t.Fatal(err)
		}
	}
	put := func(r *events.Record) {
		data, err := events.EncodeRecord(r, source, 0, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		send(&nats.Msg{Subject: events.CustomerSubject(r.DomainID, r.State), Data: data})
	}
	at := time.Now().Add(time.Hour)
	for n := range waiting + active {
		id := int64(n + 1)
		put(record(id, events.Started, leased(time.Now().Add(-time.Hour))))
		if n >= waiting {
			put(record(id, events.Activated))
			continue
		}
		send(&nats.Msg{Subject: events.TimerSubject(id), Header: nats.Header{
			"Nats-Schedule":        {at.UTC().Format("@at 2006-01-02T15:04:05.000000Z")},
			"Nats-Schedule-Target": {events.DueSubject(id)},
		}})
		put(record(id, events.Deferred, due(at), func(r *events.Record) { r.Reason = events.DNSUnverified }))
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-limited(t).Done():
		t.Fatal("not all was stored")
	}
}

// sweeper is a ledger on a connection of its own, whose requests can be counted.
func (w *world) sweeper(t *testing.T, mods ...func(*ledger.Options)) (l *ledger.Ledger, requests func() uint64) {
	t.Helper()
	nc, js := w.connect(t, w.url)
	var before uint64
	return w.ledger(t, append(mods, over(nc, js))...), func() uint64 {
		now := nc.Stats().OutMsgs
		defer func() { before = now }()
		return now - before
	}
}

func testSweepAsksLittle(t *testing.T, p *place, _ *world) {
	const waiting, active, lost = 600, 600, 300
	w := p.world(t)
	w.crowded(t, waiting, active)
	l, requests := w.sweeper(t)
	sweep := func(want int) {
		t.Helper()
		requests()
		total := 0
		var asked uint64
		eventually(t, func(ctx context.Context) error {
			armed, err := l.Sweep(ctx, "w1", noForeign(t))
			asked = requests()
			if total += armed; err == nil && total < want { // a replica that lags does not show the sweep all
				return fmt.Errorf("armed %d timers, want %d", total, want)
			}
			return err
		})
		if most := uint64(40 + 20*want); total != want || asked > most {
			t.Errorf("a sweep over %d who wait armed %d timers with %d requests, want %d with at most %d", waiting, total, asked, want, most)
		}
	}
	sweep(0)
	drop(t, w, lost)
	sweep(1)
	if w.last(t, w.layout.Streams.Work, events.TimerSubject(lost+1)) == nil {
		t.Error("a timer is gone that nobody has dropped")
	}
}

// TestSweepTwentyThousand: more wait than a sweep keeps in mind, and whoever has lost a timer is found, in a stream made
// by an older version too, which does not answer for many at once.
func TestSweepTwentyThousand(t *testing.T) {
	t.Parallel()
	waiting := 20_000
	if testing.Short() {
		waiting = 4_000 // all at once in its mind
	}
	w := oneNode(t).world(t)
	w.crowded(t, waiting, waiting/10)
	drop(t, w, 1)
	drop(t, w, int64(waiting/2))
	drop(t, w, int64(waiting))
	l, requests := w.sweeper(t)
	requests()
	if armed, err := l.Sweep(limited(t), "w1", noForeign(t)); err != nil || armed != 3 {
		t.Fatalf("armed %d timers, want the 3 that are lost: %v", armed, err)
	}
	if asked := requests(); asked > uint64(waiting/40) {
		t.Errorf("a sweep over %d who wait made %d requests", waiting, asked)
	}

	s, err := w.js.Stream(limited(t), w.layout.Streams.Work)
	if err != nil {
		t.Fatal(err)
	}
	older := s.CachedInfo().Config
	older.AllowDirect = false
	if _, err = w.js.UpdateStream(limited(t), older); err != nil {
		t.Fatal(err)
	}
	drop(t, w, int64(waiting/3))
	if armed, err := l.Sweep(limited(t), "w1", noForeign(t)); err != nil || armed != 1 {
		t.Errorf("one by one: armed %d timers, want the one that is lost: %v", armed, err)
	}
}

// begins is where a sweep of l begins to read: it is held at the record of the customer held.
func (w *world) begins(t *testing.T, l *ledger.Ledger) (sequence uint64) {
	t.Helper()
	eventually(t, func(ctx context.Context) error {
		held := false
		_, err := l.Sweep(ctx, "w1", func(error) {
			cons, err := w.js.Consumer(ctx, w.layout.Streams.Ledger, "sweep")
			if held = err == nil; held {
				sequence = cons.CachedInfo().Config.OptStartSeq
			}
		})
		if err == nil && !held {
			return errors.New("the foreign record was not met")
		}
		return err
	})
	return sequence
}

func testSweepGoesOn(t *testing.T, p *place, _ *world) {
	w := p.world(t)
	now := time.Now()
	l := w.ledger(t, func(o *ledger.Options) { o.Now = func() time.Time { return now } })
	for id := int64(1); id <= 5; id++ { // nobody waits any more
		r := store(t, l, record(id, events.Started, leased(now.Add(-time.Minute))), 0)
		r = store(t, l, record(id, events.Deferred, due(now.Add(-time.Minute))), r.Sequence)
		store(t, l, record(id, events.Activated), r.Sequence)
	}
	waits := store(t, l, record(6, events.Deferred, due(now.Add(time.Hour))), 0)
	w.foreign(t, 7, events.Deferred, `"urn:x/v2"`, `{}`)
	store(t, l, record(8, events.Failed), 0)
	if got := w.begins(t, l); got != 1 {
		t.Fatalf("the first sweep begins with %d", got)
	}
	eventually(t, func(context.Context) error {
		if got := w.begins(t, l); got != waits.Sequence {
			return fmt.Errorf("the next sweep begins with %d, want %d, where the first customer waits", got, waits.Sequence)
		}
		return nil
	})
	now = now.Add(time.Hour - time.Second)
	if got := w.begins(t, l); got != waits.Sequence {
		t.Errorf("just before an hour has passed a sweep begins with %d", got)
	}
	if now = now.Add(time.Second); w.begins(t, l) != 1 {
		t.Error("after an hour a sweep does not read everything")
	}

	// Another ledger of that name: what was known of the first is not true of it.
	s, err := w.js.Stream(limited(t), w.layout.Streams.Ledger)
	if err == nil {
		err = w.js.DeleteStream(limited(t), w.layout.Streams.Ledger)
	}
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, func(ctx context.Context) error {
		_, err := w.js.CreateStream(ctx, s.CachedInfo().Config)
		return err
	})
	for range 20 { // it has gone on farther than the first
		w.foreign(t, 7, events.Deferred, `"urn:x/v2"`, `{}`)
	}
	if got := w.begins(t, l); got != 1 {
		t.Errorf("the first sweep of another ledger begins with %d", got)
	}
}
