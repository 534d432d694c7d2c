package activation_test

import (
	"reflect"
	"testing"
	"time"

	"activation-worker/internal/activation"
	"activation-worker/internal/events"
)

// unproven is a record deferred at the first moment for want of ownership records, whose next call is after an hour.
func unproven(mods ...func(*events.Record)) *events.Record {
	return waiting(append([]func(*events.Record){
		func(r *events.Record) {
			r.Reason, r.NextAttemptAt, r.LastCallAt, r.GiveUpAt = events.DNSUnverified, at(time.Hour), at(0), at(30*day)
			r.Cause = &events.Cause{HTTPStatus: 400}
			r.DNS = &events.DNS{Domain: "hinode-foods.example", Wanted: []events.DNSRecord{proof, alias}, Seen: []events.DNSRecord{}}
			r.Visibility = &events.Visibility{Missed: at(0)}
		},
		seen(events.DNSUnverified, at(0), 1),
	}, mods...)...)
}

// saw sets what was seen before.
func saw(records ...events.DNSRecord) func(*events.Record) {
	return func(r *events.Record) { r.DNS.Seen = records }
}

// since says since when the records are visible, and how many calls said no since.
func since(d time.Duration, nos int) func(*events.Record) {
	return func(r *events.Record) { r.Visibility.Since, r.Visibility.Nos = at(d), nos }
}

// Looks slow down from a minute to half an hour, a tenth of the time waited apart, and never come after the next call.
func TestWakeAt(t *testing.T) {
	t.Parallel()
	late := func(r *events.Record) { r.NextAttemptAt = at(30 * day) }
	for sentence, c := range map[string]struct {
		record *events.Record
		now    time.Duration
		jitter float64
		want   time.Duration // since now
	}{
		"the first look":                                          {unproven(), 0, 0, time.Minute},
		"still every minute after ten":                            {unproven(), 10 * time.Minute, 0, time.Minute},
		"then a tenth of the time waited":                         {unproven(), 30 * time.Minute, 0, 3 * time.Minute},
		"half an hour after five hours":                           {unproven(late), 5 * time.Hour, 0, 30 * time.Minute},
		"and no slower after days":                                {unproven(late), 20 * day, 0, 30 * time.Minute},
		"jitter brings it forward":                                {unproven(late), 5 * time.Hour, 0.5, 28*time.Minute + 30*time.Second},
		"also the first":                                          {unproven(), 0, 0.5, 57 * time.Second},
		"a look that still fits before the call":                  {unproven(), 54 * time.Minute, 0, 5*time.Minute + 24*time.Second},
		"never after the next call":                               {unproven(), 55 * time.Minute, 0, 5 * time.Minute},
		"the call is nearer than a look":                          {unproven(), 59*time.Minute + 30*time.Second, 0, 30 * time.Second},
		"the call is due":                                         {unproven(), 2 * time.Hour, 0, -time.Hour},
		"by a clock that is behind":                               {unproven(), -time.Minute, 0, time.Minute},
		"visible, waiting for theirs: still looks":                {unproven(since(0, 1)), 0, 0, time.Minute},
		"the round's first no counts, not the last record's time": {unproven(late, func(r *events.Record) { r.Time = at(5 * time.Hour) }), 5 * time.Hour, 0, 30 * time.Minute},
		"another reason is not watched":                           {waiting(), 0, 0.5, 10 * time.Minute},
		"a queued customer is not watched":                        {waiting(func(r *events.Record) { r.Reason = events.Backlog }), 0, 0, 10 * time.Minute},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			got := activation.WakeAt(c.record, activation.DefaultPolicy(), at(c.now), c.jitter)
			wantTime(t, "the timer", got, at(c.now+c.want))
		})
	}
	p := activation.DefaultPolicy()
	p.DNS.WatchFirst = 0
	wantTime(t, "the timer without a watch", activation.WakeAt(unproven(), p, at(0), 0), at(time.Hour))
}

