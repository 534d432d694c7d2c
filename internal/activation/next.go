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
	Attempt        // the next attempt of the round
	TakeOver       // after an expired lease: the outcome is unknown
	Done           // acknowledge: nothing to do
	ComeAgain      // under another's live lease until At
	Arm            // not yet time: arm the timer for At
	PutOff         // a new event, too early: defer anew until At
)

func (s Step) String() string {
	return [...]string{"?", "claim", "new round", "attempt", "take over", "done", "come again", "arm", "put off"}[s]
}

// Claims reports whether the step begins an attempt.
func (s Step) Claims() bool { return s == Claim || s == NewRound || s == Attempt || s == TakeOver }

// Decision is a step, with the time that it is about where there is one.
type Decision struct {
	Step Step
	At   time.Time
}

// minBetweenCalls is the least time between two activate calls of a customer that a new event can force.
const minBetweenCalls = time.Minute

// row is one line of the state × trigger table.
type row struct {
	state    events.State // "" for no record
	wakeUp   bool         // else a terms-accepted event
	newEvent bool         // the event is new to the record
	decide   func(r *events.Record, now time.Time) Decision
}

// table is the state × trigger table of the contract, §2.
var table = []row{
	{state: "", wakeUp: false, newEvent: true, decide: always(Claim)},
	{state: "", wakeUp: true, decide: always(Done)},

	{state: events.Started, wakeUp: false, newEvent: false, decide: underLease},
	{state: events.Started, wakeUp: false, newEvent: true, decide: underLease},
	{state: events.Started, wakeUp: true, decide: underLease},

	{state: events.Deferred, wakeUp: false, newEvent: false, decide: always(Done)},
	{state: events.Deferred, wakeUp: false, newEvent: true, decide: announcedAgain},
	{state: events.Deferred, wakeUp: true, decide: whenDue},

	{state: events.Activated, wakeUp: false, newEvent: false, decide: always(Done)},
	{state: events.Activated, wakeUp: false, newEvent: true, decide: always(Done)},
	{state: events.Activated, wakeUp: true, decide: always(Done)},

	{state: events.Failed, wakeUp: false, newEvent: false, decide: always(Done)},
	{state: events.Failed, wakeUp: false, newEvent: true, decide: always(NewRound)},
	{state: events.Failed, wakeUp: true, decide: always(Done)},
}

// Next decides what a delivery leads to. r is the customer's newest record, nil for none;
// accepted the terms-accepted event delivered, nil for a wake-up. What the trigger says
// happened is not believed, only what the record says.
func Next(r *events.Record, accepted *events.EventRef, now time.Time) Decision {
	var state events.State
	newEvent := accepted != nil
	if r != nil {
		state = r.State
		newEvent = accepted != nil && accepted.NewerThan(r.Event)
	}
	for _, row := range table {
		if row.state == state && row.wakeUp == (accepted == nil) && row.newEvent == newEvent {
			return row.decide(r, now)
		}
	}
	// Unreachable for records that package events decodes; a delivery is rather kept than lost.
	return Decision{Step: ComeAgain, At: now.Add(time.Minute)}
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
