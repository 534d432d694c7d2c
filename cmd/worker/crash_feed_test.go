package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/audit"
	"activation-worker/internal/events"
	"activation-worker/internal/partnerapi/simulator"
)

// ending is what becomes of a customer in the end, whoever dies on the way.
type ending struct {
	state   events.State
	applied int // how often the partner activates it
}

// mostApplied is where a customer may be forgotten before it is activated.
const mostApplied = -1

// crashFeed gives workers work of every kind that comes to every point.
type crashFeed struct {
	*site
	view      *ledgerView
	customers map[int64]ending
	next      int64
	batches   []crashKinds
}

// crashKinds are the customers of one batch by what is special about them.
type crashKinds struct {
	plain, refused, hidden, mute, pending, doomed, erased int64
}

func newCrashFeed(s *site) *crashFeed {
	return &crashFeed{site: s, view: viewLedger(s.t, s.js), customers: map[int64]ending{}, next: 51_360_001}
}

// add makes a customer known to the partner, with what the partner is to do at its first requests of each operation.
func (f *crashFeed) add(c simulator.Customer, want ending, faults map[simulator.Operation]simulator.Fault) int64 {
	f.t.Helper()
	c.DomainID, c.Terms = f.next, true
	if c.Domain == "" {
		c.DNS = true
	}
	f.next++
	f.partner.Add(c)
	for op, fault := range faults {
		f.partner.Script(c.DomainID, op, fault)
	}
	f.customers[c.DomainID] = want
	return c.DomainID
}

// batch announces one customer of each kind, and asks for what operators ask for, about those of the batch before.
func (f *crashFeed) batch(at string) {
	f.t.Helper()
	type faults = map[simulator.Operation]simulator.Fault
	active := ending{events.Activated, 1}
	name := func(pattern string) string { return fmt.Sprintf(pattern, f.next) }
	b := crashKinds{
		plain:   f.add(simulator.Customer{}, active, nil),
		refused: f.add(simulator.Customer{Domain: name("team-%d.by-works.com"), DNS: true}, active, faults{simulator.OpActivate: simulator.Fault(name("400:NO_%d"))}),
		hidden:  f.add(simulator.Customer{Domain: name("shop-%d.example")}, active, nil),
		mute:    f.add(simulator.Customer{}, active, faults{simulator.OpActivate: "403", simulator.OpCustomer: "403"}),
		pending: f.add(simulator.Customer{}, active, nil),
		doomed:  f.add(simulator.Customer{Domain: name("gone-%d.example")}, ending{events.Failed, 0}, nil),
		erased:  f.add(simulator.Customer{}, ending{events.Forgotten, mostApplied}, nil),
	}
	lost := f.add(simulator.Customer{}, active, faults{simulator.OpActivate: simulator.Lost})
	old := f.add(simulator.Customer{}, active, nil)
	f.partner.SetTerms(b.pending, false)
	for _, id := range []int64{b.plain, b.refused, b.hidden, b.mute, b.pending, b.doomed, b.erased, lost, b.plain} {
		f.announce(fmt.Sprintf(`{"domainId":%d}`, id))
	}
	if _, err := announce(f.t.Context(), f.js, events.DefaultIntakeSubject, "signup.terms.accepted", announcement("/domainId", old, "", ""), true); err != nil {
		f.t.Fatal(err)
	}
	f.announce(`{"domainId":"none"}`)
	f.batches = append(f.batches, b)
	f.partner.SetCredentialsValid(!strings.HasPrefix(at, "announce.intake"))
	f.partner.RevokeTokens()
	if len(f.batches) < 2 {
		return
	}
	was := f.batches[len(f.batches)-2]
	f.partner.SetDNS(was.hidden, true)
	for _, id := range []int64{was.plain, was.mute, was.hidden} {
		f.announce(fmt.Sprintf(`{"domainId":%d,"reference":"again"}`, id))
	}
	f.wake(was.pending) // before their time
	f.wake(was.doomed)
	f.ask(was)
}

// wake publishes a wake-up, which is only a hint.
func (f *crashFeed) wake(id int64) {
	f.t.Helper()
	if _, err := f.js.Publish(f.t.Context(), events.DueSubject(id), nil); err != nil {
		f.t.Fatal(err)
	}
}

// ask asks for what brings a batch's customers to their ends, as far as they are ready for it.
func (f *crashFeed) ask(b crashKinds) {
	f.t.Helper()
	for id, r := range map[int64]events.Request{
		b.refused: {Verb: events.VerbReplay, Why: "the partner has mended its check", Rate: "60/s"},
		b.pending: {Verb: events.VerbReplay, Why: "the terms were accepted between the no and the question why", Rate: "60/s"},
		b.mute:    {Verb: events.VerbReplay, Why: "it was refused where a death came between", Rate: "60/s"},
		b.doomed:  {Verb: events.VerbCancel, Why: "the order was withdrawn"},
		b.erased:  {Verb: events.VerbForget, Why: "asked to"},
	} {
		if f.ended(id) {
			continue
		}
		r.IDs = []int64{id}
		f.request(r)
	}
}

// ended reports whether a customer is what it is to be in the end.
func (f *crashFeed) ended(id int64) bool {
	f.view.mu.Lock()
	defer f.view.mu.Unlock()
	family := f.view.families[id]
	return len(family) > 0 && family[len(family)-1].State == f.customers[id].state
}

