package main

import (
	"context"
	"fmt"
	"testing"
	"time"

	"activation-worker/internal/partnerapi/simulator"
)

// TestAFleetSpendsOneQuota: three replicas work off a backlog while replicas come and go. Whatever happens no window at the partner
// is over the limit; how much of the quota is used depends on the machine too, so only half of the aim is asserted, and the figure logged.
func TestAFleetSpendsOneQuota(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]spending{
		"leaving": {size(300, 100), (*replicas).relieve, leavesEvery, fleetRate, 0.75},
		"killed":  {size(300, 200), (*replicas).replace, diesEvery, comesAgain, 0.60},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, spent := c.spend(t)
			t.Logf("%d customers: %s", c.customers, spent)
			if got := spent.used(); got < c.floor {
				t.Errorf("%.3f of the quota was used, want at least %.2f even here", got, c.floor)
			}
			audited(t, s.js, s.partner.Journal(), fleetCaps(fleetRate, 5))
		})
	}
}

// BenchmarkAFleetSpendsOneQuota reports how much of the quota is used while replicas leave, and while they are killed. The aims
// are 0.98 and 0.90.
//
//	go test -run '^$' -bench AFleetSpendsOneQuota -benchtime 5x ./cmd/worker
func BenchmarkAFleetSpendsOneQuota(b *testing.B) {
	for name, c := range map[string]spending{
		"leaving": {300, (*replicas).relieve, leavesEvery, fleetRate, 0},
		"killed":  {300, (*replicas).replace, diesEvery, comesAgain, 0},
	} {
		b.Run(name, func(b *testing.B) {
			used, ofMost := 0.0, 0.0
			for range b.N {
				_, spent := c.spend(b)
				used, ofMost = used+spent.used(), ofMost+spent.ofMost()
			}
			b.ReportMetric(used/float64(b.N), "used")
			b.ReportMetric(ofMost/float64(b.N), "of-most")
		})
	}
}

// spending is a backlog of fresh customers, and how replicas go.
type spending struct {
	customers int
	change    func(*replicas) // one goes and another comes
	every     time.Duration
	last      int // with so many left to begin with, the fleet stays as it is
	floor     float64
}

// One of three replicas goes so often. What one that dies was given comes back after six seconds, so that with more deaths the quota
// is spent on the dead.
const (
	leavesEvery = time.Second
	diesEvery   = 3 * time.Second
	// comesAgain is how many customers the quota takes while that comes again which a dead replica had taken off the intake, half a
	// lease later: they must not be the last ones, or it is not the quota that everybody waits for.
	comesAgain = 7 * fleetRate
)

// spend lets a fleet work the backlog off and checks what must hold.
func (c spending) spend(t testing.TB) (*site, spent) {
	t.Helper()
	s := newFleetSite(t, strictPartner())
	view := viewLedger(t, s.js)
	r := startReplicas(t, 3, s.fleetEnv())
	s.crowd(fleetFirstID, c.customers)
	s.awaitCalls(r, simulator.OpActivate, 1)

	changes := 0
	for begun := 0; begun < c.customers-c.last; begun = view.begun() {
		c.change(r)
		changes++
		pause(t.Context(), c.every)
	}
	view.awaitActive(r, c.customers)
	r.stop()
	unrefused(t, s.kept(fleetRate, 5))
	got := view.spent(s.partner.Journal(), c.customers)
	got.changes = changes
	return s, got
}

// spent is what a fleet has used of the quota from the first call until the backlog was empty.
type spent struct {
	calls   int
	took    time.Duration
	longest time.Duration // without a call: above all the places of one that died
	changes int           // of the fleet, meanwhile
}

// used is calls over limit × time. The time is from the arrival of the first activate until every customer was claimed once; what
// was called later, after somebody's death, waits for the end of a lease and not for the quota. The first window, which may be full
// in its first moment, counts like any other: so the figure can be over 1 by as much as one window is of the whole.
func (s spent) used() float64 { return float64(s.calls) / (fleetRate * s.took.Seconds()) }

// ofMost is calls over the most that any fleet can make in that time with no sliding window over the limit: a window's worth at the
// first moment, and another after each whole window. It is below 1.
func (s spent) ofMost() float64 {
	return float64(s.calls) / float64(fleetRate*(1+int(s.took/time.Second)))
}

func (s spent) String() string {
	return fmt.Sprintf("%d calls in %.2f s with %d changes of the fleet: %.3f of the quota used, %.3f of the most there can be; at most %.2f s without a call",
		s.calls, s.took.Seconds(), s.changes, s.used(), s.ofMost(), s.longest.Seconds())
}

// begun counts the customers who were claimed.
func (v *ledgerView) begun() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.families)
}

// spent counts the activate calls until the last of the customers was first claimed.
func (v *ledgerView) spent(j simulator.Journal, customers int) spent {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.families) != customers {
		v.t.Errorf("%d customers have records, want %d", len(v.families), customers)
	}
	var end time.Time
	for _, family := range v.families {
		if at := family[0].at; at.After(end) {
			end = at
		}
	}
	calls := j.Of(0, simulator.OpActivate)
	got := spent{took: end.Sub(calls[0].At)}
	last := calls[0].At
	for _, c := range within(calls, last, end) {
		got.calls, got.longest, last = got.calls+1, max(got.longest, c.At.Sub(last)), c.At
	}
	return got
}

func contextWithin(t testing.TB, d time.Duration) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(t.Context(), d)
}
