package activation_test

import (
	"reflect"
	"testing"
	"time"

	"activation-worker/internal/activation"
	"activation-worker/internal/events"
)

// byReplay is the trigger of an operator's replay.
var byReplay = events.Trigger{Kind: events.TriggerReplay, ID: "r-7"}

// sameBut is a record as stored, with what a new one does not have yet removed, and then changed.
func sameBut(r *events.Record, mods ...func(*events.Record)) *events.Record {
	c := *r
	c.Sequence, c.ID, c.Time = 0, "", time.Time{}
	for _, mod := range mods {
		mod(&c)
	}
	return &c
}

func wantRecord(t *testing.T, got, want *events.Record) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestAnAnnouncementOfOldIsQueued(t *testing.T) {
	t.Parallel()
	e := announced(0)
	trigger := events.Trigger{Kind: events.TriggerAccepted, ID: e.Event.ID}
	got := activation.Queued(nil, e, domainID, events.Backlog, trigger, at(5*time.Hour))
	wantRecord(t, got, &events.Record{
		State: events.Deferred, DomainID: domainID, Domain: e.Domain, Reference: e.Reference,
		Round: 1, Event: e.Event, Trigger: trigger, AcceptedAt: e.AcceptedAt,
		Reason: events.Backlog, NextAttemptAt: at(5 * time.Hour), Queued: true, LookFirst: true,
		Cause: &events.Cause{Description: "the announcement is an old one and waits behind fresh customers"},
	})
	if got.Awaits(events.TriggerReplay) {
		t.Error("it counts as replayed")
	}
}

func TestWhoHasFailedIsQueuedInANewRound(t *testing.T) {
	t.Parallel()
	before := record(events.Failed, rich, func(r *events.Record) {
		r.Reason, r.Visibility = events.Transient, &events.Visibility{Missed: at(0)}
	})
	anew := func(r *events.Record) {
		r.State, r.Round, r.Attempt, r.Queued = events.Deferred, 3, 0, true
		r.FirstAttemptAt, r.NotBefore, r.GiveUpAt, r.NextAttemptAt = time.Time{}, time.Time{}, time.Time{}, at(2*time.Hour)
		r.Seen, r.Waived = nil, 0
	}
	t.Run("by a replay", func(t *testing.T) {
		t.Parallel()
		got := activation.Queued(before, nil, domainID, events.Replay, byReplay, at(2*time.Hour))
		wantRecord(t, got, sameBut(before, anew, func(r *events.Record) {
			r.Reason, r.Trigger = events.Replay, byReplay
			r.Cause = &events.Cause{Description: "an operator has queued the customer again"}
		}))
		if !got.Awaits(events.TriggerReplay) {
			t.Error("it does not wait for the replay's turn")
		}
	})
	t.Run("by an announcement of old", func(t *testing.T) {
		t.Parallel()
		e := announced(3)
		trigger := events.Trigger{Kind: events.TriggerAccepted, ID: e.Event.ID}
		got := activation.Queued(before, e, domainID, events.Backlog, trigger, at(2*time.Hour))
		wantRecord(t, got, sameBut(before, anew, func(r *events.Record) {
			r.Reason, r.Trigger, r.LookFirst = events.Backlog, trigger, true
			r.Event, r.Reference, r.AcceptedAt = e.Event, e.Reference, e.AcceptedAt
			r.Cause = &events.Cause{Description: "the announcement is an old one and waits behind fresh customers"}
		}))
	})
}

