package operator_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"activation-worker/internal/activation"
	"activation-worker/internal/broker"
	"activation-worker/internal/broker/brokertest"
	"activation-worker/internal/events"
	"activation-worker/internal/events/eventstest"
	"activation-worker/internal/ledger"
	"activation-worker/internal/operator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// desk is a ledger with operators that carry out requests.
type desk struct {
	t      *testing.T
	conn   *nats.Conn
	js     jetstream.JetStream
	layout broker.Layout
	ledger *ledger.Ledger
	next   int
}

func open(t *testing.T) *desk {
	t.Helper()
	d := &desk{t: t}
	d.conn, d.js = brokertest.Connect(t, brokertest.Start(t).URL())
	eventstest.AtEnd(t, d.js)
	d.layout = broker.Layout{Streams: events.StreamsOf("ACTIVATION"), WithIntake: true, IntakeStream: "SIGNUP", IntakeSubject: "signup.terms.accepted", AckWait: time.Second}
	if err := broker.Ensure(t.Context(), d.js, d.layout); err != nil {
		t.Fatal(err)
	}
	d.ledger = ledger.New(ledger.Options{Conn: d.conn, JetStream: d.js, Streams: d.layout.Streams, Source: "/test", Log: zap.NewNop(), Lease: time.Minute})
	return d
}

// staff lets an operator carry out requests until leave, or the end of the test.
func (d *desk) staff(change ...func(*operator.Options)) (leave func()) {
	d.t.Helper()
	o := operator.Options{
		Conn: d.conn, JetStream: d.js, Ledger: d.ledger, Streams: d.layout.Streams, Intake: "SIGNUP", Worker: "w1", Log: zap.NewNop(),
	}
	for _, c := range change {
		c(&o)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { operator.New(o).Run(ctx) })
	leave = sync.OnceFunc(func() { cancel(); done.Wait() })
	d.t.Cleanup(leave)
	return leave
}

// customer writes a record in a state.
func (d *desk) customer(id int64, state events.State, mods ...func(*events.Record)) *events.Record {
	d.t.Helper()
	r := &events.Record{
		State: state, DomainID: id, Domain: fmt.Sprintf("shop-%d.example", id), Reference: "order 4711", Round: 1, Attempt: 1, Calls: 1,
		Event:   events.EventRef{ID: fmt.Sprintf("/signup %d", id), Stream: "SIGNUP", StreamCreated: time.Now(), Sequence: uint64(id), StoredAt: time.Now().Add(-time.Hour)},
		Trigger: events.Trigger{Kind: events.TriggerAccepted, ID: "e"}, FirstAttemptAt: time.Now(),
	}
	switch state {
	case events.Failed:
		r.Reason, r.Cause = events.Refused, &events.Cause{HTTPStatus: 400, Code: "SOME_CODE", Description: "no"}
	case events.Deferred:
		r.Reason, r.Cause, r.NextAttemptAt = events.TermsPending, &events.Cause{Description: "not yet"}, time.Now().Add(time.Hour)
	case events.Started:
		r.Worker, r.LeaseExpiresAt = "w1", time.Now().Add(time.Minute)
	case events.Activated:
		r.Customer, r.Via, r.ActivatedAt = json.RawMessage(`{"companyName":"ひので食品"}`), events.ViaActivate, time.Now()
	case events.Forgotten:
		r.By, r.Why, r.WasState = "aki", "asked for before", events.Activated
	}
	for _, mod := range mods {
		mod(r)
	}
	var before uint64
	if old, err := d.ledger.Load(d.t.Context(), id); err != nil {
		d.t.Fatal(err)
	} else if old != nil {
		before = old.Sequence
	}
	stored, err := d.ledger.Put(d.t.Context(), r, before)
	if err != nil {
		d.t.Fatal(err)
	}
	return stored
}

