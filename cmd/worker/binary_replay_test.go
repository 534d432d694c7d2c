package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"activation-worker/internal/events"
	"activation-worker/internal/partnerapi/simulator"
)

const failedFirstID = 51_340_001

// refuse adds customers with consecutive ids whom the partner refuses once, each in words of its own, and announces them:
// they fail, and could be activated by now.
func (s *site) refuse(first int64, count int) {
	s.t.Helper()
	for id := first; id < first+int64(count); id++ {
		s.partner.Add(simulator.Customer{DomainID: id, Domain: fmt.Sprintf("team-%d.by-works.com", id), Terms: true, DNS: true})
		s.partner.Script(id, simulator.OpActivate, simulator.Fault(fmt.Sprintf("400:NO_%d", id)))
		s.announce(fmt.Sprintf(`{"domainId":%d}`, id))
	}
}

// awaitQueued waits until a replay has queued so many customers.
func (v *ledgerView) awaitQueued(count int) {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.t.Context(), workTimeout)
	defer cancel()
	if !v.await(ctx, func() bool { return len(v.queuedLocked()) >= count }) {
		v.t.Fatalf("not %d customers were queued", count)
	}
}

// queuedLocked are the customers whom replays have queued, each with the replays that have.
func (v *ledgerView) queuedLocked() map[int64][]string {
	by := map[int64][]string{}
	for id, family := range v.families {
		for _, r := range family {
			if r.State == events.Deferred && r.Reason == events.Replay {
				by[id] = append(by[id], r.Trigger.ID)
			}
		}
	}
	return by
}

// queued counts the customers whom replays have queued.
func (v *ledgerView) queued() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.queuedLocked())
}

// checkTrail reads what the ledger says of replays: each began and ended once, and has queued whom it says. It returns
// the last event of each.
func checkTrail(t *testing.T, v *ledgerView) map[string]events.ReplayEvent {
	t.Helper()
	v.catchUp(t.Context())
	v.mu.Lock()
	defer v.mu.Unlock()
	counts, ends := map[string]int{}, map[string]events.ReplayEvent{}
	for id, replays := range v.queuedLocked() {
		for i, replay := range replays {
			counts[replay]++
			if slices.Contains(replays[:i], replay) {
				t.Errorf("customer %d was queued twice by replay %s", id, replay)
			}
		}
	}
	for id, trail := range v.replays {
		if len(trail) != 2 || trail[0].Phase != events.Planned || trail[1].Phase != events.Done {
			t.Errorf("replay %s: %+v, want planned and done", id, trail)
			continue
		}
		if trail[1].Scheduled != counts[id] || trail[1].Planned < counts[id] || trail[1].By == "" || trail[1].Why == "" {
			t.Errorf("replay %s has queued %d customers and says %+v", id, counts[id], trail[1])
		}
		ends[id] = trail[1]
		delete(counts, id)
	}
	if len(counts) > 0 {
		t.Errorf("customers were queued by replays that say nothing: %v", counts)
	}
	return ends
}

// TestReplayIsCutShortAndRunAgain: worker and command line are killed while customers are being queued, and both are started again.
func TestReplayIsCutShortAndRunAgain(t *testing.T) {
	t.Parallel()
	customers := size(300, 100)
	s := newSetUpSite(t)
	env := s.env("WORKER_LOG_LEVEL=info", "WORKER_SWEEP_INTERVAL=2s")
	view := viewLedger(t, s.js)
	w := startWorker(t, env...)
	s.refuse(failedFirstID, customers)
	view.awaitIn(time.Minute, customers, events.Failed, events.Refused)

	first := startBinary(t, env, "replay", "--all-failed", "--why", "the partner has mended its check", "--rate", "60/s")
	view.awaitQueued(customers / 10)
	first.Kill()
	w.Kill()
	view.catchUp(t.Context())
	cut := view.queued()
	if cut >= customers {
		t.Fatal("all were queued before the worker died: nothing is left to show")
	}
	second := startBinary(t, env, "replay", "--all-failed", "--why", "once more", "--rate", "60/s")
	second.awaitSaid("to be replayed")
	w = startWorker(t, env...)
	if code := second.Wait(workTimeout); code != exitDone {
		t.Errorf("exit status %d of the second replay; it said:\n%s", code, second.stderr.tail())
	}
	view.awaitIn(time.Minute, customers, events.Activated, "")
	drained(t.Context(), t, s.js)
	w.stop()

	ends, total := checkTrail(t, view), 0
	view.mu.Lock()
	defer view.mu.Unlock()
	for _, end := range ends {
		total += end.Scheduled
	}
	if len(ends) != 2 || total != customers {
		t.Errorf("%d replays have queued %d customers, want 2 and %d", len(ends), total, customers)
	}
	j := s.partner.Journal()
	for id, family := range view.families {
		activated := 0
		for _, r := range family {
			if r.State == events.Activated {
				activated++
			}
		}
		newest := family[len(family)-1]
		if activated != 1 || newest.Round != 2 || j.Customers[id].Applied != 1 {
			t.Errorf("customer %d: activated %d times, round %d, %d calls took effect", id, activated, newest.Round, j.Customers[id].Applied)
		}
	}
	for _, breach := range j.Check() {
		t.Errorf("the partner saw: %s", breach)
	}
	t.Logf("%d of %d were queued when worker and command line were killed; both replays together queued %d", cut, customers, total)
}

