package ledger_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"

	"activation-worker/internal/broker"
	"activation-worker/internal/broker/brokertest"
	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
)

func TestMain(m *testing.M) {
	flag.Parse()
	// These tests wait for servers far more than they compute.
	if err := flag.Set("test.parallel", "32"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// testLimit ends what hangs; nothing comes near it.
const testLimit = time.Minute

const source = "/lineworks/activation"

// place is one server or cluster, with an account for each test that needs streams of its own.
type place struct {
	url      string
	replicas int
	taken    atomic.Int32
}

const placeAccounts = 32

// accounts is the server configuration of the accounts: a0, a1, …, each with a user of that name.
func accounts() brokertest.Option {
	var b strings.Builder
	b.WriteString("accounts {\n")
	for i := range placeAccounts {
		fmt.Fprintf(&b, "  a%d { jetstream: enabled, users: [ { user: a%d, password: a%d } ] }\n", i, i, i)
	}
	b.WriteString("}\n")
	return brokertest.WithConfig(b.String())
}

func oneNode(t *testing.T) *place {
	t.Helper()
	return &place{url: brokertest.Start(t, accounts()).URL(), replicas: 1}
}

func threeNodes(t *testing.T) (*place, *brokertest.Cluster) {
	t.Helper()
	c := brokertest.StartCluster(t, 3, accounts())
	return &place{url: c.URL(), replicas: 3}, c
}

// world is a ledger's streams in an account of their own.
type world struct {
	url    string
	user   string
	layout broker.Layout
	nc     *nats.Conn
	js     jetstream.JetStream
	ids    *atomic.Int64
}

// world makes the streams in the next free account; mods change their layout.
func (p *place) world(t *testing.T, mods ...func(*broker.Layout)) *world {
	t.Helper()
	i := p.taken.Add(1) - 1
	if i >= placeAccounts {
		t.Fatalf("more than %d tests want an account of their own", placeAccounts)
	}
	w := &world{url: p.url, user: fmt.Sprintf("a%d", i), ids: &atomic.Int64{}}
	w.layout = broker.Layout{Streams: events.StreamsOf(events.DefaultStream), WithIntake: true, Replicas: p.replicas, MaxBytes: 256 << 20}
	for _, mod := range mods {
		mod(&w.layout)
	}
	w.nc, w.js = w.connect(t, w.url)
	if err := broker.Ensure(limited(t), w.js, w.layout); err != nil {
		t.Fatalf("make the streams: %v", err)
	}
	return w
}

// connect opens a connection that behaves as the worker's: a write during an outage fails.
func (w *world) connect(t *testing.T, url string) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	return brokertest.Connect(
		t, url, nats.UserInfo(w.user, w.user), nats.ReconnectBufSize(-1), nats.MaxReconnects(-1),
		nats.ReconnectWait(10*time.Millisecond), nats.ReconnectJitter(0, 0), nats.IgnoreDiscoveredServers(),
	)
}

// ledger is a ledger over a connection of the world; mods change its options.
func (w *world) ledger(t *testing.T, mods ...func(*ledger.Options)) *ledger.Ledger {
	t.Helper()
	o := ledger.Options{Conn: w.nc, JetStream: w.js, Streams: w.layout.Streams, Source: source, Log: zaptest.NewLogger(t)}
	for _, mod := range mods {
		mod(&o)
	}
	return ledger.New(o)
}

// over makes a ledger use another connection.
func over(nc *nats.Conn, js jetstream.JetStream) func(*ledger.Options) {
	return func(o *ledger.Options) { o.Conn, o.JetStream = nc, js }
}

// customer is a domain id that nobody else in the world has.
func (w *world) customer() int64 { return 1000 + w.ids.Add(1) }

// limited is the test's context with an end.
func limited(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	t.Cleanup(cancel)
	return ctx
}

// record is a record in a state; mods change it.
func record(id int64, s events.State, mods ...func(*events.Record)) *events.Record {
	r := &events.Record{State: s, DomainID: id, Round: 1, Attempt: 1}
	switch s {
	case events.Started:
		r.Worker, r.LeaseExpiresAt = "w1", time.Now().Add(time.Hour).UTC()
	case events.Deferred:
		r.Reason, r.NextAttemptAt = events.Transient, time.Now().Add(time.Hour).UTC()
	case events.Activated:
		r.Via, r.Customer, r.ActivatedAt = events.ViaActivate, json.RawMessage(`{"enableActiveDomain":true}`), time.Now().UTC()
	case events.Failed:
		r.Reason = events.Refused
	}
	for _, mod := range mods {
		mod(r)
	}
	return r
}

func worker(name string) func(*events.Record) {
	return func(r *events.Record) { r.Worker = name }
}

// claim claims for sure and gives the room back with the test.
func claim(t *testing.T, l *ledger.Ledger, r *events.Record, expected uint64) *events.Record {
	t.Helper()
	got, err := l.Claim(limited(t), r, expected)
	if err != nil {
		t.Fatalf("claim %d: %v", r.DomainID, err)
	}
	t.Cleanup(l.Release)
	return got
}

// store records for sure.
func store(t *testing.T, l *ledger.Ledger, r *events.Record, expected uint64) *events.Record {
	t.Helper()
	got, err := l.Record(limited(t), r, expected)
	if err != nil {
		t.Fatalf("record %s of %d: %v", r.State, r.DomainID, err)
	}
	return got
}

// stored lists the messages of a customer, oldest first.
func (w *world) stored(t *testing.T, id int64) []ledger.Entry {
	t.Helper()
	l := w.ledger(t)
	return w.upToDate(t, w.layout.Streams.Ledger, events.CustomerFamily(id), func(ctx context.Context) ([]ledger.Entry, error) {
		return l.History(ctx, id)
	})
}

// upToDate reads until the newest message on a subject is there: a replica that answers a reader may lag.
func (w *world) upToDate(t *testing.T, stream, filter string, read func(context.Context) ([]ledger.Entry, error)) []ledger.Entry {
	t.Helper()
	var entries []ledger.Entry
	newest := w.last(t, stream, filter)
	eventually(t, func(ctx context.Context) error {
		var err error
		switch entries, err = read(ctx); {
		case err != nil:
			return err
		case newest != nil && (len(entries) == 0 || entries[len(entries)-1].Sequence < newest.Sequence):
			return fmt.Errorf("%d messages read, without number %d", len(entries), newest.Sequence)
		}
		return nil
	})
	return entries
}

// eventually tries until there is no error: for what a replica tells that may lag, and for requests that a cluster
// which is busy or has lost a node leaves without an answer.
func eventually(t *testing.T, try func(context.Context) error) {
	t.Helper()
	ctx := limited(t)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		once, cancel := context.WithTimeout(ctx, 3*time.Second)
		err := try(once)
		cancel()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal(err)
		}
	}
}

