package consumer_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"activation-worker/internal/activation"
	"activation-worker/internal/audit"
	"activation-worker/internal/broker"
	"activation-worker/internal/broker/brokertest"
	"activation-worker/internal/consumer"
	"activation-worker/internal/events"
	"activation-worker/internal/events/eventstest"
	"activation-worker/internal/ledger"
	"activation-worker/internal/ownership"
	"activation-worker/internal/partnerapi"
	"activation-worker/internal/partnerapi/simulator"
	"activation-worker/internal/quota"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// house is a worker with its real surroundings: a NATS server over TCP and the partner's stand-in over HTTP.
type house struct {
	t       *testing.T
	nats    *brokertest.Server
	conn    *nats.Conn
	js      jetstream.JetStream
	layout  broker.Layout
	partner *simulator.Simulator
	web     *httptest.Server
	ledger  *ledger.Ledger
	log     *zap.Logger

	change []func(*consumer.Options, *partnerapi.Config)
	client *partnerapi.Client
	worker *consumer.Worker
	halt   func()
}

const (
	testTimeout = time.Second
	testLease   = 8 * time.Second
)

// build makes the surroundings; the worker comes with start.
func build(t *testing.T, sim simulator.Options, change ...func(*consumer.Options, *partnerapi.Config)) *house {
	t.Helper()
	return buildOn(t, brokertest.Start(t), sim, change...)
}

func buildOn(t *testing.T, server *brokertest.Server, sim simulator.Options, change ...func(*consumer.Options, *partnerapi.Config)) *house {
	t.Helper()
	h := &house{t: t, nats: server, change: change, log: zaptest.NewLogger(t, zaptest.Level(zap.DebugLevel), zaptest.WrapOptions(zap.IncreaseLevel(zap.InfoLevel)))}
	h.conn, h.js = brokertest.Connect(t, h.nats.URL(), nats.MaxReconnects(-1), nats.ReconnectBufSize(-1), nats.ReconnectWait(50*time.Millisecond), nats.UserInfo("worker", "worker"))
	eventstest.AtEnd(t, h.js)
	h.layout = broker.Layout{Streams: events.StreamsOf("ACTIVATION"), WithIntake: true, IntakeStream: "SIGNUP", IntakeSubject: "signup.terms.accepted", AckWait: 2 * time.Second}
	if err := broker.Ensure(t.Context(), h.js, h.layout); err != nil {
		t.Fatal(err)
	}
	key, err := simulator.TestKey()
	if err != nil {
		t.Fatal(err)
	}
	sim.Key, sim.Auto = key, true
	if h.partner, err = simulator.New(sim); err != nil {
		t.Fatal(err)
	}
	h.web = httptest.NewServer(h.partner)
	t.Cleanup(func() { h.partner.Close(); h.web.Close() })
	h.ledger = ledger.New(ledger.Options{Conn: h.conn, JetStream: h.js, Streams: h.layout.Streams, Source: "/test", Log: h.log, Lease: testLease})
	return h
}

// pacer shares the quota of the streams.
func pacer(js jetstream.JetStream, limits quota.Limits) *quota.Pacer {
	bucket, run := events.StreamsOf(events.DefaultStream).Quota, nuid.Next()
	return quota.New(quota.Options{Limits: limits, Timeout: testTimeout, Replica: run, Store: quota.Bucket{
		Conn: js.Conn(), JetStream: js, API: jetstream.DefaultAPIPrefix,
		Stream: events.QuotaStream(bucket), Subject: events.QuotaSubject(bucket), Hint: events.SubjectQuota, Writer: run,
	}})
}

// start runs a worker until stop or the end of the test.
func (h *house) start() {
	h.t.Helper()
	api, token := simulator.URLs(h.web.URL)
	creds := h.partner.Credentials()
	pc := partnerapi.Config{
		APIURL: api, TokenURL: token, ClientID: creds.ClientID, ServiceAccount: creds.ServiceAccount, Scope: "partner",
		Secrets: func() (partnerapi.Secrets, error) {
			return partnerapi.Secrets{ClientSecret: creds.ClientSecret, PrivateKey: creds.PrivateKeyPEM}, nil
		},
		Timeout: testTimeout, MaxPayload: ledger.MaxObject(h.conn), Log: h.log,
	}
	var mark atomic.Pointer[events.Mark]
	o := consumer.Options{
		Looker:    sees(true), // no ownership record explains a no
		JetStream: h.js, Pacer: pacer(h.js, quota.Limits{Concurrency: 3}), Log: h.log,
		Policy: activation.DefaultPolicy().With(map[events.Reason][]time.Duration{
			events.UnknownOutcome:     {300 * time.Millisecond, 500 * time.Millisecond},
			events.Transient:          {200 * time.Millisecond, 500 * time.Millisecond},
			events.PartnerUnavailable: {200 * time.Millisecond, 500 * time.Millisecond},
			events.CustomerNotFound:   {100 * time.Millisecond, 200 * time.Millisecond, 300 * time.Millisecond},
		}, nil),
		ID: "worker-1", Streams: h.layout.Streams, IntakeStream: "SIGNUP",
		Concurrency: 3, Timeout: testTimeout, Lease: testLease, SweepInterval: 500 * time.Millisecond,
		Ensure: func(ctx context.Context) error {
			layout := h.layout
			layout.Found = func(m events.Mark) { mark.Store(&m) }
			return broker.Ensure(ctx, h.js, layout)
		},
		KeepPartnerText: true,
	}
	for _, change := range h.change {
		change(&o, &pc)
	}
	client, err := partnerapi.New(pc)
	if err != nil {
		h.t.Fatal(err)
	}
	h.client = client
	if o.Partner == nil {
		o.Partner = client
	}
	o.Ledger = ledger.New(ledger.Options{Conn: h.conn, JetStream: h.js, Streams: h.layout.Streams, Source: "/test", Log: h.log, Lease: testLease, Mark: func() (m events.Mark) {
		if known := mark.Load(); known != nil {
			m = *known
		}
		return m
	}})
	w := consumer.New(o)
	h.worker = w
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := w.Run(ctx); err != nil {
			h.t.Errorf("Run: %v", err)
		}
	}()
	stopped := false
	h.halt = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		<-done
		client.Close()
	}
	h.t.Cleanup(h.halt)
}

