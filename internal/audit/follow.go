package audit

import (
	"fmt"
	"slices"
	"time"

	"activation-worker/internal/events"
)

// may is what may follow on a state: the contract's table (§2) and what an attempt, a look at DNS and an operator write.
var may = map[state][]events.State{
	none:      {events.Started, events.Deferred, events.Forgotten}, // the last where an operator has a list of them
	started:   {events.Started, events.Deferred, events.Activated, events.Failed, events.Forgotten},
	deferred:  {events.Started, events.Deferred, events.Failed, events.Forgotten},
	activated: {events.Forgotten},
	failed:    {events.Started, events.Deferred, events.Forgotten},
	forgotten: {events.Started, events.Deferred},
}

// first finds the first rule that a record breaks, given the one before it, which is at hand.
func first(f *family, r *events.Record, c *checker) (Rule, string) {
	for _, one := range []struct {
		rule  Rule
		check func(*family, *events.Record, *checker) string
	}{
		{RuleOutcome, func(f *family, r *events.Record, _ *checker) string { return twoOutcomes(f, r) }},
		{RuleTransition, transition},
		{RuleRound, round},
		{RuleLease, lease},
		{RuleUnsettled, settled},
		{RuleCounts, counts},
		{RuleGiveUp, givingUp},
	} {
		if text := one.check(f, r, c); text != "" {
			return one.rule, text
		}
	}
	return "", ""
}

func transition(f *family, r *events.Record, _ *checker) string {
	switch {
	case !slices.Contains(may[f.now], r.State):
		return fmt.Sprintf("it follows on %s", f.now)
	case r.State == events.Deferred && r.Queued != (f.now != started) && f.now != deferred:
		return fmt.Sprintf("it follows on %s, and was queued: %t", f.now, r.Queued)
	case r.State == events.Deferred && f.now == deferred && reasonOf(r.Reason) != f.reason:
		return fmt.Sprintf("its reason became %s without an attempt", r.Reason)
	case r.State == events.Failed && (r.Reason == events.Cancelled) != (f.now == deferred):
		return fmt.Sprintf("given up for %s while %s", r.Reason, f.now)
	case r.State == events.Forgotten && r.WasState != f.state():
		return fmt.Sprintf("it says that the customer was %s, and it was %s", r.WasState, f.now)
	}
	return ""
}

// begins reports whether a record is the first of a round.
func begins(f *family, r *events.Record) bool {
	return r.State != events.Forgotten && (f.now == none || f.now == failed || f.now == forgotten)
}

func round(f *family, r *events.Record, _ *checker) string {
	want := int(f.round)
	if begins(f, r) || f.now == none {
		want++
	}
	switch newer := nanos(r.Event.StoredAt) > f.event; {
	case r.Round != want:
		return fmt.Sprintf("it is of round %d, and %d was due", r.Round, want)
	case f.now == failed && begins(f, r) && !newer && r.Trigger.Kind != events.TriggerReplay:
		return "a round begins after a failure without a new announcement or a replay"
	case f.now == forgotten && (!newer || nanos(r.Event.StoredAt) <= f.stored):
		return "a forgotten customer comes back without an announcement made since"
	}
	return ""
}

func lease(f *family, r *events.Record, c *checker) string {
	over := r.State == events.Forgotten || r.State == events.Started
	switch {
	case f.now != started:
		if r.State == events.Started && r.Trigger.Kind == events.TriggerRecovery {
			return fmt.Sprintf("it takes over a claim, and follows on %s", f.now)
		}
	case over && nanos(r.StoredAt.Add(c.skew)) < f.due:
		return fmt.Sprintf("it was written at %s, under a lease until %s", stamp(nanos(r.StoredAt)), stamp(f.due))
	case r.State == events.Started && r.Trigger.Kind != events.TriggerRecovery:
		return fmt.Sprintf("it follows on a claim, and says that it is due to %s", r.Trigger.Kind)
	case !over && r.Calls > int(f.calls) && nanos(r.LastCallAt) >= f.due:
		return fmt.Sprintf("a call began at %s, after the end of the lease at %s", stamp(nanos(r.LastCallAt)), stamp(f.due))
	}
	return ""
}

// spacedNoes is how many spaced look-ups must say no; at most one of them is made in an attempt.
const spacedNoes = 2

func settled(f *family, r *events.Record, _ *checker) string {
	var (
		claim = f.now == started
		ready = f.noes >= spacedNoes-1 // with one look-up more it may be settled
	)
	switch {
	case r.State == events.Forgotten:
	case r.State == events.Activated && r.Unsettled:
		return "activated, and unsettled"
	case r.State == events.Activated && r.Via == events.ViaActivate && r.Calls <= int(f.calls):
		return "activated by a call, and none was counted"
	case r.State == events.Started && claim && !r.Unsettled:
		return "a claim was taken over, and its outcome is taken as known"
	case !f.has(unsettled) || f.now == forgotten:
		if r.Unsettled && !claim {
			return "unsettled without an attempt"
		}
	case !r.Unsettled && r.State != events.Activated && !claim:
		return "an unknown outcome became a known one without an attempt"
	case !r.Unsettled && r.State != events.Activated && !ready:
		return fmt.Sprintf("an unknown outcome became a known one after %d spaced look-ups", f.noes)
	case claim && r.State != events.Started && r.Calls > int(f.calls) && !ready:
		return fmt.Sprintf("a call was made while an earlier outcome was unknown, after %d spaced look-ups", f.noes)
	}
	return ""
}

func counts(f *family, r *events.Record, _ *checker) string {
	if r.State == events.Forgotten {
		if f.now != none && hashed(r.Event.ID) != f.eventID {
			return "it keeps another announcement than the record before it"
		}
		return ""
	}
	var (
		attempt, calls, tried = int(f.attempt), int(f.calls), f.tries
		byHolder              = f.now == started && r.State != events.Started
		most                  = tried
	)
	if begins(f, r) {
		attempt, tried, most = 0, 0, 0
	}
	if f.now == forgotten {
		calls = 0
	}
	least := attempt
	switch {
	case r.State == events.Started:
		attempt++
		if least = attempt; f.now == started {
			calls++ // presumed sent
		}
	case byHolder:
		if most++; r.State == events.Deferred {
			least-- // an outage, or a stop of ours
		}
	}
	switch {
	case r.Attempt < least || r.Attempt > attempt:
		return fmt.Sprintf("attempt %d follows on %d", r.Attempt, f.attempt)
	case r.Calls < calls || r.Calls > calls && !byHolder:
		return fmt.Sprintf("%d calls follow on %d", r.Calls, f.calls)
	case tries(r) < tried || tries(r) > most:
		return fmt.Sprintf("%d tries follow on %d", tries(r), f.tries)
	case f.sequence > 0 && nanos(r.Event.StoredAt) < f.event:
		return fmt.Sprintf("its announcement of %s is older than that of the record before it", stamp(nanos(r.Event.StoredAt)))
	case !begins(f, r) && r.Waived < f.waived:
		return fmt.Sprintf("%d seconds were waived, and %d before", r.Waived, f.waived)
	}
	return ""
}

func givingUp(f *family, r *events.Record, _ *checker) string {
	if !begins(f, r) && r.State != events.Forgotten && nanos(r.GiveUpAt.Add(rounding)) < f.giveUp && f.giveUp > 0 {
		return fmt.Sprintf("its deadline moved back from %s to %s", stamp(f.giveUp), r.GiveUpAt.UTC().Format(time.RFC3339))
	}
	return deadline(r)
}
