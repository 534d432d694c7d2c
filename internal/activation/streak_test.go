package activation_test

import (
	"testing"

	"activation-worker/internal/activation"
	"activation-worker/internal/events"
)

// refusal is a verdict of a definite no with a code.
func refusal(code string) activation.Verdict {
	return activation.Verdict{State: events.Failed, Reason: events.Refused, Cause: refused(act, 403, at(0), func(a *activation.Answer) { a.Code = code }), Text: "no"}
}

// verdicts of other kinds.
var (
	notFound  = activation.Verdict{State: events.Deferred, Reason: events.CustomerNotFound, Cause: refused(act, 403, at(0), func(a *activation.Answer) { a.Code = "DENIED" }), Text: "not found"}
	activated = activation.Verdict{State: events.Activated, Via: events.ViaActivate, Cause: answer(act, activation.Active, at(0))}
	silent    = activation.Verdict{State: events.Deferred, Reason: events.UnknownOutcome, Cause: answer(act, activation.Unclear, at(0)), Text: "unclear"}
	unsent    = activation.Verdict{State: events.Deferred, Reason: events.Transient, Cause: answer(act, activation.NotSent, at(0)), Text: "not sent"}
	gaveUp    = activation.Verdict{State: events.Deferred, Reason: events.UnknownOutcome, Cause: refused(act, 408, at(0)), Text: "408"}
	limited   = activation.Verdict{State: events.Deferred, Reason: events.Transient, Cause: refused(act, 429, at(0)), Text: "429"}
)

// reasoned is a verdict that a customer of ours led to.
func reasoned(reason events.Reason) activation.Verdict {
	v := refusal("DENIED")
	v.State, v.Reason = events.Deferred, reason
	return v
}

