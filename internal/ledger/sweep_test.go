package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
)

// at makes a ledger believe that it is that time.
func at(now time.Time) func(*ledger.Options) {
	return func(o *ledger.Options) { o.Now = func() time.Time { return now } }
}

func due(when time.Time) func(*events.Record) {
	return func(r *events.Record) { r.NextAttemptAt = when.UTC() }
}

func leased(until time.Time) func(*events.Record) {
	return func(r *events.Record) { r.LeaseExpiresAt = until.UTC() }
}

// noForeign fails at a record that a sweep leaves alone.
func noForeign(t *testing.T) func(error) {
	return func(err error) { t.Errorf("left alone: %v", err) }
}

func testSweep(t *testing.T, p *place, _ *world) {
	w := p.world(t)
	now := time.Now()
	l := w.ledger(t, at(now))
	ctx := limited(t)
	put := func(records ...*events.Record) {
		var expected uint64
		for _, r := range records {
			expected = store(t, l, r, expected).Sequence
		}
	}
	late := due(now.Add(-time.Minute))
	put(record(1, events.Started), record(1, events.Deferred, late))                         // timer lost
	put(record(2, events.Started, leased(now.Add(-time.Minute))))                            // its worker died
	put(record(3, events.Deferred, due(now.Add(-2*time.Second))))                            // just late enough
	put(record(4, events.Deferred, due(now.Add(-1999*time.Millisecond))))                    // its wake-up may be on its way
	put(record(5, events.Deferred, due(now.Add(time.Minute))))                               // not due
	put(record(6, events.Started, leased(now.Add(time.Minute))))                             // at work
	put(record(7, events.Deferred, late))                                                    // has a timer
	put(record(8, events.Deferred, late))                                                    // has a wake-up in the queue
	put(record(9, events.Deferred, late), record(9, events.Activated))                       // done
	put(record(10, events.Deferred, late), record(10, events.Failed))                        // given up
	put(record(11, events.Deferred, late), record(11, events.Started, leased(now.Add(1e9)))) // at work again
	put(record(12, events.Started, leased(now.Add(-time.Hour))), record(12, events.Deferred, due(now.Add(1e9))))
	armed := []int64{1, 2, 3}
	const written = 18
	if err := l.Arm(ctx, 7, events.DueSubject(7), now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.js.Publish(ctx, events.DueSubject(8), nil); err != nil {
		t.Fatal(err)
	}
	w.foreign(t, 13, events.Deferred, `"urn:x/v2"`, `{"domainId":13,"reason":"transient","nextAttemptAt":"2020-01-01T00:00:00Z"}`)

	var strange []error
	total := 0
	eventually(t, func(ctx context.Context) error { // a replica that lags does not show the sweep all
		strange = nil
		n, err := l.Sweep(ctx, "w1", func(err error) { strange = append(strange, err) })
		if total += n; err == nil && (total < len(armed) || len(strange) == 0) {
			return fmt.Errorf("armed %d timers, want %d; left %d records alone, want 1", total, len(armed), len(strange))
		}
		return err
	})
	if total != len(armed) {
		t.Errorf("armed %d timers, want %d", total, len(armed))
	}
	if len(strange) != 1 || !errors.Is(strange[0], events.ErrForeignRecord) {
		t.Errorf("records left alone: %v, want the one of a newer version", strange)
	}
	for id := int64(4); id <= 13; id++ {
		if m := w.last(t, w.layout.Streams.Work, events.TimerSubject(id)); (m != nil) != (id == 7) {
			t.Errorf("customer %d has the timer %v", id, m)
		}
	}
	if n, err := l.Sweep(ctx, "w1", func(error) {}); n != 0 || err != nil {
		t.Errorf("a second sweep arms %d: %v", n, err)
	}
	w.wantNoSweeper(t)
	if n := w.count(t, w.layout.Streams.Ledger, events.SubjectCustomers); n != written {
		t.Errorf("%d records after the sweep, want the %d before it", n, written)
	}
	fired := w.wakeUps(t)
	var woken []int64
	for range 4 {
		woken = append(woken, fired())
	}
	if slices.Sort(woken); !slices.Equal(woken, []int64{1, 2, 3, 8}) {
		t.Errorf("woken are %v, want those armed and the one that was in the queue", woken)
	}
}

// Such a timer is what nats-server 2.15.2 shows after a node that was killed leads again: it has fired, and is still there.
func testSweepStaleTimer(t *testing.T, p *place, _ *world) {
	w := p.world(t)
	ctx := limited(t)
	now := time.Now()
	fires := now.Add(time.Hour)
	l := w.ledger(t, at(now))
	store(t, l, record(1, events.Deferred, due(now.Add(-time.Hour))), 0)
	if err := l.Arm(ctx, 1, events.DueSubject(1), fires); err != nil {
		t.Fatal(err)
	}
	timer := func() uint64 {
		m := w.last(t, w.layout.Streams.Work, events.TimerSubject(1))
		if m == nil {
			t.Fatal("there is no timer")
		}
		return m.Sequence
	}
	// A sweep that armed it may have failed all the same, on a busy machine: the timer tells.
	sweep := func(when time.Time, armed bool) {
		t.Helper()
		l, before := w.ledger(t, at(when)), timer()
		eventually(t, func(ctx context.Context) error {
			_, err := l.Sweep(ctx, "w1", noForeign(t))
			if armed && err == nil && timer() == before { // a replica that lags does not show the sweep all
				return errors.New("the timer is the one before the sweep")
			}
			return err
		})
		if !armed && timer() != before {
			t.Errorf("%s after the timer's time the sweep has armed it again", when.Sub(fires))
		}
	}
	sweep(now, false)
	sweep(fires.Add(15*time.Second-time.Millisecond), false)
	sweep(fires.Add(15*time.Second), true)
	if err := l.Disarm(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := w.js.Publish(ctx, events.TimerSubject(1), nil); err != nil { // no schedule at all
		t.Fatal(err)
	}
	sweep(fires, true) // which is ahead of the server's clock: it does not fire at once
}

// testSweepForgottenWakeUp: a wake-up that is in the stream, and that its consumer never delivers again.
func testSweepForgottenWakeUp(t *testing.T, p *place, _ *world) {
	w := p.world(t)
	l, ctx := w.ledger(t), limited(t)
	hands := w.inHand(t, 1, 2, 3)
	store(t, l, record(1, events.Deferred, due(time.Now().Add(-time.Minute))), 0)
	store(t, l, record(3, events.Deferred, due(time.Now().Add(-time.Minute))), 0)
	// This is how nats-server 2.15.2 forgets the first.
	work, err := w.js.Stream(ctx, w.layout.Streams.Work)
	if err == nil {
		err = work.Purge(ctx, jetstream.WithPurgeSubject(events.DueSubject(2)))
	}
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, func(ctx context.Context) error { // the consumer's leader may learn of it later than the stream's
		due, err := work.Consumer(ctx, events.ConsumerDue)
		if err == nil && due.CachedInfo().NumAckPending != 2 {
			err = fmt.Errorf("%d are in hand, want 2", due.CachedInfo().NumAckPending)
		}
		return err
	})
	err = hands[3].DoubleAck(ctx)
	if err == nil {
		_, err = w.js.Publish(ctx, events.DueSubject(3), nil) // a new one, which is yet to come
	}
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, func(ctx context.Context) error { // a replica that lags does not show the sweep all
		if n, err := l.Sweep(ctx, "w1", noForeign(t)); n != 1 || err != nil {
			return fmt.Errorf("armed %d timers, want 1: %w", n, err)
		}
		return nil
	})
	fired := w.wakeUps(t)
	woken := []int64{fired(), fired()}
	if slices.Sort(woken); !slices.Equal(woken, []int64{1, 3}) {
		t.Errorf("woken are %v, want 1 and 3", woken)
	}
}

