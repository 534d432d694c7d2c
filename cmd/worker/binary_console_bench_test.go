package main

import (
	"context"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"
)

// BenchmarkBesideTheConsole is what one open page costs who is activated meanwhile, at a partner that answers in 20 ms: batches alternate
// between a site whose worker's page somebody looks at, live events, activations each second and a list every two, and one whose page
// nobody looks at. The aim is a ratio of 1; a loss of 3 % or more fails.
//
//	go test -run '^$' -bench BesideTheConsole -benchtime 20x ./cmd/worker
func BenchmarkBesideTheConsole(b *testing.B) {
	with, without := newCensusSite(b, ""), newCensusSite(b, "")
	for _, s := range []*freshSite{with, without} {
		s.worker.awaitSaid("customers are counted")
	}
	page := openedPage{b: b, url: with.worker.Console()}
	const mostLost = 0.03
	var beside, alone time.Duration
	rounds := 0
	for b.Loop() {
		if rounds%2 == 0 { // whoever comes second meets what the first has left
			beside, alone = beside+page.during(with.batch), alone+without.batch()
		} else {
			alone, beside = alone+without.batch(), beside+page.during(with.batch)
		}
		rounds++
	}
	fresh := float64(rounds * benchBatch)
	ratio := alone.Seconds() / beside.Seconds()
	b.ReportMetric(fresh/beside.Seconds(), "shown/s")
	b.ReportMetric(fresh/alone.Seconds(), "alone/s")
	b.ReportMetric(ratio, "ratio")
	b.ReportMetric(float64(with.worker.processorTime().Microseconds())/fresh, "shown-cpu-µs/customer")
	b.ReportMetric(float64(without.worker.processorTime().Microseconds())/fresh, "alone-cpu-µs/customer")
	b.ReportMetric(float64(page.lists), "lists")
	if rounds >= 10 && ratio < 1-mostLost {
		b.Errorf("an open page costs %.1f %%", 100*(1-ratio))
	}
	with.worker.stop()
	without.worker.stop()
}

// openedPage asks for what a page in a browser asks for, while something runs: nobody else pays for it.
type openedPage struct {
	b                *testing.B
	url              string
	toGraph, toTable time.Duration // until the next of each is asked for
	lists            int
}

func (p *openedPage) during(run func() time.Duration) time.Duration {
	p.b.Helper()
	ctx, cancel := context.WithCancel(p.b.Context())
	var reading sync.WaitGroup
	reading.Go(func() { p.ask(ctx, "api/live") })
	reading.Go(func() {
		for {
			wait := min(p.toGraph, p.toTable)
			began := time.Now()
			timer := time.NewTimer(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				p.toGraph, p.toTable = p.toGraph-time.Since(began), p.toTable-time.Since(began)
				return
			}
			if p.toGraph, p.toTable = p.toGraph-wait, p.toTable-wait; p.toGraph <= 0 {
				p.toGraph = time.Second
				p.ask(ctx, "api/activations?span=1h")
			}
			if p.toTable <= 0 {
				p.toTable = 2 * time.Second
				p.lists++
				p.ask(ctx, "api/customers?limit=50")
			}
		}
	})
	took := run()
	cancel()
	reading.Wait()
	return took
}

// ask reads an answer to its end, or until ctx ends.
func (p *openedPage) ask(ctx context.Context, path string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+path, http.NoBody)
	if err != nil {
		p.b.Error(err)
		return
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		if ctx.Err() == nil {
			p.b.Errorf("%s: %v", path, err)
		}
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		p.b.Errorf("%s: status %d", path, resp.StatusCode)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
}
