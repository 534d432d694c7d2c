package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func text(p Plan) string {
	var b strings.Builder
	p.print(&b)
	fmt.Fprint(&b, p.Guests)
	return b.String()
}

// small is the run of CI.
func small() options {
	return options{customers: 250, kills: 12, seed: 1, tags: true, clocks: true, versions: true, points: true}
}

func points() []string { return []string{"claim.before", "claim.after"} }

func TestSeedRepeatsPlan(t *testing.T) {
	t.Parallel()
	o := small()
	first, again := text(newPlan(o, points())), text(newPlan(o, points()))
	if first != again {
		t.Error("two plans of one seed differ")
	}
	o.seed = 2
	if text(newPlan(o, points())) == first {
		t.Error("another seed gives the same plan")
	}
}

func TestSmallestRunHasEveryKind(t *testing.T) {
	t.Parallel()
	o := small()
	o.kills = 1
	counts := map[string]int{}
	for _, b := range newPlan(o, nil).Blows {
		counts[b.Kind]++
	}
	for _, k := range kinds() {
		if k.least > 0 && counts[k.name] == 0 {
			t.Errorf("there is no %q", k.name)
		}
	}
	if counts[workerUpgraded] != 2*workerCount || counts[workerRolledBack] != workerCount {
		t.Errorf("%d upgrades and %d rollbacks, want %d and %d", counts[workerUpgraded], counts[workerRolledBack], 2*workerCount, workerCount)
	}
}

func TestNobodyIsStruckTwiceAtOnce(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		o := small()
		o.seed, o.kills = seed, 1+int(seed)*4
		plan := newPlan(o, points())
		free := map[string]time.Duration{}
		for _, b := range plan.Blows {
			if b.At < free[b.lane()] {
				t.Fatalf("seed %d: %s, %s, at %s, while the one before lasts until %s", seed, b.Kind, b.whom(), b.At, free[b.lane()])
			}
			free[b.lane()] = b.At + b.For
			if b.At+b.For > plan.End {
				t.Fatalf("seed %d: %s, %s, lasts until %s, after the end at %s", seed, b.Kind, b.whom(), b.At+b.For, plan.End)
			}
		}
	}
}

// The margin of a lease allows for clocks that are five seconds apart, not for more.
func TestClocksAreNoFurtherApart(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		o := small()
		o.seed = seed
		plan := newPlan(o, points())
		starts := plan.First[:]
		for _, b := range plan.Blows {
			if b.Start.Version > 0 {
				starts = append(starts, b.Start)
			}
		}
		low, high := starts[0].Clock, starts[0].Clock
		for _, s := range starts {
			low, high = min(low, s.Clock), max(high, s.Clock)
		}
		if high-low > clockSpread || low < -clockSpread || high > clockSpread {
			t.Errorf("seed %d: clocks from %s to %s", seed, low, high)
		}
		if high == low {
			t.Errorf("seed %d: all clocks agree", seed)
		}
	}
}

// The last versions are the newer ones, whatever blow comes last.
func TestEndsWithTheNewerVersion(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		o := small()
		o.seed, o.kills = seed, 1+int(seed)*4
		last := map[int]int{}
		for _, b := range newPlan(o, points()).Blows {
			if b.Start.Version > 0 {
				last[b.Worker] = b.Start.Version
			}
		}
		for w := 1; w <= workerCount; w++ {
			if last[w] != 2 {
				t.Errorf("seed %d: worker %d ends as version %d", seed, w, last[w])
			}
		}
	}
}
