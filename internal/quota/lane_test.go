package quota_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"activation-worker/internal/quota"
	"activation-worker/internal/quota/quotatest"
)

// grant is leave that somebody got, and since when they had waited for it.
type grant struct {
	lane      quota.Lane
	operation string
	came, at  time.Time
}

// grants are in the order in which leave was given: with one request at a time, each is noted before the next is given.
type grants struct {
	mu  sync.Mutex
	all []grant
}

// request waits for leave and uses it for so long. It reports whether there was leave.
func (g *grants) request(ctx context.Context, p *quota.Pacer, lane quota.Lane, operation string, takes time.Duration) bool {
	came := time.Now()
	permit, err := p.Acquire(ctx, lane, operation)
	if err != nil {
		return false
	}
	defer permit.End()
	g.mu.Lock()
	g.all = append(g.all, grant{lane, operation, came, time.Now()})
	g.mu.Unlock()
	permit.Begin()
	rest(context.Background(), takes)
	return true
}

func (g *grants) lanes() string {
	var b strings.Builder
	for _, one := range g.all {
		b.WriteByte("rFWP"[one.lane])
	}
	return b.String()
}

// The smaller lane first, but for the fifths of the waiting and the rare turns of the replayed.
func TestOrderOfLanes(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		for name, tt := range map[string]struct {
			options quota.Limits
			waits   [4]int // by lane
			want    string
		}{
			"a running step waits behind nobody": {quota.Limits{Concurrency: 1}, [4]int{7, 1, 1, 1}, "rrrrrrrFWP"},
			"for the place": {
				quota.Limits{Concurrency: 1},
				[4]int{2, 20, 4, 2},
				"rr" + "FFFFW" + "FFFFW" + "FFFFW" + "F" + "P" + "FFW" + "FFFFF" + "P",
			},
			"for the pace": {
				quota.Limits{Concurrency: 9, Peak: quota.Rate{N: 1, Per: time.Second}},
				[4]int{2, 20, 4, 2},
				"rr" + "FFFFW" + "FFFFW" + "FFFFW" + "F" + "P" + "FFW" + "FFFFF" + "P",
			},
			"nobody else wants it": {quota.Limits{Concurrency: 1}, [4]int{0, 0, 3, 3}, "WWWPPP"},
		} {
			p, g := newPacer(t, tt.options), &grants{}
			p.Pause(activate, time.Now().Add(time.Second)) // all are there when the first is served
			var all sync.WaitGroup
			for lane, n := range slices.Backward(tt.waits[:]) {
				for range n {
					all.Go(func() { g.request(t.Context(), p, quota.Lane(lane), activate, 10*time.Millisecond) })
				}
			}
			all.Wait()
			if got := g.lanes(); got != tt.want {
				t.Errorf("%s: served were %s, want %s", name, got, tt.want)
			}
		}
	})
}

// One who is due by their lane's share still stands behind a running step.
func TestRunningGoesBeforeWhoIsDue(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p, g := newPacer(t, quota.Limits{Concurrency: 1}), &grants{}
		p.Pause(activate, time.Now().Add(time.Second))
		var all sync.WaitGroup
		for _, lane := range []quota.Lane{quota.Waiting, quota.Fresh, quota.Fresh, quota.Fresh, quota.Fresh, quota.Fresh} {
			all.Go(func() { g.request(t.Context(), p, lane, activate, 10*time.Millisecond) })
		}
		rest(t.Context(), time.Second+35*time.Millisecond)
		g.request(t.Context(), p, quota.Running, activate, 10*time.Millisecond)
		all.Wait()
		if got, want := g.lanes(), "FFFFrWF"; got != want {
			t.Errorf("served were %s, want %s", got, want)
		}
	})
}

// Within a lane, too, of those who could have leave the first to come gets it.
func TestOperationsOfALaneAreServedInTheOrderOfComing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p, g := newPacer(t, quota.Limits{Concurrency: 1}), &grants{}
		holder := acquire(t, p, lookUp)
		want := []string{lookUp, activate, "list", activate, "list", lookUp}
		var all sync.WaitGroup
		for _, operation := range want {
			all.Go(func() { g.request(t.Context(), p, quota.Waiting, operation, time.Millisecond) })
			synctest.Wait()
		}
		holder.End()
		all.Wait()
		for i, got := range g.all {
			if got.operation != want[i] {
				t.Errorf("request %d was for %s, want %s", i, got.operation, want[i])
			}
		}
	})
}

