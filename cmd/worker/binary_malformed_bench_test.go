package main

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"activation-worker/internal/events"
)

const (
	benchMalformed      = 100_000
	benchLarge          = 1_000
	benchRejectedBound  = 128 << 20
	benchMixedCustomers = 1_000
	benchMixedEach      = 10 // malformed announcements to each customer
)

// BenchmarkMalformedAnnouncements is what a flood of announcements costs that nobody can act on: a hundred thousand small ones in a
// row, then a thousand near max_payload with the stream of rejections bounded to 128 MiB (of the usual GiB), then a thousand customers
// with ten malformed announcements before each, against as many alone. It fails unless all are rejected, the ledger is what it was, and the
// rejections are within their bound.
//
//	go test -run '^$' -bench MalformedAnnouncements -benchtime 1x ./cmd/worker
func BenchmarkMalformedAnnouncements(b *testing.B) {
	for b.Loop() {
		f := newFreshSite(b)
		kinds, big := malformed(), largeMalformed(largeSize)
		before := f.state(events.DefaultStream)
		_, idle := f.worker.memory()

		used := f.worker.processorTime()
		announced, small := f.reject(benchMalformed, func(i int) *nats.Msg { return kinds[i%len(kinds)] })
		used = f.worker.processorTime() - used
		stored := f.state("ACTIVATION_REJECTED")
		_, peakSmall := f.worker.memory()

		f.boundRejected(benchRejectedBound)
		_, large := f.reject(benchLarge, func(int) *nats.Msg { return big })
		bounded := f.state("ACTIVATION_REJECTED")
		_, peakLarge := f.worker.memory()
		if bounded.LastSeq != benchMalformed+benchLarge || bounded.Bytes > benchRejectedBound {
			b.Fatalf("the rejections are %+v", bounded)
		}
		if after := f.state(events.DefaultStream); !same(before, after) {
			b.Fatalf("the ledger was %+v and is %+v", before, after)
		}

		alone := f.batch()
		began := time.Now()
		f.mixed(f.next, benchMixedCustomers, benchMixedEach)
		f.next += benchMixedCustomers
		if !f.view.await(b.Context(), func() bool { return len(f.view.activated) == int(f.next-benchFirstID) }) {
			b.Fatalf("not all are active; the worker said:\n%s", f.worker.stderr.tail())
		}
		among := time.Since(began)
		if !eventually(b, workTimeout, f.intakeDone) {
			b.Fatal("not all are ended")
		}
		f.worker.stop()

		const mib = 1 << 20
		b.ReportMetric(float64(benchMalformed)/announced.Seconds(), "announced/s")
		b.ReportMetric(float64(benchMalformed)/small.Seconds(), "rejected/s")
		b.ReportMetric(float64(used.Microseconds())/benchMalformed, "cpu-µs/rejected")
		b.ReportMetric(float64(benchLarge)/large.Seconds(), "large-rejected/s")
		b.ReportMetric(float64(stored.Bytes)/float64(benchMalformed), "B/rejected")
		b.ReportMetric(float64(stored.Bytes)/mib, "rejected-MiB")
		b.ReportMetric(float64(bounded.Bytes)/benchRejectedBound, "of-bound")
		b.ReportMetric(float64(bounded.Msgs), "large-kept")
		b.ReportMetric(float64(idle)/mib, "idle-MiB")
		b.ReportMetric(float64(peakSmall)/mib, "peak-MiB")
		b.ReportMetric(float64(peakLarge)/mib, "large-peak-MiB")
		b.ReportMetric(benchBatch/alone.Seconds(), "fresh/s")
		b.ReportMetric(benchMixedCustomers/among.Seconds(), "fresh-among/s")
		b.ReportMetric(alone.Seconds()/among.Seconds()*benchMixedCustomers/benchBatch, "ratio")
	}
}

// reject announces messages that nobody can act on. It is how long it takes until the last is stored, and until it is ended.
func (f *freshSite) reject(count int, message func(i int) *nats.Msg) (announced, ended time.Duration) {
	f.b.Helper()
	began := time.Now()
	f.publishAll(count, message)
	announced = time.Since(began)
	if !eventually(f.b, 10*time.Minute, f.intakeDone) {
		f.b.Fatalf("not all are ended; the worker said:\n%s", f.worker.stderr.tail())
	}
	return announced, time.Since(began)
}