// request publishes what an operator asks for, and returns its id.
func (d *desk) request(r events.Request) string {
	d.t.Helper()
	d.next++
	if r.ID == "" {
		r.ID = fmt.Sprintf("r%d", d.next)
	}
	r.User = "unverified-aki"
	if r.Why == "" {
		r.Why = "a test"
	}
	data, err := events.EncodeRequest(r, time.Now())
	if err != nil {
		d.t.Fatal(err)
	}
	if _, err := d.js.Publish(d.t.Context(), events.RequestSubject(r.Verb, r.User, r.ID), data); err != nil {
		d.t.Fatal(err)
	}
	return r.ID
}

// ask waits for the end of a request.
func (d *desk) ask(r events.Request) events.Progress {
	d.t.Helper()
	heard := make(chan *nats.Msg, 4096)
	sub, err := d.conn.ChanSubscribe("activation.progress.*", heard)
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	id := d.request(r)
	timer := time.NewTimer(2 * time.Minute)
	defer timer.Stop()
	for {
		select {
		case m := <-heard:
			var p events.Progress
			if err := json.Unmarshal(m.Data, &p); err != nil {
				d.t.Fatal(err)
			}
			if err := eventstest.Valid(eventstest.Progress, true, m.Data); err != nil {
				d.t.Errorf("progress is not as published: %v\n%s", err, m.Data)
			}
			if p.Ended && strings.HasSuffix(m.Subject, "."+id) {
				return p
			}
		case <-timer.C:
			d.t.Fatalf("request %s has no end", id)
		}
	}
}

func (d *desk) load(id int64) *events.Record {
	d.t.Helper()
	r, err := d.ledger.Load(d.t.Context(), id)
	if err != nil {
		d.t.Fatal(err)
	}
	return r
}

