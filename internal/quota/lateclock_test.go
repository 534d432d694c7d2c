package quota_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"activation-worker/internal/quota"
	"activation-worker/internal/quota/quotatest"
)

// lateClock is a way to the store on which the time is old when it arrives.
type lateClock struct {
	quota.Store
	by time.Duration
}

func (l *lateClock) Time(ctx context.Context) (time.Time, error) {
	now, err := l.Store.Time(ctx)
	rest(ctx, l.by)
	return now, err
}

// A replica that knows the time badly, since the answer took long, does not take for the future what the others have noted: else
// it would move that back in the record, and they would soon give leave for the same moment again.
func TestWhoKnowsTheTimeBadlyMovesNothingBack(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		const most = 5
		store, api := &quotatest.Memory{}, &partner{}
		limits := quota.Limits{Peak: quota.Rate{N: most, Per: time.Second}, Concurrency: 3}
		good, bad := join(t, store, limits), join(t, &lateClock{store, 500 * time.Millisecond}, limits)
		ctx, cancel := limited(t, 10*time.Second)
		defer cancel()
		var all sync.WaitGroup
		for _, p := range []*quota.Pacer{good, bad} {
			for range 4 {
				all.Go(func() {
					for {
						permit, err := p.Acquire(ctx, quota.Fresh, activate)
						if err != nil {
							return
						}
						if permit.Begin() == nil {
							api.serve(5 * time.Millisecond)
						}
						permit.End()
					}
				})
			}
		}
		all.Wait()
		if got := api.mostWithin(time.Second); got > most {
			t.Errorf("%d requests within a second, allowed are %d", got, most)
		}
	})
}
