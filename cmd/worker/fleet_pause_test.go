package main

import (
	"slices"
	"testing"
	"time"

	"activation-worker/internal/events"
	"activation-worker/internal/partnerapi/simulator"
)

// allTold is how soon all replicas know what one was told, on a busy machine.
const allTold = 700 * time.Millisecond

// TestAFleetPausesTogether: one replica is told 429, in each of the ways in which the partner may say until when, and all let the
// operation rest, and only that one. Then they come back one after the other.
func TestAFleetPausesTogether(t *testing.T) {
	t.Parallel()
	const customers = 120
	for name, c := range map[string]struct {
		fault   simulator.Fault
		rest    time.Duration
		returns bool
	}{
		"reset":       {"429:reset=4", 4 * time.Second, true},
		"retry after": {"429:retry-after=4", 4 * time.Second, true},
		// A minute, of which we watch the beginning.
		"no header": {"429:bare", 8 * time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newFleetSite(t, simulator.Options{Latency: 15 * time.Millisecond})
			view := viewLedger(t, s.js)
			r := startReplicas(t, 3, s.fleetEnv())
			s.crowd(fleetFirstID, customers)
			s.awaitCalls(r, simulator.OpActivate, customers/4)
			s.partner.Script(0, simulator.OpActivate, c.fault)
			refused := s.awaitRefused(r)
			s.owe(fleetFirstID+customers, 1, events.Backlog) // who is looked up first
			r.start()                                        // and it keeps to what the others were told

			if c.returns {
				view.awaitActive(r, customers+1)
				r.stop()
				s.cameBackGently(refused.Add(c.rest))
			} else {
				pause(t.Context(), time.Until(refused.Add(c.rest)))
				r.stop()
			}
			j := s.kept(fleetRate, 5)
			from, until := refused.Add(allTold), refused.Add(c.rest-50*time.Millisecond)
			if got := within(j.Of(0, simulator.OpActivate), from, until); len(got) > 0 {
				t.Errorf("%d activates in the pause of %s, the first %s after the 429", len(got), c.rest, got[0].At.Sub(refused))
			}
			if got := within(j.Of(0, simulator.OpCustomer), refused, until); len(got) == 0 {
				t.Error("no look-up was made in the pause of activates")
			}
		})
	}
}

// within are the calls that arrived in a span of time.
func within(calls []simulator.Call, from, until time.Time) []simulator.Call {
	return slices.DeleteFunc(slices.Clone(calls), func(c simulator.Call) bool { return c.At.Before(from) || c.At.After(until) })
}

// awaitRefused waits until a call was answered 429 and says when.
func (s *site) awaitRefused(r *replicas) time.Time {
	s.t.Helper()
	var at time.Time
	if !eventually(s.t, workTimeout, func() bool {
		for _, c := range s.partner.Journal().Calls {
			if c.Status == 429 {
				at = c.EndedAt
			}
		}
		return !at.IsZero()
	}) {
		s.t.Fatalf("nobody was told 429; the workers said:\n%s", r.said())
	}
	return at
}

// cameBackGently expects activates after a pause, soon and about as far apart as the rate has them on average: a burst would be all of a
// second's at once.
func (s *site) cameBackGently(end time.Time) {
	s.t.Helper()
	const span = 250 * time.Millisecond
	most := fleetRate/4 + 3
	calls := within(s.partner.Journal().Of(0, simulator.OpActivate), end.Add(-50*time.Millisecond), end.Add(time.Minute))
	if len(calls) == 0 || calls[0].At.After(end.Add(5*time.Second)) {
		s.t.Fatalf("no activate soon after the pause, but %d later", len(calls))
	}
	first := simulator.Journal{Calls: within(calls, end.Add(-time.Second), calls[0].At.Add(time.Second))}
	if got := first.Peak(simulator.OpActivate, span); got > most {
		s.t.Errorf("after the pause %d activates came within %s, want at most %d", got, span, most)
	}
	s.t.Logf("the first activate came %s after the end of the pause, and %d in its first second", calls[0].At.Sub(end).Round(time.Millisecond), len(first.Calls))
}

// TestNoPermitsWithoutNATS: the server goes away in the middle of work and nobody calls until it is back; then the work goes on within
// the limit.
func TestNoPermitsWithoutNATS(t *testing.T) {
	t.Parallel()
	customers := size(120, 60)
	s := newFleetSite(t, strictPartner())
	view := viewLedger(t, s.js)
	r := startReplicas(t, 3, s.fleetEnv())
	s.crowd(fleetFirstID, customers)
	s.awaitCalls(r, simulator.OpActivate, customers/3)
	s.nats.Stop()
	stopped := time.Now()
	pause(t.Context(), 4*time.Second)
	back := time.Now()
	s.nats.Restart()
	view.awaitActive(r, customers)
	r.stop()
	j := s.kept(fleetRate, 5)
	unrefused(t, j)
	if got := within(j.Calls, stopped.Add(allTold), back); len(got) > 0 {
		t.Errorf("%d calls without NATS, the first %s after it had gone", len(got), got[0].At.Sub(stopped))
	}
	if got := within(j.Of(0, simulator.OpActivate), back, back.Add(time.Hour)); len(got) == 0 {
		t.Error("all work was done before NATS went away: nothing is tested")
	}
}

// TestNoFurtherRequestWithoutNATS: customers are claimed and being looked up when the server goes away. The activate that would be next
// needs a permit, which nobody can give.
func TestNoFurtherRequestWithoutNATS(t *testing.T) {
	t.Parallel()
	const customers = 3
	s := newFleetSite(t, simulator.Options{})
	s.partner.Script(0, simulator.OpCustomer, "late=1500ms*")
	view := viewLedger(t, s.js)
	r := startReplicas(t, 2, s.fleetEnv("LINEWORKS_TIMEOUT=3s", "WORKER_LEASE=13s"))
	for i := range int64(customers) {
		s.backfill(fleetFirstID + i)
	}
	s.awaitCalls(r, simulator.OpCustomer, customers)
	s.nats.Stop()
	pause(t.Context(), 5*time.Second)
	if got := s.partner.Journal().Of(0, simulator.OpActivate); len(got) > 0 {
		t.Errorf("%d activates were sent without NATS", len(got))
	}
	s.nats.Restart()
	view.awaitActive(r, customers)
	r.stop()
	s.kept(fleetRate, 5)
}
