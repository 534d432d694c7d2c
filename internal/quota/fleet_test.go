package quota_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"activation-worker/internal/quota"
	"activation-worker/internal/quota/quotatest"
)

// line is a replica's way to the store, which takes its time and can be cut.
type line struct {
	quota.Store
	takes time.Duration
	cut   atomic.Bool
}

var errCut = errors.New("no connection")

func (l *line) pass(ctx context.Context) error {
	rest(ctx, l.takes)
	if l.cut.Load() {
		return errCut
	}
	return ctx.Err()
}

func (l *line) Load(ctx context.Context) ([]byte, uint64, error) {
	if err := l.pass(ctx); err != nil {
		return nil, 0, err
	}
	return l.Store.Load(ctx)
}

func (l *line) Update(ctx context.Context, data []byte, version uint64) (uint64, error) {
	if err := l.pass(ctx); err != nil {
		return 0, err
	}
	stored, err := l.Store.Update(ctx, data, version)
	if err == nil {
		err = l.pass(ctx) // stored, and nobody hears of it
	}
	return stored, err
}

func (l *line) Time(ctx context.Context) (time.Time, error) {
	if err := l.pass(ctx); err != nil {
		return time.Time{}, err
	}
	return l.Store.Time(ctx)
}

// partner counts what arrives.
type partner struct {
	tally
	atOnce, most int
}

// serve is one request under a permit.
func (p *partner) serve(takes time.Duration) {
	p.mu.Lock()
	p.times = append(p.times, time.Now())
	p.atOnce++
	p.most = max(p.most, p.atOnce)
	p.mu.Unlock()
	rest(context.Background(), takes)
	p.mu.Lock()
	p.atOnce--
	p.mu.Unlock()
}

// Replicas come, leave, die and lose the store, their clocks are apart: no window holds too many, and never too many are
// under way at once, those of the dead counted.
func TestAFleetKeepsTheLimits(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rapid.SyncTest(t, func(t *rapid.T) {
			limits := quota.Limits{Concurrency: rapid.IntRange(1, 5).Draw(t, "concurrency")}
			if rapid.IntRange(0, 3).Draw(t, "limited") > 0 {
				limits.Peak = quota.Rate{N: rapid.IntRange(1, 12).Draw(t, "n"), Per: time.Second}
			}
			timeout := 2 * time.Second
			store, api := &quotatest.Memory{}, &partner{}
			var all sync.WaitGroup
			start := func() {
				ahead := time.Duration(rapid.IntRange(-5000, 5000).Draw(t, "ahead")) * time.Millisecond
				way := &line{Store: store, takes: time.Duration(rapid.IntRange(0, 20).Draw(t, "takes")) * time.Millisecond}
				p, leave := replica(way, quota.Options{Limits: limits, Timeout: timeout, Now: func() time.Time { return time.Now().Add(ahead) }})
				working, stop := context.WithCancel(context.Background())
				dead := &atomic.Bool{}
				var requests sync.WaitGroup
				for range 6 {
					requests.Go(func() {
						for working.Err() == nil {
							permit, err := p.Acquire(working, quota.Fresh, activate)
							if err != nil {
								continue
							}
							if !dead.Load() && permit.Begin() == nil {
								api.serve(min(timeout, time.Duration(1+time.Now().UnixNano()/1000%2000)*time.Millisecond))
							}
							if !dead.Load() {
								permit.End()
							}
						}
					})
				}
				life := time.Duration(rapid.IntRange(0, 8000).Draw(t, "life")) * time.Millisecond
				how := rapid.SampledFrom([]string{"leaves", "dies", "is cut off"}).Draw(t, "end")
				all.Go(func() {
					rest(context.Background(), life)
					switch how {
					case "dies":
						way.cut.Store(true)
						dead.Store(true)
					case "is cut off":
						way.cut.Store(true)
						rest(context.Background(), 3*time.Second)
						way.cut.Store(false)
						rest(context.Background(), 3*time.Second)
					}
					stop()
					requests.Wait()
					leave()
				})
			}
			for range rapid.IntRange(2, 6).Draw(t, "replicas") {
				start()
				rest(context.Background(), time.Duration(rapid.IntRange(0, 2000).Draw(t, "apart"))*time.Millisecond)
			}
			all.Wait()
			if api.most > limits.Concurrency {
				t.Errorf("%d requests at once, allowed are %d", api.most, limits.Concurrency)
			}
			if got := api.mostWithin(time.Second); limits.Peak.N > 0 && got > limits.Peak.N {
				t.Errorf("%d requests within a second, allowed are %d", got, limits.Peak.N)
			}
			// All who are gone have given back, or are given up: a whole second's worth is there again.
			rest(context.Background(), timeout+6*time.Second)
			p, leave := replica(store, quota.Options{Limits: limits, Timeout: timeout})
			defer leave()
			before := time.Now()
			for range max(1, limits.Peak.N) {
				permit, err := p.Acquire(context.Background(), quota.Fresh, activate)
				if err != nil {
					t.Fatal(err)
				}
				permit.End()
			}
			if waited := time.Since(before); waited > 600*time.Millisecond { // a moment for each who died waiting
				t.Errorf("waited %s for what was free", waited)
			}
		})
	})
}

