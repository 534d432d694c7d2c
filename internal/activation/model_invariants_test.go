package activation_test

import (
	"slices"
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
	if w.lookFirst && !slices.ContainsFunc(j.answers, func(a activation.Answer) bool {
		return a.Operation == activation.LookUp && (a.Kind == activation.Inactive || a.Kind == activation.Refusal)
	}) {
		t.Fatalf("an activate begins before a look-up was answered; the claim says lookFirst %v, answers %+v", j.claim.LookFirst, j.answers)
	}
	if w.partner.ours {
		t.Fatalf("an activate begins although one of ours was applied at %v", w.partner.activeFrom)
	}
}

// inspect looks at a record as it is stored over the one before it.
func (w *world) inspect(t *rapid.T, by *worker, before, r *events.Record) {
	if before == nil {
		before = &events.Record{Round: 1}
		if r.State != events.Started && !r.Queued {
			t.Fatalf("the first record is %s", describe(r))
		}
	}
	if before.State == events.Started {
		w.inspectUnderLease(t, by, before, r)
	}
	if r.State == events.Forgotten {
		if r.Round != before.Round || r.Event != before.Event.Hashed() || r.WasState != before.State {
			t.Fatalf("of %s there is left %+v", describe(before), r)
		}
		return
	}
	ended := final(before)
	switch {
	case before.State == events.Activated:
		t.Fatalf("%s is written after an activation", describe(r))
	case ended && (r.State != events.Started && !r.Queued || r.Round != before.Round+1):
		t.Fatalf("%s is written after the end of round %d", describe(r), before.Round)
	case ended && !r.Event.NewerThan(before.Event) && (before.State != events.Failed || r.Trigger.Kind != events.TriggerReplay):
		t.Fatalf("round %d begins without a new event", r.Round)
	case before.State == events.Forgotten && (r.Event.ID == w.erased.ID || !r.Event.StoredAt.After(before.StoredAt)):
		t.Fatalf("a forgotten customer comes back through the event %+v", r.Event)
	case !ended && r.Round != before.Round:
		t.Fatalf("round %d becomes %d without an outcome", before.Round, r.Round)
	case before.State == events.Deferred && r.State != events.Started && r.State != events.Deferred && r.Reason != events.Cancelled:
		t.Fatalf("%s is written without a claim", describe(r))
	}
	begun := r.State == events.Started || r.Attempt > 0
	if r.DomainID != domainID || r.Event.ID == "" || begun && r.FirstAttemptAt.IsZero() || r.Attempt < 0 {
		t.Fatalf("the record is not whole: %+v", r)
	}
	if before.Event.StoredAt.After(r.Event.StoredAt) {
		t.Fatalf("the event of %v gives way to that of %v", before.Event.StoredAt, r.Event.StoredAt)
	}
	if !ended && !before.GiveUpAt.IsZero() && r.GiveUpAt.Before(before.GiveUpAt) {
		t.Fatalf("giveUpAt moves back from %v to %v within a round", before.GiveUpAt, r.GiveUpAt)
	}
	if r.Calls < before.Calls {
		t.Fatalf("calls fall from %d to %d", before.Calls, r.Calls)
	}
	w.inspectState(t, before, r)
}

// inspectUnderLease lets nobody but its holder write over a claim that has not expired.
func (w *world) inspectUnderLease(t *rapid.T, by *worker, before, r *events.Record) {
	decided := by.clock(w)
	if by != nil {
		if by.job.claim != nil && by.job.claim.ID == before.ID {
			return
		}
		decided = by.job.decided
	}
	if decided.Before(before.LeaseExpiresAt) {
		t.Fatalf("%s is written under the lease of %s until %v", describe(r), before.Worker, before.LeaseExpiresAt)
	}
}

// inspectLook expects a look at DNS to write what is new and nothing else, and to put no call off.
func (w *world) inspectLook(t *rapid.T, before, r *events.Record) {
	seen := func(r *events.Record) []string {
		var values []string
		for _, s := range r.DNS.Seen {
			values = append(values, s.Value)
		}
		slices.Sort(values)
		return slices.Compact(values)
	}
	if slices.Equal(seen(before), seen(r)) && before.Visibility.Since.IsZero() == r.Visibility.Since.IsZero() {
		t.Fatalf("a look that shows nothing new writes %+v over %+v", r.DNS, before.DNS)
	}
	if r.State != events.Deferred || r.Reason != before.Reason || r.Calls != before.Calls || r.Attempt != before.Attempt || r.Event != before.Event || r.NextAttemptAt.After(before.NextAttemptAt) {
		t.Fatalf("after a look %s becomes %s", describe(before), describe(r))
	}
}

// longest is how long a record waits at most for its next attempt, jitter and the partner's own times included.
var longest = map[events.Reason]time.Duration{
	events.DNSUnverified: 27 * time.Hour, events.TermsPending: 7 * time.Hour,
	events.Transient: 133 * time.Minute, events.UnknownOutcome: 133 * time.Minute, events.PartnerUnavailable: 133 * time.Minute, events.CustomerNotFound: 133 * time.Minute,
	events.Backlog: 133 * time.Minute, events.Replay: 133 * time.Minute,
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
		if hastened := r.Awaits(events.TriggerReplay); r.NextAttemptAt.Before(r.NotBefore) && !hastened {
			t.Fatalf("the next attempt is at %v, before the partner's %v", r.NextAttemptAt, r.NotBefore)
		}
		putOff := before.State == events.Deferred
		if r.Reason != events.PartnerUnavailable && !putOff && r.GiveUpAt.After(r.Time) && r.NextAttemptAt.After(r.GiveUpAt) && !r.NotBefore.After(r.GiveUpAt) {
			t.Fatalf("the next attempt is at %v, after giveUpAt %v", r.NextAttemptAt, r.GiveUpAt)
		}
		if r.NextAttemptAt.Sub(r.Time) > longest[r.Reason] {
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
	if w.partner.ours && r.State != events.Started && r.State != events.Forgotten && r.Calls == 0 {
		t.Fatal("we activated the customer, and the record counts no call")
	}
	if w.doubt != nil && r.State != events.Activated && !r.Unsettled {
		t.Fatalf("an outcome is in doubt since %v, and the record does not say so: %s", w.doubt.since, describe(r))
	}
	if !final(r) && !w.timerLost && w.timer.IsZero() && !w.pending() {
		t.Fatalf("there is no way on from %s: no delivery, no timer", describe(r))
	}
}

// final reports a round that has its outcome.
func final(r *events.Record) bool {
	return r.State == events.Activated || r.State == events.Failed || r.State == events.Forgotten
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
		if final(r) {
			outcomes[r.Round]++
		}
	}
	last := w.newest()
	for round := w.records[0].Round; round <= last.Round; round++ {
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
		if last.State == events.Forgotten && !e.Event.StoredAt.After(last.StoredAt) {
			continue // that the customer was forgotten is its outcome
		}
		if last.State != events.Activated && e.Event.NewerThan(last.Event) && !w.passedOver[e.Event.ID] {
			t.Fatalf("event %s of %v has no outcome: %s", e.Event.ID, e.Event.StoredAt, describe(last))
		}
	}
	for _, d := range w.deliveries {
		if next := activation.Next(last, cueOf(d.accepted), w.now); last.State == events.Activated && next.Step != activation.Done {
			t.Fatalf("after the activation a delivery leads to %v", next.Step)
		}
	}
}