func testSweepMany(t *testing.T, p *place, _ *world) {
	many := 260 // more than one batch
	if testing.Short() {
		many = 40
	}
	w := p.world(t)
	now := time.Now()
	l := w.ledger(t, at(now))
	for id := range int64(many) {
		store(t, l, record(id+1, events.Deferred, due(now.Add(-time.Hour))), 0)
	}
	total := 0
	eventually(t, func(context.Context) error { // many take longer than one look of eventually may
		n, err := l.Sweep(limited(t), "w1", noForeign(t))
		if total += n; err == nil && total < many {
			return fmt.Errorf("armed %d of %d", total, many)
		}
		return err
	})
	fired := w.wakeUps(t)
	woken := map[int64]bool{}
	for range many {
		woken[fired()] = true
	}
	if total != many || len(woken) != many {
		t.Errorf("armed %d timers, woke %d customers, want %d", total, len(woken), many)
	}
}

// sweeping begins a sweep that holds still at a record of a newer version until release is closed.
func (w *world) sweeping(ctx context.Context, t *testing.T, release <-chan struct{}) (began <-chan struct{}, result <-chan error) {
	t.Helper()
	w.foreign(t, w.customer(), events.Deferred, `"urn:x/v2"`, `{}`)
	l := w.ledger(t)
	holds, done := make(chan struct{}), make(chan error, 1)
	go func() {
		for held := false; !held; { // a replica that lags may not show the record at once
			_, err := l.Sweep(ctx, "w1", func(error) {
				held = true
				close(holds)
				<-release
			})
			if held || err != nil {
				done <- err
				return
			}
		}
	}()
	return holds, done
}

