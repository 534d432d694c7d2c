package audit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"activation-worker/internal/activation"
	"activation-worker/internal/audit"
	"activation-worker/internal/broker"
	"activation-worker/internal/broker/brokertest"
	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
)

func TestMain(m *testing.M) {
	// A server that was stopped still waits a while for an answer about a stream that sources another.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server.(*stream).trySetupSourceConsumer.func3"))
}

const (
	source = "/lineworks/activation"
	intake = events.DefaultIntakeStream
)

// world is a ledger with all that stands beside it, written by the parts that write it in the product.
type world struct {
	t      testing.TB
	js     jetstream.JetStream
	layout broker.Layout
	ledger *ledger.Ledger
	policy activation.Policy
	calls  []audit.Call
	ids    int64
	events int
}

func newWorld(t testing.TB) *world {
	t.Helper()
	_, js := brokertest.Connect(t, brokertest.Start(t).URL())
	w := &world{t: t, js: js, layout: broker.Layout{Streams: events.StreamsOf(events.DefaultStream), WithIntake: true, Replicas: 1}}
	if err := broker.Ensure(t.Context(), js, w.layout); err != nil {
		t.Fatal(err)
	}
	w.open()
	// Look-ups count as spaced however quickly they follow.
	w.policy = activation.DefaultPolicy().With(map[events.Reason][]time.Duration{events.UnknownOutcome: {time.Nanosecond}}, nil)
	return w
}

// open opens the ledger that is there, as a worker that starts does.
func (w *world) open() {
	w.ledger = ledger.New(ledger.Options{Conn: w.js.Conn(), JetStream: w.js, Streams: w.layout.Streams, Source: source, Log: zap.NewNop()})
}