// overtaken announces a customer about whom the partner does not answer look-ups for a while.
func (f *crashFeed) overtaken() {
	f.t.Helper()
	id := f.add(simulator.Customer{}, ending{events.Activated, 1}, map[simulator.Operation]simulator.Fault{simulator.OpCustomer: "500*8"})
	f.announce(fmt.Sprintf(`{"domainId":%d}`, id))
}

// warmUp lets a worker come so far with a batch that operators can ask for things, and kills it.
func (f *crashFeed) warmUp(w *proc) {
	f.t.Helper()
	f.batch("")
	b := f.batches[len(f.batches)-1]
	for id, state := range map[int64]events.State{
		b.doomed: events.Deferred, b.pending: events.Deferred, b.refused: events.Failed, b.erased: events.Activated,
	} {
		f.await(id, state, w)
	}
	w.Kill()
}

// loseTimers drops all timers and wake-ups while no worker runs.
func (f *crashFeed) loseTimers() { f.lose(events.SubjectTimers, events.SubjectDue) }

// loseRequests drops what operators have asked for and nobody has carried out.
func (f *crashFeed) loseRequests() { f.lose(events.SubjectRequests) }

func (f *crashFeed) lose(subjects ...string) {
	f.t.Helper()
	work, err := f.js.Stream(f.t.Context(), events.StreamsOf(events.DefaultStream).Work)
	for _, subject := range subjects {
		if err == nil {
			err = work.Purge(f.t.Context(), jetstream.WithPurgeSubject(subject))
		}
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

// freeSweep gives the place of a sweeper that died free, for which the next would wait half a minute.
func (f *crashFeed) freeSweep() {
	f.t.Helper()
	err := f.js.DeleteConsumer(f.t.Context(), events.DefaultStream, "sweep")
	if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		f.t.Fatal(err)
	}
}

// settle waits until everybody is what it is to be, with a worker that lives, and asks again for what was asked too early.
func (f *crashFeed) settle(w *proc) {
	f.t.Helper()
	f.partner.SetCredentialsValid(true)
	w.AwaitReady(startTimeout)
	ctx, cancel := context.WithTimeout(f.t.Context(), 4*time.Minute)
	defer cancel()
	for round := 0; ; round++ {
		for _, b := range f.batches {
			f.partner.SetDNS(b.hidden, true)
			f.partner.SetTerms(b.pending, true)
			if round%5 == 0 { // they take their time
				f.ask(b)
			}
		}
		left := func() (ids []int64) {
			for id := range f.customers {
				if !f.ended(id) {
					ids = append(ids, id)
				}
			}
			return ids
		}
		if len(left()) == 0 {
			return
		}
		if pause(ctx, 3*time.Second); ctx.Err() != nil {
			for _, id := range left() {
				f.t.Errorf("customer %d, to be %s in the end: %v; %s", id, f.customers[id].state, f.view.states(id), f.wakers(id))
			}
			f.t.Fatalf("not everybody has come to an end; the worker said:\n%s", w.stderr.tail())
		}
	}
}

// wakers is what the work stream holds that is to wake a customer, and how far its consumer has come.
func (f *crashFeed) wakers(id int64) string {
	f.t.Helper()
	ctx := context.WithoutCancel(f.t.Context())
	work, err := f.js.Stream(ctx, events.StreamsOf(events.DefaultStream).Work)
	if err != nil {
		return err.Error()
	}
	var all []string
	for _, subject := range []string{events.TimerSubject(id), events.DueSubject(id), events.RedoSubject(id)} {
		if msg, err := work.GetLastMsgForSubject(ctx, subject); err == nil {
			all = append(all, fmt.Sprintf("%s, message %d of %s %v", subject, msg.Sequence, msg.Time.Format(time.TimeOnly), msg.Header))
		}
	}
	if due, err := work.Consumer(ctx, events.ConsumerDue); err == nil {
		info := due.CachedInfo()
		all = append(all, fmt.Sprintf("consumer due: delivered %+v, ack floor %+v, %d without ack, %d pending", info.Delivered, info.AckFloor, info.NumAckPending, info.NumPending))
	}
	return strings.Join(all, "; ")
}

// check holds what the partner saw against what the ledger says.
func (f *crashFeed) check(t *testing.T) {
	t.Helper()
	j := f.partner.Journal()
	audited(t, f.js, j, audit.Caps{Concurrency: 3})
	for id, want := range f.customers {
		if got := j.Customers[id]; want.applied != mostApplied && got.Applied != want.applied || got.Applied > 1 || got.ActivatesAtOnce > 1 {
			f.t.Errorf("customer %d, %s: %d activate calls took effect, want %d; %d were under way at once", id, want.state, got.Applied, want.applied, got.ActivatesAtOnce)
		}
	}
}

func (f *crashFeed) request(r events.Request) {
	f.t.Helper()
	r.User, r.ID = "tester", newRequestID()
	data, err := events.EncodeRequest(r, time.Now())
	if err == nil {
		_, err = f.js.Publish(f.t.Context(), events.RequestSubject(r.Verb, r.User, r.ID), data)
	}
	if err != nil {
		f.t.Fatalf("asking to %s %v: %v", r.Verb, r.IDs, err)
	}
}