// A look writes only what is new; what is newly visible is worth a call at once, or after
// the step that a no before has earned, and never later than the call that is due anyway.
func TestWatched(t *testing.T) {
	t.Parallel()
	near := events.DNSRecord{Type: "TXT", Name: proof.Name, Value: "works-verify=old", Resolver: "system"}
	other := by(proof, "192.0.2.1:53")
	type sees = activation.Sight
	type want struct {
		nothing bool
		next    time.Duration
		since   time.Duration // -1: not visible
		seen    int
	}
	nothing := want{nothing: true}
	lastCall := func(d time.Duration) func(*events.Record) {
		return func(r *events.Record) { r.LastCallAt = at(d) }
	}
	next := func(d time.Duration) func(*events.Record) {
		return func(r *events.Record) { r.NextAttemptAt = at(d) }
	}
	const now = 10 * time.Minute
	for sentence, c := range map[string]struct {
		record *events.Record
		sight  sees
		want   want
	}{
		"nothing there, as before":     {unproven(), sees{}, nothing},
		"there, as before":             {unproven(since(0, 1), saw(by(proof, "system"))), sees{Visible: true, Seen: []events.DNSRecord{by(proof, "system")}}, nothing},
		"newly there: call now":        {unproven(), sees{Visible: true, Seen: []events.DNSRecord{by(proof, "system")}}, want{next: now, since: now, seen: 1}},
		"the other one newly there":    {unproven(), sees{Visible: true, Seen: []events.DNSRecord{by(alias, "system")}}, want{next: now, since: now, seen: 1}},
		"gone: only noted":             {unproven(since(0, 1), saw(by(proof, "system"))), sees{}, want{next: time.Hour, since: -1}},
		"a near miss: only noted":      {unproven(), sees{Seen: []events.DNSRecord{near}}, want{next: time.Hour, since: -1, seen: 1}},
		"the same near miss":           {unproven(saw(near)), sees{Seen: []events.DNSRecord{near}}, nothing},
		"the near miss is gone":        {unproven(saw(near)), sees{}, want{next: time.Hour, since: -1}},
		"the near miss put right":      {unproven(saw(near)), sees{Visible: true, Seen: []events.DNSRecord{by(proof, "system")}}, want{next: now, since: now, seen: 1}},
		"the second appears beside it": {unproven(since(0, 1), saw(by(proof, "system"))), sees{Visible: true, Seen: []events.DNSRecord{by(proof, "system"), by(alias, "system")}}, want{next: time.Hour, since: 0, seen: 2}},
		"another resolver sees the same": {
			unproven(since(0, 1), saw(by(proof, "system"))), sees{Visible: true, Seen: []events.DNSRecord{other}}, nothing,
		},
		"two resolvers in another order": {
			unproven(since(0, 1), saw(by(proof, "system"), near)), sees{Visible: true, Seen: []events.DNSRecord{near, other, by(proof, "system")}}, nothing,
		},
		"who saw it is silent: it still counts": {
			unproven(since(0, 1), saw(by(proof, "system"))), sees{Silent: []string{"system"}}, nothing,
		},
		"who saw it is silent, another sees nothing": {
			unproven(since(0, 1), saw(other)), sees{Silent: []string{"192.0.2.1:53"}}, nothing,
		},
		"another is silent: gone": {
			unproven(since(0, 1), saw(by(proof, "system"))), sees{Silent: []string{"192.0.2.1:53"}}, want{next: time.Hour, since: -1},
		},
		"silent for a part, the rest as before": {
			unproven(since(0, 1), saw(by(proof, "system"))),
			sees{Visible: true, Seen: []events.DNSRecord{by(proof, "system"), by(alias, "system")}, Silent: []string{"system"}},
			want{next: time.Hour, since: 0, seen: 2},
		},
		"there again after a no: five minutes after the call": {
			unproven(lastCall(8*time.Minute), since(0, 1), func(r *events.Record) { r.Visibility.Since = time.Time{} }),
			sees{Visible: true, Seen: []events.DNSRecord{other}},
			want{next: 13 * time.Minute, since: now, seen: 1},
		},
		"there again after three: an hour after the call": {
			unproven(lastCall(8*time.Minute), next(6*time.Hour), func(r *events.Record) { r.Visibility.Nos = 3 }),
			sees{Visible: true, Seen: []events.DNSRecord{other}},
			want{next: 68 * time.Minute, since: now, seen: 1},
		},
		"and after more: the same": {
			unproven(lastCall(8*time.Minute), next(6*time.Hour), func(r *events.Record) { r.Visibility.Nos = 9 }),
			sees{Visible: true, Seen: []events.DNSRecord{other}},
			want{next: 68 * time.Minute, since: now, seen: 1},
		},
		"there again long after the call: now": {
			unproven(lastCall(-time.Hour), func(r *events.Record) { r.Visibility.Nos = 1 }),
			sees{Visible: true, Seen: []events.DNSRecord{other}},
			want{next: now, since: now, seen: 1},
		},
		"a forced call is not put off": {
			unproven(lastCall(8*time.Minute), func(r *events.Record) { r.Visibility.Nos = 3 }),
			sees{Visible: true, Seen: []events.DNSRecord{other}},
			want{next: time.Hour, since: now, seen: 1},
		},
		"nor is the last one": {
			unproven(lastCall(8*time.Minute), next(11*time.Minute), deadline(at(11*time.Minute)), func(r *events.Record) { r.Visibility.Nos = 1 }),
			sees{Visible: true, Seen: []events.DNSRecord{other}},
			want{next: 11 * time.Minute, since: now, seen: 1},
		},
		"not before the partner's own time": {
			unproven(func(r *events.Record) { r.NotBefore = at(20 * time.Minute) }),
			sees{Visible: true, Seen: []events.DNSRecord{other}},
			want{next: 20 * time.Minute, since: now, seen: 1},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			before := *c.record
			got := activation.Watched(c.record, c.sight, activation.DefaultPolicy(), at(now))
			if !reflect.DeepEqual(before, *c.record) {
				t.Error("the record read was changed")
			}
			if (got == nil) != c.want.nothing {
				t.Fatalf("it writes %+v", got)
			}
			if got == nil {
				return
			}
			wantState(t, got, events.Deferred, events.DNSUnverified)
			wantTime(t, "the next call", got.NextAttemptAt, at(c.want.next))
			var visible time.Time
			if c.want.since >= 0 {
				visible = at(c.want.since)
			}
			wantTime(t, "visible since", got.Visibility.Since, visible)
			if len(got.DNS.Seen) != c.want.seen || got.DNS.Seen == nil || !reflect.DeepEqual(got.DNS.Wanted, c.record.DNS.Wanted) {
				t.Errorf("DNS is %+v, want %d seen", got.DNS, c.want.seen)
			}
			// All else stays: nothing was attempted.
			got.DNS, got.Visibility, got.NextAttemptAt = c.record.DNS, c.record.Visibility, c.record.NextAttemptAt
			same := *c.record
			same.Sequence, same.ID, same.Time = 0, "", time.Time{}
			if !reflect.DeepEqual(*got, same) {
				t.Errorf("got  %+v\nwant %+v", *got, same)
			}
		})
	}
}