func TestWhoIsToBeLookedUpFirst(t *testing.T) {
	t.Parallel()
	first := func(r *events.Record) { r.LookFirst = true }
	tombstone := activation.Forgotten(record(events.Failed), "ops", "asked")
	for sentence, c := range map[string]struct {
		record   *events.Record
		accepted *events.Accepted
		reason   events.Reason
		want     bool
	}{
		"backlog, never heard of":                  {nil, announced(0), events.Backlog, true},
		"backlog, failed before":                   {record(events.Failed), announced(1), events.Backlog, true},
		"backlog, forgotten before":                {tombstone, announced(1), events.Backlog, true},
		"replay of a failure":                      {record(events.Failed), nil, events.Replay, false},
		"replay of a failure that was to be asked": {record(events.Failed, first), nil, events.Replay, true},
		"replay of a rejected one, never heard of": {nil, announced(0), events.Replay, true},
		"replay of a rejected one, forgotten":      {tombstone, announced(1), events.Replay, true},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			r := activation.Queued(c.record, c.accepted, domainID, c.reason, byReplay, at(2*time.Hour))
			if r.LookFirst != c.want {
				t.Fatalf("lookFirst is %v, want %v", r.LookFirst, c.want)
			}
			want := activation.Activate
			if c.want {
				want = activation.LookUp
			}
			claim := start(activation.Attempt, r, nil)
			if ask, _ := activation.Plan(claim, nil, activation.DefaultPolicy()); ask != want {
				t.Errorf("it asks %q first, want %q", ask, want)
			}
		})
	}
}

// Look-first lasts through whatever comes until a look-up was answered, or a call was made.
func TestLookFirstLastsUntilItIsAnswered(t *testing.T) {
	t.Parallel()
	first := func(r *events.Record) { r.LookFirst = true }
	type answers = []activation.Answer
	for sentence, c := range map[string]struct {
		answers answers
		want    bool
	}{
		"429":                         {answers{refused(look, 429, at(0))}, true},
		"unclear":                     {answers{answer(look, activation.Unclear, at(0))}, true},
		"not asked":                   {answers{answer(look, activation.NotAsked, at(0))}, true},
		"not found":                   {answers{refused(look, 404, at(0))}, true},
		"refused, no call fitted in":  {answers{refused(look, 400, at(0)), answer(act, activation.NotAsked, at(0))}, true},
		"refused, then a call":        {answers{refused(look, 400, at(0)), refused(act, 429, at(0))}, false},
		"not active, no call fits in": {answers{answer(look, activation.Inactive, at(0)), answer(act, activation.NotAsked, at(0))}, false},
		"not active, then a call":     {answers{answer(look, activation.Inactive, at(0)), refused(act, 429, at(0))}, false},
		"active":                      {answers{answer(look, activation.Active, at(0))}, false},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			if got := conclude(t, claimed(first), at(0), c.answers...); got.LookFirst != c.want {
				t.Errorf("lookFirst is %v, want %v", got.LookFirst, c.want)
			}
		})
	}
	for sentence, got := range map[string]*events.Record{
		"a takeover":  start(activation.TakeOver, claimed(first), nil),
		"an attempt":  start(activation.Attempt, waiting(first), nil),
		"a new round": start(activation.NewRound, record(events.Failed, first), announced(3)),
		"a put-off":   activation.PutOffUntil(waiting(first), announced(2), at(time.Hour), at(0)),
		"a replay":    activation.Hastened(waiting(first), byReplay, at(0)),
		"a cancel":    activation.Cancelled(waiting(first), byReplay, "why", at(0)),
	} {
		if !got.LookFirst {
			t.Errorf("%s forgets that the partner is to be asked first", sentence)
		}
	}
}

// A look-up that must come first is like a call: whoever it keeps from being called cannot wait for ever.
func TestWhoIsToBeLookedUpFirstIsGivenUpByTheLookUp(t *testing.T) {
	t.Parallel()
	claim := func() *events.Record {
		return claimed(seen(events.Transient, at(-day), 9), deadline(at(0)), func(r *events.Record) { r.LookFirst = true })
	}
	redirect := func(began time.Time) activation.Answer {
		return answer(look, activation.Redirect, began.Add(time.Second))
	}
	wantState(t, conclude(t, claim(), at(0), redirect(at(-tick))), events.Deferred, events.Transient)
	wantState(t, conclude(t, claim(), at(0), redirect(at(0))), events.Failed, events.Transient)
}

