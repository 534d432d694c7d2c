package quota_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"activation-worker/internal/quota"
	"activation-worker/internal/quota/quotatest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	activate = "activate"
	lookUp   = "lookup"
)

// inBubble runs a test on a clock that jumps to whatever is waited for next.
func inBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, f)
}

// newPacer is a replica that shares its quota with nobody. It ends with the test.
func newPacer(t testing.TB, limits quota.Limits) *quota.Pacer {
	return join(t, &quotatest.Memory{}, limits)
}

// join is one more replica.
func join(t testing.TB, store quota.Store, limits quota.Limits) *quota.Pacer {
	p, leave := replica(store, quota.Options{Limits: limits})
	t.Cleanup(leave)
	return p
}

// replica is one whose leaving the test decides.
func replica(store quota.Store, o quota.Options) (p *quota.Pacer, leave func()) {
	o.Store = store
	p = quota.New(o)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { p.Run(ctx) })
	return p, func() {
		cancel()
		running.Wait()
	}
}

func limited(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), d)
}

// tally is when requests began.
type tally struct {
	mu    sync.Mutex
	times []time.Time
}

func (c *tally) add() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.times = append(c.times, time.Now())
}

// mostWithin is most under the lock.
func (c *tally) mostWithin(window time.Duration) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.most(window)
}

// within counts those that began after from and not after to.
func (c *tally) within(from, to time.Time) int {
	n := 0
	for _, at := range c.times {
		if at.After(from) && !at.After(to) {
			n++
		}
	}
	return n
}

// most is the largest number in any window of that length, which a request ends: both its bounds count, as the partner's
// clock may be a little off ours.
func (c *tally) most(window time.Duration) int {
	most, first := 0, 0
	for i, at := range c.times {
		for at.Sub(c.times[first]) > window {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// demand wants requests without a pause, in so many goroutines, each request taking that long.
func demand(ctx context.Context, p *quota.Pacer, operation string, goroutines int, takes time.Duration) (*tally, *sync.WaitGroup) {
	began := &tally{}
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for {
				permit, err := p.Acquire(ctx, quota.Fresh, operation)
				if err != nil {
					return
				}
				permit.Begin()
				began.add()
				if !rest(ctx, takes) {
					permit.End()
					return
				}
				permit.End()
			}
		})
	}
	return began, &all
}

// rest waits and reports whether ctx is still alive.
func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// request takes and uses one permit for sure.
func request(t *testing.T, p *quota.Pacer, operation string) {
	t.Helper()
	permit := acquire(t, p, operation)
	permit.Begin()
	permit.End()
}

func acquire(t *testing.T, p *quota.Pacer, operation string) *quota.Permit {
	t.Helper()
	permit, err := p.Acquire(t.Context(), quota.Fresh, operation)
	if err != nil {
		t.Fatalf("acquire: %v", err)
	}
	return permit
}

// wantNow fails unless there is leave at once.
func wantNow(t *testing.T, p *quota.Pacer, operation string) {
	t.Helper()
	before := time.Now()
	request(t, p, operation)
	if waited := time.Since(before); waited != 0 {
		t.Errorf("waited %s for %s, want no wait", waited, operation)
	}
}

// wantWait fails unless leave comes after a wait in these bounds.
func wantWait(t *testing.T, p *quota.Pacer, operation string, least, most time.Duration) {
	t.Helper()
	before := time.Now()
	request(t, p, operation)
	if waited := time.Since(before); waited < least || waited > most {
		t.Errorf("waited %s for %s, want %s to %s", waited, operation, least, most)
	}
}