// An operation that has room only between two turns of a lane must not cost those their share who wait for it there.
func TestShareOfAnOperationThatIsRarelyFree(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p, g := newPacer(t, quota.Limits{Concurrency: 1}), &grants{}
		const takes, cycle = 10 * time.Millisecond, 55 * time.Millisecond
		p.Pause(activate, time.Now().Add(time.Second+4*takes+takes/2))
		p.Pause(lookUp, time.Now().Add(time.Second))
		var all sync.WaitGroup
		many := func(n int, lane quota.Lane, operation string) {
			for range n {
				all.Go(func() {
					g.request(t.Context(), p, lane, operation, takes)
					if operation == activate {
						p.Pause(activate, time.Now().Add(cycle-takes))
					}
				})
			}
			synctest.Wait()
		}
		many(10, quota.Fresh, activate)
		many(80, quota.Fresh, lookUp)
		many(40, quota.Waiting, lookUp)
		many(1, quota.Waiting, activate)
		all.Wait()
		before := 0
		for _, one := range g.all {
			if one.operation == activate && one.lane == quota.Waiting {
				break
			}
			if one.operation == activate {
				before++
			}
		}
		if before != 4 {
			t.Errorf("%d of the lane above went before, want 4", before)
		}
	})
}

// Who is told to stop while leave is given to them keeps nothing of it.
func TestCancelWhileLeaveIsGiven(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p := newPacer(t, quota.Limits{Concurrency: 1})
		for range 300 {
			holder := acquire(t, p, activate)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() {
				defer close(done)
				if permit, err := p.Acquire(ctx, quota.Fresh, activate); err == nil {
					permit.End()
				}
			}()
			synctest.Wait()
			cancel() // seen first, and then leave is there as well
			holder.End()
			<-done
			if p.Places() != 0 {
				t.Fatal("a place is taken, and nobody has it")
			}
		}
	})
}

// Who waits for an operation that has no room stops nobody who wants another, in no lane.
func TestAnOperationWithoutRoomBlocksNoOther(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p := newPacer(t, quota.Limits{Concurrency: 1})
		p.Pause(activate, time.Now().Add(time.Hour))
		g := &grants{}
		var all sync.WaitGroup
		for lane := range quota.Replay + 1 {
			all.Go(func() { g.request(t.Context(), p, lane, activate, time.Second) })
			synctest.Wait()
			before := time.Now()
			if !g.request(t.Context(), p, lane, lookUp, 0) || time.Since(before) != 0 {
				t.Errorf("in lane %d waited %s for another operation", lane, time.Since(before))
			}
		}
		all.Wait()
	})
}

// A permit's further request goes before every lane, and needs no second place.
func TestAgainGoesBeforeAllLanes(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p := newPacer(t, quota.Limits{Concurrency: 2, Peak: quota.Rate{N: 1, Per: time.Minute}})
		g := &grants{}
		permit := acquire(t, p, activate)
		permit.Begin()
		var all sync.WaitGroup
		all.Go(func() { g.request(t.Context(), p, quota.Running, activate, 0) })
		synctest.Wait()
		before := time.Now()
		if err := permit.Again(t.Context()); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(before); waited > 61*time.Second || len(g.all) != 0 {
			t.Errorf("a further request waited %s behind %d others", waited, len(g.all))
		}
		permit.Begin()
		permit.End()
		all.Wait()
	})
}

// Whatever comes when, for whichever operation: nobody at the head of a line is passed over more often than
// their lane allows, by leave that they could have used, and everybody gets leave.
func TestNoLaneStarves(t *testing.T) {
	t.Parallel()
	most := map[quota.Lane]int{quota.Waiting: 4, quota.Replay: 19}
	rapid.Check(t, func(t *rapid.T) {
		rapid.SyncTest(t, func(t *rapid.T) {
			operations := []string{activate, lookUp, "list"}[:rapid.IntRange(1, 3).Draw(t, "operations")]
			limit := quota.Rate{N: rapid.IntRange(0, 8).Draw(t, "n"), Per: time.Second} // 0: none
			p, leave := replica(&quotatest.Memory{}, quota.Options{Limits: quota.Limits{Peak: limit, Concurrency: 1}})
			defer leave()
			g := &grants{}
			type step struct {
				After, Takes time.Duration
				Lane         quota.Lane
				Operation    string
				GivesUp      bool
			}
			steps := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
				return step{
					After:     time.Duration(rapid.IntRange(0, 40).Draw(t, "after")) * time.Millisecond,
					Takes:     time.Duration(rapid.IntRange(1, 100).Draw(t, "takes")) * time.Millisecond,
					Lane:      rapid.SampledFrom([]quota.Lane{quota.Running, quota.Fresh, quota.Fresh, quota.Fresh, quota.Waiting, quota.Replay}).Draw(t, "lane"),
					Operation: rapid.SampledFrom(operations).Draw(t, "operation"),
					GivesUp:   rapid.IntRange(0, 9).Draw(t, "gives up") == 0,
				}
			}), 1, 150).Draw(t, "steps")
			var all sync.WaitGroup
			served := make([]bool, len(steps))
			for i, s := range steps {
				rest(context.Background(), s.After)
				all.Go(func() {
					patience := time.Hour
					if s.GivesUp {
						patience = 100 * time.Millisecond
					}
					ctx, cancel := context.WithTimeout(context.Background(), patience)
					defer cancel()
					served[i] = g.request(ctx, p, s.Lane, s.Operation, s.Takes) || s.GivesUp
				})
			}
			all.Wait()
			if i := slices.Index(served, false); i >= 0 {
				t.Fatalf("request %d of lane %d was never served: %s", i, steps[i].Lane, g.lanes())
			}
			if limit.N == 0 {
				checkPassed(t, g.all, most, func(waits, _ grant) string { return fmt.Sprint(waits.lane) })
			}
			checkPassed(t, g.all, most, func(waits, given grant) string {
				if waits.operation != given.operation {
					return ""
				}
				return fmt.Sprint(waits.lane, waits.operation)
			})
		})
	})
}

