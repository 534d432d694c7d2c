package quota_test

import (
	"testing"
	"time"

	"activation-worker/internal/quota"
	"activation-worker/internal/quota/quotatest"
)

// Without limits a pause that is over costs no more writes, also where somebody was passed over.
func TestAPauseCostsNothingAfterIt(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		store := &quotatest.Memory{}
		p := join(t, store, quota.Limits{Concurrency: 1})
		holder := acquire(t, p, activate)
		go func() {
			ctx, cancel := limited(t, 2*time.Second)
			defer cancel()
			_, _ = p.Acquire(ctx, quota.Waiting, activate) // gives up
		}()
		go func() {
			permit, err := p.Acquire(t.Context(), quota.Fresh, activate)
			if err == nil {
				rest(t.Context(), 5*time.Second)
				permit.End()
			}
		}()
		rest(t.Context(), time.Second)
		holder.End()
		rest(t.Context(), time.Minute)
		p.Pause(activate, time.Now().Add(time.Second))
		rest(t.Context(), time.Hour)
		before := store.Updates()
		for range 100 {
			request(t, p, activate)
		}
		if n := store.Updates() - before; n > 5 {
			t.Errorf("%d writes for 100 requests", n)
		}
	})
}
