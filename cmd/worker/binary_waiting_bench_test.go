package main

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"activation-worker/internal/broker/brokertest"
	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
	"activation-worker/internal/partnerapi/simulator"
)

const (
	benchWaiting = 100_000
	benchBatch   = 1_000
	benchWriters = 16
	benchFirstID = 60_000_001
)

// BenchmarkFreshAmongWaiting is how fast customers who were just announced become active, at a partner that answers at once and
// without limits, while nobody waits and while a hundred thousand do: half for DNS, half for the terms, all due in an
// hour. Batches alternate between two such sites, so that what else the machine does concerns both. The aim is a ratio of 1.
//
//	go test -run '^$' -bench FreshAmongWaiting -benchtime 10x ./cmd/worker
func BenchmarkFreshAmongWaiting(b *testing.B) {
	empty, full := newFreshSite(b), newFreshSite(b)
	full.wait(benchWaiting)
	swept := full.sweep()
	var alone, among time.Duration
	rounds := 0
	for b.Loop() {
		if rounds%2 == 0 { // whoever comes second meets what the first has left
			alone, among = alone+empty.batch(), among+full.batch()
		} else {
			among, alone = among+full.batch(), alone+empty.batch()
		}
		rounds++
	}
	fresh := float64(rounds * benchBatch)
	b.ReportMetric(fresh/alone.Seconds(), "fresh/s")
	b.ReportMetric(fresh/among.Seconds(), "fresh-among-waiting/s")
	b.ReportMetric(alone.Seconds()/among.Seconds(), "ratio")
	b.ReportMetric(swept.Seconds(), "sweep-s")
	empty.worker.stop()
	full.worker.stop()
}

// freshSite is a site whose customers can all be activated.
type freshSite struct {
	*site
	b      *testing.B
	ledger *ledger.Ledger
	view   *ledgerView
	worker *proc
	next   int64
}

func newFreshSite(b *testing.B) *freshSite {
	b.Helper()
	f := &freshSite{site: newSetUpSite(b), b: b, next: benchFirstID}
	conn, js := brokertest.Connect(b, f.nats.URL())
	f.ledger = ledger.New(ledger.Options{Conn: conn, JetStream: js, Streams: events.StreamsOf(events.DefaultStream), Source: "/bench", Log: zap.NewNop(), Lease: time.Minute})
	f.worker = startWorker(b, f.env("LINEWORKS_CONCURRENCY=16", "WORKER_LOG_LEVEL=info", "WORKER_SWEEP_INTERVAL=24h")...)
	f.worker.AwaitReady(startTimeout)
	f.view = viewLedger(b, f.js)
	return f
}

// wait makes so many customers wait, as the worker would have written it.
func (f *freshSite) wait(count int) {
	f.b.Helper()
	now := time.Now()
	var written atomic.Int64
	var failed atomic.Pointer[error]
	var writers sync.WaitGroup
	for range benchWriters {
		writers.Go(func() {
			for n := written.Add(1); n <= int64(count) && failed.Load() == nil; n = written.Add(1) {
				if err := f.waiting(n, now); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	writers.Wait()
	if err := failed.Load(); err != nil {
		f.b.Fatal(*err)
	}
	f.view.catchUp(f.b.Context())
}

func (f *freshSite) waiting(n int64, now time.Time) error {
	r := &events.Record{
		State: events.Deferred, DomainID: n, Domain: fmt.Sprintf("shop-%d.example", n), Round: 1, Attempt: 1, Calls: 1,
		Event:      events.EventRef{ID: fmt.Sprintf("/signup#%d", n), Stream: events.DefaultIntakeStream, StreamCreated: now, Sequence: uint64(n), StoredAt: now},
		Trigger:    events.Trigger{Kind: events.TriggerAccepted, ID: fmt.Sprintf("/signup#%d", n)},
		AcceptedAt: now, FirstAttemptAt: now, LastCallAt: now, GiveUpAt: now.Add(14 * 24 * time.Hour),
		Reason: events.TermsPending, NextAttemptAt: now.Add(time.Hour),
		Cause: &events.Cause{Operation: string(simulator.OpActivate), HTTPStatus: 400, Code: "INVALID_PARAMETER", Description: "it waits"},
	}
	if n%2 == 0 {
		r.Reason = events.DNSUnverified
		wanted := events.DNSRecord{Type: "TXT", Host: "@", Name: r.Domain, Value: "works-verify=1"}
		r.DNS = &events.DNS{Domain: r.Domain, Wanted: []events.DNSRecord{wanted}, Seen: []events.DNSRecord{}}
	}
	r.Seen = map[events.Reason]events.Seen{r.Reason: {First: now, Tries: 1}}
	if err := f.ledger.Arm(f.b.Context(), n, events.WakeUpSubject(r), r.NextAttemptAt); err != nil {
		return err
	}
	_, err := f.ledger.Put(f.b.Context(), r, 0)
	return err
}

// sweep is how long a sweep over all who wait takes, which finds nothing to do.
func (f *freshSite) sweep() time.Duration {
	f.b.Helper()
	began := time.Now()
	armed, err := f.ledger.Sweep(f.b.Context(), "bench", func(err error) { f.b.Error(err) })
	if err != nil || armed != 0 {
		f.b.Fatalf("a sweep armed %d timers that nobody had lost: %v", armed, err)
	}
	return time.Since(began)
}

// batch is how long a batch of fresh customers takes from the first announcement until all are active.
func (f *freshSite) batch() time.Duration {
	f.b.Helper()
	first := f.next
	f.next += benchBatch
	for id := first; id < f.next; id++ {
		f.partner.Add(simulator.Customer{DomainID: id, Terms: true, DNS: true})
	}
	began := time.Now()
	for id := first; id < f.next; id++ {
		if _, err := f.js.PublishMsgAsync(&nats.Msg{Subject: events.DefaultIntakeSubject, Data: fmt.Appendf(nil, `{"domainId":%d}`, id)}); err != nil {
			f.b.Fatal(err)
		}
	}
	if !f.view.await(f.b.Context(), func() bool { return len(f.view.activated) == int(f.next-benchFirstID) }) {
		f.b.Fatalf("not all are active; the worker said:\n%s", f.worker.stderr.tail())
	}
	return time.Since(began)
}
