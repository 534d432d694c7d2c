package activation_test

import (
	"testing"
	"time"

	"activation-worker/internal/activation"
	"activation-worker/internal/events"
)

const day = 24 * time.Hour

// seen says that a reason was first seen at a moment.
func seen(reason events.Reason, first time.Time, tries int) func(*events.Record) {
	return func(r *events.Record) {
		if r.Seen == nil {
			r.Seen = map[events.Reason]events.Seen{}
		}
		r.Seen[reason] = events.Seen{First: first, Tries: tries}
	}
}

// deadline sets giveUpAt.
func deadline(when time.Time) func(*events.Record) {
	return func(r *events.Record) { r.GiveUpAt = when }
}

func TestTheDeadlineIsTheLatestOfTheReasonsWithin45Days(t *testing.T) {
	t.Parallel()
	terms := activation.Verdict{State: events.Deferred, Reason: events.TermsPending, Cause: refused(act, 400, at(0)), Text: "terms"}
	unproven := activation.Verdict{State: events.Deferred, Reason: events.DNSUnverified, Cause: refused(act, 400, at(0)), Text: "dns"}
	transient := activation.Verdict{State: events.Deferred, Reason: events.Transient, Cause: answer(act, activation.Redirect, at(0)), Text: "wait"}
	outage := activation.Verdict{State: events.Deferred, Reason: events.PartnerUnavailable, Cause: answer(act, activation.NoToken, at(0)), Text: "outage"}
	began := func(d time.Duration) func(*events.Record) {
		return func(r *events.Record) { r.FirstAttemptAt = at(d) }
	}
	waived := func(d time.Duration) func(*events.Record) {
		return func(r *events.Record) { r.Waived = int64(d / time.Second) }
	}
	for sentence, c := range map[string]struct {
		claim   *events.Record
		verdict activation.Verdict
		want    time.Time
	}{
		"the first transient fault":                         {claimed(), transient, at(day)},
		"a fault that was seen before":                      {claimed(seen(events.Transient, at(-time.Hour), 1), deadline(at(day-time.Hour))), transient, at(day - time.Hour)},
		"a longer reason moves it on":                       {claimed(seen(events.Transient, at(-time.Hour), 1), deadline(at(day-time.Hour))), terms, at(14 * day)},
		"a shorter reason does not move it back":            {claimed(deadline(at(14 * day))), transient, at(14 * day)},
		"a reason without a limit leaves it":                {claimed(deadline(at(3 * time.Hour))), outage, at(3 * time.Hour)},
		"a reason without a limit makes none":               {claimed(), outage, time.Time{}},
		"thirty days for DNS":                               {claimed(), unproven, at(30 * day)},
		"thirty days, first seen on the tenth":              {claimed(began(-10 * day)), unproven, at(30 * day)},
		"45 days after the round began at most":             {claimed(began(-20*day), deadline(at(10*time.Minute))), unproven, at(25 * day)},
		"the cap does not move it back either":              {claimed(began(-20*day), deadline(at(26*day))), unproven, at(26 * day)},
		"waived time is added":                              {claimed(waived(2 * time.Hour)), transient, at(day + 2*time.Hour)},
		"waived time is added to the cap":                   {claimed(began(-20*day), waived(2*time.Hour)), unproven, at(25*day + 2*time.Hour)},
		"waived time that the deadline holds already stays": {claimed(seen(events.Transient, at(-time.Hour), 1), waived(2*time.Hour), deadline(at(day+time.Hour))), transient, at(day + time.Hour)},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			got := activation.Conclude(c.claim, []activation.Answer{c.verdict.Cause}, c.verdict, activation.DefaultPolicy(), at(0), 0)
			wantState(t, got, events.Deferred, c.verdict.Reason)
			wantTime(t, "giveUpAt", got.GiveUpAt, c.want)
		})
	}
}

