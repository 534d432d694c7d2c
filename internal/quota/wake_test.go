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

// deaf is a way to the store on which nobody hears of writes.
type deaf struct{ quota.Store }

func (deaf) Watch(context.Context) (<-chan struct{}, error) { return make(chan struct{}), nil }

// Somebody comes between the end of a round and the note of when the next is: as if Run's goroutine were not scheduled there.
type slowErr struct {
	context.Context
	armed *atomic.Int32
}

func (c slowErr) Err() error {
	if c.armed.Add(-1) == 0 {
		rest(context.Background(), 20*time.Millisecond) // in report
	}
	return c.Context.Err()
}

func TestNobodyIsOverslept(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	armed, nows, hit := &atomic.Int32{}, &atomic.Int32{}, make(chan struct{})
	var running sync.WaitGroup
	p := quota.New(quota.Options{
		Limits: quota.Limits{Peak: quota.Rate{N: 240, Per: time.Minute}, Concurrency: 3}, Store: deaf{&quotatest.Memory{}},
		Now: func() time.Time {
			if nows.Add(-1) == 0 {
				close(hit)
				rest(context.Background(), 20*time.Millisecond) // in the last try of the round
			}
			return time.Now()
		},
	})
	running.Go(func() { p.Run(slowErr{ctx, armed}) })
	defer running.Wait()
	defer cancel()
	request(t, p, activate)
	rest(context.Background(), 25*time.Millisecond)
	nows.Store(4)
	armed.Store(2) // the round after 50 ms, after which nothing is held any more
	<-hit
	asked, done := context.WithTimeout(ctx, 5*time.Second)
	defer done()
	before := time.Now()
	permit, err := p.Acquire(asked, quota.Fresh, activate)
	if err != nil {
		t.Fatalf("waited %s though there is room: %v", time.Since(before), err)
	}
	permit.End()
}
