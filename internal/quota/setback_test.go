package quota_test

import (
	"testing"
	"time"

	"activation-worker/internal/quota"
	"activation-worker/internal/quota/quotatest"
)

// Set back: a pause and the server's clock set back.
func TestClockSetBackAndPause(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		store := &quotatest.Memory{}
		store.SetClock(24 * time.Hour)
		limits := quota.Limits{Peak: quota.Rate{N: 10, Per: time.Minute}, Concurrency: 3}
		p := join(t, store, limits)
		request(t, p, activate)
		p.Pause(activate, time.Now().Add(30*time.Second))
		rest(t.Context(), time.Second)
		store.SetClock(0)
		wantWait(t, p, activate, 20*time.Second, 2*time.Minute)
	})
}

// Set back: a killed replica and the server's clock set back.
func TestClockSetBackAndDead(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		store := &quotatest.Memory{}
		store.SetClock(10 * time.Minute)
		limits := quota.Limits{Concurrency: 1}
		way := &line{Store: store}
		dead, leave := replica(way, quota.Options{Limits: limits})
		defer leave()
		acquire(t, dead, activate).Begin()
		rest(t.Context(), time.Second)
		way.cut.Store(true)
		store.SetClock(0)
		p := join(t, store, limits)
		wantWait(t, p, activate, 30*time.Second, 35*time.Second)
	})
}