// wantStates fails unless a customer's messages are in exactly these states.
func (w *world) wantStates(t *testing.T, id int64, want ...events.State) {
	t.Helper()
	var got, wanted []string
	for _, e := range w.stored(t, id) {
		got = append(got, e.Subject[strings.LastIndexByte(e.Subject, '.')+1:])
	}
	for _, s := range want {
		wanted = append(wanted, string(s))
	}
	if strings.Join(got, " ") != strings.Join(wanted, " ") {
		t.Errorf("messages of %d are %q, want %q", id, got, wanted)
	}
}

// wantConflict fails unless err is a conflict that returns the record with that sequence and state.
func wantConflict(t *testing.T, current *events.Record, err error, want *events.Record) {
	t.Helper()
	if !errors.Is(err, ledger.ErrConflict) {
		t.Fatalf("error is %v, want a conflict", err)
	}
	if current == nil || current.Sequence != want.Sequence || current.State != want.State || current.Worker != want.Worker {
		t.Fatalf("the record returned is %+v, want %+v", current, want)
	}
}

// subscribe receives what is published on a subject, as it was sent.
func (w *world) subscribe(t *testing.T, subject string) <-chan *nats.Msg {
	t.Helper()
	// A connection of its own on the same server sees a message once, also where others are many.
	nc, _ := w.connect(t, w.nc.ConnectedUrl())
	got := make(chan *nats.Msg, 1024)
	if _, err := nc.ChanSubscribe(subject, got); err != nil {
		t.Fatalf("subscribe to %s: %v", subject, err)
	}
	if err := nc.FlushWithContext(limited(t)); err != nil {
		t.Fatalf("subscribe to %s: %v", subject, err)
	}
	return got
}

// receive waits for one message.
func receive(t *testing.T, from <-chan *nats.Msg) *nats.Msg {
	t.Helper()
	select {
	case m := <-from:
		return m
	case <-limited(t).Done():
		t.Fatal("no message came")
		return nil
	}
}

// message is a message as a stream's leader has it.
type message struct {
	Subject  string `json:"subject"`
	Sequence uint64 `json:"seq"`
	Header   []byte `json:"hdrs"`
}

// last is the newest message of a stream on a subject, read from the leader; nil for none.
func (w *world) last(t *testing.T, stream, subject string) *message {
	t.Helper()
	answer, err := w.nc.RequestWithContext(limited(t), "$JS.API.STREAM.MSG.GET."+stream, fmt.Appendf(nil, `{"last_by_subj":%q}`, subject))
	if err != nil {
		t.Fatalf("read %s of stream %s: %v", subject, stream, err)
	}
	var got struct {
		Message *message `json:"message"`
	}
	if err := json.Unmarshal(answer.Data, &got); err != nil {
		t.Fatalf("read %s of stream %s: %v", subject, stream, err)
	}
	return got.Message
}

// counts is how many messages of a stream are on each subject that matches, as its leader knows.
func (w *world) counts(t *testing.T, stream, filter string) map[string]uint64 {
	t.Helper()
	s, err := w.js.Stream(limited(t), stream)
	if err != nil {
		t.Fatalf("stream %s: %v", stream, err)
	}
	info, err := s.Info(limited(t), jetstream.WithSubjectFilter(filter))
	if err != nil {
		t.Fatalf("stream %s: %v", stream, err)
	}
	return info.State.Subjects
}

// count is how many messages of a stream are on subjects that match.
func (w *world) count(t *testing.T, stream, filter string) (total int) {
	t.Helper()
	for _, n := range w.counts(t, stream, filter) {
		total += int(n)
	}
	return total
}