// replays are the events of a replay.
func (d *desk) replays(id string) []events.ReplayEvent {
	d.t.Helper()
	var all []events.ReplayEvent
	for _, e := range d.all("ACTIVATION", events.ReplaySubject(id)) {
		r, err := events.DecodeReplay(e.Data())
		if err != nil {
			d.t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// all are the messages that a stream has now.
func (d *desk) all(stream, filter string) []jetstream.Msg {
	d.t.Helper()
	cons, err := d.js.OrderedConsumer(d.t.Context(), stream, jetstream.OrderedConsumerConfig{FilterSubjects: []string{filter}})
	if err != nil {
		d.t.Fatal(err)
	}
	info, err := cons.Info(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	var all []jetstream.Msg
	if info.NumPending == 0 {
		return nil
	}
	batch, err := cons.Fetch(int(info.NumPending), jetstream.FetchMaxWait(5*time.Second))
	if err != nil {
		d.t.Fatal(err)
	}
	for m := range batch.Messages() {
		all = append(all, m)
	}
	return all
}

func TestAReplayQueuesWhoIsSelectedAtItsRate(t *testing.T) {
	t.Parallel()
	d := open(t)
	for id := int64(1); id <= 5; id++ {
		d.customer(id, events.Failed)
	}
	d.customer(6, events.Failed, func(r *events.Record) { r.Reason = events.CustomerNotFound })
	d.customer(7, events.Activated)
	asOf, err := d.ledger.LastSequence(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d.customer(8, events.Failed) // after the preview
	d.staff()
	began := time.Now()
	p := d.ask(events.Request{Verb: events.VerbReplay, Selection: events.Selection{Reason: events.Refused}, AsOfSequence: asOf, Rate: "60/m"})
	if p.Failed || p.Done != 5 || p.Total != 5 {
		t.Fatalf("progress %+v", p)
	}
	for id := int64(1); id <= 5; id++ {
		r := d.load(id)
		if r.State != events.Deferred || r.Reason != events.Replay || r.Round != 2 || r.Attempt != 0 || r.Trigger != (events.Trigger{Kind: events.TriggerReplay, ID: "r1"}) {
			t.Errorf("%d: %+v", id, r)
		}
		want := began.Add(time.Duration(id-1) * time.Second)
		if off := r.NextAttemptAt.Sub(want); off < -time.Second/2 || off > 5*time.Second {
			t.Errorf("%d is due at %v, want about %v", id, r.NextAttemptAt, want)
		}
	}
	for _, id := range []int64{6, 8} {
		if r := d.load(id); r.State != events.Failed {
			t.Errorf("%d is %s", id, r.State)
		}
	}
	got := d.replays("r1")
	if len(got) != 2 || got[0].Phase != events.Planned || got[0].Planned != 5 || got[1].Phase != events.Done || got[1].Scheduled != 5 || got[1].By != "unverified-aki" || got[1].Rate != "60/m" {
		t.Errorf("audit trail %+v", got)
	}
	timers := 0
	for id := int64(1); id <= 5; id++ {
		raw, err := mustStream(t, d.js, "ACTIVATION_WORK").GetLastMsgForSubject(t.Context(), events.TimerSubject(id))
		if err == nil && raw.Header.Get("Nats-Schedule-Target") == events.RedoSubject(id) {
			timers++
		}
	}
	if redo := mustStream(t, d.js, "ACTIVATION_WORK"); timers < 3 {
		t.Errorf("%d timers lead to the lane of replays; %+v", timers, redo.CachedInfo().State)
	}
	if again := d.ask(events.Request{Verb: events.VerbReplay, Selection: events.Selection{Reason: events.Refused}, AsOfSequence: asOf}); again.Done != 0 {
		t.Errorf("a second replay has queued %d again", again.Done)
	}
}

func mustStream(t *testing.T, js jetstream.JetStream, name string) jetstream.Stream {
	t.Helper()
	s, err := js.Stream(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAReplayByIDHastensWhoWaitsAndNamesTheRest(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.customer(1, events.Deferred)
	d.customer(2, events.Activated)
	d.customer(3, events.Started)
	d.customer(4, events.Failed)
	d.staff()
	p := d.ask(events.Request{Verb: events.VerbReplay, IDs: []int64{1, 2, 3, 4, 5, 4}})
	if p.Done != 2 || p.Failed {
		t.Errorf("progress %+v", p)
	}
	if r := d.load(1); r.Reason != events.TermsPending || r.NextAttemptAt.After(time.Now()) || r.Round != 1 {
		t.Errorf("the waiting one: %+v", r)
	}
	said := strings.Join(p.Lines, "\n")
	for _, want := range []string{"1 without a record", "1 being attempted", "1 done already"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q lacks %q", said, want)
		}
	}
}

func TestAReplayCutShortGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	d := open(t)
	const all = 300
	for id := int64(1); id <= all; id++ {
		d.customer(id, events.Failed)
	}
	id := d.request(events.Request{Verb: events.VerbReplay, Selection: events.Selection{AllFailed: true}, Rate: "1000/m"})
	for range 4 {
		leave := d.staff()
		before := len(d.queued(id))
		eventually(t, "some more are queued", func() bool { return len(d.queued(id)) >= min(before+40, all) })
		leave()
	}
	d.staff()
	eventually(t, "the replay is done", func() bool { return len(d.replays(id)) == 2 })
	if got := d.replays(id); got[0].Planned != all || got[1].Scheduled != all {
		t.Errorf("audit trail %+v", got)
	}
	for n := int64(1); n <= all; n++ {
		if r := d.load(n); r.Round != 2 || r.Reason != events.Replay {
			t.Errorf("%d: round %d, %s %s", n, r.Round, r.State, r.Reason)
		}
	}
}

func (d *desk) queued(id string) []int64 {
	d.t.Helper()
	ids, _, err := d.ledger.Queued(d.t.Context(), id, 1)
	if err != nil {
		d.t.Fatal(err)
	}
	return ids
}

func TestARunningReplayCanBeCancelled(t *testing.T) {
	t.Parallel()
	d := open(t)
	all := 3000
	if testing.Short() {
		all = 600
	}
	for id := range int64(all) {
		d.customer(id+1, events.Failed)
	}
	d.staff()
	id := d.request(events.Request{Verb: events.VerbReplay, Selection: events.Selection{AllFailed: true}, Rate: "1/h"})
	eventually(t, "it has begun", func() bool { return len(d.replays(id)) == 1 })
	p := d.ask(events.Request{Verb: events.VerbCancel, Selection: events.Selection{Replay: id}})
	got := d.replays(id)
	ended := len(got) == 2 && got[1].Scheduled == all // a small one may be over before it can be cancelled
	if len(got) != 2 || got[1].Cancelled == ended || got[1].Planned != all || ended && !testing.Short() || got[1].Scheduled != len(d.queued(id)) {
		t.Fatalf("audit trail %+v; %d queued", got, len(d.queued(id)))
	}
	if p.Failed {
		t.Errorf("progress %+v", p)
	}
	counts := map[string]int{}
	for n := int64(1); n <= int64(all); n++ {
		r := d.load(n)
		counts[string(r.State)+" "+string(r.Reason)]++
	}
	// The first of a replay is due at once; nobody is there to attempt it, so all are cancelled.
	if counts["failed cancelled"] != got[1].Scheduled || counts["failed refused"] != all-got[1].Scheduled {
		t.Errorf("%v after %d were scheduled", counts, got[1].Scheduled)
	}
	if left := d.all("ACTIVATION", "activation.replay.*"); len(left) != 2 {
		t.Errorf("%d replay events", len(left))
	}
}

func TestCancelGivesUpWhoWaits(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.customer(1, events.Deferred)
	d.customer(2, events.Activated)
	if err := d.ledger.Arm(t.Context(), 1, events.DueSubject(1), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	d.staff()
	p := d.ask(events.Request{Verb: events.VerbCancel, IDs: []int64{1, 2, 3}, Why: "order withdrawn"})
	if p.Done != 1 || len(p.Lines) != 2 {
		t.Errorf("progress %+v", p)
	}
	r := d.load(1)
	if r.State != events.Failed || r.Reason != events.Cancelled || !strings.Contains(r.Cause.Description, "order withdrawn") || !strings.Contains(r.Cause.Description, "unverified-aki") {
		t.Errorf("%+v %+v", r, r.Cause)
	}
	d.awaitNoWork()
}

// awaitNoWork waits until neither timer, wake-up nor request is left; the ack of a request comes after its end is told.
func (d *desk) awaitNoWork() {
	d.t.Helper()
	eventually(d.t, "nothing is left on the work stream", func() bool {
		return mustStream(d.t, d.js, "ACTIVATION_WORK").CachedInfo().State.Msgs == 0
	})
}

func TestForgetErasesACustomerInEveryState(t *testing.T) {
	t.Parallel()
	for name, states := range map[string][]events.State{
		"deferred":           {events.Started, events.Deferred},
		"activated":          {events.Started, events.Activated},
		"failed":             {events.Started, events.Deferred, events.Started, events.Failed},
		"an expired attempt": {events.Deferred, events.Started},
		"forgotten before":   {events.Activated, events.Forgotten},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			const id = 51200931
			for _, s := range states {
				d.customer(id, s, func(r *events.Record) {
					if s == events.Started {
						r.LeaseExpiresAt = time.Now().Add(-time.Second)
					}
				})
			}
			d.customer(7, events.Activated) // stays
			if err := d.ledger.Arm(t.Context(), id, events.DueSubject(id), time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			if _, err := broker.Publish(t.Context(), d.js, d.layout, "CUSTOMER"); err != nil {
				t.Fatal(err)
			}
			wasActivated := slices.Contains(states, events.Activated)
			eventually(t, "what is activated is published", func() bool {
				_, err := mustStream(t, d.js, "CUSTOMER").GetLastMsgForSubject(t.Context(), "customer.activated.51200931")
				_, other := mustStream(t, d.js, "CUSTOMER").GetLastMsgForSubject(t.Context(), "customer.activated.7")
				return (err == nil) == wasActivated && other == nil
			})
			rejected := events.Message{Subject: "signup.terms.accepted", Stream: "SIGNUP", Sequence: 9, Data: []byte(`{"domainId":51200931.0,"domain":"shop-51200931.example"}`)}
			if err := d.ledger.Reject(t.Context(), rejected, &events.Undecodable{Reason: "not_an_object", Detail: "the data is not a JSON object"}); err != nil {
				t.Fatal(err)
			}
			rejected.Sequence, rejected.Data = 10, []byte(`{"domainId":512009310}`) // another number
			if err := d.ledger.Reject(t.Context(), rejected, &events.Undecodable{Reason: "not_an_object", Detail: "the data is not a JSON object"}); err != nil {
				t.Fatal(err)
			}
			d.staff()
			p := d.ask(events.Request{Verb: events.VerbForget, IDs: []int64{id}, Why: "erasure request"})
			if p.Failed || p.Done != 1 || !strings.Contains(strings.Join(p.Lines, "\n"), "Not reached") {
				t.Errorf("progress %+v", p)
			}
			r := d.load(id)
			if r.State != events.Forgotten || r.By == "aki" && name != "forgotten before" {
				t.Fatalf("%+v", r)
			}
			kept := 0
			for _, stream := range []string{"ACTIVATION", "ACTIVATION_REJECTED", "CUSTOMER"} {
				for _, m := range d.all(stream, ">") {
					if bytes.Contains(m.Data(), []byte("shop-51200931")) || bytes.Contains(m.Data(), []byte("/signup 51200931")) || strings.Contains(m.Subject(), ".51200931.") {
						kept++
						if !strings.HasSuffix(m.Subject(), ".forgotten") || bytes.Contains(m.Data(), []byte("shop-")) || bytes.Contains(m.Data(), []byte("/signup")) {
							t.Errorf("left on %s: %s", m.Subject(), m.Data())
						}
					}
				}
			}
			if kept != 1 {
				t.Errorf("%d messages speak of the customer", kept)
			}
			d.awaitNoWork()
			if info := mustStream(t, d.js, "ACTIVATION_REJECTED").CachedInfo(); info.State.Msgs != 1 {
				t.Errorf("%d rejections are left, want the other's", info.State.Msgs)
			}
			if _, err := mustStream(t, d.js, "CUSTOMER").GetLastMsgForSubject(t.Context(), "customer.activated.7"); err != nil {
				t.Errorf("another customer is not published any more: %v", err)
			}
			if d.load(7).State != events.Activated {
				t.Error("another customer is gone")
			}
		})
	}
}

// After a restore an operator's list knows of more than the ledger: their announcements are still in the intake.
func TestForgetNotesWhoHasNoRecordWhereAsked(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.customer(1, events.Activated)
	d.staff()
	for range 2 { // the second time all are forgotten already
		p := d.ask(events.Request{Verb: events.VerbForget, IDs: []int64{1, 2}, UnknownToo: true, Why: "restored"})
		if p.Failed || p.Done != 2 {
			t.Fatalf("progress %+v", p)
		}
		if r := d.load(1); r.State != events.Forgotten || r.WasState != events.Activated {
			t.Errorf("the known one: %+v", r)
		}
		r := d.load(2)
		if r == nil || r.State != events.Forgotten || r.WasState != events.None || r.Round != 1 || r.By == "" || r.Why != "restored" {
			t.Fatalf("the unknown one: %+v", r)
		}
		for stored, want := range map[time.Duration]activation.Step{-time.Second: activation.Done, time.Second: activation.Anew} {
			cue := activation.Cue{Event: &events.EventRef{ID: "any", StoredAt: r.StoredAt.Add(stored)}}
			if got := activation.Next(r, cue, time.Now()).Step; got != want {
				t.Errorf("an announcement stored %s after it: %s, want %s", stored, got, want)
			}
		}
	}
	if p := d.ask(events.Request{Verb: events.VerbForget, IDs: []int64{3}}); p.Failed || d.load(3) != nil {
		t.Errorf("not asked for: %+v, %+v", p, d.load(3))
	}
}

func TestForgetIsRefusedUnderALiveLease(t *testing.T) {
	t.Parallel()
	d := open(t)
	before := d.customer(1, events.Started)
	d.staff()
	p := d.ask(events.Request{Verb: events.VerbForget, IDs: []int64{1}})
	if !p.Failed || p.Done != 0 || !strings.Contains(strings.Join(p.Lines, " "), "being attempted") {
		t.Errorf("progress %+v", p)
	}
	if r := d.load(1); r.Sequence != before.Sequence {
		t.Errorf("written: %+v", r)
	}
}

func TestAnInterruptedErasureIsEndedByTheSweep(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.customer(1, events.Activated)
	d.customer(1, events.Forgotten)
	if _, err := d.ledger.Sweep(t.Context(), "w1", func(err error) { t.Error(err) }); err != nil {
		t.Fatal(err)
	}
	if got := d.all("ACTIVATION", "activation.customer.1.*"); len(got) != 1 || !strings.HasSuffix(got[0].Subject(), ".forgotten") {
		t.Errorf("%d records are left", len(got))
	}
}

func TestRejectedAnnouncementsAreReadAgain(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, data := range []string{`{"customer":{"id":51200001},"domain":"a.example"}`, `{"nothing":1}`, `{"customer":{"id":51200002}}`} {
		ack, err := d.js.Publish(t.Context(), "signup.terms.accepted", []byte(data))
		if err != nil {
			t.Fatal(err)
		}
		stream := mustStream(t, d.js, "SIGNUP")
		m := events.Message{Subject: "signup.terms.accepted", Stream: "SIGNUP", StreamCreated: stream.CachedInfo().Created, Sequence: ack.Sequence, Data: []byte(data)}
		if err := d.ledger.Reject(t.Context(), m, &events.Undecodable{Reason: "domain_id_missing", Detail: "x"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := mustStream(t, d.js, "SIGNUP").DeleteMsg(t.Context(), 3); err != nil { // the original is gone: what was kept counts
		t.Fatal(err)
	}
	d.staff(func(o *operator.Options) { o.Decoder.Pointer = "/customer/id" })
	p := d.ask(events.Request{Verb: events.VerbReplay, Selection: events.Selection{Rejected: true}})
	if p.Done != 2 || len(p.Lines) != 1 || !strings.Contains(p.Lines[0], "rejected message 2") {
		t.Errorf("progress %+v", p)
	}
	for _, id := range []int64{51200001, 51200002} {
		r := d.load(id)
		if r == nil || r.Reason != events.Replay || r.Round != 1 || !r.LookFirst || r.Event.Stream != "SIGNUP" || r.Event.StoredAt.IsZero() {
			t.Errorf("%d: %+v", id, r)
		}
	}
	if again := d.ask(events.Request{Verb: events.VerbReplay, Selection: events.Selection{Rejected: true}}); again.Done != 0 {
		t.Errorf("read a third time, %d are queued again", again.Done)
	}
}

func TestRequestsThatCannotBeReadAreRefusedAndGone(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.staff()
	if _, err := d.js.Publish(t.Context(), "activation.request.replay.aki.broken", []byte("{")); err != nil {
		t.Fatal(err)
	}
	if _, err := d.js.Publish(t.Context(), "activation.request.dance.aki.x", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	p := d.ask(events.Request{Verb: events.VerbForget, Selection: events.Selection{AllFailed: true}})
	if !p.Failed {
		t.Errorf("progress %+v", p)
	}
	d.awaitNoWork()
}

// eventually waits for a condition by looking again and again.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for !holds() {
		select {
		case <-look.C:
		case <-deadline.C:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}