// sees is a look at DNS that always sees the records wanted, or none.
type sees bool

func (s sees) Look(context.Context, ownership.Values) (ownership.Sight, error) {
	return ownership.Sight{Visible: bool(s)}, nil
}

// announce publishes a terms-accepted event with an id of its own.
func (h *house) announce(domainID int64, id string) {
	h.t.Helper()
	h.publish(fmt.Sprintf(`{"specversion":"1.0","type":"signup.terms.accepted","source":"/signup","id":%q,"data":{"domainId":%d}}`, id, domainID),
		nats.Header{"Content-Type": {"application/cloudevents+json; charset=utf-8"}})
}

func (h *house) publish(body string, header nats.Header) uint64 {
	h.t.Helper()
	ack, err := h.js.PublishMsg(h.t.Context(), &nats.Msg{Subject: "signup.terms.accepted", Header: header, Data: []byte(body)})
	if err != nil {
		h.t.Fatal(err)
	}
	return ack.Sequence
}

// await waits until a customer's record is as wanted.
func (h *house) await(domainID int64, what string, fits func(*events.Record) bool) *events.Record {
	h.t.Helper()
	var last *events.Record
	eventually(h.t, fmt.Sprintf("domain %d %s", domainID, what), func() bool {
		r, err := h.ledger.Load(h.t.Context(), domainID)
		if err == nil {
			last = r
		}
		return err == nil && r != nil && fits(r)
	}, func() string {
		text, _ := json.Marshal(last)
		return "its record is " + string(text)
	})
	return last
}

func (h *house) awaitState(domainID int64, s events.State) *events.Record {
	h.t.Helper()
	return h.await(domainID, "is "+string(s), func(r *events.Record) bool { return r.State == s })
}

// awaitQuiet waits until nothing is unread or in hand.
func (h *house) awaitQuiet() {
	h.t.Helper()
	eventually(h.t, "the intake is quiet", func() bool {
		cons, err := h.js.Consumer(h.t.Context(), "SIGNUP", events.ConsumerActivator)
		return err == nil && cons.CachedInfo().NumPending == 0 && cons.CachedInfo().NumAckPending == 0
	}, func() string { return "messages are pending" })
}

// states are the states a customer has gone through.
func (h *house) states(domainID int64) []string {
	h.t.Helper()
	entries, err := h.ledger.History(h.t.Context(), domainID)
	if err != nil {
		h.t.Fatal(err)
	}
	var states []string
	for _, e := range entries {
		r, err := events.DecodeRecord(e.Subject, e.Sequence, e.Data)
		if err != nil {
			h.t.Fatal(err)
		}
		name := string(r.State)
		if r.Reason != "" {
			name += "(" + string(r.Reason) + ")"
		}
		states = append(states, name)
	}
	return states
}

func (h *house) counts(domainID int64) simulator.Counts {
	return h.partner.Journal().Customers[domainID]
}

// noBreach holds what the partner saw and the whole ledger against the promises, but for rules that the test itself broke.
func (h *house) noBreach(but ...audit.Rule) {
	h.t.Helper()
	o := audit.Options{Streams: h.layout.Streams, Intake: h.layout.IntakeStream}
	j := h.partner.Journal()
	for _, breach := range j.Check() {
		h.t.Error("partner saw: ", breach)
	}
	for _, c := range j.Calls {
		op := audit.Op(c.Op)
		if c.Op == simulator.OpCustomer {
			op = audit.LookUp
		}
		o.Calls = append(o.Calls, audit.Call{
			At: c.At, EndedAt: c.EndedAt, AppliedAt: c.AppliedAt, Op: op, DomainID: c.DomainID, Applied: c.Applied, Lost: c.Lost, Told: string(c.Told),
		})
	}
	report, err := audit.Run(h.t.Context(), h.js, o, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, b := range report.Breaches {
		if !slices.Contains(but, b.Rule) {
			h.t.Errorf("breach of %s: domain %d, sequence %d: %s", b.Rule, b.DomainID, b.Sequence, b.Text)
		}
	}
}

const patience = 30 * time.Second

// eventually waits for a condition by looking again and again, and fails after a long time.
func eventually(t *testing.T, what string, holds func() bool, otherwise func() string) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for !holds() {
		select {
		case <-look.C:
		case <-deadline.C:
			t.Fatalf("waited %v in vain until %s; %s", patience, what, otherwise())
		}
	}
}