func TestTheAttemptOfAReplayIsTheReplays(t *testing.T) {
	t.Parallel()
	queued := activation.Queued(record(events.Failed), nil, domainID, events.Replay, byReplay, at(2*time.Hour))
	queued.ID, queued.Time = "x-1", at(0)
	got := start(activation.Attempt, queued, nil)
	if got.Trigger != byReplay || got.Round != 2 || got.Attempt != 1 || !got.FirstAttemptAt.Equal(at(time.Hour)) || got.Queued {
		t.Errorf("trigger %+v, round %d, attempt %d, first at %v", got.Trigger, got.Round, got.Attempt, got.FirstAttemptAt)
	}
	if got.Waived != 0 {
		t.Errorf("waived are %d s, although the round has only begun", got.Waived)
	}
	if got := start(activation.Attempt, queued, announced(5)); got.Trigger.Kind != events.TriggerAccepted {
		t.Errorf("a new event's attempt is triggered by %+v", got.Trigger)
	}
	deferred := conclude(t, got, at(time.Hour), answer(act, activation.Redirect, at(time.Hour)))
	deferred.ID = "x-3"
	if got := start(activation.Attempt, deferred, nil); got.Trigger.Kind != events.TriggerDue || got.Trigger.ID != "x-3" {
		t.Errorf("the attempt after it is triggered by %+v", got.Trigger)
	}
	backlog := activation.Queued(nil, announced(0), domainID, events.Backlog, events.Trigger{Kind: events.TriggerAccepted, ID: "e"}, at(time.Hour))
	backlog.ID = "x-4"
	if got := start(activation.Attempt, backlog, nil); got.Trigger.Kind != events.TriggerDue || got.Trigger.ID != "x-4" {
		t.Errorf("the attempt of an announcement of old is triggered by %+v", got.Trigger)
	}
}

// Hastened: the same reason, due now; what was waited for a queue or an outage is given back.
func TestWhoWaitsIsHastened(t *testing.T) {
	t.Parallel()
	before := unproven(rich, func(r *events.Record) { r.Visibility = &events.Visibility{Missed: at(0), Nos: 1} })
	got := activation.Hastened(before, byReplay, at(30*time.Minute))
	wantRecord(t, got, sameBut(before, func(r *events.Record) {
		r.Trigger, r.NextAttemptAt, r.Queued = byReplay, at(30*time.Minute), true
	}))
	if !got.Awaits(events.TriggerReplay) {
		t.Error("it does not wait for the replay's turn")
	}
	if next := activation.Next(got, activation.Cue{}, at(30*time.Minute)); next.Step != activation.Attempt {
		t.Errorf("a wake-up leads to %v, want the attempt", next.Step)
	}

	outage := waiting(func(r *events.Record) { r.Reason, r.GiveUpAt = events.PartnerUnavailable, at(day) })
	got = activation.Hastened(outage, byReplay, at(time.Hour))
	if got.Waived != 3600 || !got.GiveUpAt.Equal(at(day+time.Hour)) {
		t.Errorf("waived %d s, giveUpAt %v; want the hour given back", got.Waived, got.GiveUpAt)
	}
}

func TestWhoWaitsIsCancelled(t *testing.T) {
	t.Parallel()
	byOperator := events.Trigger{Kind: events.TriggerReplay, ID: "c-1"}
	before := unproven(rich, func(r *events.Record) { r.Queued = true })
	got := activation.Cancelled(before, byOperator, "signed off", at(time.Hour))
	wantRecord(t, got, sameBut(before, func(r *events.Record) {
		r.State, r.Reason, r.Trigger, r.DNS, r.Queued = events.Failed, events.Cancelled, byOperator, nil, false
		r.NextAttemptAt = time.Time{}
		r.Cause = &events.Cause{Description: "signed off", UnknownOutcome: true}
	}))
	got = activation.Cancelled(waiting(), byOperator, "signed off", at(time.Hour))
	if got.Cause.UnknownOutcome || got.Unsettled {
		t.Errorf("the outcome is called unknown: %+v", got.Cause)
	}
	got = activation.Cancelled(waiting(func(r *events.Record) { r.Reason, r.GiveUpAt = events.PartnerUnavailable, at(day) }), byOperator, "signed off", at(time.Hour))
	if got.Waived != 3600 || !got.GiveUpAt.Equal(at(day+time.Hour)) {
		t.Errorf("waived %d s, giveUpAt %v; want the hour of the outage given back", got.Waived, got.GiveUpAt)
	}
}

