package activation_test

import (
	"reflect"
	"testing"
	"time"

	"activation-worker/internal/activation"
	"activation-worker/internal/events"
)

// conclude ends an attempt with what Plan makes of the answers, without jitter.
func conclude(t *testing.T, claim *events.Record, now time.Time, answers ...activation.Answer) *events.Record {
	t.Helper()
	ask, v := activation.Plan(claim, answers, activation.DefaultPolicy())
	if ask != activation.Nothing {
		t.Fatalf("the attempt is not over, it asks %q", ask)
	}
	return activation.Conclude(claim, answers, v, activation.DefaultPolicy(), now, 0)
}

// again claims the next attempt of a deferred record when it is due.
func again(r *events.Record) *events.Record {
	r.Time = r.NextAttemptAt
	return activation.Start(activation.Attempt, r, nil, domainID,
		activation.Claimant{Worker: "w1", LeaseExpiresAt: r.NextAttemptAt.Add(time.Minute)}, r.NextAttemptAt)
}

// wantState fails unless the record is in that state for that reason.
func wantState(t *testing.T, r *events.Record, state events.State, reason events.Reason) {
	t.Helper()
	if r.State != state || r.Reason != reason {
		t.Fatalf("the record is %s %q, want %s %q", r.State, r.Reason, state, reason)
	}
}

func TestAnActivationIsRecordedWithThePartnersObject(t *testing.T) {
	t.Parallel()
	claim := claimed(unsettled(at(-time.Hour), 1), func(r *events.Record) { r.Domain, r.NotBefore, r.Calls = "", at(time.Second), 2 })
	yes := answer(look, activation.Active, at(2*time.Second))
	got := conclude(t, claim, at(3*time.Second), yes)
	wantState(t, got, events.Activated, "")
	if got.Via != events.ViaLookup || string(got.Customer) != string(yes.Object) || got.CustomerOmitted != 0 || got.CustomerAltered {
		t.Errorf("via %s, customer %s, omitted %d, altered %v", got.Via, got.Customer, got.CustomerOmitted, got.CustomerAltered)
	}
	wantTime(t, "activatedAt", got.ActivatedAt, at(3*time.Second))
	if got.Unsettled || got.Settling != nil || !got.NotBefore.IsZero() || got.Worker != "" || !got.LeaseExpiresAt.IsZero() {
		t.Errorf("of the attempt is left: %+v", got)
	}
	if got.Domain != "hinode-foods.example" || got.Calls != 2 || got.Attempt != 1 {
		t.Errorf("domain %q, calls %d, attempt %d; want the partner's domain, 2, 1", got.Domain, got.Calls, got.Attempt)
	}

	yes = answer(act, activation.Active, at(2*time.Second), func(a *activation.Answer) {
		a.Object, a.Omitted, a.Altered, a.Domain, a.Sent = nil, 2<<20, true, "other.example", 2
	})
	got = conclude(t, claimed(), at(3*time.Second), yes)
	if got.Via != events.ViaActivate || string(got.Customer) != "null" || got.CustomerOmitted != 2<<20 || !got.CustomerAltered {
		t.Errorf("via %s, customer %s, omitted %d, altered %v; want null and the size", got.Via, got.Customer, got.CustomerOmitted, got.CustomerAltered)
	}
	if got.Domain != "hinode-foods.example" || got.Calls != 2 {
		t.Errorf("domain %q, calls %d; want our own, both requests", got.Domain, got.Calls)
	}
	wantTime(t, "lastCallAt", got.LastCallAt, at(time.Second))
}

func TestAnActiveCustomerThatWeNeverCalledCountsNoCalls(t *testing.T) {
	t.Parallel()
	notSent := answer(act, activation.NotSent, at(time.Second))
	got := conclude(t, claimed(), at(2*time.Second), notSent)
	wantState(t, got, events.Deferred, events.Transient)
	if got.Calls != 0 || !got.LastCallAt.IsZero() {
		t.Errorf("calls %d, last at %v; want none", got.Calls, got.LastCallAt)
	}
}

func TestARefusalIsFinalAndSaysWhy(t *testing.T) {
	t.Parallel()
	no := refused(act, 400, at(2*time.Second), func(a *activation.Answer) {
		a.Code, a.PartnerText, a.RequestID = "INVALID_PARAMETER", "no", "b1946ac9"
	})
	got := conclude(t, claimed(), at(3*time.Second), no, answer(look, activation.Inactive, at(3*time.Second)),
		answer(data, activation.Shown, at(3*time.Second)), answer(dns, activation.Looked, at(3*time.Second), visible))
	wantState(t, got, events.Failed, events.Refused)
	want := &events.Cause{
		Operation: "activate", HTTPStatus: 400, Code: "INVALID_PARAMETER", PartnerText: "no", RequestID: "b1946ac9",
		Description: "the partner refuses to activate this customer",
	}
	if !reflect.DeepEqual(got.Cause, want) {
		t.Errorf("cause %+v, want %+v", got.Cause, want)
	}
	if !got.NextAttemptAt.IsZero() || got.Calls != 1 || got.Seen[events.Refused].Tries != 1 {
		t.Errorf("next at %v, calls %d, seen %v", got.NextAttemptAt, got.Calls, got.Seen)
	}
}

