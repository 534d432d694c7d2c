package activation_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"activation-worker/internal/activation"
	"activation-worker/internal/events"
)

const (
	modelTimeout = 30 * time.Second // of one request
	modelLease   = time.Minute
	modelMargin  = 5 * time.Second // no request starts unless it can end that long before the lease does
	modelAckWait = 30 * time.Second
	modelSkew    = 2500 * time.Millisecond // of either clock, so that two differ by 5 s at most
	modelLag     = 10*time.Second - 1      // until a look-up shows what was applied
)

// world is one customer: a ledger written by compare-and-set, an intake and a timer that
// deliver at least once, two workers, an operator, DNS and a partner. Everything in it is
// driven by draws, one small step at a time, so that any two steps of any two can come in between.
type world struct {
	now        time.Time        // the true time, also the NATS server's
	sequence   int              // the ledger's last
	records    []*events.Record // of the customer, as the ledger's messages read: a forgotten one's are erased
	deliveries []*delivery
	timer      time.Time // zero: none
	timerLost  bool      // ever
	workers    [2]*worker
	operator   *order
	partner    partner
	zone       zone
	published  []*events.Accepted
	passedOver map[string]bool // events that found the customer activated, or being of old, waiting already

	counted   int              // activate requests that the ledger has to show
	doubt     *doubt           // what the ledger has to know of an unclear outcome; nil: nothing
	lookFirst bool             // no call before a look-up was answered
	erased    *events.EventRef // the newest event that a forgotten record stands for; nil: not forgotten
}

// delivery is a terms-accepted event, or a wake-up, until it is acknowledged.
type delivery struct {
	accepted *events.Accepted // nil: a wake-up
	from     time.Time        // not delivered before
	acked    bool
}

// doubt is the model's own account of a request that may have been applied.
type doubt struct {
	since time.Time
	noes  int
}

func newWorld() *world {
	w := &world{now: at(0), passedOver: map[string]bool{}}
	for i := range w.workers {
		w.workers[i] = &worker{name: fmt.Sprintf("w%d", i+1)}
	}
	return w
}

// newest is the customer's state, nil for none.
func (w *world) newest() *events.Record {
	if len(w.records) == 0 {
		return nil
	}
	return w.records[len(w.records)-1]
}

// write is the compare-and-set. It stores what the ledger would: the encoded record. A worker of none is the operator.
func (w *world) write(t *rapid.T, by *worker, r *events.Record, expected int) bool {
	if expected != w.sequence {
		return false
	}
	now := by.clock(w)
	msg, err := events.EncodeRecord(r, "/lineworks/activation", uint64(expected), now)
	if err != nil {
		t.Fatalf("the record cannot be written: %v", err)
	}
	stored, err := events.DecodeRecord(events.CustomerSubject(domainID, r.State), uint64(expected+1), msg)
	if err != nil {
		t.Fatalf("the record cannot be read: %v", err)
	}
	stored.StoredAt = w.now
	before := w.newest()
	w.inspect(t, by, before, stored)
	if claimed := before != nil && before.State == events.Started; !claimed && r.State == events.Deferred && w.timer.IsZero() {
		w.timerLost = true // it was set before the record was written, and whoever it woke found the record before
	}
	w.sequence++
	w.records = append(w.records, stored)
	switch {
	case r.State == events.Forgotten: // and nothing else is left
		w.erased = &before.Event
		w.records, w.counted, w.doubt, w.lookFirst = w.records[len(w.records)-1:], 0, nil, false
		w.partner.ours, w.timer = false, time.Time{}
	case before == nil && r.State == events.Deferred, before != nil && before.State == events.Forgotten, r.Queued && r.Reason == events.Backlog:
		w.lookFirst = true
	}
	return true
}

// publish stores a terms-accepted event in the intake.
func (w *world) publish(e *events.Accepted) {
	e.Event.StoredAt, e.Event.Sequence = w.now, uint64(len(w.published)+1)
	w.published = append(w.published, e)
	w.deliveries = append(w.deliveries, &delivery{accepted: e, from: w.now})
}

