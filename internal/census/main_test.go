package census_test

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"activation-worker/internal/broker"
	"activation-worker/internal/broker/brokertest"
	"activation-worker/internal/census"
	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
)

func TestMain(m *testing.M) {
	flag.Parse()
	goleak.VerifyTestMain(
		m,
		// A server that is stopped in the moment in which a stream of its is made or deleted can leave that store behind (nats-server 2.15.2).
		goleak.IgnoreTopFunction("github.com/nats-io/nats-server/v2/server.(*fileStore).flushStreamStateLoop"),
		goleak.IgnoreTopFunction("github.com/nats-io/nats-server/v2/server/ats.Register.func1"),
	)
}

// testLimit ends what hangs; nothing comes near it.
const testLimit = time.Minute

func limited(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	t.Cleanup(cancel)
	return ctx
}

// site is a ledger on a server, or a cluster, and a census of it.
type site struct {
	t      testing.TB
	url    string
	js     jetstream.JetStream
	layout broker.Layout
	ledger *ledger.Ledger
	census *census.Census
	every  time.Duration // the census's interval; 0: short
	worker string        // who counts
	stop   func()
}

// patient options behave as the worker's connection does.
func patient(more ...nats.Option) []nats.Option {
	return append([]nats.Option{
		nats.ReconnectBufSize(-1), nats.MaxReconnects(-1), nats.ReconnectWait(10 * time.Millisecond), nats.ReconnectJitter(0, 0),
	}, more...)
}

func newSite(t testing.TB, url string, replicas int) *site {
	t.Helper()
	s := &site{t: t, url: url, layout: broker.Layout{Streams: events.StreamsOf(events.DefaultStream), WithIntake: true, Replicas: replicas, MaxBytes: 4 << 30}}
	_, s.js = brokertest.Connect(t, url, patient()...)
	s.eventually(func() error { return broker.Ensure(limited(t), s.js, s.layout) })
	s.anew()
	return s
}

// anew lets another worker write from now on, since one that has written to another ledger would refuse to.
func (s *site) anew() {
	s.ledger = ledger.New(ledger.Options{Conn: s.js.Conn(), JetStream: s.js, Streams: s.layout.Streams, Source: "/test", Log: zap.NewNop(), Lease: time.Minute})
}

// count starts the census on a connection of its own.
func (s *site) count(log *zap.Logger, options ...nats.Option) {
	s.t.Helper()
	if log == nil {
		log = zaptest.NewLogger(s.t)
	}
	nc, js := brokertest.Connect(s.t, s.url, patient(options...)...)
	reader := ledger.New(ledger.Options{Conn: nc, JetStream: js, Streams: s.layout.Streams, Source: "/test", Log: zap.NewNop()})
	s.census = census.New(census.Options{
		JetStream: js, Ledger: reader, Stream: s.layout.Streams.Ledger, Log: log, Interval: cmp.Or(s.every, 200*time.Millisecond), Worker: s.worker, Version: "v1.2.3",
	})
	s.run()
}

// run lets the census count again, after stop too.
func (s *site) run() {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	ended := make(chan struct{})
	go func() {
		s.census.Run(ctx)
		close(ended)
	}()
	s.stop = func() {
		cancel()
		<-ended
	}
	s.t.Cleanup(s.stop)
}

// eventually tries until there is no error.
func (s *site) eventually(try func() error) {
	s.t.Helper()
	ctx := limited(s.t)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.t.Fatal(err)
		}
	}
}

// wants waits until the census says the same as the ledger.
func (s *site) wants(want map[census.Key]int) {
	s.t.Helper()
	s.eventually(func() error {
		counts, lag, known := s.census.Counts()
		maps.DeleteFunc(counts, func(_ census.Key, n int) bool { return n == 0 })
		if !known || lag != 0 || !maps.Equal(counts, want) {
			return fmt.Errorf("it counts %v, lag %d, known %t; want %v", counts, lag, known, want)
		}
		return nil
	})
}

// wantsTruth is wants of what a reader of the whole ledger finds.
func (s *site) wantsTruth() {
	s.t.Helper()
	s.wants(s.truth())
}

func (s *site) truth() map[census.Key]int {
	s.t.Helper()
	newest := map[int64]census.Key{}
	s.eventually(func() error {
		clear(newest)
		last, err := s.ledger.LastSequence(limited(s.t))
		if err != nil {
			return err
		}
		read := uint64(0)
		err = s.ledger.Scan(limited(s.t), s.layout.Streams.Ledger, []string{"activation.>"}, 1, func(e ledger.Entry) bool {
			read = e.Sequence
			id, ok := events.DomainOfSubject(e.Subject)
			if !ok || !strings.HasPrefix(e.Subject, "activation.customer.") {
				return true
			}
			newest[id] = census.Key{State: census.Unknown}
			if r, err := events.DecodeRecord(e.Subject, e.Sequence, e.Data); err == nil {
				newest[id] = census.Key{State: r.State, Reason: r.Reason}
			}
			return true
		})
		if err == nil && read != last {
			err = fmt.Errorf("read up to %d of %d: the node that was asked lags", read, last)
		}
		return err
	})
	counts := map[census.Key]int{}
	for _, key := range newest {
		counts[key]++
	}
	return counts
}

// record is what a state needs; reason where it has one.
func record(id int64, s events.State, reason events.Reason) *events.Record {
	r := &events.Record{State: s, DomainID: id, Round: 1, Attempt: 1, Reason: reason}
	switch s {
	case events.Started:
		r.Worker, r.LeaseExpiresAt = "w1", time.Now().Add(time.Hour).UTC()
	case events.Deferred:
		r.NextAttemptAt = time.Now().Add(time.Hour).UTC()
	case events.Activated:
		r.Calls, r.AcceptedAt = 1, time.Now().Add(-100*time.Second).UTC()
		r.Via, r.Customer, r.ActivatedAt = events.ViaActivate, json.RawMessage(`{"enableActiveDomain":true}`), time.Now().UTC()
	}
	return r
}

// write stores records as a worker does, one after another.
func (s *site) write(records ...*events.Record) {
	s.t.Helper()
	for _, r := range records {
		s.eventually(func() error {
			before, err := s.ledger.Load(limited(s.t), r.DomainID)
			if err == nil {
				_, err = s.ledger.Record(limited(s.t), r, before.Expected())
			}
			return err
		})
	}
}

// lay stores a message as somebody else may, with no headers but these.
func (s *site) lay(subject string, data []byte, header nats.Header) {
	s.t.Helper()
	if _, err := s.js.PublishMsg(limited(s.t), &nats.Msg{Subject: subject, Data: data, Header: header}); err != nil {
		s.t.Fatal(err)
	}
}

// old is a record as a worker wrote it that named no reason in a header.
func (s *site) old(r *events.Record) {
	s.t.Helper()
	data, err := events.EncodeRecord(r, "/test", 0, time.Now())
	if err != nil {
		s.t.Fatal(err)
	}
	s.lay(events.CustomerSubject(r.DomainID, r.State), data, nil)
}

// some writes customers in many states, from an id on.
func (s *site) some(first int64) {
	s.t.Helper()
	for i, reason := range events.Reasons() {
		id := first + int64(10*i)
		s.write(
			record(id, events.Started, ""),
			record(id+1, events.Started, ""), record(id+1, events.Deferred, reason),
			record(id+2, events.Started, ""), record(id+2, events.Failed, reason),
			record(id+3, events.Deferred, reason), record(id+3, events.Started, ""), record(id+3, events.Activated, ""),
		)
	}
}