func TestBackoffFollowsThePolicyByReason(t *testing.T) {
	t.Parallel()
	want := []time.Duration{10 * time.Second, 30 * time.Second, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, 30 * time.Minute}
	claim, now := claimed(), at(0)
	for i, wait := range want {
		got := conclude(t, claim, now, answer(act, activation.Redirect, now))
		wantState(t, got, events.Deferred, events.Transient)
		wantTime(t, "the next attempt", got.NextAttemptAt, now.Add(wait))
		if got.Attempt != i+1 || got.Seen[events.Transient].Tries != i+1 || !got.Seen[events.Transient].First.Equal(at(0)) {
			t.Errorf("attempt %d, seen %+v after %d attempts", got.Attempt, got.Seen, i+1)
		}
		wantTime(t, "giveUpAt", got.GiveUpAt, at(24*time.Hour))
		claim, now = again(got), got.NextAttemptAt
	}
}

func TestJitterLengthensAWaitByATenthAtMost(t *testing.T) {
	t.Parallel()
	hinted := refused(act, 429, at(0), retryAfter(100*time.Second))
	redirect := answer(act, activation.Redirect, at(0))
	for sentence, c := range map[string]struct {
		answer activation.Answer
		jitter float64
		want   time.Duration
	}{
		"none":            {redirect, 0, 10 * time.Second},
		"half":            {redirect, 0.5, 10500 * time.Millisecond},
		"a hint, none":    {hinted, 0, 100 * time.Second},
		"a hint and half": {hinted, 0.5, 105 * time.Second},
	} {
		_, v := activation.Plan(claimed(), []activation.Answer{c.answer}, activation.DefaultPolicy())
		got := activation.Conclude(claimed(), []activation.Answer{c.answer}, v, activation.DefaultPolicy(), at(0), c.jitter)
		wantTime(t, sentence, got.NextAttemptAt, at(c.want))
	}
}

func TestARetryTimeThePartnerGivesIsKept(t *testing.T) {
	t.Parallel()
	hint := func(op activation.Operation, d time.Duration) activation.Answer {
		return refused(op, 429, at(0), retryAfter(d))
	}
	for sentence, c := range map[string]struct {
		claim     *events.Record
		answers   []activation.Answer
		reason    events.Reason
		notBefore time.Duration // 0: none
		next      time.Duration
	}{
		"429 without a hint waits a minute":           {claimed(), []activation.Answer{refused(act, 429, at(0))}, events.Transient, 0, time.Minute},
		"429 with reset 0 waits the usual time":       {claimed(), []activation.Answer{hint(act, 0)}, events.Transient, 0, 10 * time.Second},
		"429 with a short hint waits the usual time":  {claimed(), []activation.Answer{hint(act, 3*time.Second)}, events.Transient, 3 * time.Second, 10 * time.Second},
		"429 with a long hint waits for it":           {claimed(), []activation.Answer{hint(act, 61*time.Second)}, events.Transient, 61 * time.Second, 61 * time.Second},
		"503 with a hint":                             {claimed(), []activation.Answer{answer(act, activation.Unclear, at(0), status(503), retryAfter(5*time.Minute)), answer(look, activation.Unclear, at(0))}, events.UnknownOutcome, 5 * time.Minute, 5 * time.Minute},
		"400, then the look-up's 429":                 {claimed(), []activation.Answer{refused(act, 400, at(0)), hint(look, 5*time.Minute)}, events.Transient, 5 * time.Minute, 5 * time.Minute},
		"unsettled, the look-up's 429":                {claimed(unsettled(at(-time.Hour), 0)), []activation.Answer{hint(look, 5*time.Minute)}, events.Transient, 5 * time.Minute, 5 * time.Minute},
		"unsettled, the look-up's 429 without a hint": {claimed(unsettled(at(-time.Hour), 0)), []activation.Answer{refused(look, 429, at(0))}, events.Transient, 0, time.Minute},
		"unclear, then the look-up's 429":             {claimed(), []activation.Answer{answer(act, activation.Unclear, at(0)), hint(look, 5*time.Minute)}, events.UnknownOutcome, 5 * time.Minute, 5 * time.Minute},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			got := conclude(t, c.claim, at(0), c.answers...)
			wantState(t, got, events.Deferred, c.reason)
			var notBefore time.Time
			if c.notBefore != 0 {
				notBefore = at(c.notBefore)
			}
			wantTime(t, "notBefore", got.NotBefore, notBefore)
			wantTime(t, "the next attempt", got.NextAttemptAt, at(c.next))
		})
	}
}

func TestTheNextAttemptForgetsAnOldRetryTime(t *testing.T) {
	t.Parallel()
	r := conclude(t, claimed(), at(0), refused(act, 429, at(0), retryAfter(time.Minute)))
	got := conclude(t, again(r), at(2*time.Minute), answer(act, activation.Redirect, at(2*time.Minute)))
	if !got.NotBefore.IsZero() {
		t.Errorf("notBefore is %v, want none", got.NotBefore)
	}
}

