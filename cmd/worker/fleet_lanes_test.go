package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
	"activation-worker/internal/partnerapi/simulator"
)

// Ids of the crowds that stand in lanes.
const (
	laneFresh   = fleetFirstID
	laneWaiting = fleetFirstID + 10_000
	laneReplay  = fleetFirstID + 20_000
)

// TestLanesOverAllReplicas: one replica, whose own intake is empty, has the wake-ups of hundreds, of those who wait and of those queued
// again; then another comes that has fresh customers too. These go first although the first replica has nothing but others, and
// yet the others are given their part.
func TestLanesOverAllReplicas(t *testing.T) {
	t.Parallel()
	const fresh = 80
	for name, c := range map[string]struct {
		queue func(*site) // those who wait, at once or soon
		first simulator.Operation
		least float64 // of all activates while fresh ones stand there, those of others
	}{
		// A fifth is theirs; a tenth is asserted, since a busy machine may wake them late.
		"called at once": {func(s *site) {
			s.owe(laneWaiting, 200, events.TermsPending)
			s.owe(laneReplay, 60, events.Replay)
		}, simulator.OpActivate, 0.1},
		// Their look-ups are paced by themselves, and so are in nobody's way; the activates that these lead to are not.
		"looked up first": {func(s *site) {
			for id := int64(laneWaiting); id < laneWaiting+200; id++ {
				s.backfill(id)
			}
		}, simulator.OpCustomer, 0.1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newFleetSite(t, strictPartner())
			if _, err := s.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "EMPTY", Subjects: []string{"empty.accepted"}}); err != nil {
				t.Fatal(err)
			}
			view := viewLedger(t, s.js)
			c.queue(s)
			var r *replicas
			if c.first == simulator.OpCustomer { // somebody has to take the old announcements off the intake
				r = startReplicas(t, 1, s.fleetEnv())
				view.awaitIn(workTimeout, 100, events.Deferred, events.Backlog)
			} else {
				r = startReplicas(t, 0, s.fleetEnv())
				r.start("WORKER_INTAKE_STREAM=EMPTY", "WORKER_INTAKE_SUBJECT=empty.accepted").AwaitReady(startTimeout)
			}
			s.awaitCalls(r, c.first, fleetRate)
			r.start().AwaitReady(startTimeout)
			s.crowd(laneFresh, fresh)
			announced := time.Now()
			active := func() (n int) {
				for id := range view.activated {
					if id < laneWaiting {
						n++
					}
				}
				return n
			}
			ctx, cancel := contextWithin(t, workTimeout)
			defer cancel()
			if !view.await(ctx, func() bool { return active() == fresh }) {
				t.Errorf("not all of %d fresh customers are active after %s", fresh, workTimeout)
			}
			r.stop()
			j := s.kept(fleetRate, 5)
			unrefused(t, j)

			// From the second window on: the first may have been spent when they came.
			calls := within(j.Of(0, simulator.OpActivate), announced.Add(time.Second), lastFresh(j))
			count := map[int64]int{}
			for _, call := range calls {
				count[(call.DomainID-fleetFirstID)/10_000*10_000+fleetFirstID]++
			}
			share := func(lane int64) float64 { return float64(count[lane]) / float64(len(calls)) }
			t.Logf("%d fresh customers took %s; of %d activates meanwhile %d were theirs, %d of those who waited, %d of replays", fresh,
				lastFresh(j).Sub(announced).Round(time.Millisecond), len(calls), count[laneFresh], count[laneWaiting], count[laneReplay])
			// Of a window that opens at once they can use as many as are in hand, and the rest is given to the others.
			if got := share(laneFresh); got < 0.5 {
				t.Errorf("%.2f of the activates were of fresh customers, want about 0.8", got)
			}
			if got := share(laneWaiting) + share(laneReplay); got < c.least {
				t.Errorf("%.2f of the activates were of customers who waited, want about 0.2", got)
			}
			if count[laneReplay] > count[laneWaiting] {
				t.Errorf("%d activates of replays, and %d of those who waited", count[laneReplay], count[laneWaiting])
			}
		})
	}
}

// lastFresh is when the last activate of a fresh customer arrived.
func lastFresh(j simulator.Journal) time.Time {
	var last time.Time
	for _, c := range j.Of(0, simulator.OpActivate) {
		if c.DomainID < laneWaiting {
			last = c.At
		}
	}
	return last
}

// owe makes customers wait whose time has come now, as a worker would have written it. The partner would activate them.
func (s *site) owe(first int64, count int, reason events.Reason) {
	s.t.Helper()
	l := ledger.New(ledger.Options{
		Conn: s.js.Conn(), JetStream: s.js, Streams: events.StreamsOf(events.DefaultStream), Source: "/lineworks-simulated/activation", Log: zap.NewNop(), Lease: time.Minute,
	})
	now := time.Now()
	for id := first; id < first+int64(count); id++ {
		s.partner.Add(simulator.Customer{DomainID: id, Terms: true, DNS: true})
		accepted := fmt.Sprintf("/signup#%d", id)
		r := &events.Record{
			State: events.Deferred, DomainID: id, Round: 1, Attempt: 1, Calls: 1,
			Event:      events.EventRef{ID: accepted, Stream: events.DefaultIntakeStream, StreamCreated: now, Sequence: uint64(id), StoredAt: now},
			Trigger:    events.Trigger{Kind: events.TriggerAccepted, ID: accepted},
			AcceptedAt: now, FirstAttemptAt: now, LastCallAt: now, GiveUpAt: now.Add(24 * time.Hour),
			Reason: reason, NextAttemptAt: now,
			Seen:  map[events.Reason]events.Seen{reason: {First: now, Tries: 1}},
			Cause: &events.Cause{Operation: string(simulator.OpActivate), HTTPStatus: 400, Code: "INVALID_PARAMETER", Description: "it waits"},
		}
		switch reason {
		case events.Replay:
			r.Trigger, r.Queued = events.Trigger{Kind: events.TriggerReplay, ID: "lanes"}, true
		case events.Backlog:
			r.Queued, r.LookFirst, r.Attempt, r.Calls, r.FirstAttemptAt, r.LastCallAt, r.Seen = true, true, 0, 0, time.Time{}, time.Time{}, nil
		}
		if _, err := l.Put(s.t.Context(), r, 0); err != nil {
			s.t.Fatalf("storing %d: %v", id, err)
		}
		if err := l.Arm(s.t.Context(), id, events.WakeUpSubject(r), now); err != nil {
			s.t.Fatalf("arming %d: %v", id, err)
		}
	}
}
