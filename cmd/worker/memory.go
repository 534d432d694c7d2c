package main

import (
	"runtime"
	"runtime/metrics"
	"sync"
	"time"
)

const (
	// ballastSize is how many bytes of address space make the collector wait for that much more garbage. A worker's live heap is some
	// 3 MB, at which it would collect at 6: at thousands of events a second that is a tenth of its work.
	ballastSize = 8 << 20
	ballastLook = 10 * time.Second
)

// ballast holds it until it is released, or until the heap is as large without it, where there are very many customers to count.
// Nobody writes there, so that it takes no memory.
func ballast() (release func()) {
	done := make(chan struct{})
	var holding sync.WaitGroup
	holding.Go(func() {
		b := make([]byte, ballastSize)
		live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		tick := time.NewTicker(ballastLook)
		defer tick.Stop()
		for metrics.Read(live); live[0].Value.Uint64() < 2*ballastSize; metrics.Read(live) {
			runtime.KeepAlive(b)
			select {
			case <-tick.C:
			case <-done:
				return
			}
		}
	})
	return func() {
		close(done)
		holding.Wait()
	}
}
