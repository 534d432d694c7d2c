package activation_test

import (
	"reflect"
	"testing"
	"time"

	"activation-worker/internal/activation"
	"activation-worker/internal/events"
)

var who = activation.Claimant{Worker: "w2", LeaseExpiresAt: at(time.Hour + time.Minute)}

// start begins an attempt an hour after the first moment.
func start(step activation.Step, r *events.Record, accepted *events.Accepted) *events.Record {
	return activation.Start(step, r, accepted, domainID, who, at(time.Hour))
}

func TestTheFirstClaim(t *testing.T) {
	t.Parallel()
	e := announced(0)
	e.TraceParent, e.TraceState = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "vendor=1"
	got := start(activation.Claim, nil, e)
	want := &events.Record{
		State: events.Started, DomainID: domainID, Domain: e.Domain, Reference: e.Reference,
		TraceParent: e.TraceParent, TraceState: e.TraceState,
		Round: 1, Attempt: 1, Event: e.Event, Trigger: events.Trigger{Kind: events.TriggerAccepted, ID: e.Event.ID},
		AcceptedAt: e.AcceptedAt, FirstAttemptAt: at(time.Hour),
		Worker: "w2", LeaseExpiresAt: at(time.Hour + time.Minute),
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// rich is a deferred record with every field that travels on.
func rich(r *events.Record) {
	r.Round, r.Attempt, r.Calls, r.Waived = 2, 5, 4, 90
	r.LastCallAt, r.NotBefore, r.GiveUpAt = at(10*time.Minute), at(20*time.Minute), at(25*time.Hour)
	r.Seen = map[events.Reason]events.Seen{events.Transient: {First: at(time.Minute), Tries: 4}}
	unsettled(at(11*time.Minute), 1)(r)
	r.Cause = &events.Cause{HTTPStatus: 429}
}

func TestAnAttemptCarriesTheRoundOn(t *testing.T) {
	t.Parallel()
	before := waiting(rich)
	got := start(activation.Attempt, before, nil)
	want := waiting(rich)
	want.State, want.Sequence, want.ID, want.Time = events.Started, 0, "", time.Time{}
	want.Attempt, want.Trigger = 6, events.Trigger{Kind: events.TriggerDue, ID: before.ID}
	want.Worker, want.LeaseExpiresAt = "w2", at(time.Hour+time.Minute)
	want.Reason, want.Cause, want.NextAttemptAt = "", nil, time.Time{}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	got.Seen[events.Refused], got.Settling.Noes = events.Seen{Tries: 1}, 9
	if !reflect.DeepEqual(before, waiting(rich)) {
		t.Error("the record read shares memory with the record written")
	}
}

func TestAnAttemptTakesANewEventAndNoOldOne(t *testing.T) {
	t.Parallel()
	newer := announced(2)
	newer.Domain = "" // what it does not say stays as it was
	if got := start(activation.Attempt, waiting(), newer); got.Event != newer.Event || got.Reference != "order 2" || got.Domain != "hinode-foods.example" || !got.AcceptedAt.Equal(newer.AcceptedAt) {
		t.Errorf("after a new event: %+v", got)
	}
	older := announced(1)
	older.Event.StoredAt = at(-time.Hour)
	got := start(activation.TakeOver, claimed(), older)
	if got.Event != announced(0).Event || got.Reference != "order 0" {
		t.Errorf("after an old event: %+v", got)
	}
}

func TestTakingOverPresumesACall(t *testing.T) {
	t.Parallel()
	for sentence, c := range map[string]*events.Record{
		"a first claim":                        claimed(),
		"a claim that was already unsettled":   claimed(unsettled(at(-time.Hour), 1)),
		"a claim with calls of other rounds":   claimed(func(r *events.Record) { r.Calls, r.Round = 7, 3 }),
		"a claim that nobody noticed for long": claimed(func(r *events.Record) { r.Time = at(-400 * time.Hour) }),
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			got := start(activation.TakeOver, c, announced(0))
			if !got.Unsettled {
				t.Error("the outcome of an expired claim is not marked as unknown")
			}
			if got.Settling == nil || got.Settling.Noes != 0 || !got.Settling.Since.Equal(at(time.Hour)) {
				t.Errorf("settling is %+v, want to begin with the takeover", got.Settling)
			}
			if got.Calls != c.Calls+1 {
				t.Errorf("calls are %d, want %d", got.Calls, c.Calls+1)
			}
			if want := (events.Trigger{Kind: events.TriggerRecovery, ID: c.ID}); got.Trigger != want {
				t.Errorf("the trigger is %+v, want %+v", got.Trigger, want)
			}
			if got.Round != c.Round || got.Attempt != c.Attempt+1 || !got.FirstAttemptAt.Equal(c.FirstAttemptAt) {
				t.Errorf("round %d, attempt %d, first at %v", got.Round, got.Attempt, got.FirstAttemptAt)
			}
			wantTime(t, "lastCallAt", got.LastCallAt, c.Time)
			if ask, _ := activation.Plan(got, nil, activation.DefaultPolicy()); ask != activation.LookUp {
				t.Errorf("the first question is %q, want the look-up", ask)
			}
		})
	}
}

