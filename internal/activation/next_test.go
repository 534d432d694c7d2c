package activation_test

import (
	"testing"
	"time"

	"activation-worker/internal/activation"
	"activation-worker/internal/events"
)

// The state × trigger table of the contract, row by row.
func TestNext(t *testing.T) {
	t.Parallel()
	old := announced(0)
	old.Event.ID, old.Event.StoredAt = "/signup A-old", at(-time.Hour)
	simultaneous := announced(0)
	simultaneous.Event.ID = "/signup A-twin"
	copied := announced(0)
	copied.Event.StoredAt = at(time.Hour)

	type decision struct {
		step activation.Step
		at   time.Time
	}
	just := func(s activation.Step) decision { return decision{step: s} }
	comeAgain := decision{activation.ComeAgain, at(time.Minute)}
	arm := decision{activation.Arm, at(10 * time.Minute)}

	lastCall := func(d time.Duration) func(*events.Record) {
		return func(r *events.Record) { r.LastCallAt = at(d) }
	}
	notBefore := func(d time.Duration) func(*events.Record) {
		return func(r *events.Record) { r.NotBefore = at(d) }
	}

	unproven := func(r *events.Record) { r.Reason = events.DNSUnverified }
	tombstone := activation.Forgotten(waiting(), "ops", "asked to")

	later := activation.Forgotten(waiting(), "ops", "asked")
	later.StoredAt = at(2*time.Minute - tick)

	for sentence, c := range map[string]struct {
		record   *events.Record
		accepted *events.Accepted // nil: a wake-up
		now      time.Duration
		want     decision
	}{
		"none, an event: claim":                                  {nil, announced(0), 0, just(activation.Claim)},
		"none, a wake-up: drop":                                  {nil, nil, 0, just(activation.Done)},
		"none, a very old event, were it not for its age: claim": {nil, old, 0, just(activation.Claim)},

		"started, lease live, the same event":       {claimed(), announced(0), 0, comeAgain},
		"started, lease live, a new event":          {claimed(), announced(1), 30 * time.Second, comeAgain},
		"started, lease live, an old event":         {claimed(), old, 30 * time.Second, comeAgain},
		"started, lease live, a wake-up":            {claimed(), nil, 30 * time.Second, comeAgain},
		"started, a tick before the lease's end":    {claimed(), announced(0), time.Minute - tick, comeAgain},
		"started, at the lease's end":               {claimed(), announced(0), time.Minute, just(activation.TakeOver)},
		"started, lease expired, the same event":    {claimed(), announced(0), time.Hour, just(activation.TakeOver)},
		"started, lease expired, a new event":       {claimed(), announced(1), time.Hour, just(activation.TakeOver)},
		"started, lease expired, an old event":      {claimed(), old, time.Hour, just(activation.TakeOver)},
		"started, lease expired, a wake-up":         {claimed(), nil, time.Hour, just(activation.TakeOver)},
		"started, a wake-up, a tick before the end": {claimed(), nil, time.Minute - tick, comeAgain},
		"started, a wake-up, at the lease's end":    {claimed(), nil, time.Minute, just(activation.TakeOver)},
		"started long ago by a clock that was fast": {claimed(), nil, -time.Hour, comeAgain},

		"deferred, the same event: ack":                     {waiting(), announced(0), 0, just(activation.Done)},
		"deferred, the same event, also when due":           {waiting(), announced(0), time.Hour, just(activation.Done)},
		"deferred, an old event read again: ack":            {waiting(), old, 0, just(activation.Done)},
		"deferred, the event published again with its id":   {waiting(), copied, 2 * time.Hour, just(activation.Done)},
		"deferred, another event stored at the same moment": {waiting(), simultaneous, time.Hour, just(activation.Done)},
		"deferred, a wake-up, not yet time":                 {waiting(), nil, 0, arm},
		"deferred, a wake-up a tick too early":              {waiting(), nil, 10*time.Minute - tick, arm},
		"deferred, a wake-up in time":                       {waiting(), nil, 10 * time.Minute, just(activation.Attempt)},
		"deferred, a wake-up late":                          {waiting(), nil, 240 * time.Hour, just(activation.Attempt)},

		"deferred, a new event: attempt now":                    {waiting(), announced(1), 0, just(activation.Attempt)},
		"deferred, a new event, a tick within 60 s of the call": {waiting(lastCall(0)), announced(1), time.Minute - tick, decision{activation.PutOff, at(time.Minute)}},
		"deferred, a new event, 60 s after the call":            {waiting(lastCall(0)), announced(1), time.Minute, just(activation.Attempt)},
		"deferred, a new event, a tick before the retry time":   {waiting(notBefore(5 * time.Minute)), announced(1), 5*time.Minute - tick, decision{activation.PutOff, at(5 * time.Minute)}},
		"deferred, a new event, at the retry time":              {waiting(notBefore(5 * time.Minute)), announced(1), 5 * time.Minute, just(activation.Attempt)},
		"deferred, a new event: the later of the two counts":    {waiting(lastCall(0), notBefore(30*time.Second)), announced(1), 40 * time.Second, decision{activation.PutOff, at(time.Minute)}},
		"deferred, a new event: the later of the two, retry":    {waiting(lastCall(0), notBefore(2*time.Minute)), announced(1), 40 * time.Second, decision{activation.PutOff, at(2 * time.Minute)}},
		"deferred(unsettled), a new event: look up, not wait":   {waiting(unsettled(at(0), 0)), announced(1), 0, just(activation.Attempt)},
		"deferred past giveUpAt, a wake-up: one more call":      {waiting(func(r *events.Record) { r.GiveUpAt = at(time.Minute) }), nil, time.Hour, just(activation.Attempt)},
		"deferred(partner_unavailable), a wake-up when due":     {waiting(func(r *events.Record) { r.Reason = events.PartnerUnavailable }), nil, time.Hour, just(activation.Attempt)},

		"dns_unverified, the same event: ack":                     {waiting(unproven), announced(0), 0, just(activation.Done)},
		"dns_unverified, a wake-up before the next call: look":    {waiting(unproven), nil, 0, decision{activation.Look, at(10 * time.Minute)}},
		"dns_unverified, a wake-up a tick before the next call":   {waiting(unproven), nil, 10*time.Minute - tick, decision{activation.Look, at(10 * time.Minute)}},
		"dns_unverified, a wake-up at the next call":              {waiting(unproven), nil, 10 * time.Minute, just(activation.Attempt)},
		"dns_unverified, a new event: attempt now":                {waiting(unproven), announced(1), 0, just(activation.Attempt)},
		"dns_unverified, a new event within 60 s of the call":     {waiting(unproven, lastCall(0)), announced(1), time.Second, decision{activation.PutOff, at(time.Minute)}},
		"terms_pending, a wake-up, not yet time: nothing to look": {waiting(func(r *events.Record) { r.Reason = events.TermsPending }), nil, 0, arm},

		"activated, the same event: duplicate": {record(events.Activated), announced(0), 0, just(activation.Done)},
		"activated, a new event: duplicate":    {record(events.Activated), announced(1), time.Hour, just(activation.Done)},
		"activated, a wake-up: drop":           {record(events.Activated), nil, time.Hour, just(activation.Done)},

		"failed, the same event: ack":           {record(events.Failed), announced(0), time.Hour, just(activation.Done)},
		"failed, an old event: ack":             {record(events.Failed), old, time.Hour, just(activation.Done)},
		"failed, the event again with its id":   {record(events.Failed), copied, 2 * time.Hour, just(activation.Done)},
		"failed, a new event: a new round":      {record(events.Failed), announced(1), 0, just(activation.NewRound)},
		"failed, a wake-up: drop":               {record(events.Failed), nil, time.Hour, just(activation.Done)},
		"failed(unsettled), a new event: round": {record(events.Failed, unsettled(at(0), 1)), announced(1), time.Hour, just(activation.NewRound)},

		"forgotten, the same event: ack":                     {tombstone, announced(0), time.Hour, just(activation.Done)},
		"forgotten, the event published again with its id":   {tombstone, copied, 2 * time.Hour, just(activation.Done)},
		"forgotten, an old event read again: ack":            {tombstone, old, time.Hour, just(activation.Done)},
		"forgotten, another event stored at the same moment": {tombstone, simultaneous, time.Hour, just(activation.Done)},
		"forgotten, a new event: claim, look up first":       {tombstone, announced(1), time.Hour, just(activation.Anew)},
		"forgotten, an event stored before that: ack":        {later, announced(1), time.Hour, just(activation.Done)},
		"forgotten, an event stored a tick after that":       {later, announced(2), time.Hour, just(activation.Anew)},
		"forgotten, a wake-up: drop":                         {tombstone, nil, time.Hour, just(activation.Done)},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			got := activation.Next(c.record, cueOf(c.accepted), at(c.now))
			if got.Step != c.want.step {
				t.Fatalf("the step is %v, want %v", got.Step, c.want.step)
			}
			wantTime(t, "its time", got.At, c.want.at)
		})
	}
}

