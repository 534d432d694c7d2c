package activation

import (
	"time"

	"activation-worker/internal/events"
)

// Step is what is done with one delivery, given the customer's record.
type Step int

// Steps. The zero value is none of them.
const (
	_         Step = iota
	Claim          // first round
	NewRound       // after a failure
	Anew           // after the customer was forgotten: look up first
	Attempt        // the next attempt of the round
	TakeOver       // after an expired lease: the outcome is unknown
	Done           // acknowledge: nothing to do
	ComeAgain      // under another's live lease until At
	Arm            // not yet time: arm the timer for At
	PutOff         // a new event, too early: defer anew until At
	Queue          // an announcement of old: defer, in a new round where there was one
	Look           // not yet the next call: are the ownership records visible?
)

func (s Step) String() string {
	return [...]string{"?", "claim", "new round", "anew", "attempt", "take over", "done", "come again", "arm", "put off", "queue", "look"}[s]
}

// Claims reports whether the step begins an attempt.
func (s Step) Claims() bool {
	return s == Claim || s == NewRound || s == Anew || s == Attempt || s == TakeOver
}

// Decision is a step, with the time that it is about where there is one.
type Decision struct {
	Step Step
	At   time.Time
}

// minBetweenCalls is the least time between two activate calls of a customer that a new event can force.
const minBetweenCalls = time.Minute

// Cue is what makes somebody look at a customer.
type Cue struct {
	Event   *events.EventRef // the terms-accepted event delivered; nil: a wake-up
	Backlog bool             // the event is of old: it waits its turn behind fresh ones
}

// BacklogAge is how old an event is that nobody needs to hurry for.
const BacklogAge = time.Hour

// CueOf is the cue of a terms-accepted event that is read now.
func CueOf(a *events.Accepted, now time.Time) Cue {
	return Cue{Event: &a.Event, Backlog: a.Backfill || now.Sub(a.Event.StoredAt) > BacklogAge}
}

// row is one line of the state × trigger table.
type row struct {
	state    events.State // "" for no record
	wakeUp   bool         // else a terms-accepted event
	newEvent bool         // the event is new to the record
	decide   func(r *events.Record, now time.Time) Decision
	backlog  func(r *events.Record, now time.Time) Decision // where an event of old is treated otherwise
}

// table is the state × trigger table of the contract, §2.
var table = []row{
	{state: "", wakeUp: false, newEvent: true, decide: always(Claim), backlog: always(Queue)},
	{state: "", wakeUp: true, decide: always(Done)},

	{state: events.Started, wakeUp: false, newEvent: false, decide: underLease},
	{state: events.Started, wakeUp: false, newEvent: true, decide: underLease},
	{state: events.Started, wakeUp: true, decide: underLease},

	{state: events.Deferred, wakeUp: false, newEvent: false, decide: always(Done)},
	{state: events.Deferred, wakeUp: false, newEvent: true, decide: announcedAgain, backlog: always(Done)},
	{state: events.Deferred, wakeUp: true, decide: whenDue},

	{state: events.Activated, wakeUp: false, newEvent: false, decide: always(Done)},
	{state: events.Activated, wakeUp: false, newEvent: true, decide: always(Done)},
	{state: events.Activated, wakeUp: true, decide: always(Done)},

	{state: events.Failed, wakeUp: false, newEvent: false, decide: always(Done)},
	{state: events.Failed, wakeUp: false, newEvent: true, decide: always(NewRound), backlog: always(Queue)},
	{state: events.Failed, wakeUp: true, decide: always(Done)},

	{state: events.Forgotten, wakeUp: false, newEvent: false, decide: always(Done)},
	{state: events.Forgotten, wakeUp: false, newEvent: true, decide: always(Anew), backlog: always(Queue)},
	{state: events.Forgotten, wakeUp: true, decide: always(Done)},
}

// Next decides what a delivery leads to. r is the customer's newest record, nil for none.
// What the cue says happened is not believed, only what the record says.
func Next(r *events.Record, cue Cue, now time.Time) Decision {
	var state events.State
	newEvent := cue.Event != nil
	if r != nil {
		state = r.State
		newEvent = cue.Event != nil && newTo(r, *cue.Event)
	}
	for _, row := range table {
		if row.state != state || row.wakeUp != (cue.Event == nil) || row.newEvent != newEvent {
			continue
		}
		if cue.Backlog && row.backlog != nil {
			return row.backlog(r, now)
		}
		return row.decide(r, now)
	}
	// Unreachable for records that package events decodes; a delivery is rather kept than lost.
	return Decision{Step: ComeAgain, At: now.Add(time.Minute)}
}

// newTo reports whether an event is new to a record. To one of a customer who was forgotten it is so only if it came
// after that, by the clock of the server that stored both: not every announcement before it is on record, a duplicate of an active customer's for one.
func newTo(r *events.Record, e events.EventRef) bool {
	return e.NewerThan(r.Event) && (r.State != events.Forgotten || e.StoredAt.After(r.StoredAt))
}

func always(s Step) func(*events.Record, time.Time) Decision {
	return func(*events.Record, time.Time) Decision { return Decision{Step: s} }
}

func underLease(r *events.Record, now time.Time) Decision {
	if now.Before(r.LeaseExpiresAt) {
		return Decision{Step: ComeAgain, At: r.LeaseExpiresAt}
	}
	return Decision{Step: TakeOver}
}

func whenDue(r *events.Record, now time.Time) Decision {
	if now.Before(r.NextAttemptAt) {
		if r.Reason == events.DNSUnverified {
			return Decision{Step: Look, At: r.NextAttemptAt}
		}
		return Decision{Step: Arm, At: r.NextAttemptAt}
	}
	return Decision{Step: Attempt}
}

func announcedAgain(r *events.Record, now time.Time) Decision {
	earliest := r.NotBefore
	if !r.LastCallAt.IsZero() && r.LastCallAt.Add(minBetweenCalls).After(earliest) {
		earliest = r.LastCallAt.Add(minBetweenCalls)
	}
	if now.Before(earliest) {
		return Decision{Step: PutOff, At: earliest}
	}
	return Decision{Step: Attempt}
}