// pass lets time go by and the timer fire.
func (w *world) pass(d time.Duration) {
	w.now = w.now.Add(d)
	if !w.timer.IsZero() && !w.now.Before(w.timer) {
		w.timer = time.Time{}
		w.deliveries = append(w.deliveries, &delivery{from: w.now})
	}
	w.deliveries = slices.DeleteFunc(w.deliveries, func(d *delivery) bool { return d.acked && d.accepted == nil })
}

// ready are the deliveries that a worker could be given now.
func (w *world) ready() (out []*delivery) {
	for _, d := range w.deliveries {
		if !d.acked && !w.now.Before(d.from) {
			out = append(out, d)
		}
	}
	return out
}

// sweep re-arms what has lost its timer. It never claims.
func (w *world) sweep(by *worker) {
	r := w.newest()
	switch {
	case r == nil || !w.timer.IsZero():
	case r.State == events.Deferred:
		w.timer = activation.WakeAt(r, policy, by.clock(w), 0)
	case r.State == events.Started && !by.clock(w).Before(r.LeaseExpiresAt):
		w.timer = w.now
	}
}

// TestThePromisesHoldUnderAnyOrderOfFaults drives the decisions as a worker does: claim,
// ask, arm the timer, record, acknowledge; after a lost compare-and-set read and decide again.
func TestThePromisesHoldUnderAnyOrderOfFaults(t *testing.T) {
	t.Parallel()
	for name, draw := range map[string]struct {
		skew    time.Duration
		crashes bool
		leaps   []time.Duration
	}{
		"calm clocks, no crashes":      {0, false, []time.Duration{time.Second, 10 * time.Second, time.Minute}},
		"crashes":                      {0, true, []time.Duration{time.Second, 10 * time.Second, 30 * time.Second, time.Minute}},
		"crashes and skewed clocks":    {modelSkew, true, []time.Duration{time.Second, 5 * time.Second, 10 * time.Second, time.Minute}},
		"crashes, skew and long waits": {modelSkew, true, []time.Duration{10 * time.Second, time.Minute, 10 * time.Minute, 6 * time.Hour, 9 * day}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				w := newWorld()
				w.publish(&events.Accepted{DomainID: domainID, Backfill: rapid.Bool().Draw(t, "backfill"), Event: events.EventRef{ID: "E0", Stream: "SIGNUP", StreamCreated: at(0)}})
				actions := w.faults(draw.skew, draw.leaps)
				if !draw.crashes {
					delete(actions, "crash")
				}
				for range 3 {
					t.Repeat(actions)
				}
				w.calmDown(t)
			})
		})
	}
}

