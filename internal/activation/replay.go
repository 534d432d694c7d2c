package activation

import (
	"time"

	"activation-worker/internal/events"
)

// Replayed is what an operator's replay does with a customer.
type Replayed int

// What a replay does with a customer; the zero value is not an answer.
const (
	_           Replayed = iota
	NoCustomer           // no record, or forgotten
	InProgress           // an attempt is under way, or its outcome is still to be found out
	AlreadyDone          // activated
	Waits                // deferred, and due by itself; a replay that names it makes it due now
	Requeued             // failed: a new round
)

// ReplayOf says what a replay does with a customer: the last column of the contract's table, §2.
func ReplayOf(r *events.Record) Replayed {
	if r == nil {
		return NoCustomer
	}
	switch r.State {
	case events.Started:
		return InProgress
	case events.Deferred:
		return Waits
	case events.Activated:
		return AlreadyDone
	case events.Failed:
		return Requeued
	}
	return NoCustomer
}

// CanHasten reports whether a replay that names a waiting customer changes anything.
func CanHasten(r *events.Record, now time.Time) bool {
	return r.Reason != events.Replay && r.NextAttemptAt.After(now)
}
