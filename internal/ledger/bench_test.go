package ledger_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"activation-worker/internal/broker"
	"activation-worker/internal/broker/brokertest"
	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
)

// among is how many customers the reading benchmarks put into the ledger, three records each.
var among = flag.Int("among", 20_000, "customers in the ledger that benchmarks read")

// BenchmarkRead measures what the reading commands ask of a ledger that holds many others:
//
//	go test ./internal/ledger -run ^$ -bench Read -benchtime 20x -among 200000
func BenchmarkRead(b *testing.B) {
	nc, js := brokertest.Connect(b, brokertest.Start(b).URL())
	layout := broker.Layout{Streams: events.StreamsOf(events.DefaultStream), WithIntake: true, Replicas: 1}
	if err := broker.Ensure(b.Context(), js, layout); err != nil {
		b.Fatal(err)
	}
	l := ledger.New(ledger.Options{Conn: nc, JetStream: js, Streams: layout.Streams, Source: source, Log: zap.NewNop()})
	crowd(b, nc, *among)
	const first = 51_000_000
	asked := 0
	someone := func() int64 { asked++; return first + int64(asked*7919%*among) }

	b.Run("load", func(b *testing.B) {
		for b.Loop() {
			if r, err := l.Load(b.Context(), someone()); err != nil || r == nil {
				b.Fatal(r, err)
			}
		}
	})
	b.Run("history", func(b *testing.B) {
		for b.Loop() {
			if entries, err := l.History(b.Context(), someone()); err != nil || len(entries) != 3 {
				b.Fatal(len(entries), err)
			}
		}
	})
	b.Run("domain", func(b *testing.B) {
		for b.Loop() {
			id := someone()
			if ids, err := l.FindDomain(b.Context(), fmt.Sprintf("c%d.example", id)); err != nil || len(ids) != 1 || ids[0] != id {
				b.Fatal(ids, err)
			}
		}
	})
	b.Run("list", func(b *testing.B) {
		for b.Loop() {
			n := 0
			err := l.Newest(b.Context(), nil, nil, nil, func(*events.Record) error { n++; return nil })
			if err != nil || n != *among {
				b.Fatal(n, err)
			}
		}
	})
}

// crowd stores started, deferred and, for nine of ten, activated records of so many customers, as interleaved as they come.
func crowd(b *testing.B, nc *nats.Conn, customers int) {
	b.Helper()
	const first, stride = 51_000_000, 1000
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(4000))
	if err != nil {
		b.Fatal(err)
	}
	var sequence uint64
	last := make([]uint64, stride)
	for base := 0; base < customers; base += stride {
		for step, s := range []events.State{events.Started, events.Deferred, events.Activated} {
			for i := range min(stride, customers-base) {
				id := int64(first + base + i)
				r := record(id, s, func(r *events.Record) { r.Domain = fmt.Sprintf("c%d.example", id) })
				if s == events.Activated {
					if i%10 == 0 {
						r = record(id, events.Failed, func(r *events.Record) { r.Domain = fmt.Sprintf("c%d.example", id) })
					}
					r.Customer = json.RawMessage(`{"tenantId":51200417,"companyName":"日の出フーズ","enableActiveDomain":true}`)
				}
				if step == 0 {
					last[i] = 0
				}
				data, err := events.EncodeRecord(r, source, last[i], time.Now())
				if err != nil {
					b.Fatal(err)
				}
				if _, err := js.PublishAsync(events.CustomerSubject(id, r.State), data); err != nil {
					b.Fatal(err)
				}
				sequence++
				last[i] = sequence
			}
		}
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-b.Context().Done():
		b.Fatal(b.Context().Err())
	}
}

// BenchmarkRecord is what is written for one customer: the claim, and the outcome over it.
func BenchmarkRecord(b *testing.B) {
	nc, js := brokertest.Connect(b, brokertest.Start(b).URL())
	layout := broker.Layout{Streams: events.StreamsOf(events.DefaultStream), WithIntake: true, Replicas: 1}
	if err := broker.Ensure(b.Context(), js, layout); err != nil {
		b.Fatal(err)
	}
	l := ledger.New(ledger.Options{Conn: nc, JetStream: js, Streams: layout.Streams, Source: source, Log: zap.NewNop()})
	var next atomic.Int64
	both := func() error {
		id := 51_000_000 + next.Add(1)
		claim, err := l.Claim(b.Context(), record(id, events.Started), 0)
		if err != nil {
			return err
		}
		defer l.Release()
		_, err = l.Record(b.Context(), record(id, events.Activated), claim.Sequence)
		return err
	}
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := both(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("64 at once", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(max(1, 64/runtime.GOMAXPROCS(0)))
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := both(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}