// Three replicas use what one could.
func TestAFleetUsesThePeak(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		store, api := &quotatest.Memory{}, &partner{}
		limits := quota.Limits{Peak: quota.Rate{N: 20, Per: time.Second}, Concurrency: 3}
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		served := make([]atomic.Int64, 3)
		for i := range served {
			p := join(t, &line{Store: store, takes: time.Millisecond}, limits)
			for range 10 {
				all.Go(func() {
					for {
						permit, err := p.Acquire(ctx, quota.Fresh, activate)
						if err != nil {
							return
						}
						if err := permit.Begin(); err != nil {
							t.Error(err)
						}
						api.serve(5 * time.Millisecond)
						permit.End()
						served[i].Add(1)
					}
				})
			}
		}
		rest(ctx, time.Minute)
		cancel()
		all.Wait()
		if used := float64(len(api.times)) / (20 * 60); used < 0.97 {
			t.Errorf("%.3f of the peak was used", used)
		}
		if got := api.mostWithin(time.Second); got > 20 {
			t.Errorf("%d in a second, allowed are 20", got)
		}
		for i := range served {
			if n := int(served[i].Load()); n < len(api.times)/6 {
				t.Errorf("replica %d was served %d of %d times", i, n, len(api.times))
			}
		}
		t.Logf("%d requests, %d updates", len(api.times), store.Updates())
	})
}

// A replica that is killed holds its places until its requests have timed out, and no longer.
func TestADeadReplicasPlacesComeBack(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		store := &quotatest.Memory{}
		limits := quota.Limits{Concurrency: 2}
		const timeout = 10 * time.Second
		way := &line{Store: store}
		dead, leave := replica(way, quota.Options{Limits: limits, Timeout: timeout})
		defer leave()
		for range 2 {
			permit := acquire(t, dead, activate)
			if err := permit.Begin(); err != nil {
				t.Fatal(err)
			}
		}
		rest(t.Context(), time.Minute)
		way.cut.Store(true)
		killed := time.Now()
		p, leaveToo := replica(store, quota.Options{Limits: limits, Timeout: timeout})
		defer leaveToo()
		acquire(t, p, activate).End()
		if waited := time.Since(killed); waited < timeout || waited > timeout+5*time.Second {
			t.Errorf("a place was free %s after its holder died, want %s to 5s more", waited, timeout)
		}
	})
}

// A replica that leaves gives back all that it holds, what it has just used too.
func TestWhoLeavesGivesBack(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		store := &quotatest.Memory{}
		limits := quota.Limits{Concurrency: 2}
		p, leave := replica(store, quota.Options{Limits: limits})
		one, two := acquire(t, p, activate), acquire(t, p, activate)
		one.End()
		two.End()
		leave()
		wantNow(t, join(t, store, limits), activate)
	})
}

// Without the store nobody gets leave, and what is held is not used for longer than it is leased.
func TestNoStoreNoLeave(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		way := &line{Store: &quotatest.Memory{}}
		way.cut.Store(true)
		p := join(t, way, quota.Limits{Concurrency: 1})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, err := p.Acquire(ctx, quota.Fresh, activate); err == nil {
			t.Error("leave without a store")
		}
		if p.Trouble() == nil {
			t.Error("it is not said why")
		}
		way.cut.Store(false)
		permit := acquire(t, p, activate)
		way.cut.Store(true)
		rest(t.Context(), time.Minute)
		if err := permit.Begin(); !errors.Is(err, quota.ErrLeaseEnded) {
			t.Errorf("begin long after the lease: %v", err)
		}
		permit.End()
		way.cut.Store(false)
		acquire(t, p, activate).End()
		if err := p.Trouble(); err != nil {
			t.Errorf("after it: %v", err)
		}
	})
}