func testSweepAlone(t *testing.T, p *place, _ *world) {
	w := p.world(t)
	other := w.ledger(t, over(w.connect(t, w.url)))
	store(t, other, record(1, events.Deferred, due(time.Now().Add(-time.Hour))), 0)
	ctx := limited(t)
	release := make(chan struct{})
	began, result := w.sweeping(ctx, t, release)
	<-began
	if n, err := other.Sweep(ctx, "w2", noForeign(t)); n != 0 || err != nil {
		t.Errorf("while another sweeps a sweep returns %d, %v", n, err)
	}
	c, err := w.js.Consumer(ctx, w.layout.Streams.Ledger, "sweep")
	if err != nil {
		t.Fatalf("the sweep is not seen on the server: %v", err)
	}
	if got := c.CachedInfo().Config; got.InactiveThreshold <= 0 || got.InactiveThreshold > 30*time.Second || got.AckPolicy != jetstream.AckNonePolicy {
		t.Errorf("a dead sweep would hold the place: %+v", got)
	}
	close(release)
	if err := <-result; err != nil {
		t.Errorf("the sweep that held: %v", err)
	}
	w.wantNoSweeper(t)
	eventually(t, func(ctx context.Context) error {
		strange := 0
		_, err := other.Sweep(ctx, "w2", func(error) { strange++ })
		if err == nil && strange != 1 {
			return fmt.Errorf("the other's turn leaves %d records alone, want 1", strange)
		}
		return err
	})
}

func testSweepStopped(t *testing.T, p *place, _ *world) {
	w := p.world(t)
	for id := int64(1); id <= 20; id++ {
		store(t, w.ledger(t), record(id, events.Started, leased(time.Now().Add(-time.Hour))), 0)
	}
	ctx, cancel := context.WithCancel(limited(t))
	release := make(chan struct{})
	began, result := w.sweeping(ctx, t, release)
	<-began
	cancel()
	close(release)
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("a stopped sweep returns %v", err)
	}
	w.wantNoSweeper(t)
}

func (w *world) wantNoSweeper(t *testing.T) {
	t.Helper()
	eventually(t, func(ctx context.Context) error { // a cluster takes a moment to agree that it is gone
		if _, err := w.js.Consumer(ctx, w.layout.Streams.Ledger, "sweep"); !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return fmt.Errorf("the sweep is still on the server: %w", errors.Join(err, errors.New("wanted: not found")))
		}
		return nil
	})
}

// foreign writes a message of another kind of worker in a customer's family.
func (w *world) foreign(t *testing.T, id int64, s events.State, schema, data string) {
	t.Helper()
	msg := fmt.Sprintf(`{"specversion":"1.0","id":"x","source":"/x","type":"x","subject":"%d","time":"2026-01-01T00:00:00Z","dataschema":%s,"data":%s}`, id, schema, data)
	if _, err := w.js.Publish(limited(t), events.CustomerSubject(id, s), []byte(msg)); err != nil {
		t.Fatalf("write the foreign record: %v", err)
	}
}
