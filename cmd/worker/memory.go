package main

import "runtime"

// ballastSize is how many bytes of address space make the collector wait for that much more garbage. A worker's live heap is some
// 3 MB, at which it would collect at 6: at thousands of events a second that is a tenth of its work.
const ballastSize = 8 << 20

// ballast holds it until it is released. Nobody writes there, so that it takes no memory.
func ballast() (release func()) {
	b := make([]byte, ballastSize)
	return func() { runtime.KeepAlive(b) }
}
