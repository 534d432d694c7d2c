package activation

import (
	"maps"
	"time"

	"activation-worker/internal/events"
)

// Policy is how long is waited for what. The zero value is unusable: see [DefaultPolicy].
type Policy struct {
	// Backoff are the waits before the next attempt, by reason; the last repeats.
	// For customer_not_found it does not: after the last the customer is given up.
	Backoff map[events.Reason][]time.Duration
	// GiveUp is how long after it was first seen in a round a reason is waited for.
	// A reason that is not in it is never given up.
	GiveUp map[events.Reason]time.Duration
	// DNS is when ownership records are looked for, and when the partner is called about them.
	DNS DNSSchedule
	// Table is the operator's own reading of the partner's refusals, before ours.
	Table []Known
}

// DNSSchedule is how a customer is waited for whose ownership records are not visible.
type DNSSchedule struct {
	WatchFirst, WatchLast time.Duration   // between two looks of our own: at first, and at most
	Call                  []time.Duration // forced calls, so long after the first no; the last one again and again
	Visible               []time.Duration // waits after a no since the records became visible
}

const (
	// longestRound bounds a round, whatever is waited for.
	longestRound = 45 * 24 * time.Hour
	// waitUnhinted is the least wait after a 429 that names no time (partner sheet §4).
	waitUnhinted = time.Minute
	// jitterShare is the part of a wait that is added at most, so that a restart does not make everything due at once.
	jitterShare = 0.1
)

// DefaultPolicy is the contract's, §3.
func DefaultPolicy() Policy {
	const day = 24 * time.Hour
	return Policy{
		Backoff: map[events.Reason][]time.Duration{
			events.Transient:          {10 * time.Second, 30 * time.Second, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute},
			events.UnknownOutcome:     {10 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour},
			events.TermsPending:       {5 * time.Minute, 30 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour},
			events.PartnerUnavailable: {time.Minute, 2 * time.Minute, 5 * time.Minute},
			// 5, 20 and 60 minutes after the first call.
			events.CustomerNotFound: {5 * time.Minute, 15 * time.Minute, 40 * time.Minute},
		},
		GiveUp: map[events.Reason]time.Duration{
			events.Transient:      day,
			events.UnknownOutcome: day,
			events.DNSUnverified:  30 * day,
			events.TermsPending:   14 * day,
		},
		DNS: DNSSchedule{
			WatchFirst: time.Minute, WatchLast: 30 * time.Minute,
			Call:    []time.Duration{time.Hour, 6 * time.Hour, day},
			Visible: []time.Duration{5 * time.Minute, 15 * time.Minute, time.Hour},
		},
	}
}

// With returns the policy with an operator's own values in place of the defaults.
func (p Policy) With(backoff map[events.Reason][]time.Duration, giveUp map[events.Reason]time.Duration) Policy {
	q := p
	q.Backoff, q.GiveUp = maps.Clone(p.Backoff), maps.Clone(p.GiveUp)
	maps.Copy(q.Backoff, backoff)
	maps.Copy(q.GiveUp, giveUp)
	return q
}

// wait is the wait after that many earlier ones for the same reason in the round.
func (p Policy) wait(reason events.Reason, before int) time.Duration {
	waits := p.Backoff[reason]
	if len(waits) == 0 {
		return time.Minute
	}
	return waits[max(0, min(before, len(waits)-1))]
}

// counted reports whether a reason is given up after so many tries, whatever the deadline says.
func (p Policy) counted(reason events.Reason) bool { return reason == events.CustomerNotFound }

// waived reports whether time spent waiting for a reason does not count against the customer.
func waived(reason events.Reason) bool {
	return reason == events.PartnerUnavailable || reason == events.Backlog || reason == events.Replay
}

// stretch lengthens a wait by the jitter drawn, in [0, 1).
func stretch(wait time.Duration, jitter float64) time.Duration {
	return wait + time.Duration(float64(wait)*jitterShare*jitter)
}