func TestANewRoundForgetsTheOldOnesWaitsAloneAndKeepsTheRest(t *testing.T) {
	t.Parallel()
	before := record(events.Failed, rich, func(r *events.Record) { r.Reason = events.Transient })
	got := start(activation.NewRound, before, announced(3))
	if got.Round != 3 || got.Attempt != 1 {
		t.Errorf("round %d, attempt %d; want 3, 1", got.Round, got.Attempt)
	}
	wantTime(t, "firstAttemptAt", got.FirstAttemptAt, at(time.Hour))
	wantTime(t, "lastCallAt", got.LastCallAt, before.LastCallAt)
	if !got.GiveUpAt.IsZero() || !got.NotBefore.IsZero() || len(got.Seen) != 0 || got.Waived != 0 {
		t.Errorf("of the old round is left: giveUpAt %v, notBefore %v, seen %v, waived %d", got.GiveUpAt, got.NotBefore, got.Seen, got.Waived)
	}
	if got.Calls != 4 {
		t.Errorf("calls are %d, want 4 as before", got.Calls)
	}
	if !got.Unsettled || !reflect.DeepEqual(got.Settling, before.Settling) {
		t.Errorf("unsettled is %v with %+v, want as before", got.Unsettled, got.Settling)
	}
	if got.Event != announced(3).Event || got.Reason != "" || got.Cause != nil {
		t.Errorf("event %+v, reason %q, cause %+v", got.Event, got.Reason, got.Cause)
	}
}

func TestTimeInAnOutageIsGivenBack(t *testing.T) {
	t.Parallel()
	outage := func(r *events.Record) {
		r.Reason, r.Waived, r.GiveUpAt = events.PartnerUnavailable, 30, at(24*time.Hour)
	}
	got := start(activation.Attempt, waiting(outage), nil)
	if got.Waived != 3630 {
		t.Errorf("waived are %d s, want 30 and the hour", got.Waived)
	}
	wantTime(t, "giveUpAt", got.GiveUpAt, at(25*time.Hour))

	early := waiting(outage, func(r *events.Record) { r.Time = at(2 * time.Hour) })
	got = start(activation.Attempt, early, nil)
	if got.Waived != 30 {
		t.Errorf("a clock that is behind: waived are %d s, want 30", got.Waived)
	}
	wantTime(t, "giveUpAt by a clock that is behind", got.GiveUpAt, at(24*time.Hour))

	got = start(activation.Attempt, waiting(func(r *events.Record) { r.GiveUpAt = at(24 * time.Hour) }), nil)
	if got.Waived != 0 {
		t.Errorf("waiting for a transient fault waives %d s", got.Waived)
	}
	wantTime(t, "giveUpAt of a transient fault", got.GiveUpAt, at(24*time.Hour))

	got = start(activation.Attempt, waiting(outage, func(r *events.Record) { r.GiveUpAt = time.Time{} }), nil)
	if !got.GiveUpAt.IsZero() {
		t.Errorf("without a deadline there is one now: %v", got.GiveUpAt)
	}
}

func TestAnEventThatComesTooEarlyIsPutOff(t *testing.T) {
	t.Parallel()
	before := waiting(rich)
	got := activation.PutOffUntil(before, announced(2), at(20*time.Minute), at(19*time.Minute))
	want := waiting(rich)
	want.Sequence, want.ID, want.Time = 0, "", time.Time{}
	want.Event, want.Reference, want.AcceptedAt = announced(2).Event, "order 2", announced(2).AcceptedAt
	want.Trigger = events.Trigger{Kind: events.TriggerAccepted, ID: want.Event.ID}
	want.NextAttemptAt = at(20 * time.Minute)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestPuttingOffDuringAnOutageKeepsTheTimeWaited(t *testing.T) {
	t.Parallel()
	before := waiting(func(r *events.Record) { r.Reason, r.Time = events.PartnerUnavailable, at(0) })
	got := activation.PutOffUntil(before, announced(2), before.Time.Add(2*time.Minute), before.Time.Add(40*time.Second))
	if got.Waived != before.Waived+40 {
		t.Errorf("waived %d s, wanted 40 more than %d", got.Waived, before.Waived)
	}
}