// Fresh customers of one replica go before the waiting ones of another, who get their share.
func TestLanesOverAFleet(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		for name, limits := range map[string]quota.Limits{
			"pace":   {Peak: quota.Rate{N: 10, Per: time.Second}, Concurrency: 3},
			"places": {Concurrency: 2},
		} {
			store := &quotatest.Memory{}
			ctx, cancel := context.WithCancel(t.Context())
			g := &grants{}
			var all sync.WaitGroup
			for _, lane := range []quota.Lane{quota.Waiting, quota.Fresh, quota.Replay} {
				p := join(t, store, limits)
				for range 20 {
					all.Go(func() {
						for g.request(ctx, p, lane, activate, 200*time.Millisecond) {
						}
					})
				}
				rest(ctx, 10*time.Second)
			}
			g.mu.Lock()
			g.all = nil
			g.mu.Unlock()
			rest(ctx, 2*time.Minute)
			cancel()
			all.Wait()
			n := map[quota.Lane]int{}
			for _, one := range g.all {
				n[one.lane]++
			}
			total := float64(len(g.all))
			if share := float64(n[quota.Waiting]) / total; share < 0.18 || share > 0.3 {
				t.Errorf("%s: %.2f of %v went to the waiting, want a fifth", name, share, n)
			}
			if share := float64(n[quota.Replay]) / total; share < 0.04 || share > 0.1 {
				t.Errorf("%s: %.2f of %v went to the replayed, want a twentieth", name, share, n)
			}
			t.Logf("%s: %v", name, n)
		}
	})
}

// All pause when one is told to, and come back evenly.
func TestAFleetPausesTogether(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		store, api := &quotatest.Memory{}, &partner{}
		limits := quota.Limits{Peak: quota.Rate{N: 240, Per: time.Minute}, Concurrency: 9}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var all sync.WaitGroup
		var fleet []*quota.Pacer
		for range 3 {
			p := join(t, store, limits)
			fleet = append(fleet, p)
			request(t, p, lookUp)
		}
		if !fleet[0].Pause(activate, time.Now().Add(30*time.Second)) {
			t.Error("a pause is no news")
		}
		over := time.Now().Add(30 * time.Second)
		synctest.Wait()
		for _, p := range fleet {
			for range 20 {
				all.Go(func() {
					permit, err := p.Acquire(ctx, quota.Fresh, activate)
					if err != nil {
						return
					}
					_ = permit.Begin()
					api.serve(10 * time.Millisecond)
					permit.End()
				})
			}
		}
		all.Wait()
		for i, at := range api.times {
			if at.Before(over) || i > 0 && at.Sub(api.times[i-1]) < 249*time.Millisecond {
				t.Errorf("request %d came %s after the pause, %s after the one before", i, at.Sub(over), at.Sub(api.times[max(0, i-1)]))
			}
		}
		if took := time.Since(over); took > 16*time.Second {
			t.Errorf("60 requests took %s", took)
		}
	})
}

// What the partner says it has left counts where it is less than ours.
func TestThePartnersCount(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		store := &quotatest.Memory{}
		limits := quota.Limits{Peak: quota.Rate{N: 240, Per: time.Minute}, Concurrency: 5}
		a, b := join(t, store, limits), join(t, store, limits)
		permit := acquire(t, a, activate)
		_ = permit.Begin()
		a.Answered(activate, 3, 40*time.Second)
		permit.End()
		wantNow(t, a, activate)
		wantNow(t, b, activate)
		a.Answered(activate, 200, 40*time.Second) // more than before, in the same count: not believed
		wantNow(t, b, activate)
		wantWait(t, b, activate, 39*time.Second, 41*time.Second)
		wantNow(t, a, activate)

		for _, nonsense := range []struct {
			left  int
			reset time.Duration
		}{{-1, time.Minute}, {0, 0}, {0, -time.Second}, {0, 100 * time.Hour}} {
			a.Answered(activate, nonsense.left, nonsense.reset)
			wantNow(t, a, activate)
		}
	})
}

// The record is what somebody else made of it: a newer worker's is not touched, and nonsense is replaced.
func TestAStrangeRecord(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		store := &quotatest.Memory{}
		store.Put([]byte(`{"version":2}`))
		p := join(t, store, quota.Limits{Concurrency: 1})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := p.Acquire(ctx, quota.Fresh, activate); err == nil {
			t.Error("leave by a record of a newer worker")
		}
		for _, strange := range []string{"", "{", `{"version":1,"operations":null}`, `{"version":1,"operations":{"activate":null},"replicas":{"x":null}}`, `[]`, `{"operations":{"activate":{"windows":[null,{"micros":-1,"ends":[1]}]}}}`} {
			store.Put([]byte(strange))
			rest(t.Context(), 3*time.Second)
			acquire(t, p, activate).End()
		}
	})
}

// A replica whose record says that a million wait there costs nobody here the time to leave something to each.
func TestACrowdElsewhereCostsLittle(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		store := &quotatest.Memory{}
		store.Put([]byte(fmt.Sprintf(`{"version":1,"operations":{},"replicas":{"x":{"until":%d,"term":60000000,"writes":1,"wants":[{"operation":"activate","lane":"again","since":1,"n":1000000000}]}}}`,
			time.Now().Add(time.Minute).UnixMicro())))
		p := join(t, store, quota.Limits{Concurrency: 2})
		wantWait(t, p, activate, 0, time.Second)
	})
}
