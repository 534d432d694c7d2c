// Package faults names the steps between which a worker may die, for the tests that kill it
// there. In the product it does nothing and leaves nothing behind; built with the tag
// "faults", a step can be made to kill or to stall the process:
//
//	FAULTS_KILL=claim.after      SIGKILL when the step is passed
//	FAULTS_KILL=claim.after:3    … for the third time
//	FAULTS_STALL=ack.outcome.before:1:15s   the goroutine rests that long there, once
//	FAULTS_CLOCK=-3.2s           the worker's clock is that far from the machine's
//	FAULTS_LIST=1                prints the name of every point, one a line, and exits
//
// Package events takes FAULTS_RECORD_VERSION with the same tag.
package faults

// Step is one write, call or acknowledgement. There are two points at each: [Before] and [After].
type Step uint8

// The steps of a customer's way, of an operator's request and of the sweep.
const (
	Reject    Step = iota // a message nobody can act on is written down
	Terminate             // and ended

	Claim // the started record

	Activate // a request to the partner; before it is as near as can be
	LookUp
	List
	DNSData
	LookDNS

	ArmOutcome // the timer that an outcome needs
	RecordActivated
	RecordDeferred
	RecordFailed
	AckOutcome
	ArmWinner // the timer of whoever has overtaken a claim

	PutTimer // a deferred record without a claim of its own: the timer, the record, the timer again
	Put
	PutTimerAgain
	AckPut
	ArmEarly // a wake-up that came too early
	ArmLater // one that comes again later
	AckNothing
	NegativeAck

	AnnounceIntake // paused, resumed

	AnnounceReplay // planned, done
	CancelRecord
	ForgetRecord
	Erase
	ErasePublished
	Disarm
	AckRequest

	SweepBegin
	SweepArm
	SweepErase
	SweepEnd
)