// faults is everything that can happen while nothing is certain.
func (w *world) faults(skew time.Duration, leaps []time.Duration) map[string]func(*rapid.T) {
	work := func(t *rapid.T) {
		by := rapid.SampledFrom(w.workers[:]).Draw(t, "worker")
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			if by.job == nil {
				ready := w.ready()
				if len(ready) == 0 {
					return
				}
				by.take(w, rapid.SampledFrom(ready).Draw(t, "delivery"))
			}
			by.step(t, w, w.partner.anyAnswer)
		}
	}
	return map[string]func(*rapid.T){
		"":       w.check,
		"work 1": work, "work 2": work, "work 3": work, "work 4": work,
		"time passes": func(t *rapid.T) { w.pass(rapid.SampledFrom(leaps).Draw(t, "time")) },
		"wait for the next thing": func(*rapid.T) {
			w.pass(max(0, w.nextThing().Sub(w.now)))
		},
		"publish": func(t *rapid.T) {
			e := &events.Accepted{DomainID: domainID, Backfill: rapid.IntRange(0, 3).Draw(t, "backfill") == 0, Event: events.EventRef{Stream: "SIGNUP", StreamCreated: at(0)}}
			e.Event.ID = fmt.Sprintf("E%d", rapid.IntRange(0, len(w.published)).Draw(t, "id")) // an old one: published again
			w.publish(e)
		},
		"deliver an event again": func(t *rapid.T) {
			e := rapid.SampledFrom(w.published).Draw(t, "event")
			w.deliveries = append(w.deliveries, &delivery{accepted: e, from: w.now})
		},
		"make the activator anew": func(t *rapid.T) {
			if rapid.IntRange(0, 4).Draw(t, "one in five") == 0 {
				for _, e := range w.published {
					w.deliveries = append(w.deliveries, &delivery{accepted: e, from: w.now})
				}
			}
		},
		"records in DNS change":     w.zone.change,
		"an operator asks":          w.ask,
		"the operator's work":       w.operate,
		"the operator's work again": w.operate,
		"a stray wake-up":           func(*rapid.T) { w.deliveries = append(w.deliveries, &delivery{from: w.now}) },
		"lose the timer":            func(*rapid.T) { w.timerLost = w.timerLost || !w.timer.IsZero(); w.timer = time.Time{} },
		"sweep":                     func(t *rapid.T) { w.sweep(rapid.SampledFrom(w.workers[:]).Draw(t, "worker")) },
		"crash": func(t *rapid.T) {
			rapid.SampledFrom(w.workers[:]).Draw(t, "worker").job = nil
			w.operator = nil
		},
		"set a clock": func(t *rapid.T) {
			rapid.SampledFrom(w.workers[:]).Draw(t, "worker").offset = time.Duration(rapid.Int64Range(-int64(skew), int64(skew)).Draw(t, "offset"))
		},
		"somebody else activates": func(t *rapid.T) {
			if rapid.IntRange(0, 9).Draw(t, "one in ten") == 0 {
				w.partner.activate(w.now, w.now)
			}
		},
	}
}

// nextThing is when something is due to happen by itself; now, if nothing is.
func (w *world) nextThing() time.Time {
	next := w.timer
	for _, d := range w.deliveries {
		if !d.acked && (next.IsZero() || d.from.Before(next)) {
			next = d.from
		}
	}
	if next.IsZero() {
		return w.now
	}
	return next
}

// calmDown ends the faults and expects every event to end in one outcome.
func (w *world) calmDown(t *rapid.T) {
	mood := rapid.SampledFrom(moods).Draw(t, "mood of the partner")
	w.operator, w.zone, mood.began = nil, zone{off: mood.visible == 0 && rapid.Bool().Draw(t, "resolvers off")}, w.now
	const enough = 30_000 // time in an outage is given back, so that a deadline can be weeks away
	for range enough {
		w.check(t)
		w.zone.there = mood.visible > 0 && !w.now.Before(mood.began.Add(mood.visible))
		switch by, ready := w.busy(), w.ready(); {
		case by != nil:
			by.step(t, w, mood.answer(&w.partner))
			w.pass(100 * time.Millisecond)
		case len(ready) > 0:
			w.workers[w.sequence%2].take(w, ready[0])
		case !w.timer.IsZero() || w.pending():
			w.pass(max(0, w.nextThing().Sub(w.now)))
		case w.newest() == nil || !final(w.newest()):
			if !w.timerLost {
				t.Fatalf("no timer was lost, and yet only the sweep can go on from %s", w.newest().State)
			}
			w.sweep(w.workers[0])
			w.pass(5 * time.Minute)
		default:
			w.checkOutcome(t)
			return
		}
	}
	t.Fatalf("the faults ended, the partner is %s, but after %d steps the customer is still %s", mood.name, enough, describe(w.newest()))
}

func (w *world) busy() *worker {
	for _, by := range w.workers {
		if by.job != nil {
			return by
		}
	}
	return nil
}

func describe(r *events.Record) string {
	if r == nil {
		return "unknown"
	}
	return fmt.Sprintf("%s %s (%+v, round %d, attempt %d, unsettled %v, written %v, next %v, not before %v, give up %v)",
		r.State, r.Reason, r.Trigger, r.Round, r.Attempt, r.Unsettled, r.Time, r.NextAttemptAt, r.NotBefore, r.GiveUpAt)
}

var policy = activation.DefaultPolicy()
