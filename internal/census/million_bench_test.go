package census_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"activation-worker/internal/broker/brokertest"
	"activation-worker/internal/census"
	"activation-worker/internal/events"
)

// BenchmarkCensusOfAMillion is how long a start counts a million customers of two records each, with the rests that leave the server
// to others, and how long where no header names the reason, as older workers wrote it.
//
//	go test -run '^$' -bench CensusOfAMillion -benchtime 1x -timeout 20m ./internal/census
func BenchmarkCensusOfAMillion(b *testing.B) {
	const customers = 1_000_000
	for name, share := range map[string]int{"named": 0, "a-tenth-unnamed": 10} {
		b.Run(name, func(b *testing.B) {
			s := newSite(b, brokertest.Start(b).URL(), 1)
			js, err := jetstream.New(s.js.Conn(), jetstream.WithPublishAsyncMaxPending(4000))
			if err != nil {
				b.Fatal(err)
			}
			now := time.Now()
			for id := range int64(customers) {
				for _, r := range []*events.Record{record(id+1, events.Started, ""), record(id+1, events.Deferred, events.DNSUnverified)} {
					data, err := events.EncodeRecord(r, "/bench", 0, now)
					if err != nil {
						b.Fatal(err)
					}
					header := nats.Header{}
					if share == 0 || id%int64(share) != 0 {
						events.SetBrief(header, r)
					}
					if _, err := js.PublishMsgAsync(&nats.Msg{Subject: events.CustomerSubject(r.DomainID, r.State), Header: header, Data: data}, jetstream.WithStallWait(time.Minute)); err != nil {
						b.Fatal(err)
					}
				}
			}
			<-js.PublishAsyncComplete()
			want := fmt.Sprint(customers)
			for b.Loop() {
				s.count(zap.NewNop())
				for {
					counts, _, known := s.census.Counts()
					if got := fmt.Sprint(counts[census.Key{State: events.Deferred, Reason: events.DNSUnverified}]); known && got != want {
						b.Fatalf("it counts %s, want %s", got, want)
					}
					if known {
						break
					}
					select {
					case <-time.After(20 * time.Millisecond):
					case <-b.Context().Done():
						b.Fatal("not counted")
					}
				}
				s.stop()
			}
		})
	}
}
