package census

import (
	"sync"
	"testing"
	"time"

	"activation-worker/internal/events"
)

// BenchmarkPage is how long a page of a million customers takes.
//
//	go test -run '^$' -bench Page ./internal/census
func BenchmarkPage(b *testing.B) {
	c := New(quiet)
	for id := range int64(1_000_000) {
		key := keys[1+int(id)%(len(keys)-1)]
		c.count(events.Brief{DomainID: 70_000_001 + id*7, State: key.State, Reason: key.Reason}, message{stored: someTime.Add(time.Duration(id) * time.Millisecond)})
	}
	c.complete()
	for name, f := range map[string]Filter{
		"all":     {Limit: 50},
		"behind":  {Limit: 200, States: []events.State{events.Deferred}, Before: &Place{someTime.Unix() + 500, 70_000_001}},
		"of time": {Limit: 50, Since: someTime.Add(900 * time.Second)},
		"by id":   {Limit: 50, IDPrefix: "7001"},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				c.behind(0)
				if p, known := c.Page(f); !known || p.Total == 0 || len(p.Customers) != f.Limit {
					b.Fatalf("%d of %d, known %t", len(p.Customers), p.Total, known)
				}
			}
		})
	}
	b.Run("count beside", func(b *testing.B) { // how long a record waits while one page is made after another
		done := make(chan struct{})
		var making sync.WaitGroup
		making.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					c.Page(Filter{Limit: 50})
				}
			}
		})
		longest := time.Duration(0)
		for id := int64(0); b.Loop(); id++ {
			began := time.Now()
			c.count(events.Brief{DomainID: 70_000_001 + id%1_000_000*7, State: events.Started}, message{stored: someTime})
			longest = max(longest, time.Since(began))
		}
		close(done)
		making.Wait()
		b.ReportMetric(float64(longest.Microseconds()), "µs-at-most")
	})
}
