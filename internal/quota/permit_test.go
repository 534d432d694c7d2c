package quota_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"activation-worker/internal/quota"
)

func TestConcurrencyOverAllOperations(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p := newPacer(t, quota.Limits{Concurrency: 2})
		one, two := acquire(t, p, activate), acquire(t, p, lookUp)
		result := make(chan *quota.Permit)
		go func() {
			permit, err := p.Acquire(t.Context(), quota.Fresh, activate)
			if err != nil {
				t.Errorf("acquire: %v", err)
			}
			result <- permit
		}()
		rest(t.Context(), time.Hour)
		select {
		case <-result:
			t.Fatal("three at once, allowed are two")
		default:
		}
		one.Begin()
		synctest.Wait()
		select {
		case <-result:
			t.Fatal("a request that has begun has not ended")
		default:
		}
		one.End()
		three := <-result
		two.End()
		two.End() // a second End frees nothing
		three.End()
		four, five := acquire(t, p, lookUp), acquire(t, p, lookUp)
		defer four.End()
		defer five.End()
		ended, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := p.Acquire(ended, quota.Fresh, activate); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a third at once after a permit was ended twice: %v", err)
		}
	})
}

// Concurrency below one would be a standstill.
func TestConcurrencyIsAtLeastOne(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		wantNow(t, newPacer(t, quota.Limits{}), activate)
	})
}

func TestUnusedPermitIsGivenBack(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p := newPacer(t, quota.Limits{Peak: quota.Rate{N: 2, Per: time.Minute}, Concurrency: 5})
		one, two := acquire(t, p, activate), acquire(t, p, activate)
		start := time.Now()
		waited := make(chan time.Duration, 1)
		go func() {
			permit, err := p.Acquire(t.Context(), quota.Fresh, activate)
			if err != nil {
				t.Errorf("acquire: %v", err)
				return
			}
			waited <- time.Since(start)
			permit.Begin()
			permit.End()
		}()
		rest(t.Context(), 5*time.Second)
		one.End()
		if got := <-waited; got != 5*time.Second {
			t.Errorf("waited %s for a permit that was given back after 5s", got)
		}
		one.End()
		two.Begin()
		two.End() // was used, gives nothing back
		wantWait(t, p, activate, time.Minute, 61*time.Second)
	})
}

// Leave that is used late counts from when it was used.
func TestLateBegin(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p := newPacer(t, quota.Limits{Peak: quota.Rate{N: 1, Per: time.Minute}, Concurrency: 5})
		permit := acquire(t, p, activate)
		rest(t.Context(), 10*time.Minute)
		permit.Begin()
		permit.End()
		wantWait(t, p, activate, time.Minute, 61*time.Second)
	})
}

func TestAgain(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p := newPacer(t, quota.Limits{Peak: quota.Rate{N: 2, Per: time.Minute}, Concurrency: 1})
		permit := acquire(t, p, activate)
		permit.Begin()
		for i, want := range []time.Duration{0, time.Minute} {
			before := time.Now()
			if err := permit.Again(t.Context()); err != nil {
				t.Fatal(err)
			}
			if waited := time.Since(before); waited < want || waited > want+time.Second {
				t.Errorf("further request %d waited %s, want %s", i+1, waited, want)
			}
			permit.Begin()
		}
		if err := permit.Again(t.Context()); err != nil {
			t.Fatal(err)
		}
		permit.End() // the last was not used
		wantNow(t, p, activate)
	})
}

// One that holds a place asks for a further request, while another holds leave and waits for the place.
func TestAgainWhileAnotherWaitsForThePlace(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p := newPacer(t, quota.Limits{Peak: quota.Rate{N: 1, Per: time.Second}, Concurrency: 1})
		permit := acquire(t, p, activate)
		permit.Begin()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		began := &tally{}
		began.add()
		var other sync.WaitGroup
		other.Go(func() {
			permit, err := p.Acquire(ctx, quota.Fresh, activate)
			if err != nil {
				t.Errorf("the one who waits for the place: %v", err)
				return
			}
			permit.Begin()
			began.add()
			permit.End()
		})
		rest(ctx, 10*time.Second)
		if err := permit.Again(ctx); err != nil {
			t.Errorf("the one who has the place: %v", err)
		} else {
			permit.Begin()
			began.add()
		}
		permit.End()
		other.Wait()
		if got := began.most(time.Second); got > 1 {
			t.Errorf("%d began within a second, allowed is 1", got)
		}
	})
}