// checkPassed counts how many leaves in succession went to others while a line had somebody waiting. lineOf is the
// line of one who waits, empty if they could not have used the leave given.
func checkPassed(t *rapid.T, all []grant, most map[quota.Lane]int, lineOf func(waits, given grant) string) {
	passed := map[string]int{}
	for i, given := range all {
		if given.lane == quota.Running {
			continue
		}
		waiting := map[string]quota.Lane{}
		for _, waits := range all[i+1:] {
			if line := lineOf(waits, given); line != "" && waits.came.Before(given.at) {
				waiting[line] = waits.lane
			}
		}
		for line, lane := range waiting {
			passed[line]++
			if limit, limited := most[lane]; limited && lane != given.lane && passed[line] > limit {
				t.Fatalf("line %s was passed over %d times, allowed are %d", line, passed[line], limit)
			}
		}
		delete(passed, lineOf(given, given))
	}
}

// Hundreds of replayed customers do not keep one just announced waiting.
func TestFreshGoesBeforeManyReplayed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p, g := newPacer(t, quota.Limits{Concurrency: 3}), &grants{}
		var all sync.WaitGroup
		for range 200 {
			all.Go(func() { g.request(t.Context(), p, quota.Replay, activate, time.Second) })
		}
		rest(t.Context(), 10*time.Second+time.Millisecond)
		before := time.Now()
		g.request(t.Context(), p, quota.Fresh, activate, 0)
		if waited := time.Since(before); waited > time.Second {
			t.Errorf("waited %s behind replayed customers, want until one of three requests ends", waited)
		}
		all.Wait()
	})
}

// After a pause what has gathered goes out evenly, each operation by itself, and fast again when that is over.
func TestGently(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p := newPacer(t, quota.Limits{Peak: quota.Rate{N: 240, Per: time.Minute}, Concurrency: 100})
		over := time.Now().Add(10 * time.Second)
		p.Pause(activate, over) // and evenly for as long after it
		p.Gently(over.Add(10 * time.Second))
		p.Gently(over) // shorter: changes nothing
		began := &tally{}
		var all sync.WaitGroup
		for range 60 {
			all.Go(func() {
				request(t, p, activate)
				began.add()
			})
		}
		synctest.Wait()
		wantNow(t, p, lookUp)
		wantWait(t, p, lookUp, 250*time.Millisecond, 250*time.Millisecond)
		all.Wait()
		slices.SortFunc(began.times, time.Time.Compare)
		for i, at := range began.times {
			// 40 in the ten seconds, one when they are over, and then the rest at once.
			if want := over.Add(min(time.Duration(i)*250*time.Millisecond, 10*time.Second)); at.Sub(want).Abs() > time.Millisecond {
				t.Errorf("request %d began %s after the pause, want %s", i, at.Sub(over), want.Sub(over))
			}
		}
		p = newPacer(t, quota.Limits{Sustained: quota.Rate{N: 120, Per: time.Minute}, Concurrency: 1})
		p.Gently(time.Now().Add(time.Hour)) // without a peak there is no distance
		wantNow(t, p, activate)
		wantNow(t, p, activate)
	})
}

// Gently is kept by those too that wait already, and by further requests.
func TestGentlyIsHeardWhileWaiting(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		p := newPacer(t, quota.Limits{Peak: quota.Rate{N: 2, Per: time.Minute}, Concurrency: 1})
		permit := acquire(t, p, activate)
		permit.Begin()
		p.Gently(time.Now().Add(time.Hour))
		before := time.Now()
		if err := permit.Again(t.Context()); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(before); waited != 30*time.Second {
			t.Errorf("a further request waited %s, want half a minute", waited)
		}
		permit.End()
	})
}

func TestInterval(t *testing.T) {
	t.Parallel()
	peak, sustained := quota.Rate{N: 240, Per: time.Minute}, quota.Rate{N: 120, Per: time.Minute}
	for name, tt := range map[string]struct {
		options quota.Limits
		want    time.Duration
	}{
		"both":                  {quota.Limits{Peak: peak, Sustained: sustained}, 500 * time.Millisecond},
		"peak alone":            {quota.Limits{Peak: peak}, 250 * time.Millisecond},
		"sustained alone":       {quota.Limits{Sustained: sustained}, 500 * time.Millisecond},
		"a peak below":          {quota.Limits{Peak: quota.Rate{N: 60, Per: time.Minute}, Sustained: sustained}, time.Second},
		"one in half an hour":   {quota.Limits{Sustained: quota.Rate{N: 1, Per: time.Hour}}, quota.SustainedOver},
		"as fast as it will go": {quota.Limits{}, 0},
	} {
		if got := tt.options.Interval(); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}
