package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

const (
	// ballastSize is how many bytes of address space make the collector wait for that much more garbage. A worker's live heap is some
	// 3 MB, at which it would collect at 6: at thousands of events a second that is a tenth of its work.
	ballastSize = 8 << 20
	ballastLook = 10 * time.Second
	// garbageSize is how much garbage is enough where the heap is large by itself: what very many customers take holds no pointers, so that
	// to collect costs no more than without them.
	garbageSize = 7 << 20
)

// ballast holds it until it is released, or until the heap is as large without it, where there are very many customers to count. From then on it
// sees to it that garbage does not grow with them. Nobody writes to the ballast, so that it takes no memory.
func ballast() (release func()) {
	done := make(chan struct{})
	var holding sync.WaitGroup
	holding.Go(func() {
		tick := time.NewTicker(ballastLook)
		defer tick.Stop()
		next := func() bool {
			select {
			case <-tick.C:
				return true
			case <-done:
				return false
			}
		}
		b := make([]byte, ballastSize)
		for liveHeap() < 2*ballastSize {
			if !next() {
				return
			}
			runtime.KeepAlive(b)
		}
		const usual = 100
		is := usual
		was := debug.SetGCPercent(usual)
		defer debug.SetGCPercent(was)
		if was != usual { // somebody has chosen it by GOGC
			return
		}
		for more := true; more; more = next() {
			if percent := collectAt(liveHeap()); percent != is {
				debug.SetGCPercent(percent)
				is = percent
			}
		}
	})
	return func() {
		close(done)
		holding.Wait()
	}
}

// liveHeap is how many bytes were in use when garbage was last collected.
func liveHeap() uint64 {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	return live[0].Value.Uint64()
}

// collectAt is the share of the live heap, in percent, that garbage may come to, in steps, as each change stops all for a moment.
func collectAt(live uint64) int {
	const step = 5
	return min(max(int(100*garbageSize/max(live, 1))/step*step, 35), 100)
}