func TestGivingUpNeedsACallAtOrAfterTheDeadline(t *testing.T) {
	t.Parallel()
	faults := seen(events.Transient, at(-day), 9)
	open := seen(events.UnknownOutcome, at(-day), 9)
	redirect := func(began time.Time) activation.Answer {
		return answer(act, activation.Redirect, began.Add(time.Second))
	}
	inactive := func(began time.Time) activation.Answer {
		return answer(look, activation.Inactive, began.Add(time.Second))
	}
	for sentence, c := range map[string]struct {
		claim   *events.Record
		answers []activation.Answer
		state   events.State
		reason  events.Reason
	}{
		"a call a tick before it":              {claimed(faults, deadline(at(0))), []activation.Answer{redirect(at(-tick))}, events.Deferred, events.Transient},
		"a call at it":                         {claimed(faults, deadline(at(0))), []activation.Answer{redirect(at(0))}, events.Failed, events.Transient},
		"a call long after it":                 {claimed(faults, deadline(at(0))), []activation.Answer{redirect(at(9 * day))}, events.Failed, events.Transient},
		"no call: nothing was sent":            {claimed(faults, deadline(at(0))), []activation.Answer{answer(act, activation.NotSent, at(time.Hour))}, events.Deferred, events.Transient},
		"no call: not asked":                   {claimed(faults, deadline(at(0))), []activation.Answer{answer(act, activation.NotAsked, at(time.Hour))}, events.Deferred, events.Transient},
		"an outage":                            {claimed(faults, deadline(at(0))), []activation.Answer{refused(act, 401, at(time.Hour))}, events.Deferred, events.PartnerUnavailable},
		"a look-up while unsettled":            {claimed(open, deadline(at(0)), unsettled(at(-time.Minute), 0)), []activation.Answer{inactive(at(0))}, events.Failed, events.UnknownOutcome},
		"a look-up while unsettled, before it": {claimed(open, deadline(at(0)), unsettled(at(-time.Minute), 0)), []activation.Answer{inactive(at(-tick))}, events.Deferred, events.UnknownOutcome},
		"another reason, its limit to come":    {claimed(open, deadline(at(0))), []activation.Answer{redirect(at(0))}, events.Deferred, events.Transient},
		"found active after all":               {claimed(faults, deadline(at(0))), []activation.Answer{answer(act, activation.Active, at(time.Hour))}, events.Activated, ""},
		"looked up active after all":           {claimed(open, deadline(at(0)), unsettled(at(-time.Minute), 0)), []activation.Answer{answer(look, activation.Active, at(time.Hour))}, events.Activated, ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			got := conclude(t, c.claim, c.answers[len(c.answers)-1].At, c.answers...)
			wantState(t, got, c.state, c.reason)
		})
	}
}

func TestTheLastAttemptIsAtTheDeadline(t *testing.T) {
	t.Parallel()
	claim := claimed(seen(events.Transient, at(-day), 9), deadline(at(5*time.Minute)))
	got := conclude(t, claim, at(0), answer(act, activation.Redirect, at(0)))
	wantTime(t, "the next attempt", got.NextAttemptAt, at(5*time.Minute))
	got = conclude(t, claim, at(0), refused(act, 429, at(0), retryAfter(10*time.Minute)))
	wantTime(t, "the next attempt, by the partner's own time", got.NextAttemptAt, at(10*time.Minute))
	got = conclude(t, claim, at(0), answer(act, activation.NoToken, at(0)))
	wantTime(t, "the next attempt in an outage", got.NextAttemptAt, at(time.Minute))
}

// Where nothing can be sent, no attempt is the last one, and each must still wait: else a
// network that is away for longer than the deadline makes the worker claim in a loop.
func TestAnAttemptThatSentNothingWaitsAlsoAfterTheDeadline(t *testing.T) {
	t.Parallel()
	past := []func(*events.Record){seen(events.Transient, at(-2*day), 9), seen(events.UnknownOutcome, at(-2*day), 9), deadline(at(-day))}
	for sentence, c := range map[string]struct {
		claim  *events.Record
		answer activation.Answer
	}{
		"no connection":                 {claimed(past...), answer(act, activation.NotSent, at(0))},
		"not asked":                     {claimed(past...), answer(act, activation.NotAsked, at(0))},
		"no connection for the look-up": {claimed(append(past, unsettled(at(-time.Hour), 0))...), answer(look, activation.NotSent, at(0))},
		"look-up not asked":             {claimed(append(past, unsettled(at(-time.Hour), 0))...), answer(look, activation.NotAsked, at(0))},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			got := conclude(t, c.claim, at(0), c.answer)
			wantState(t, got, events.Deferred, events.Transient)
			if wait := got.NextAttemptAt.Sub(at(0)); wait < 10*time.Second {
				t.Errorf("the next attempt is after %v, want at least the shortest wait of 10s", wait)
			}
		})
	}
}