func TestPause(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p := newPacer(t, quota.Limits{Peak: quota.Rate{N: 100, Per: time.Minute}, Concurrency: 5})
		p.Pause(activate, time.Now().Add(-time.Hour)) // is over
		wantNow(t, p, activate)
		p.Pause(activate, time.Now().Add(10*time.Minute))
		p.Pause(activate, time.Now().Add(time.Minute)) // shorter: changes nothing
		wantWait(t, p, activate, 10*time.Minute, 10*time.Minute+time.Millisecond)

		// One who waits already learns of a pause.
		p = newPacer(t, quota.Limits{Peak: quota.Rate{N: 1, Per: time.Minute}, Concurrency: 5})
		request(t, p, activate)
		start := time.Now()
		waited := make(chan time.Duration)
		go func() {
			request(t, p, activate)
			waited <- time.Since(start)
		}()
		synctest.Wait()
		p.Pause(activate, start.Add(5*time.Minute))
		if got := (<-waited).Truncate(time.Millisecond); got != 5*time.Minute {
			t.Errorf("waited %s, want the pause of 5m", got)
		}
	})
}

func TestCancelWhileWaiting(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		cause := errors.New("told to stop")
		for name, o := range map[string]quota.Limits{
			"for the pace":  {Peak: quota.Rate{N: 1, Per: time.Minute}, Concurrency: 5},
			"for a place":   {Peak: quota.Rate{N: 2, Per: time.Minute}, Concurrency: 1},
			"for the pause": {Concurrency: 5},
		} {
			p := newPacer(t, o)
			holder := acquire(t, p, activate)
			holder.Begin()
			if name == "for the pause" {
				p.Pause(activate, time.Now().Add(time.Hour))
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			// Two: the first waits for the pace, the second for its turn.
			results := make(chan error, 2)
			for range 2 {
				go func() {
					_, err := p.Acquire(ctx, quota.Fresh, activate)
					results <- err
				}()
			}
			synctest.Wait()
			before := time.Now()
			cancel(cause)
			for range 2 {
				if err := <-results; !errors.Is(err, cause) && !errors.Is(err, context.Canceled) {
					t.Errorf("waiting %s ends with %v", name, err)
				}
			}
			if waited := time.Since(before); waited != 0 {
				t.Errorf("waiting %s ends %s after its context", name, waited)
			}
			holder.End()
			if name == "for a place" { // what was granted and not used is free again
				wantNow(t, p, activate)
			}
		}
	})
}

func TestFirstComeFirstServed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		for name, o := range map[string]quota.Limits{
			"pace":  {Peak: quota.Rate{N: 1, Per: time.Second}, Concurrency: 50},
			"place": {Concurrency: 1},
			"both":  {Peak: quota.Rate{N: 3, Per: time.Second}, Concurrency: 2},
		} {
			p := newPacer(t, o)
			const many = 30
			served := make([]time.Time, many)
			var all sync.WaitGroup
			for i := range many {
				all.Go(func() {
					permit, err := p.Acquire(t.Context(), quota.Fresh, activate)
					if err != nil {
						t.Errorf("acquire: %v", err)
						return
					}
					served[i] = time.Now()
					permit.Begin()
					rest(t.Context(), 100*time.Millisecond)
					permit.End()
				})
				synctest.Wait()
			}
			all.Wait()
			if !slices.IsSortedFunc(served, time.Time.Compare) || served[0].IsZero() {
				t.Errorf("waiting for %s: served at %v", name, served)
			}
		}
	})
}