// The tenth customer with the same definite no since a success is nobody's own fault, and so are those after.
func TestTheSameNoForTenCustomers(t *testing.T) {
	t.Parallel()
	type note struct {
		customer int64
		verdict  activation.Verdict
		policy   activation.Policy
	}
	// run is one verdict for each of the customers from to to.
	run := func(from, to int64, v activation.Verdict) (notes []note) {
		for id := from; id <= to; id++ {
			notes = append(notes, note{id, v, activation.DefaultPolicy()})
		}
		return notes
	}
	join := func(parts ...[]note) (all []note) {
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	known := func(notes []note) []note {
		for i := range notes {
			notes[i].policy.Table = []activation.Known{{Status: 403, Code: "DENIED", Reason: events.Refused}}
		}
		return notes
	}
	no, other := refusal("DENIED"), refusal("OTHER")
	elsewhere := refusal("DENIED")
	elsewhere.Cause.Status = 400

	for sentence, c := range map[string]struct {
		notes []note
		want  activation.Common // of the last
	}{
		"nine customers":                            {run(1, 9, no), 0},
		"ten customers":                             {run(1, 10, no), activation.SameNo},
		"and the eleventh":                          {run(1, 11, no), activation.SameNo},
		"and one of them again":                     {join(run(1, 10, no), run(3, 3, no)), activation.SameNo},
		"refused or not found, the same answer":     {join(run(1, 5, no), run(6, 10, notFound)), activation.SameNo},
		"one customer ten times":                    {join(run(1, 9, no), run(1, 1, no), run(2, 2, no)), 0},
		"another code begins anew":                  {join(run(1, 9, no), run(10, 10, other)), 0},
		"another status begins anew":                {join(run(1, 9, no), run(10, 10, elsewhere)), 0},
		"and so does the first code after it":       {join(run(1, 9, no), run(10, 10, other), run(11, 11, no)), 0},
		"ten of the other code":                     {join(run(1, 9, no), run(10, 19, other)), activation.SameNo},
		"a success between":                         {join(run(1, 9, no), run(20, 20, activated), run(10, 10, no)), 0},
		"ten after a success":                       {join(run(1, 9, no), run(20, 20, activated), run(10, 19, no)), activation.SameNo},
		"after ten, a success ends it":              {join(run(1, 10, no), run(20, 20, activated), run(11, 11, no)), 0},
		"one whose records are missing is found":    {join(run(1, 9, no), run(20, 20, reasoned(events.DNSUnverified)), run(10, 10, no)), 0},
		"one whose terms are pending is found":      {join(run(1, 9, no), run(20, 20, reasoned(events.TermsPending)), run(10, 10, no)), 0},
		"a rate limit between is neither":           {join(run(1, 9, no), run(20, 20, limited), run(10, 10, no)), activation.SameNo},
		"silence between is neither":                {join(run(1, 9, no), run(20, 20, silent), run(10, 10, no)), activation.SameNo},
		"a no that the operator knows":              {known(run(1, 30, no)), 0},
		"a no that the operator knows is no streak": {join(known(run(1, 9, no)), run(10, 10, no)), 0},
		"429 for everybody is no such no":           {run(1, 30, limited), 0},
		"an outage is one already":                  {run(1, 30, reasoned(events.PartnerUnavailable)), 0},

		"ten times 408":                      {run(1, 10, gaveUp), activation.Silence},
		"nine times silence":                 {run(1, 9, silent), 0},
		"ten times silence":                  {run(1, 10, silent), activation.Silence},
		"ten times silence of one customer":  {join(run(1, 1, silent), run(1, 1, silent), run(1, 1, silent), run(1, 1, silent), run(1, 1, silent), run(1, 1, silent), run(1, 1, silent), run(1, 1, silent), run(1, 1, silent), run(1, 1, silent)), 0},
		"nothing can be sent either":         {join(run(1, 5, silent), run(6, 10, unsent)), activation.Silence},
		"an answer between":                  {join(run(1, 9, silent), run(20, 20, no), run(10, 10, silent)), 0},
		"a success between the silence":      {join(run(1, 9, silent), run(20, 20, activated), run(10, 10, silent)), 0},
		"a rate limit between the silence":   {join(run(1, 9, silent), run(20, 20, limited), run(10, 10, silent)), activation.Silence},
		"silence lasts":                      {run(1, 20, unsent), activation.Silence},
		"after ten, one answer ends silence": {join(run(1, 10, silent), run(11, 11, no), run(12, 12, silent)), 0},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			var s activation.Streak
			var got activation.Verdict
			var common activation.Common
			for _, n := range c.notes {
				got, common = s.Note(n.customer, n.verdict, nil, n.policy)
			}
			if common != c.want {
				t.Fatalf("common is %d, want %d", common, c.want)
			}
			last := c.notes[len(c.notes)-1].verdict
			if c.want == 0 {
				if got.State != last.State || got.Reason != last.Reason || got.Text != last.Text {
					t.Errorf("the verdict becomes %s %s", got.State, got.Reason)
				}
				return
			}
			if got.State != events.Deferred || got.Reason != events.PartnerUnavailable || got.Text == last.Text || got.Cause.Status != last.Cause.Status || got.Cause.Kind != last.Cause.Kind {
				t.Errorf("the verdict is %s %s, %q; want an outage, with its cause", got.State, got.Reason, got.Text)
			}
		})
	}
}

// What is recorded in place of a no takes nothing from the customer.
func TestANoThatEverybodyGetsCostsNobodyAnAttempt(t *testing.T) {
	t.Parallel()
	var s activation.Streak
	v := refusal("DENIED")
	for id := range int64(10) {
		v, _ = s.Note(id, refusal("DENIED"), nil, activation.DefaultPolicy())
	}
	got := activation.Conclude(claimed(), []activation.Answer{v.Cause, answer(look, activation.Inactive, at(0))}, v, activation.DefaultPolicy(), at(0), 0)
	wantState(t, got, events.Deferred, events.PartnerUnavailable)
	if got.Attempt != 0 || got.Calls != 1 || !got.GiveUpAt.IsZero() {
		t.Errorf("attempt %d, calls %d, giveUpAt %v; want 0, 1, none", got.Attempt, got.Calls, got.GiveUpAt)
	}
}
