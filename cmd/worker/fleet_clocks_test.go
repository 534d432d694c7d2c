package main

import (
	"testing"
	"time"

	"activation-worker/internal/partnerapi/simulator"
)

// TestClocksApartKeepOneQuota: the clocks of the replicas are up to five seconds apart, and some come and go; no window is over the limit.
func TestClocksApartKeepOneQuota(t *testing.T) {
	t.Parallel()
	customers := size(160, 80)
	o := strictPartner()
	o.Leeway = 10 * time.Second // of a token's assertion
	s := newFleetSite(t, o)
	view := viewLedger(t, s.js)
	r := startReplicas(t, 0, s.fleetEnv())
	r.path = buildFaulty(t)
	clocks := []string{"FAULTS_CLOCK=-2500ms", "FAULTS_CLOCK=2500ms", "FAULTS_CLOCK=0s"}
	for _, clock := range clocks {
		r.start(clock)
	}
	r.awaitReady()
	s.crowd(fleetFirstID, customers)
	began := time.Now()
	changes := 0
	for ; view.begun() < customers*2/3 && time.Since(began) < workTimeout; changes++ {
		s.awaitCalls(r, simulator.OpActivate, 1)
		pause(t.Context(), leavesEvery)
		r.start(clocks[changes%len(clocks)]).AwaitReady(startTimeout)
		r.take(r.live[0]).Term()
	}
	view.awaitActive(r, customers)
	r.stop()
	j := s.kept(fleetRate, 5)
	unrefused(t, j)
	got := view.spent(j, customers)
	got.changes = changes
	t.Logf("%d customers: %s", customers, got)
	if used := got.used(); used < 0.5 {
		t.Errorf("%.2f of the quota was used: clocks that differ must not stop the work", used)
	}
}