// A domain whose ownership the partner counts as proven is not watched: it would be gone with every look.
func TestWhereNothingIsWantedALookChangesNothing(t *testing.T) {
	t.Parallel()
	r := unproven(since(0, 1), func(r *events.Record) { r.DNS.Wanted = []events.DNSRecord{} })
	if got := activation.Watched(r, activation.Sight{}, activation.DefaultPolicy(), at(time.Minute)); got != nil {
		t.Errorf("it writes %+v", got)
	}
}

// diagnosed concludes an attempt that found what it says of the ownership records, by Plan's own verdict.
func diagnosed(t *testing.T, claim *events.Record, when time.Time, there bool) *events.Record {
	t.Helper()
	look := answer(dns, activation.Looked, when)
	if there {
		visible(&look)
	}
	return conclude(t, claim, when, refused(act, 400, when), answer(activation.LookUp, activation.Inactive, when), answer(data, activation.Shown, when), look)
}

// Forced calls come 1, 6 and 24 hours after the first no, then daily, and the last one is
// at the deadline after 30 days, whatever the watch says.
func TestCallsAboutMissingRecords(t *testing.T) {
	t.Parallel()
	want := []time.Duration{time.Hour, 6 * time.Hour, day}
	for d := 2 * day; d <= 30*day; d += day {
		want = append(want, d)
	}
	claim, now := claimed(), at(0)
	for _, next := range want {
		r := diagnosed(t, claim, now, false)
		wantState(t, r, events.Deferred, events.DNSUnverified)
		wantTime(t, "the next call", r.NextAttemptAt, at(next))
		wantTime(t, "giveUpAt", r.GiveUpAt, at(30*day))
		claim, now = again(r), r.NextAttemptAt
	}
	r := diagnosed(t, claim, now.Add(time.Second-tick), false) // the call began a second before its answer
	wantState(t, r, events.Deferred, events.DNSUnverified)
	r = diagnosed(t, claim, now.Add(time.Second), false)
	wantState(t, r, events.Failed, events.DNSUnverified)
	if r.Calls != len(want)+1 {
		t.Errorf("calls are %d, want %d", r.Calls, len(want)+1)
	}
}

