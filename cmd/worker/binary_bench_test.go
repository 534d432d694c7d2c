package main

import (
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"activation-worker/internal/partnerapi/simulator"
)

// BenchmarkColdStart is the time from starting worker run in an empty directory, with the embedded server and credentials for a
// simulated partner, to the first 200 of /readyz. The aim is 300 ms.
func BenchmarkColdStart(b *testing.B) {
	p := newPartner(b, simulator.Options{})
	buildWorker(b)
	transport := &http.Transport{DisableKeepAlives: true}
	ready := func(url string) bool {
		req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, url, nil)
		if err != nil {
			b.Fatal(err)
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}
	var total time.Duration
	for range b.N {
		b.StopTimer()
		address := freePort(b)
		env := settings(p.env(), []string{
			"WORKER_HTTP_ADDR=" + address, "WORKER_CONSOLE_ADDR=off", "WORKER_NATS_LISTEN=127.0.0.1:0", "WORKER_DATA_DIR=" + filepath.Join(b.TempDir(), "data"),
		})
		tick := time.NewTicker(2 * time.Millisecond)
		b.StartTimer()
		began := time.Now()
		w := startWorker(b, env...)
		for !ready("http://" + address + "/readyz") {
			select {
			case <-tick.C:
			case <-w.ended:
				b.Fatalf("the worker ended; it said:\n%s", w.stderr.tail())
			}
		}
		total += time.Since(began)
		b.StopTimer()
		tick.Stop()
		w.stop()
		b.StartTimer()
	}
	b.ReportMetric(float64(total.Milliseconds())/float64(b.N), "ms/op")
}