// TestReplayIsCancelled while it is being queued, by a second worker that takes the request to cancel, and again when all are queued
// and some were attempted.
func TestReplayIsCancelled(t *testing.T) {
	t.Parallel()
	customers := size(300, 100)
	s := newSetUpSite(t)
	env := s.env("WORKER_LOG_LEVEL=info")
	view := viewLedger(t, s.js)
	workers := []*proc{startWorker(t, env...), startWorker(t, env...)}
	s.refuse(failedFirstID, customers)
	view.awaitIn(time.Minute, customers, events.Failed, events.Refused)

	replay, id := startReplay(t, env)
	view.awaitQueued(1)
	invoke(t, "", env, "cancel", "--replay", id, "--why", "wrong selection").want(t, exitDone, "cancelled")
	code := replay.Wait(workTimeout)
	drained(t.Context(), t, s.js)
	end := checkTrail(t, view)[id]
	if code != map[bool]int{true: exitFailed, false: exitDone}[end.Cancelled] {
		t.Errorf("exit status %d of the replay, which was cut short: %t; it said:\n%s", code, end.Cancelled, replay.stderr.tail())
	}
	queued := view.queued()
	before := checkCancelled(t, view, s.partner.Journal())

	again, id := startReplay(t, env)
	if code := again.Wait(workTimeout); code != exitDone {
		t.Errorf("exit status %d of the second replay; it said:\n%s", code, again.stderr.tail())
	}
	view.awaitIn(workTimeout, before+2, events.Activated, "")
	invoke(t, "", env, "cancel", "--replay", id, "--why", "wrong selection").want(t, exitDone, "had queued all", "cancelled")
	drained(t.Context(), t, s.js)
	if end := checkTrail(t, view)[id]; end.Cancelled || end.Scheduled != customers-before {
		t.Errorf("the second replay ended as %+v", end)
	}
	after := checkCancelled(t, view, s.partner.Journal())
	if after > before+customers/10 || view.in(events.Failed, events.Cancelled) != customers-after {
		t.Errorf("%d of %d were activated and %d cancelled", after, customers, view.in(events.Failed, events.Cancelled))
	}
	for _, w := range workers {
		w.stop()
	}
	t.Logf("cancelled while queueing: %t, with %d of %d queued and %d activated; then with all queued and %d activated", end.Cancelled, queued, customers, before, after)
}

// startReplay asks for all who have failed, one a second, and returns its id.
func startReplay(t *testing.T, env []string) (replay *proc, id string) {
	t.Helper()
	replay = startBinary(t, env, "replay", "--all-failed", "--why", "wrong selection", "--rate", "60/m")
	const named = "\nreplay "
	replay.awaitSaid(named)
	_, rest, _ := strings.Cut(replay.stderr.String(), named)
	id, _, _ = strings.Cut(rest, "\n")
	return replay, id
}

// checkCancelled sees that everybody was activated or has failed, and that none of the latter was called more than
// before the replay. It returns how many are active.
func checkCancelled(t *testing.T, v *ledgerView, j simulator.Journal) (activated int) {
	t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	queued := v.queuedLocked()
	for id, family := range v.families {
		newest := family[len(family)-1]
		_, moved := queued[id]
		switch {
		case newest.State == events.Activated && moved:
			activated++
		case newest.State == events.Failed && newest.Reason == events.Cancelled && moved, newest.State == events.Failed && newest.Reason == events.Refused && !moved:
			if n := j.Customers[id].Activates; n != 1 {
				t.Errorf("customer %d has failed as %s, and %d activate calls were made, want 1", id, newest.Reason, n)
			}
		default:
			t.Errorf("customer %d is %s %s, queued: %t", id, newest.State, newest.Reason, moved)
		}
	}
	return activated
}
