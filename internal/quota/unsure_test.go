package quota_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"activation-worker/internal/quota"
	"activation-worker/internal/quota/quotatest"
)

// Two writes whose answers are lost, the first of which is stored late.
type lateStore struct {
	*quotatest.Memory
	mode atomic.Int32
	held func()
}

func (l *lateStore) Update(ctx context.Context, data []byte, version uint64) (uint64, error) {
	switch l.mode.Load() {
	case 1: // on its way for longer than it is waited for
		l.held = func() { l.Memory.Update(context.Background(), data, version) }
		l.mode.Store(2)
		return 0, context.DeadlineExceeded
	case 2:
		l.held()
		l.mode.Store(0)
		return 0, context.DeadlineExceeded // this one came too late, and nobody says so
	}
	return l.Memory.Update(ctx, data, version)
}

func TestTwoWritesInTheUnknown(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		store := &lateStore{Memory: &quotatest.Memory{}}
		p := join(t, store, quota.Limits{Peak: quota.Rate{N: 2, Per: time.Minute}, Concurrency: 2})
		api := &tally{}
		a, b := acquire(t, p, activate), acquire(t, p, activate)
		a.Begin()
		api.add()
		b.Begin()
		api.add()
		a.End()
		store.mode.Store(1)
		for store.mode.Load() == 1 {
			rest(context.Background(), time.Millisecond)
		}
		b.End()
		rest(context.Background(), 5*time.Second)
		if store.mode.Load() != 0 {
			t.Fatal("not as meant")
		}
		{
			permit := acquire(t, p, activate)
			permit.Begin()
			api.add()
			permit.End()
		}
		if n := api.mostWithin(time.Minute); n > 2 {
			t.Errorf("%d within a minute", n)
		}
	})
}