func TestACallBetweenDoesNotMoveTheForcedOnes(t *testing.T) {
	t.Parallel()
	for sentence, c := range map[string]struct{ now, want time.Duration }{
		"a tick before an hour":    {time.Hour - tick, time.Hour},
		"after an hour":            {time.Hour, 6 * time.Hour},
		"after two":                {2 * time.Hour, 6 * time.Hour},
		"a tick before a day":      {day - tick, day},
		"after a day":              {day, 2 * day},
		"a tick after a day":       {day + tick, 2 * day},
		"after ten days and a bit": {10*day + time.Hour, 11 * day},
		"half a day before 30":     {30*day - 12*time.Hour, 30 * day},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			claim := claimed(seen(events.DNSUnverified, at(0), 2), deadline(at(30*day)))
			r := diagnosed(t, claim, at(c.now), false)
			wantTime(t, "the next call", r.NextAttemptAt, at(c.want))
		})
	}
}

// After they became visible: a call at once, and after each no 5, 15 and 60 minutes later, then the forced ones.
func TestCallsAboutVisibleRecords(t *testing.T) {
	t.Parallel()
	r := diagnosed(t, claimed(), at(0), false)
	r.Time = at(0)
	r = activation.Watched(r, activation.Sight{Visible: true, Seen: []events.DNSRecord{by(proof, "system")}}, activation.DefaultPolicy(), at(10*time.Minute))
	wantTime(t, "the call", r.NextAttemptAt, at(10*time.Minute))
	for _, next := range []time.Duration{15 * time.Minute, 30 * time.Minute, 90 * time.Minute, 6 * time.Hour, day} {
		now := r.NextAttemptAt
		r = diagnosed(t, again(r), now, true)
		wantState(t, r, events.Deferred, events.DNSUnverified)
		wantTime(t, "the next call", r.NextAttemptAt, at(next))
		wantTime(t, "visible since", r.Visibility.Since, at(10*time.Minute))
	}
	// A day after the call at 10 min they are no explanation any more.
	wantState(t, diagnosed(t, again(r), at(day+10*time.Minute-tick), true), events.Deferred, events.DNSUnverified)
	wantState(t, diagnosed(t, again(r), at(day+10*time.Minute), true), events.Failed, events.Refused)
}

func TestRecordsFoundVisibleByTheAttemptItselfCountAsANo(t *testing.T) {
	t.Parallel()
	r := diagnosed(t, again(diagnosed(t, claimed(), at(0), false)), at(time.Hour), true)
	wantState(t, r, events.Deferred, events.DNSUnverified)
	wantTime(t, "the next call", r.NextAttemptAt, at(time.Hour+5*time.Minute))
	if len(r.DNS.Seen) != 1 || len(r.DNS.Wanted) != 2 || r.DNS.Domain == "" {
		t.Errorf("DNS is %+v, want what is wanted and seen", r.DNS)
	}
}

