package quota_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"activation-worker/internal/quota"
	"activation-worker/internal/quota/quotatest"
)

// Whatever comes when, in whichever lane, however long it waits to begin, and whatever is given back: no window holds
// too many, and there are never too many at once.
func TestNeverMoreThanThePeakInAnyWindow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rapid.SyncTest(t, func(t *rapid.T) {
			limit := quota.Rate{N: rapid.IntRange(1, 12).Draw(t, "n"), Per: rapid.SampledFrom([]time.Duration{time.Second, time.Minute}).Draw(t, "per")}
			concurrency := rapid.IntRange(1, 20).Draw(t, "concurrency")
			p, leave := replica(&quotatest.Memory{}, quota.Options{Limits: quota.Limits{Peak: limit, Concurrency: concurrency}})
			defer leave()
			p.Gently(time.Now().Add(time.Duration(rapid.IntRange(0, 5).Draw(t, "gently")) * limit.Per))
			type step struct {
				After, BeforeBegin, Takes time.Duration
				Begins, Again, Patient    bool
				Lane                      quota.Lane
			}
			span := func(most time.Duration) *rapid.Generator[time.Duration] {
				return rapid.Map(rapid.Int64Range(0, int64(most)), func(n int64) time.Duration { return time.Duration(n) })
			}
			steps := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
				return step{
					After: span(limit.Per/4).Draw(t, "after"), BeforeBegin: span(limit.Per/2).Draw(t, "beforeBegin"), Takes: span(limit.Per).Draw(t, "takes"),
					Begins: rapid.IntRange(0, 4).Draw(t, "begins") > 0, Again: rapid.IntRange(0, 4).Draw(t, "again") == 0, Patient: rapid.IntRange(0, 4).Draw(t, "patient") > 0,
					Lane: quota.Lane(rapid.IntRange(int(quota.Running), int(quota.Replay)).Draw(t, "lane")),
				}
			}), 1, 60).Draw(t, "steps")
			began := &tally{}
			var atOnce atomic.Int32
			done := make(chan struct{})
			for _, s := range steps {
				rest(context.Background(), s.After)
				go func() {
					defer func() { done <- struct{}{} }()
					patience := limit.Per / 3
					if s.Patient {
						patience = 200 * limit.Per
					}
					ctx, cancel := context.WithTimeout(context.Background(), patience)
					defer cancel()
					permit, err := p.Acquire(ctx, s.Lane, activate)
					if err != nil {
						return
					}
					defer permit.End()
					if n := atOnce.Add(1); int(n) > concurrency {
						t.Errorf("%d at once, allowed are %d", n, concurrency)
					}
					defer atOnce.Add(-1)
					rest(context.Background(), s.BeforeBegin)
					if s.Begins {
						permit.Begin()
						began.add()
						rest(context.Background(), s.Takes)
					}
					if s.Again && permit.Again(ctx) == nil {
						permit.Begin()
						began.add()
					}
				}()
			}
			for range steps {
				<-done
			}
			if got := began.most(limit.Per); got > limit.N {
				t.Fatalf("%d began within %s, allowed are %d", got, limit.Per, limit.N)
			}
			// All has ended: whatever was given back, a whole window's worth is free again.
			rest(context.Background(), 7*limit.Per)
			before := time.Now()
			for range limit.N {
				permit, err := p.Acquire(context.Background(), quota.Fresh, activate)
				if err != nil {
					t.Fatal(err)
				}
				permit.Begin()
				permit.End()
			}
			if waited := time.Since(before); waited != 0 {
				t.Fatalf("waited %s for what was free", waited)
			}
		})
	})
}

func TestPeak(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p := newPacer(t, quota.Limits{Peak: quota.Rate{N: 3, Per: time.Second}, Concurrency: 1})
		for range 3 {
			wantNow(t, p, activate)
		}
		wantWait(t, p, activate, time.Second, 1100*time.Millisecond)
		wantNow(t, p, activate)
		rest(t.Context(), 500*time.Millisecond)
		wantNow(t, p, activate)
		wantWait(t, p, activate, 500*time.Millisecond, 600*time.Millisecond) // for the first of the second window
	})
}

