package main

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"
)

// text is what a process has written so far. It is safe for concurrent use.
type text struct {
	mu      sync.Mutex
	said    strings.Builder
	changed chan struct{} // closed at every write
}

func newText() *text { return &text{changed: make(chan struct{})} }

func (x *text) Write(p []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	close(x.changed)
	x.changed = make(chan struct{})
	return x.said.Write(p)
}

func (x *text) String() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.said.String()
}

// size is how many customers a test has, fewer where tests are to be short.
func size(usual, short int) int {
	if testing.Short() {
		return short
	}
	return usual
}

// tail is the end of the text, for messages.
func (x *text) tail() string {
	const most = 4000
	said := x.String()
	return said[max(0, len(said)-most):]
}

// waitFor waits until the text is as wanted; false when ctx or the process ended first.
func (x *text) waitFor(ctx context.Context, ended <-chan struct{}, wanted func(string) bool) bool {
	for {
		x.mu.Lock()
		said, changed := x.said.String(), x.changed
		x.mu.Unlock()
		if wanted(said) {
			return true
		}
		select {
		case <-changed:
		case <-ended:
			return wanted(x.String())
		case <-ctx.Done():
			return false
		}
	}
}

// eventually asks a few times a second whether something holds, until it does or the time is up.
func eventually(t testing.TB, within time.Duration, holds func() bool) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// pause lets real time pass between the blows of a test; it does not wait for anything to have happened.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
