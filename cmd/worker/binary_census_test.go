package main

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"activation-worker/internal/broker/brokertest"
	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
	"activation-worker/internal/partnerapi/simulator"
)

// counting is what a user must be denied who is to do everything but count customers: nothing else asks for a consumer without a filter.
const counting = `"$JS.API.CONSUMER.CREATE.ACTIVATION.*"`

// TestBinaryWithoutTheRightToCount: a worker is ready, works and ends without it, and says so once.
func TestBinaryWithoutTheRightToCount(t *testing.T) {
	t.Parallel()
	s := newSite(t, users(counting))
	invoke(t, "", s.env(), "setup", "--with-intake").want(t, exitDone)
	w := startWorker(t, s.env("NATS_USER=worker", "NATS_PASSWORD=w")...)
	w.awaitSaid("customers are not counted")
	w.AwaitReady(startTimeout)
	s.customer(51200001)
	s.await(51200001, events.Activated, w)
	if said := strings.Count(w.stderr.String(), "customers are not counted"); said != 1 {
		t.Errorf("it was said %d times:\n%s", said, w.stderr.tail())
	}
	w.stop()
}

// TestBinaryCounts beside its work, and leaves nothing behind.
func TestBinaryCounts(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	w := startWorker(t, s.env()...)
	w.awaitSaid("customers are counted")
	w.stop()
	stream, err := s.js.Stream(t.Context(), events.DefaultStream)
	if err != nil {
		t.Fatal(err)
	}
	if n := stream.CachedInfo().State.Consumers; n > 0 {
		t.Errorf("%d consumers are left on the ledger", n)
	}
}

// BenchmarkPipelineBesideTheCensus is what counting costs who is activated meanwhile, at a partner that answers in 20 ms: batches
// alternate between a site whose worker counts and one whose worker may not. The aim is a ratio of 1; a loss of 3 % or more fails.
//
//	go test -run '^$' -bench BesideTheCensus -benchtime 20x ./cmd/worker
func BenchmarkPipelineBesideTheCensus(b *testing.B) {
	with, without := newCensusSite(b, ""), newCensusSite(b, counting)
	with.worker.awaitSaid("customers are counted")
	without.worker.awaitSaid("customers are not counted")
	const mostLost = 0.03
	var beside, alone time.Duration
	rounds := 0
	for b.Loop() {
		if rounds%2 == 0 { // whoever comes second meets what the first has left
			beside, alone = beside+with.batch(), alone+without.batch()
		} else {
			alone, beside = alone+without.batch(), beside+with.batch()
		}
		rounds++
	}
	fresh := float64(rounds * benchBatch)
	ratio := alone.Seconds() / beside.Seconds()
	b.ReportMetric(fresh/beside.Seconds(), "counting/s")
	b.ReportMetric(fresh/alone.Seconds(), "alone/s")
	b.ReportMetric(ratio, "ratio")
	b.ReportMetric(float64(with.worker.processorTime().Microseconds())/fresh, "counting-cpu-µs/customer")
	b.ReportMetric(float64(without.worker.processorTime().Microseconds())/fresh, "alone-cpu-µs/customer")
	if rounds >= 10 && ratio < 1-mostLost {
		b.Errorf("counting costs %.1f %%", 100*(1-ratio))
	}
	with.worker.stop()
	without.worker.stop()
}

func newCensusSite(b *testing.B, denied string) *freshSite {
	b.Helper()
	s := newSite(b, users(denied))
	s.partner = newPartner(b, simulator.Options{Latency: 20 * time.Millisecond})
	invoke(b, "", s.env(), "setup", "--with-intake").want(b, exitDone)
	f := &freshSite{site: s, b: b, next: benchFirstID}
	conn, js := brokertest.Connect(b, s.nats.URL(), nats.MaxReconnects(-1))
	f.ledger = ledger.New(ledger.Options{Conn: conn, JetStream: js, Streams: events.StreamsOf(events.DefaultStream), Source: "/bench", Log: zap.NewNop(), Lease: time.Minute})
	f.worker = startWorker(b, s.env("NATS_USER=worker", "NATS_PASSWORD=w", "LINEWORKS_CONCURRENCY=16", "WORKER_LOG_LEVEL=info", "WORKER_SWEEP_INTERVAL=24h")...)
	f.worker.AwaitReady(startTimeout)
	f.view = viewLedger(b, s.js)
	return f
}
