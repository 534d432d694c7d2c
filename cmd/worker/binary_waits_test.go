package main

import (
	"testing"
	"time"

	"activation-worker/internal/events"
	"activation-worker/internal/partnerapi/simulator"
)

// punctual is how late a wake-up may be: a second of the server's schedule, and a busy machine.
const punctual = 5 * time.Second

// TestBinaryDeferralSurvives: while a customer waits, worker and NATS are stopped and started again.
func TestBinaryDeferralSurvives(t *testing.T) {
	t.Parallel()
	const id = 51200001
	s := newSetUpSite(t)
	env := s.env("WORKER_BACKOFF=transient=6s", "WORKER_SWEEP_INTERVAL=1h")
	s.partner.Script(id, simulator.OpActivate, "307-none")
	first := startWorker(t, env...)
	first.AwaitReady(startTimeout)
	s.customer(id)
	waiting := s.await(id, events.Deferred, first)
	if waiting.Reason != events.Transient || waiting.NextAttemptAt.IsZero() {
		t.Fatalf("deferred as %+v, want transient with a time", waiting)
	}
	first.stop()
	s.nats.Restart()
	second := startWorker(t, env...)
	second.AwaitReady(startTimeout)
	second.awaitCheck("intake", true, "0 announcements unread, 0 in hand") // so it is the timer alone
	done := s.await(id, events.Activated, second)
	if done.Trigger.Kind != events.TriggerDue {
		t.Errorf("triggered by %s, want due", done.Trigger.Kind)
	}
	if late := done.LastCallAt.Sub(waiting.NextAttemptAt); late < 0 || late > punctual {
		t.Errorf("attempted %s after %s, want within %s", late, waiting.NextAttemptAt, punctual)
	}
	if s.calls(id) != 2 {
		t.Errorf("%d activate requests, want 2", s.calls(id))
	}
	second.stop()
}

// TestBinaryTimerWhileAway: the time came while no worker ran.
func TestBinaryTimerWhileAway(t *testing.T) {
	t.Parallel()
	const id = 51200001
	s := newSetUpSite(t)
	env := s.env("WORKER_BACKOFF=transient=1s", "WORKER_SWEEP_INTERVAL=1h")
	s.partner.Script(id, simulator.OpActivate, "307-none")
	first := startWorker(t, env...)
	s.customer(id)
	waiting := s.await(id, events.Deferred, first)
	first.Kill()
	if !eventually(t, workTimeout, func() bool { return time.Since(waiting.NextAttemptAt) > time.Second }) {
		t.Fatal("time does not pass")
	}
	second := startWorker(t, env...)
	s.await(id, events.Activated, second)
	second.stop()
}

// TestBinaryGivesUp at the deadline, and not without a last call at or after it; announced again, a new round begins.
func TestBinaryGivesUp(t *testing.T) {
	t.Parallel()
	const id = 51200001
	s := newSetUpSite(t)
	env := s.env("WORKER_BACKOFF=transient=1s", "WORKER_GIVE_UP=transient=3s")
	s.partner.Script(id, simulator.OpActivate, "307-none*")
	w := startWorker(t, env...)
	s.customer(id)
	r := s.await(id, events.Failed, w)
	if r.Reason != events.Transient || r.Cause == nil || r.GiveUpAt.IsZero() {
		t.Fatalf("failed as %+v", r)
	}
	first := r.Seen[events.Transient].First
	if limit := r.GiveUpAt.Sub(first); limit < 3*time.Second || limit > 3*time.Second+time.Duration(r.Waived)*time.Second {
		t.Errorf("gave up %s after the reason was first seen, want 3s", limit)
	}
	if r.LastCallAt.Before(r.GiveUpAt) || r.Time.Sub(r.GiveUpAt) > punctual {
		t.Errorf("given up at %s after a call at %s, want one at or after %s and no later than %s", r.Time, r.LastCallAt, r.GiveUpAt, punctual)
	}
	invoke(t, "", s.env(), "status", "51200001").want(t, exitDone, "failed (transient)", "given up", "worker replay 51200001")

	s.partner.Script(id, simulator.OpActivate)
	invoke(t, "", s.env(), "submit", "51200001").want(t, exitDone)
	if again := s.await(id, events.Activated, w); again.Round != 2 {
		t.Errorf("activated in round %d, want 2", again.Round)
	}
	w.stop()
}