// Of a customer who is erased only this is kept.
func TestWhatIsLeftOfAForgottenCustomer(t *testing.T) {
	t.Parallel()
	before := unproven(rich, func(r *events.Record) { r.LookFirst, r.TraceParent, r.TraceState = true, "00-x", "v=1" })
	got := activation.Forgotten(before, "ops-mori", "asked by letter")
	wantRecord(t, got, &events.Record{
		State: events.Forgotten, DomainID: domainID, Round: 2,
		Event: events.EventRef{ID: before.Event.Hashed().ID, StoredAt: before.Event.StoredAt},
		By:    "ops-mori", Why: "asked by letter", WasState: events.Deferred,
	})
}

func TestAForgottenCustomerBeginsAnew(t *testing.T) {
	t.Parallel()
	tombstone := activation.Forgotten(record(events.Activated, rich), "ops", "asked")
	e := announced(4)
	got := start(activation.Anew, tombstone, e)
	wantRecord(t, got, &events.Record{
		State: events.Started, DomainID: domainID, Domain: e.Domain, Reference: e.Reference,
		Round: 3, Attempt: 1, Event: e.Event, Trigger: events.Trigger{Kind: events.TriggerAccepted, ID: e.Event.ID},
		AcceptedAt: e.AcceptedAt, FirstAttemptAt: at(time.Hour), LookFirst: true,
		Worker: "w2", LeaseExpiresAt: at(time.Hour + time.Minute),
	})
	if ask, _ := activation.Plan(got, nil, activation.DefaultPolicy()); ask != look {
		t.Errorf("it asks %q first, want the look-up", ask)
	}
	trigger := events.Trigger{Kind: events.TriggerAccepted, ID: e.Event.ID}
	queued := activation.Queued(tombstone, e, domainID, events.Backlog, trigger, at(2*time.Hour))
	if queued.Round != 3 || queued.Event != e.Event || queued.Domain != e.Domain || !queued.LookFirst || queued.By != "" || queued.WasState != "" {
		t.Errorf("queued as %+v", queued)
	}
}

// Time in a queue does not count against a customer whose round has begun before it.
func TestTimeInAQueueIsGivenBack(t *testing.T) {
	t.Parallel()
	for _, reason := range events.Reasons() {
		want := map[events.Reason]int64{events.PartnerUnavailable: 3600, events.Backlog: 3600, events.Replay: 3600}[reason]
		got := start(activation.Attempt, waiting(func(r *events.Record) { r.Reason, r.GiveUpAt = reason, at(day) }), nil)
		if got.Waived != want || !got.GiveUpAt.Equal(at(day+time.Duration(want)*time.Second)) {
			t.Errorf("%s: waived %d s, giveUpAt %v; want %d s", reason, got.Waived, got.GiveUpAt, want)
		}
	}
}

func TestTermsAreWaitedForFourteenDays(t *testing.T) {
	t.Parallel()
	attempt := func(claim *events.Record, now time.Time) *events.Record {
		return conclude(t, claim, now, refused(act, 400, now.Add(time.Second)), answer(look, activation.Inactive, now.Add(time.Second), pending, noProof))
	}
	claim, now := claimed(), at(0)
	for i, wait := range []time.Duration{5 * time.Minute, 30 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour, 6 * time.Hour} {
		r := attempt(claim, now)
		wantState(t, r, events.Deferred, events.TermsPending)
		wantTime(t, "the next attempt", r.NextAttemptAt, now.Add(wait))
		wantTime(t, "giveUpAt", r.GiveUpAt, at(14*day))
		if r.Seen[events.TermsPending].Tries != i+1 {
			t.Errorf("tries are %d, want %d", r.Seen[events.TermsPending].Tries, i+1)
		}
		claim, now = again(r), r.NextAttemptAt
	}
	wantState(t, attempt(claim, at(14*day-tick)), events.Deferred, events.TermsPending)
	wantState(t, attempt(claim, at(14*day)), events.Failed, events.TermsPending)
}
