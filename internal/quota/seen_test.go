package quota_test

import (
	"context"
	"reflect"
	"sync"
	"testing"
	"time"

	"activation-worker/internal/quota"
	"activation-worker/internal/quota/quotatest"
)

// What a pacer knows without asking is what somebody sees who looks at the record, and what is not yet written is in it.
func TestPacerKnowsWhatIsUsed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		store := &quotatest.Memory{}
		limits := quota.Limits{Concurrency: 2, Peak: quota.Rate{N: 10, Per: time.Minute}, Sustained: quota.Rate{N: 5, Per: time.Minute}}
		p := join(t, store, limits)
		if _, as := p.Outlook(); !as.IsZero() {
			t.Errorf("before anything was read it is known as of %s", as)
		}
		for range 3 {
			request(t, p, activate)
		}
		held := acquire(t, p, lookUp)
		defer held.End()
		p.Answered(activate, 4, 30*time.Second)
		request(t, p, activate)
		rest(t.Context(), time.Second)
		o, as := p.Outlook()
		if since := time.Since(as); since > time.Second {
			t.Errorf("it is known as of %s ago", since)
		}
		uses := o.Uses()
		want := []quota.Use{{Operation: activate, Peak: 4, Sustained: 4, Left: uses[0].Left}, {Operation: lookUp, Peak: 1, Sustained: 1, Left: -1}}
		if !reflect.DeepEqual(uses, want) || uses[0].Left < 3 || uses[0].Left > 4 {
			t.Errorf("uses are %+v, want %+v with 3 or 4 left", uses, want)
		}
		if places, _ := o.Places(); places < 1 {
			t.Errorf("%d places are held", places)
		}
		if seen := look(t, store, limits).Uses(); !reflect.DeepEqual(seen, uses) {
			t.Errorf("the record shows %+v, the pacer %+v", seen, uses)
		}
		if later := o.After(2 * time.Minute).Uses(); later[0].Peak != 0 || later[0].Sustained != 4 || later[0].Left != -1 {
			t.Errorf("two minutes later uses are %+v", later)
		}
	})
}

// Who waits is told of when leave is given, and with how long it took; who gives up is not.
func TestWaitsAreTold(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var mu sync.Mutex
		waits := map[quota.Lane][]time.Duration{}
		p, leave := replica(&quotatest.Memory{}, quota.Options{
			Limits: quota.Limits{Concurrency: 1, Peak: quota.Rate{N: 10, Per: time.Minute}},
			Waited: func(l quota.Lane, d time.Duration) {
				mu.Lock()
				defer mu.Unlock()
				waits[l] = append(waits[l], d)
			},
		})
		defer leave()
		held := acquire(t, p, activate)
		giving, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var waiting sync.WaitGroup
		waiting.Go(func() {
			if _, err := p.Acquire(giving, quota.Replay, activate); err == nil {
				t.Error("leave was given though there is no place")
			}
		})
		waiting.Go(func() {
			permit, err := p.Acquire(t.Context(), quota.Waiting, activate)
			if err != nil {
				t.Error(err)
				return
			}
			permit.End()
		})
		rest(t.Context(), 500*time.Millisecond)
		if got, want := p.Queued(), (quota.Queue{quota.Running: 0, quota.Fresh: 0, quota.Waiting: 1, quota.Replay: 1}); !reflect.DeepEqual(got, want) {
			t.Errorf("%v wait, want %v", got, want)
		}
		rest(t.Context(), 4500*time.Millisecond)
		held.End()
		waiting.Wait()
		mu.Lock()
		defer mu.Unlock()
		if len(waits[quota.Fresh]) != 1 || len(waits[quota.Replay]) != 0 || len(waits[quota.Waiting]) != 1 || waits[quota.Waiting][0].Round(time.Second) != 5*time.Second {
			t.Errorf("waits were %v", waits)
		}
	})
}