// Who never missed them cannot have waited for them.
func TestRecordsVisibleFromTheFirstLookHaveNotBecomeSo(t *testing.T) {
	t.Parallel()
	r := diagnosed(t, claimed(), at(0), true)
	wantState(t, r, events.Failed, events.Refused)
	if r.Visibility == nil || !r.Visibility.Missed.IsZero() || !r.Visibility.Since.Equal(at(0)) {
		t.Errorf("visibility is %+v", r.Visibility)
	}
}

func TestWhoCannotLookHasNotSeenThem(t *testing.T) {
	t.Parallel()
	attempt := func(claim *events.Record, now time.Time) *events.Record {
		return conclude(t, claim, now, refused(act, 400, now), answer(look, activation.Inactive, now), answer(data, activation.Shown, now), answer(dns, activation.Blind, now))
	}
	r := attempt(claimed(), at(0))
	wantState(t, r, events.Deferred, events.DNSUnverified)
	if !r.Visibility.Missed.Equal(at(0)) || !r.Visibility.Since.IsZero() || r.Visibility.Nos != 0 {
		t.Errorf("visibility is %+v, want missed", r.Visibility)
	}
	wantTime(t, "the next call", r.NextAttemptAt, at(time.Hour))

	r = attempt(again(unproven(since(time.Minute, 0))), at(time.Hour))
	if !r.Visibility.Since.Equal(at(time.Minute)) {
		t.Errorf("visibility is %+v, want as it was", r.Visibility)
	}
}

// Where the partner wants no record any more, none is missing: a day later the no must have another cause.
func TestProofThatThePartnerHasSeenCountsAsVisible(t *testing.T) {
	t.Parallel()
	for sentence, shows := range map[string]activation.Answer{
		"proven":             answer(data, activation.Shown, at(0), proven),
		"nothing wanted":     answer(data, activation.Shown, at(0), wantsNothing),
		"nothing to be said": refused(data, 400, at(0)),
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			attempt := func(claim *events.Record, now time.Time) *events.Record {
				shows := shows
				shows.At = now
				return conclude(t, claim, now, refused(act, 400, now), answer(look, activation.Inactive, now), shows)
			}
			r := attempt(again(unproven()), at(time.Hour))
			wantState(t, r, events.Deferred, events.DNSUnverified)
			wantTime(t, "the next call", r.NextAttemptAt, at(time.Hour+5*time.Minute))
			if r.DNS == nil || r.DNS.Wanted == nil || len(r.DNS.Wanted) != 0 || r.DNS.Seen == nil {
				t.Errorf("DNS is %+v, want two empty lists", r.DNS)
			}
			if got := activation.Watched(r, activation.Sight{}, activation.DefaultPolicy(), at(time.Hour+time.Minute)); got != nil {
				t.Errorf("a look writes %+v", got)
			}
			wantState(t, attempt(again(r), at(25*time.Hour)), events.Failed, events.Refused)
		})
	}
}

// That records were missed is known in the next round too: they may have become visible since. The rest begins anew.
func TestARoundBeginsWithWhatWasMissed(t *testing.T) {
	t.Parallel()
	before := record(events.Failed, func(r *events.Record) {
		r.Reason, r.Visibility = events.DNSUnverified, &events.Visibility{Missed: at(-30 * day), Since: at(-time.Hour), Nos: 3}
	})
	if got := start(activation.NewRound, before, announced(3)); got.Visibility == nil || *got.Visibility != (events.Visibility{Missed: at(-30 * day)}) {
		t.Errorf("the new round has %+v", got.Visibility)
	}
	got := start(activation.Attempt, unproven(since(0, 2)), nil)
	if got.Visibility == nil || got.Visibility.Nos != 2 {
		t.Errorf("the next attempt has %+v", got.Visibility)
	}
}

func TestAnOutageDuringADiagnosisIsNoNo(t *testing.T) {
	t.Parallel()
	r := conclude(t, again(unproven(since(0, 1))), at(time.Hour), refused(act, 400, at(time.Hour)), answer(look, activation.Inactive, at(time.Hour)), refused(data, 429, at(time.Hour)))
	wantState(t, r, events.Deferred, events.Transient)
	if r.Visibility.Nos != 1 || !r.Visibility.Since.Equal(at(0)) {
		t.Errorf("visibility is %+v, want as it was", r.Visibility)
	}
}
