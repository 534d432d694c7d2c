package audit_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/activation"
	"activation-worker/internal/audit"
	"activation-worker/internal/broker/brokertest"
	"activation-worker/internal/events"
)

// among is how many customers the benchmark audits, four records and an announcement each.
var among = flag.Int("among", 20_000, "customers in the ledger that is audited")

// BenchmarkAudit measures how fast a ledger is audited, and what is held of it:
//
//	go test ./internal/audit -run ^$ -bench Audit -benchtime 3x -among 100000
func BenchmarkAudit(b *testing.B) {
	w := newWorld(b)
	w.crowd(*among)
	w.acknowledge()
	var before, during runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	_, own := brokertest.Connect(b, w.js.Conn().ConnectedUrl())
	records, most := 0, uint64(0)
	for b.Loop() {
		r, err := audit.Run(b.Context(), own, audit.Options{Streams: w.layout.Streams, Intake: intake}, func(read, last uint64) {
			if read == last { // everybody is held now
				runtime.GC()
				runtime.ReadMemStats(&during)
				most = max(most, during.HeapAlloc)
			}
		})
		if err != nil || r.Breached > 0 || r.Ledger.Customers != *among || r.Intake.Read != *among {
			b.Fatalf("%v, %+v", err, r)
		}
		records += r.Ledger.Records
	}
	b.ReportMetric(float64(records)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(float64(max(most, before.HeapAlloc)-before.HeapAlloc)/float64(*among), "B/customer")
}

// stride is how many customers are stored together.
const stride = 1000

// crowd stores so many customers who were activated at the second attempt, as interleaved as they come.
func (w *world) crowd(customers int) {
	w.t.Helper()
	js, err := jetstream.New(w.js.Conn(), jetstream.WithPublishAsyncMaxPending(3*stride))
	w.must(err)
	publish := func(subject string, data []byte, header nats.Header) {
		_, err := js.PublishMsgAsync(&nats.Msg{Subject: subject, Data: data, Header: header})
		w.must(err)
	}
	var sequence uint64
	last := make([]*events.Record, stride)
	for base := 0; base < customers; base += stride {
		n := min(stride, customers-base)
		for step := range 4 {
			for i := range n {
				id := int64(51_000_000 + base + i)
				now := time.Now()
				before := last[i]
				var next *events.Record
				switch step {
				case 0:
					before = nil
					publish(events.DefaultIntakeSubject, fmt.Appendf(nil, `{"specversion":"1.0","type":"t","source":"/signup","id":"e%d","data":{"domainId":%d}}`, id, id), nats.Header{"Content-Type": {events.ContentType}})
					a := events.Accepted{DomainID: id, Domain: fmt.Sprintf("c%d.example", id), AcceptedAt: now, Event: events.EventRef{ID: fmt.Sprintf("/signup e%d", id), Stream: intake, Sequence: uint64(base + i + 1), StoredAt: now.UTC()}}
					next = activation.Start(activation.Claim, nil, &a, id, activation.Claimant{Worker: "w1", LeaseExpiresAt: now.Add(time.Minute)}, now)
				case 2:
					next = activation.Start(activation.Attempt, before, nil, id, activation.Claimant{Worker: "w1", LeaseExpiresAt: now.Add(time.Minute)}, now)
				default:
					answer := activation.Answer{Operation: activation.Activate, Kind: activation.Refusal, Status: 429, RetryAfter: -1, Sent: 1, StartedAt: now, At: now}
					if step == 3 {
						answer.Kind, answer.Status = activation.Active, 200
						answer.Object = json.RawMessage(`{"tenantId":51200417,"companyName":"日の出フーズ","domainId":51200417,"enableActiveDomain":true,"administrator":{"email":"a@example.com"}}`)
					}
					_, verdict := activation.Plan(before, []activation.Answer{answer}, w.policy)
					next = activation.Conclude(before, []activation.Answer{answer}, verdict, w.policy, now, 0)
				}
				expected := before.Expected()
				data, err := events.EncodeRecord(next, source, expected, now)
				w.must(err)
				publish(events.CustomerSubject(id, next.State), data, nil)
				sequence++
				next.Sequence, next.ID = sequence, events.RecordID(id, expected, next.State)
				last[i] = next
			}
			select {
			case <-js.PublishAsyncComplete():
			case <-w.t.Context().Done():
				w.t.Fatal("not all was stored")
			}
		}
	}
}