// Where the table says claim or attempt, an announcement of old is queued instead; a lease that has expired is taken over all the same.
func TestNextForAnAnnouncementOfOld(t *testing.T) {
	t.Parallel()
	for sentence, c := range map[string]struct {
		record   *events.Record
		accepted *events.Accepted
		now      time.Duration
		want     activation.Step
	}{
		"none: queue":                       {nil, announced(0), 0, activation.Queue},
		"started, lease live: come again":   {claimed(), announced(1), 0, activation.ComeAgain},
		"started, lease expired: take over": {claimed(), announced(1), time.Hour, activation.TakeOver},
		"deferred, the same event: ack":     {waiting(), announced(0), 0, activation.Done},
		"deferred, a new event: keep":       {waiting(), announced(1), 0, activation.Done},
		"deferred(backlog), another: keep":  {waiting(func(r *events.Record) { r.Reason = events.Backlog }), announced(1), 0, activation.Done},
		"deferred(dns), a new event: keep":  {waiting(func(r *events.Record) { r.Reason = events.DNSUnverified }), announced(1), 0, activation.Done},
		"deferred and due, a new event":     {waiting(), announced(1), time.Hour, activation.Done},
		"activated: duplicate":              {record(events.Activated), announced(1), 0, activation.Done},
		"failed, the same event: ack":       {record(events.Failed), announced(0), 0, activation.Done},
		"failed, a new event: queue":        {record(events.Failed), announced(1), 0, activation.Queue},
		"forgotten, the same event: ack":    {activation.Forgotten(waiting(), "ops", "asked"), announced(0), 0, activation.Done},
		"forgotten, a new event: queue":     {activation.Forgotten(waiting(), "ops", "asked"), announced(1), 0, activation.Queue},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			cue := cueOf(c.accepted)
			cue.Backlog = true
			if got := activation.Next(c.record, cue, at(c.now)); got.Step != c.want {
				t.Errorf("the step is %v, want %v", got.Step, c.want)
			}
		})
	}
}

