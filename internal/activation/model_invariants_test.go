package activation_test

import (
	"time"

	"pgregory.net/rapid"

	"activation-worker/internal/activation"
	"activation-worker/internal/events"
)

// checkCall holds the second and the third promise at the moment when an activate request is written.
func (w *world) checkCall(t *rapid.T, by *worker) {
	j := by.job
	for _, r := range w.records {
		if r.State == events.Activated {
			t.Fatalf("an activate begins after the activated record %s", r.ID)
		}
	}
	if end := j.claim.LeaseExpiresAt; !by.clock(w).Before(end) {
		t.Fatalf("an activate begins at %v, the lease ended at %v", by.clock(w), end)
	}
	if j.activates > 0 {
		t.Fatalf("a second activate in one attempt, after %+v", j.answers)
	}
	if j.doubt != nil && j.doubt.noes < 2 {
		t.Fatalf("an activate begins while an earlier outcome is unknown: in doubt since %v, %d spaced look-ups said no; the claim says unsettled %v, answers %+v",
			j.doubt.since, j.doubt.noes, j.claim.Unsettled, j.answers)
	}
	if w.partner.ours {
		t.Fatalf("an activate begins although one of ours was applied at %v", w.partner.activeFrom)
	}
}

// inspect looks at a record as it is stored over the one before it.
func (w *world) inspect(t *rapid.T, by *worker, before, r *events.Record) {
	if before == nil {
		before = &events.Record{Round: 1}
		if r.State != events.Started {
			t.Fatalf("the first record is %s", describe(r))
		}
	}
	final := before.State == events.Activated || before.State == events.Failed
	switch {
	case before.State == events.Activated:
		t.Fatalf("%s is written after an activation", describe(r))
	case before.State == events.Failed && (r.State != events.Started || r.Round != before.Round+1):
		t.Fatalf("%s is written after a failure in round %d", describe(r), before.Round)
	case before.State == events.Failed && !r.Event.NewerThan(before.Event):
		t.Fatalf("round %d begins without a new event", r.Round)
	case !final && r.Round != before.Round:
		t.Fatalf("round %d becomes %d without an outcome", before.Round, r.Round)
	case before.State == events.Started && (by.job.claim == nil || by.job.claim.ID != before.ID) && by.job.decided.Before(before.LeaseExpiresAt):
		t.Fatalf("%s is written by %s under the lease of %s until %v", describe(r), by.name, before.Worker, before.LeaseExpiresAt)
	case before.State == events.Deferred && r.State != events.Started && r.State != events.Deferred:
		t.Fatalf("%s is written without a claim", describe(r))
	}
	if r.DomainID != domainID || r.Event.ID == "" || r.FirstAttemptAt.IsZero() || r.Attempt < 0 {
		t.Fatalf("the record is not whole: %+v", r)
	}
	if before.Event.StoredAt.After(r.Event.StoredAt) {
		t.Fatalf("the event of %v gives way to that of %v", before.Event.StoredAt, r.Event.StoredAt)
	}
	if !final && !before.GiveUpAt.IsZero() && r.GiveUpAt.Before(before.GiveUpAt) {
		t.Fatalf("giveUpAt moves back from %v to %v within a round", before.GiveUpAt, r.GiveUpAt)
	}
	if r.Calls < before.Calls {
		t.Fatalf("calls fall from %d to %d", before.Calls, r.Calls)
	}
	w.inspectState(t, before, r)
}

// inspectState expects each state to say why not yet, and what comes next.
func (w *world) inspectState(t *rapid.T, before, r *events.Record) {
	switch r.State {
	case events.Started:
		if r.Worker == "" || r.LeaseExpiresAt.IsZero() || r.Attempt < 1 || r.Reason != "" {
			t.Fatalf("a claim without worker, lease or number: %+v", r)
		}
	case events.Failed:
		if r.Reason == "" || r.Cause == nil || r.Cause.Description == "" || !r.NextAttemptAt.IsZero() {
			t.Fatalf("a failure without reason or cause: %+v", r)
		}
		if r.Reason == events.PartnerUnavailable {
			t.Fatalf("given up for %s, which is not the customer's fault", r.Reason)
		}
	case events.Deferred:
		if r.Reason == "" || r.Cause == nil || r.Cause.Description == "" || r.NextAttemptAt.IsZero() {
			t.Fatalf("a deferral without reason, cause or time: %+v", r)
		}
		if r.NextAttemptAt.Before(r.NotBefore) {
			t.Fatalf("the next attempt is at %v, before the partner's %v", r.NextAttemptAt, r.NotBefore)
		}
		putOff := before.State == events.Deferred
		if r.Reason != events.PartnerUnavailable && !putOff && r.GiveUpAt.After(r.Time) && r.NextAttemptAt.After(r.GiveUpAt) && !r.NotBefore.After(r.GiveUpAt) {
			t.Fatalf("the next attempt is at %v, after giveUpAt %v", r.NextAttemptAt, r.GiveUpAt)
		}
		if r.NextAttemptAt.Sub(r.Time) > 2*time.Hour+13*time.Minute {
			t.Fatalf("the next attempt is after %v, and nothing asked for that", r.NextAttemptAt.Sub(r.Time))
		}
	}
}

// check holds at any moment.
func (w *world) check(t *rapid.T) {
	r := w.newest()
	if r == nil {
		return
	}
	if r.Calls != w.counted {
		t.Fatalf("calls are %d, sent or presumed sent were %d", r.Calls, w.counted)
	}
	if r.State == events.Activated && w.partner.activeFrom.IsZero() {
		t.Fatal("an activated record of a customer that is not active")
	}
	if w.partner.ours && r.State != events.Started && r.Calls == 0 {
		t.Fatal("we activated the customer, and the record counts no call")
	}
	if w.doubt != nil && r.State != events.Activated && !r.Unsettled {
		t.Fatalf("an outcome is in doubt since %v, and the record does not say so: %s", w.doubt.since, describe(r))
	}
	if final := r.State == events.Activated || r.State == events.Failed; !final && !w.timerLost && w.timer.IsZero() && !w.pending() {
		t.Fatalf("there is no way on from %s: no delivery, no timer", describe(r))
	}
}

func (w *world) pending() bool {
	for _, d := range w.deliveries {
		if !d.acked {
			return true
		}
	}
	return false
}

// checkOutcome holds the first promise once everything has come to rest.
func (w *world) checkOutcome(t *rapid.T) {
	outcomes := map[int]int{}
	for _, r := range w.records {
		if r.State == events.Activated || r.State == events.Failed {
			outcomes[r.Round]++
		}
	}
	last := w.newest()
	for round := 1; round <= last.Round; round++ {
		if outcomes[round] != 1 {
			t.Fatalf("round %d has %d outcomes", round, outcomes[round])
		}
	}
	known := map[string]bool{}
	for _, e := range w.published {
		if known[e.Event.ID] {
			continue // published again: the same event to whoever acted on it, new to whoever has acted on another since
		}
		known[e.Event.ID] = true
		if last.State != events.Activated && e.Event.NewerThan(last.Event) {
			t.Fatalf("event %s of %v has no outcome: %s", e.Event.ID, e.Event.StoredAt, describe(last))
		}
	}
	for _, d := range w.deliveries {
		if next := activation.Next(last, cueOf(d.accepted), w.now); last.State == events.Activated && next.Step != activation.Done {
			t.Fatalf("after the activation a delivery leads to %v", next.Step)
		}
	}
}
