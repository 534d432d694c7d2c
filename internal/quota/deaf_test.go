package quota_test

import (
	"testing"
	"time"

	"activation-worker/internal/quota"
	"activation-worker/internal/quota/quotatest"
)

// What another gives back unused is found without a hint.
func TestGivenBackWithoutAHint(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		store := &quotatest.Memory{}
		limits := quota.Limits{Peak: quota.Rate{N: 2, Per: time.Hour}, Concurrency: 3}
		p, q := join(t, store, limits), join(t, deaf{store}, limits)
		request(t, p, activate)
		permit := acquire(t, p, activate)
		go func() {
			rest(t.Context(), time.Second)
			permit.End()
		}()
		wantWait(t, q, activate, 0, 2*time.Second)
	})
}
