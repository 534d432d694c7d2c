package quota_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"activation-worker/internal/quota"
	"activation-worker/internal/quota/quotatest"
)

// Where leave comes once a minute, and where fresh customers use up the half hour, the waiting ones have their fifth too, also
// at a replica whose way to the store is longer.
func TestLanesShareASlowPace(t *testing.T) {
	for name, c := range map[string]struct {
		limits      quota.Limits
		fresh, wait time.Duration // of the way to the store
	}{
		"waiting ones far":       {quota.Limits{Peak: quota.Rate{N: 3, Per: time.Minute}, Concurrency: 3}, time.Millisecond, 10 * time.Millisecond},
		"fresh ones far":         {quota.Limits{Peak: quota.Rate{N: 3, Per: time.Minute}, Concurrency: 3}, 10 * time.Millisecond, time.Millisecond},
		"the half hour is spent": {quota.Limits{Peak: quota.Rate{N: 24, Per: time.Minute}, Sustained: quota.Rate{N: 12, Per: time.Minute}, Concurrency: 3}, time.Millisecond, time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				store := &quotatest.Memory{}
				ctx, cancel := context.WithCancel(t.Context())
				var all sync.WaitGroup
				var n [2]atomic.Int64
				for i, lane := range []quota.Lane{quota.Fresh, quota.Waiting} {
					p := join(t, &line{Store: store, takes: []time.Duration{c.fresh, c.wait}[i]}, c.limits)
					for range 20 {
						all.Go(func() {
							for {
								permit, err := p.Acquire(ctx, lane, activate)
								if err != nil {
									return
								}
								_ = permit.Begin()
								rest(ctx, 200*time.Millisecond)
								permit.End()
								n[i].Add(1)
							}
						})
					}
				}
				rest(ctx, 40*time.Minute)
				fresh, waiting := n[0].Load(), n[1].Load()
				rest(ctx, time.Hour)
				fresh, waiting = n[0].Load()-fresh, n[1].Load()-waiting
				cancel()
				all.Wait()
				if part := float64(waiting) / float64(fresh+waiting); part < 0.19 || part > 0.26 {
					t.Errorf("%.2f went to the waiting (%d, and %d to others), want a fifth", part, waiting, fresh)
				}
			})
		})
	}
}
