package main

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"activation-worker/internal/events"
	"activation-worker/internal/partnerapi/simulator"
)

// TestAtOnceOverAKilledFleet: three replicas share three simultaneous requests, for look-ups and activates together, at a partner
// that takes a second for each and goes on with it when the caller has died. Replicas are killed with requests on their way.
func TestAtOnceOverAKilledFleet(t *testing.T) {
	t.Parallel()
	const atOnce = 3
	customers, kills := size(16, 8), size(3, 2)
	s := newFleetSite(t, simulator.Options{})
	s.partner.SetMix(1, "late=1s")
	view := viewLedger(t, s.js)
	r := startReplicas(t, 3, s.fleetEnv("LINEWORKS_RATE=0", fmt.Sprintf("LINEWORKS_CONCURRENCY=%d", atOnce), "LINEWORKS_TIMEOUT=3s", "WORKER_LEASE=13s"))
	for i := range int64(customers) {
		if i%2 == 0 {
			s.customer(fleetFirstID + i)
		} else {
			s.backfill(fleetFirstID + i)
		}
	}
	for range kills {
		ctx, cancel := contextWithin(t, workTimeout)
		holders := view.awaitHolder(ctx, r.names())
		cancel()
		if len(holders) == 0 {
			t.Fatalf("nobody claims anything:\n%s", r.said())
		}
		r.take(r.named(holders[0])).Kill()
		r.start()
		pause(t.Context(), diesEvery)
	}
	view.awaitActive(r, customers)
	r.stop()
	j := s.kept(0, atOnce)
	audited(t, s.js, j, fleetCaps(0, atOnce))
	if asked := len(j.Of(0, simulator.OpCustomer)); asked < customers/2 || j.MaxConcurrent < atOnce {
		t.Errorf("%d look-ups, at most %d calls at once: the test tested little", asked, j.MaxConcurrent)
	}
}

// TestTheShareOfAKilledReplica: the places of a killed replica are back within LINEWORKS_TIMEOUT and five seconds, and not before
// the requests that it had on their way could have ended.
func TestTheShareOfAKilledReplica(t *testing.T) {
	t.Parallel()
	const (
		atOnce, customers = 3, 16
		timeout, takes    = 3 * time.Second, 2500 * time.Millisecond
		slack             = 1500 * time.Millisecond // for a busy machine: who waits has to be told, claims, and calls
		early             = 300 * time.Millisecond  // from leave to arrival
	)
	s := newFleetSite(t, simulator.Options{})
	s.partner.SetMix(1, simulator.Fault("late="+takes.String()))
	view := viewLedger(t, s.js)
	r := startReplicas(t, 2, s.fleetEnv("LINEWORKS_RATE=0", fmt.Sprintf("LINEWORKS_CONCURRENCY=%d", atOnce), "LINEWORKS_TIMEOUT="+timeout.String(), "WORKER_LEASE=13s"))
	s.crowd(fleetFirstID, customers)
	s.awaitCalls(r, simulator.OpActivate, atOnce)
	view.catchUp(t.Context())

	victim, its := view.busiest()
	killed := time.Now()
	r.take(r.named(victim)).Kill()
	lost := slices.DeleteFunc(s.partner.Journal().Calls, func(c simulator.Call) bool { return !slices.Contains(its, c.DomainID) })
	if len(lost) == 0 {
		t.Fatalf("%s held %v and had no call on its way", victim, its)
	}
	freed := lost[len(lost)-1].At.Add(timeout) // not before
	// The other one works with what is left until it has the places of both.
	var full time.Time
	back := killed.Add(timeout + 5*time.Second)
	eventually(t, time.Until(back)+takes+slack, func() bool {
		full = allPlaces(s.partner.Journal().Calls, its, atOnce)
		return !full.IsZero()
	})
	s.kept(0, atOnce)
	switch {
	case full.IsZero(), full.After(back.Add(slack)):
		t.Errorf("%d places of %s, killed at %s, are back at %s, want them within %s; the others said:\n%s",
			len(lost), victim, killed.Format(time.StampMilli), full.Format(time.StampMilli), back.Sub(killed), r.said())
	case full.Before(freed.Add(-early)):
		t.Errorf("all places are back %s after the kill, when a request of %s could still be on its way for %s", full.Sub(killed), victim, freed.Sub(full))
	}
	t.Logf("%d places of a killed replica were back %s after its death, %s after its last request had begun; it may last %s",
		len(lost), full.Sub(killed).Round(time.Millisecond), full.Sub(freed.Add(-timeout)).Round(time.Millisecond), timeout)
	for _, p := range r.live {
		p.Kill()
	}
}

// busiest is the worker that holds most open claims, and their customers.
func (v *ledgerView) busiest() (worker string, its []int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	open := map[string][]int64{}
	for id, r := range v.open {
		if r.State == events.Started {
			open[r.Worker] = append(open[r.Worker], id)
		}
	}
	for _, name := range sortedIDs(open) {
		if len(open[name]) > len(its) {
			worker, its = name, open[name]
		}
	}
	return worker, its
}

// allPlaces is when for the first time so many calls were under way that are about others than these customers; zero: never.
func allPlaces(calls []simulator.Call, but []int64, atOnce int) time.Time {
	var ends []time.Time
	for _, c := range calls {
		if slices.Contains(but, c.DomainID) {
			continue
		}
		ends = slices.DeleteFunc(ends, func(end time.Time) bool { return !end.IsZero() && !end.After(c.At) })
		if ends = append(ends, c.EndedAt); len(ends) >= atOnce {
			return c.At
		}
	}
	return time.Time{}
}