// The two spaced look-ups of an unclear outcome, 10 s and 60 s apart, and then the call.
func TestAnUnclearOutcomeIsSettledByTwoSpacedLookUps(t *testing.T) {
	t.Parallel()
	now := at(0)
	r := conclude(t, claimed(), now, answer(act, activation.Unclear, now), answer(look, activation.Inactive, now))
	wantState(t, r, events.Deferred, events.UnknownOutcome)
	wantTime(t, "the first spaced look-up", r.NextAttemptAt, at(10*time.Second))

	now = r.NextAttemptAt
	r = conclude(t, again(r), now, answer(look, activation.Inactive, now.Add(time.Second), func(a *activation.Answer) { a.StartedAt = now }))
	wantState(t, r, events.Deferred, events.UnknownOutcome)
	if !r.Unsettled || r.Settling.Noes != 1 {
		t.Fatalf("after the first spaced no: unsettled %v, %+v", r.Unsettled, r.Settling)
	}
	if wait := r.NextAttemptAt.Sub(now); wait < time.Minute || wait > time.Minute+2*time.Second {
		t.Errorf("the second spaced look-up is after %v, want 60 s after the first", wait)
	}

	now = r.NextAttemptAt
	claim := again(r)
	no := answer(look, activation.Inactive, now.Add(time.Second), func(a *activation.Answer) { a.StartedAt = now })
	ask, _ := activation.Plan(claim, []activation.Answer{no}, activation.DefaultPolicy())
	if ask != act {
		t.Fatalf("after both said no it asks %q, want %q", ask, act)
	}
	r = conclude(t, claim, now, no, refused(act, 429, now.Add(2*time.Second)))
	wantState(t, r, events.Deferred, events.Transient)
	if r.Unsettled || r.Settling != nil {
		t.Errorf("unsettled is %v with %+v, want settled", r.Unsettled, r.Settling)
	}
	if ask, _ := activation.Plan(again(r), nil, activation.DefaultPolicy()); ask != act {
		t.Errorf("the next attempt asks %q, want %q", ask, act)
	}
}

func TestALookUpThatComesTooEarlySettlesNothing(t *testing.T) {
	t.Parallel()
	for sentence, c := range map[string]struct {
		noes int
		wait time.Duration
		want int
	}{
		"the first, a tick too early":  {0, 10*time.Second - tick, 0},
		"the first, in time":           {0, 10 * time.Second, 1},
		"the second, a tick too early": {1, time.Minute - tick, 1},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			asked := at(c.wait)
			no := answer(look, activation.Inactive, asked, func(a *activation.Answer) { a.StartedAt = asked })
			got := conclude(t, claimed(unsettled(at(0), c.noes)), asked, no)
			wantState(t, got, events.Deferred, events.UnknownOutcome)
			if !got.Unsettled || got.Settling == nil || got.Settling.Noes != c.want {
				t.Errorf("unsettled %v with %+v, want %d noes", got.Unsettled, got.Settling, c.want)
			}
		})
	}
}

func TestUnsettledOutlivesDeferralsFailuresAndRounds(t *testing.T) {
	t.Parallel()
	for sentence, no := range map[string][]activation.Answer{
		"429":             {refused(look, 429, at(0))},
		"no token":        {answer(look, activation.NoToken, at(0))},
		"not sent":        {answer(look, activation.NotSent, at(0))},
		"not asked":       {answer(look, activation.NotAsked, at(0))},
		"unclear":         {answer(look, activation.Unclear, at(0))},
		"refused":         {refused(look, 400, at(0))},
		"not found":       {refused(look, 404, at(0))},
		"denied to us":    {refused(look, 403, at(0)), refused(activation.List, 403, at(0))},
		"denied, but not": {refused(look, 403, at(0)), answer(activation.List, activation.Listed, at(0))},
		"a redirect":      {answer(look, activation.Redirect, at(0))},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			claim := claimed(unsettled(at(-time.Hour), 1), func(r *events.Record) { r.Calls = 1 })
			r := conclude(t, claim, at(0), no...)
			wantState(t, r, events.Deferred, r.Reason)
			if !r.Unsettled || r.Settling == nil || r.Settling.Noes != 1 || !r.Cause.UnknownOutcome {
				t.Fatalf("unsettled %v with %+v, cause %+v", r.Unsettled, r.Settling, r.Cause)
			}
			r.State = events.Failed
			r = activation.Start(activation.NewRound, r, announced(9), domainID, activation.Claimant{Worker: "w", LeaseExpiresAt: at(time.Hour)}, at(time.Minute))
			if ask, _ := activation.Plan(r, nil, activation.DefaultPolicy()); ask != look {
				t.Errorf("the next round asks %q first, want the look-up", ask)
			}
			if r.Calls != 1 {
				t.Errorf("calls are %d, want 1", r.Calls)
			}
		})
	}
}