func TestFullDemandUsesThePeak(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		const lasts = 300 * time.Millisecond
		for _, limit := range []quota.Rate{{N: 240, Per: time.Minute}, {N: 4, Per: time.Second}, {N: 600, Per: time.Hour}} {
			ctx, cancel := context.WithCancel(t.Context())
			p := newPacer(t, quota.Limits{Peak: limit, Concurrency: 3})
			start := time.Now()
			long := 10 * max(time.Minute, limit.Per)
			began, all := demand(ctx, p, activate, 12, lasts)
			rest(ctx, long)
			cancel()
			all.Wait()
			allowed := float64(limit.N) * float64(long) / float64(limit.Per)
			if used := float64(began.within(start.Add(-1), start.Add(long))) / allowed; used < wantUse(limit, lasts) || used > 1.001 {
				t.Errorf("%d per %s: %.3f of what is allowed was used over %s", limit.N, limit.Per, used, long)
			}
			if got := began.most(limit.Per); got > limit.N {
				t.Errorf("%d began within %s, allowed are %d", got, limit.Per, limit.N)
			}
		}
	})
}

// wantUse is the share of the allowed rate that full demand must get: a place is taken for a window and as long as the
// request lasts, since nobody knows when within that it arrives.
func wantUse(limit quota.Rate, lasts time.Duration) float64 {
	return 0.98 * float64(limit.Per) / float64(limit.Per+lasts)
}

func TestSustainedRateOverHalfAnHour(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		p := newPacer(t, quota.Limits{Peak: quota.Rate{N: 240, Per: time.Minute}, Sustained: quota.Rate{N: 120, Per: time.Minute}, Concurrency: 3})
		const hours = 2
		start := time.Now()
		began, all := demand(ctx, p, activate, 12, 200*time.Millisecond)
		rest(ctx, hours*time.Hour)
		cancel()
		all.Wait()
		if got := began.most(quota.SustainedOver); got > 3600 {
			t.Errorf("%d began within %s, allowed are 3600", got, quota.SustainedOver)
		}
		if got := began.most(time.Minute); got > 240 {
			t.Errorf("%d began within a minute, allowed are 240", got)
		}
		if used := float64(began.within(start.Add(-1), start.Add(hours*time.Hour))) / (120 * 60 * hours); used < 0.97 {
			t.Errorf("%.3f of the sustained rate was used", used)
		}
	})
}

// A sustained rate of less than one in half an hour still lets one go.
func TestTinySustainedRate(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p := newPacer(t, quota.Limits{Sustained: quota.Rate{N: 1, Per: time.Hour}, Concurrency: 1})
		wantNow(t, p, activate)
		wantWait(t, p, activate, quota.SustainedOver, quota.SustainedOver+time.Minute)
	})
}

func TestOperationsDoNotShareARate(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p := newPacer(t, quota.Limits{Peak: quota.Rate{N: 2, Per: time.Minute}, Sustained: quota.Rate{N: 2, Per: time.Minute}, Concurrency: 1})
		wantNow(t, p, activate)
		wantNow(t, p, activate)
		wantNow(t, p, lookUp)
		wantNow(t, p, lookUp)
		p.Pause(activate, time.Now().Add(time.Hour))
		wantWait(t, p, lookUp, time.Minute, 61*time.Second)
		wantWait(t, p, activate, 58*time.Minute, time.Hour)
	})
}

func TestNoLimitNoWait(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p := newPacer(t, quota.Limits{Concurrency: 1})
		for range 5000 {
			wantNow(t, p, activate)
		}
		p.Pause(activate, time.Now().Add(time.Minute))
		wantWait(t, p, activate, time.Minute, time.Minute+time.Millisecond)
	})
}

// A clock of the server that is set back opens no window early, and holds none for long.
func TestClockSetBack(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		store := &quotatest.Memory{}
		p := join(t, store, quota.Limits{Peak: quota.Rate{N: 2, Per: time.Minute}, Concurrency: 1})
		wantNow(t, p, activate)
		wantNow(t, p, activate)
		store.SetClock(-time.Hour)
		rest(t.Context(), 31*time.Second) // it is asked for now and then
		wantWait(t, p, activate, 29*time.Second, time.Minute+time.Second)
	})
}