func TestAnEventIsOfOldAfterAnHourOrWhenItSaysSo(t *testing.T) {
	t.Parallel()
	backfilled := announced(0)
	backfilled.Backfill = true
	for sentence, c := range map[string]struct {
		accepted *events.Accepted
		now      time.Duration
		want     bool
	}{
		"just stored":                         {announced(0), 0, false},
		"stored an hour ago":                  {announced(0), time.Hour, false},
		"stored over an hour ago":             {announced(0), time.Hour + tick, true},
		"just stored, but marked as backfill": {backfilled, 0, true},
		"stored after now, by another clock":  {announced(9), 0, false},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			cue := activation.CueOf(c.accepted, at(c.now))
			if cue.Backlog != c.want || cue.Event == nil || *cue.Event != c.accepted.Event {
				t.Errorf("the cue is %+v, want backlog %v", cue, c.want)
			}
		})
	}
}

func TestOnlyFiveStepsBeginAnAttempt(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for step, want := range map[activation.Step]bool{
		activation.Claim: true, activation.NewRound: true, activation.Anew: true, activation.Attempt: true, activation.TakeOver: true,
		activation.Done: false, activation.ComeAgain: false, activation.Arm: false, activation.PutOff: false,
		activation.Queue: false, activation.Look: false,
	} {
		if step.Claims() != want {
			t.Errorf("%v: Claims is %v, want %v", step, step.Claims(), want)
		}
		if name := step.String(); name == "" || name == "?" || names[name] {
			t.Errorf("step %d has the name %q, or shares it", int(step), step)
		}
		names[step.String()] = true
	}
}

// What this binary does not know must be kept, neither acknowledged nor acted on.
func TestNextKeepsADeliveryForAStateItDoesNotKnow(t *testing.T) {
	t.Parallel()
	got := activation.Next(record("paused"), cueOf(announced(1)), at(0))
	if got.Step != activation.ComeAgain || !got.At.After(at(0)) {
		t.Errorf("the decision is %v at %v, want to come again later", got.Step, got.At)
	}
}

// What a replay does with a customer: the last column of the contract's table.
func TestReplayOf(t *testing.T) {
	t.Parallel()
	for sentence, c := range map[string]struct {
		record *events.Record
		want   activation.Replayed
	}{
		"none: nothing to replay":        {nil, activation.NoCustomer},
		"forgotten: nothing to replay":   {activation.Forgotten(waiting(), "ops", "asked"), activation.NoCustomer},
		"started: in progress":           {claimed(), activation.InProgress},
		"deferred: waits":                {waiting(), activation.Waits},
		"deferred(unsettled): waits":     {waiting(unsettled(at(0), 1)), activation.Waits},
		"activated: done":                {record(events.Activated), activation.AlreadyDone},
		"failed: a new round":            {record(events.Failed), activation.Requeued},
		"a state of a later worker: not": {record("paused"), activation.NoCustomer},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			if got := activation.ReplayOf(c.record); got != c.want {
				t.Errorf("it is %d, want %d", got, c.want)
			}
		})
	}
}

func TestOnlyWhoWaitsForLaterCanBeHastened(t *testing.T) {
	t.Parallel()
	replayed := func(r *events.Record) { r.Reason = events.Replay }
	for sentence, c := range map[string]struct {
		record *events.Record
		now    time.Duration
		want   bool
	}{
		"due in a tick":                       {waiting(), 10*time.Minute - tick, true},
		"due now":                             {waiting(), 10 * time.Minute, false},
		"queued by a replay: at its own pace": {waiting(replayed), 0, false},
	} {
		if got := activation.CanHasten(c.record, at(c.now)); got != c.want {
			t.Errorf("%s: it is %v, want %v", sentence, got, c.want)
		}
	}
}