func (w *world) ctx() context.Context {
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	w.t.Cleanup(cancel)
	return ctx
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// publish stores a message in the intake.
func (w *world) publish(body string) events.Message {
	w.t.Helper()
	ack, err := w.js.PublishMsg(w.ctx(), &nats.Msg{Subject: events.DefaultIntakeSubject, Header: nats.Header{"Content-Type": {events.ContentType}}, Data: []byte(body)})
	w.must(err)
	stream, err := w.js.Stream(w.ctx(), intake)
	w.must(err)
	m, err := stream.GetMsg(w.ctx(), ack.Sequence)
	w.must(err)
	return events.Message{
		Subject: m.Subject, Header: m.Header, Data: m.Data, Stream: intake, StreamCreated: stream.CachedInfo().Created, Sequence: m.Sequence, StoredAt: m.Time,
	}
}

// take takes all announcements that are not delivered yet.
func (w *world) take(each func(jetstream.Msg)) {
	w.t.Helper()
	stream, err := w.js.Stream(w.ctx(), intake)
	w.must(err)
	cons, err := stream.Consumer(w.ctx(), events.ConsumerActivator)
	w.must(err)
	for next := cons.CachedInfo().Delivered.Stream; next < stream.CachedInfo().State.LastSeq; {
		batch, err := cons.Fetch(int(min(500, stream.CachedInfo().State.LastSeq-next)), jetstream.FetchMaxWait(5*time.Second))
		w.must(err)
		for m := range batch.Messages() {
			meta, err := m.Metadata()
			w.must(err)
			next = meta.Sequence.Stream
			each(m)
		}
		w.must(batch.Error())
	}
}

// acknowledge acks all announcements, as workers that have acted on them do.
func (w *world) acknowledge() {
	w.t.Helper()
	w.take(func(m jetstream.Msg) { w.must(m.DoubleAck(w.ctx())) })
}

// raw stores a record as somebody would who knows nothing of compare-and-set.
func (w *world) raw(r *events.Record, expected uint64) *events.Record {
	w.t.Helper()
	data, err := events.EncodeRecord(r, source, expected, time.Now())
	w.must(err)
	return w.rawData(events.CustomerSubject(r.DomainID, r.State), data, r)
}

func (w *world) rawData(subject string, data []byte, r *events.Record) *events.Record {
	w.t.Helper()
	ack, err := w.js.Publish(w.ctx(), subject, data)
	w.must(err)
	stored := *r
	stored.Sequence, stored.StoredAt = ack.Sequence, time.Now()
	return &stored
}

// purge removes what stands on a subject, as only an administrator can.
func (w *world) purge(subject string) error {
	stream, err := w.js.Stream(w.ctx(), w.layout.Streams.Ledger)
	if err != nil {
		return err
	}
	return stream.Purge(w.ctx(), jetstream.WithPurgeSubject(subject))
}

// audit audits everything; mods change the options.
func (w *world) audit(mods ...func(*audit.Options)) *audit.Report {
	w.t.Helper()
	o := audit.Options{Streams: w.layout.Streams, Intake: intake, Calls: w.calls}
	for _, mod := range mods {
		mod(&o)
	}
	r, err := audit.Run(w.ctx(), w.js, o, nil)
	w.must(err)
	return r
}

// wantBreaches fails unless exactly these rules are breached, each so often.
func wantBreaches(t testing.TB, r *audit.Report, rules map[audit.Rule]int) {
	t.Helper()
	sum := 0
	for rule, n := range rules {
		sum += n
		if r.ByRule[rule] != n {
			t.Errorf("%d breaches of %s, want %d", r.ByRule[rule], rule, n)
		}
	}
	if r.Breached != sum {
		t.Errorf("%d breaches, want %d", r.Breached, sum)
	}
	for _, b := range r.Breaches {
		if audit.MeaningOf(b.Rule).Means == "" || audit.MeaningOf(b.Rule).Do == "" {
			t.Errorf("rule %s has no meaning", b.Rule)
		}
		if t.Failed() {
			t.Logf("%s: customer %d, sequence %d: %s", b.Rule, b.DomainID, b.Sequence, b.Text)
		}
	}
}

// customer is one, with the newest record and the newest announcement.
type customer struct {
	*world
	id       int64
	r        *events.Record
	accepted *events.Accepted
}

func (w *world) customer() *customer {
	w.ids++
	return &customer{world: w, id: 51_200_000 + w.ids}
}

// announce publishes a terms-accepted event of the customer.
func (c *customer) announce() *customer {
	c.t.Helper()
	c.events++
	m := c.publish(fmt.Sprintf(`{"specversion":"1.0","type":"signup.terms.accepted","source":"/signup","id":"e%d","data":{"domainId":%d}}`, c.events, c.id))
	a, err := events.Decoder{}.Decode(m)
	c.must(err)
	c.accepted = &a
	return c
}

type mod = func(*events.Record)

func modded(r *events.Record, mods []mod) *events.Record {
	for _, m := range mods {
		m(r)
	}
	return r
}

// fresh is the announcement, if the newest record does not know it.
func (c *customer) fresh() *events.Accepted {
	if c.accepted == nil || c.r != nil && !c.accepted.Event.NewerThan(c.r.Event) {
		return nil
	}
	return c.accepted
}

// claim begins an attempt for so long.
func (c *customer) claim(lease time.Duration, mods ...mod) *customer {
	c.t.Helper()
	step := activation.Claim
	if c.r != nil {
		step = map[events.State]activation.Step{
			events.Deferred: activation.Attempt, events.Started: activation.TakeOver, events.Failed: activation.NewRound, events.Forgotten: activation.Anew,
		}[c.r.State]
	}
	now := time.Now()
	r := activation.Start(step, c.r, c.fresh(), c.id, activation.Claimant{Worker: "w1", LeaseExpiresAt: now.Add(lease)}, now)
	return c.store(modded(r, mods))
}

// store writes a record over the newest one.
func (c *customer) store(r *events.Record) *customer {
	c.t.Helper()
	expected := c.r.Expected()
	stored, err := c.ledger.Record(c.ctx(), r, expected)
	c.must(err)
	c.r = stored
	return c
}

// asked is an answer, which the partner's journal has too.
func (c *customer) asked(op activation.Operation, kind activation.Kind, status int) activation.Answer {
	now := time.Now()
	a := activation.Answer{Operation: op, Kind: kind, Status: status, RetryAfter: -1, Sent: 1, StartedAt: now, At: now}
	call := audit.Call{At: now, EndedAt: now.Add(time.Microsecond), Op: audit.Op(op), DomainID: c.id}
	if op == activation.LookUp {
		call.Op = audit.LookUp
	}
	switch kind {
	case activation.Active:
		a.Object, call.Told = json.RawMessage(`{"enableActiveDomain":true}`), audit.ToldActive
		call.Applied = op == activation.Activate
	case activation.Inactive:
		call.Told = audit.ToldInactive
	case activation.Unclear:
		call.Lost = true
	}
	if call.Applied {
		call.AppliedAt = now
	}
	c.calls = append(c.calls, call)
	return a
}

// conclude records what the answers to an attempt come to.
func (c *customer) conclude(answers []activation.Answer, mods ...mod) *customer {
	c.t.Helper()
	question, verdict := activation.Plan(c.r, answers, c.policy)
	if question != activation.Nothing {
		c.t.Fatalf("after %+v there is still to be asked %s", answers, question)
	}
	return c.store(modded(activation.Conclude(c.r, answers, verdict, c.policy, time.Now(), 0), mods))
}

// The attempts that customers go through here, each from the claim to its outcome.

func (c *customer) succeed(mods ...mod) *customer {
	c.claim(time.Minute)
	return c.conclude([]activation.Answer{c.asked(activation.Activate, activation.Active, 200)}, mods...)
}

func (c *customer) fail(mods ...mod) *customer {
	c.claim(time.Minute)
	no, inactive := c.asked(activation.Activate, activation.Refusal, 422), c.asked(activation.LookUp, activation.Inactive, 200)
	inactive.NoProof = true
	return c.conclude([]activation.Answer{no, inactive}, mods...)
}

// slowDown is an attempt that met a rate limit.
func (c *customer) slowDown(mods ...mod) *customer {
	c.claim(time.Minute)
	return c.conclude([]activation.Answer{c.asked(activation.Activate, activation.Refusal, 429)}, mods...)
}

// loseSight is an attempt whose outcome nobody knows.
func (c *customer) loseSight(mods ...mod) *customer {
	c.claim(time.Minute)
	return c.conclude([]activation.Answer{c.asked(activation.Activate, activation.Unclear, 0), c.asked(activation.LookUp, activation.Inactive, 200)}, mods...)
}

// settle ends a claim of an unknown outcome, which was not applied so far.
func (c *customer) settle(mods ...mod) *customer {
	return c.conclude([]activation.Answer{c.asked(activation.LookUp, activation.Inactive, 200)}, mods...)
}

// lookAndSucceed asks before it calls.
func (c *customer) lookAndSucceed(mods ...mod) *customer {
	c.claim(time.Minute)
	return c.conclude([]activation.Answer{c.asked(activation.LookUp, activation.Inactive, 200), c.asked(activation.Activate, activation.Active, 200)}, mods...)
}

// find is an attempt that finds the customer active.
func (c *customer) find(mods ...mod) *customer {
	c.claim(time.Minute)
	return c.conclude([]activation.Answer{c.asked(activation.LookUp, activation.Active, 200)}, mods...)
}

func (c *customer) replay(mods ...mod) *customer {
	return c.store(modded(activation.Queued(c.r, nil, c.id, events.Replay, events.Trigger{Kind: events.TriggerReplay, ID: "r1"}, time.Now().Add(time.Hour)), mods))
}

func (c *customer) cancel(mods ...mod) *customer {
	return c.store(modded(activation.Cancelled(c.r, c.r.Trigger, "cancelled by a test", time.Now()), mods))
}

// forget erases the customer; what is older stays where erase is false.
func (c *customer) forget(erase bool, mods ...mod) *customer {
	c.t.Helper()
	c.store(modded(activation.Forgotten(c.r, "tester", "asked for"), mods))
	if erase {
		c.must(c.ledger.Erase(c.ctx(), c.r))
	}
	return c
}