func TestAnOutageCountsNoAttemptAndIsNeverGivenUp(t *testing.T) {
	t.Parallel()
	claim := claimed(func(r *events.Record) { r.Attempt, r.GiveUpAt = 3, at(-time.Hour) })
	got := conclude(t, claim, at(0), answer(act, activation.NoToken, at(0)))
	wantState(t, got, events.Deferred, events.PartnerUnavailable)
	if got.Attempt != 2 {
		t.Errorf("attempt is %d, want 2: the customer cannot help it", got.Attempt)
	}
	wantTime(t, "the next attempt", got.NextAttemptAt, at(time.Minute))
	got = conclude(t, claim, at(0), refused(act, 401, at(0)))
	wantState(t, got, events.Deferred, events.PartnerUnavailable)

	got = conclude(t, claimed(), at(0), answer(act, activation.NoToken, at(0)))
	if !got.GiveUpAt.IsZero() {
		t.Errorf("giveUpAt is %v, want none", got.GiveUpAt)
	}
}

func TestWhatWeDidNotAskCountsNoAttempt(t *testing.T) {
	t.Parallel()
	claim := claimed(func(r *events.Record) { r.Attempt = 3 })
	got := conclude(t, claim, at(0), answer(act, activation.NotAsked, at(0)))
	wantState(t, got, events.Deferred, events.Transient)
	if got.Attempt != 2 || got.Calls != 0 || len(got.Seen) != 0 {
		t.Errorf("attempt %d, calls %d, seen %v; want 2, 0, none", got.Attempt, got.Calls, got.Seen)
	}
	wantTime(t, "the next attempt", got.NextAttemptAt, at(10*time.Second))
	got = conclude(t, claim, at(0), refused(act, 400, at(0)), answer(look, activation.NotAsked, at(0)))
	if got.Attempt != 3 || got.Calls != 1 {
		t.Errorf("after a call and no look-up: attempt %d, calls %d; want 3, 1", got.Attempt, got.Calls)
	}
}

func TestACustomerThatIsNotFoundIsAskedForThreeMoreTimes(t *testing.T) {
	t.Parallel()
	claim, now := claimed(), at(0)
	for _, since := range []time.Duration{5 * time.Minute, 20 * time.Minute, time.Hour} {
		got := conclude(t, claim, now, refused(act, 404, now), refused(look, 404, now))
		wantState(t, got, events.Deferred, events.CustomerNotFound)
		wantTime(t, "the next call", got.NextAttemptAt, at(since))
		if !got.GiveUpAt.IsZero() {
			t.Errorf("giveUpAt is %v, want none: the calls are counted", got.GiveUpAt)
		}
		claim, now = again(got), got.NextAttemptAt
	}
	got := conclude(t, claim, now, refused(act, 404, now), refused(look, 404, now))
	wantState(t, got, events.Failed, events.CustomerNotFound)
	if got.Calls != 4 || got.Attempt != 4 {
		t.Errorf("calls %d, attempt %d; want 4, 4", got.Calls, got.Attempt)
	}
}

func TestACustomerThatIsNotFoundFailsWhateverTheDeadline(t *testing.T) {
	t.Parallel()
	claim := claimed(func(r *events.Record) {
		r.Seen = map[events.Reason]events.Seen{events.CustomerNotFound: {First: at(-time.Hour), Tries: 3}}
		r.GiveUpAt = at(24 * time.Hour)
	})
	got := conclude(t, claim, at(0), refused(act, 404, at(0)), refused(look, 404, at(0)))
	wantState(t, got, events.Failed, events.CustomerNotFound)
}

func TestTheAnswersAreCountedAndTheCausesStay(t *testing.T) {
	t.Parallel()
	claim := claimed(unsettled(at(-2*time.Minute), 1), func(r *events.Record) { r.Calls, r.Attempt = 3, 2 })
	got := conclude(t, claim, at(0),
		answer(look, activation.Inactive, at(0)),
		answer(act, activation.Unclear, at(time.Second), func(a *activation.Answer) { a.Sent = 2 }),
		answer(look, activation.Inactive, at(2*time.Second)))
	wantState(t, got, events.Deferred, events.UnknownOutcome)
	if got.Calls != 5 || got.Attempt != 2 {
		t.Errorf("calls %d, attempt %d; want 5, 2", got.Calls, got.Attempt)
	}
	wantTime(t, "lastCallAt", got.LastCallAt, at(0))
	if !got.Unsettled || got.Settling == nil || got.Settling.Noes != 0 || !got.Settling.Since.Equal(at(time.Second)) {
		t.Errorf("unsettled is %v with %+v, want anew since the unclear answer", got.Unsettled, got.Settling)
	}
	if got.Cause == nil || !got.Cause.UnknownOutcome {
		t.Errorf("cause %+v does not say that the outcome is unknown", got.Cause)
	}
}
