package activation

import (
	"time"

	"activation-worker/internal/events"
)

// giveWayMost bounds for how long a forced call gives way.
const giveWayMost = 12 * time.Hour

// GivesWay reports whether a customer whose time has come stands back where not all who wait can be served. It is so for
// a call that is only forced: the ownership records were not visible at the last look, DNS is watched meanwhile, and
// when they can be seen the customer is attempted as any other. Who has something to gain never gives way: one whose
// records are visible, one who was announced or named by an operator since the last call, one of whom an earlier outcome
// is to be looked up; nor does the last call, after which giving up is decided.
func GivesWay(r *events.Record, p Policy, now time.Time) bool {
	switch {
	case r == nil || r.State != events.Deferred || r.Reason != events.DNSUnverified,
		r.Visibility != nil && !r.Visibility.Since.IsZero(),
		r.Unsettled || r.LookFirst,
		r.Awaits(events.TriggerReplay),
		r.Event.StoredAt.After(r.LastCallAt),
		p.DNS.WatchFirst <= 0 || r.DNS == nil || len(r.DNS.Wanted) == 0, // the call is the only look there is
		!r.GiveUpAt.IsZero() && !now.Before(r.GiveUpAt):
		return false
	}
	return true
}

// GivenWay is the record of a customer who gives way, nil for one who does not: the same, with the next call later by a
// good part of the step that has led to this one, and never after the customer is to be given up. jitter, in [0, 1),
// keeps those apart who give way together.
func GivenWay(r *events.Record, p Policy, now time.Time, jitter float64) *events.Record {
	if !GivesWay(r, p, now) {
		return nil
	}
	since := r.Time
	if seen, ok := r.Seen[events.DNSUnverified]; ok {
		since = seen.First
	}
	half := min(p.DNS.step(now.Sub(since)), giveWayMost) / 2
	at := now.Add(half + time.Duration(jitter*float64(half)))
	if !r.GiveUpAt.IsZero() && at.After(r.GiveUpAt) {
		at = r.GiveUpAt
	}
	next := carry(r, r.DomainID)
	next.State, next.Reason, next.Cause, next.DNS, next.Queued = events.Deferred, r.Reason, r.Cause, r.DNS, r.Queued
	next.NextAttemptAt = at
	return &next.Record
}

// step is the time between the last two forced calls that were due, so long after the first no.
func (s DNSSchedule) step(waited time.Duration) time.Duration {
	if len(s.Call) == 0 {
		return time.Hour
	}
	last := s.Call[len(s.Call)-1]
	if waited >= 2*last {
		return last
	}
	step, before := s.Call[0], time.Duration(0)
	for _, after := range s.Call {
		if after > waited {
			break
		}
		step, before = after-before, after
	}
	return step
}
