package quota_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"activation-worker/internal/quota"
	"activation-worker/internal/quota/quotatest"
)

// Those who wait are looked up first, for which there is room, and what the look-up leads to is held up by nobody. It is their part of
// the activates all the same: four in five are left to those just announced.
func TestWhatALookUpLeadsToIsOfItsLane(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		limits := quota.Limits{Peak: quota.Rate{N: 10, Per: time.Second}, Concurrency: 5}
		p := join(t, &quotatest.Memory{}, limits)
		ctx, cancel := limited(t, time.Minute)
		defer cancel()
		use := func(lane quota.Lane, operation string) bool {
			permit, err := p.Acquire(ctx, lane, operation)
			if err != nil {
				return false
			}
			if err := permit.Begin(); err != nil {
				t.Error(err)
			}
			rest(ctx, 5*time.Millisecond)
			permit.End()
			return true
		}
		var fresh, waiting atomic.Int64
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				for use(quota.Fresh, activate) {
					fresh.Add(1)
				}
			})
			all.Go(func() {
				for use(quota.Waiting, "customer") && use(quota.Running, activate) {
					waiting.Add(1)
				}
			})
		}
		all.Wait()
		part := float64(waiting.Load()) / float64(fresh.Load()+waiting.Load())
		if part < 0.18 || part > 0.25 {
			t.Errorf("%.2f of the activates were of those who waited (%d, and %d of others), want a fifth", part, waiting.Load(), fresh.Load())
		}
	})
}
