package activation

import (
	"encoding/json"
	"maps"
	"time"

	"activation-worker/internal/events"
)

// Claimant is who begins an attempt, and until when nobody else may.
type Claimant struct {
	Worker         string
	LeaseExpiresAt time.Time
}

// Start is the started record for a step that claims. r is the record read (nil for
// none), accepted the event delivered (nil for a wake-up).
func Start(step Step, r *events.Record, accepted *events.Accepted, domainID int64, who Claimant, now time.Time) *events.Record {
	next := carry(r, domainID)
	next.State = events.Started
	next.Worker, next.LeaseExpiresAt = who.Worker, who.LeaseExpiresAt
	next.Trigger = triggerOf(r, accepted)
	next.giveBack(r, now)
	if step == TakeOver {
		next.Trigger = events.Trigger{Kind: events.TriggerRecovery, ID: r.ID}
		next.Calls++ // presumed sent
		next.LastCallAt = r.Time
		next.Unsettled, next.Settling = true, &events.Settling{Since: now}
	}
	if step == NewRound || step == Anew {
		next.renew()
	}
	if step == Anew {
		next.LookFirst = true
	}
	next.Attempt++
	if next.FirstAttemptAt.IsZero() {
		next.FirstAttemptAt = now
	}
	next.adopt(r, accepted)
	return &next.Record
}

// Queued is the deferred record of an announcement of old, or of an operator's replay,
// which nobody has attempted yet. r is the record read, nil for none; accepted is nil for a
// replay of a customer on record.
func Queued(r *events.Record, accepted *events.Accepted, domainID int64, reason events.Reason, trigger events.Trigger, at time.Time) *events.Record {
	next := carry(r, domainID)
	if r != nil {
		next.renew()
	}
	next.State, next.Reason, next.Queued = events.Deferred, reason, true
	next.Cause = &events.Cause{Description: queuedBecause[reason]}
	next.Trigger, next.NextAttemptAt = trigger, at
	next.LookFirst = next.LookFirst || reason == events.Backlog || r == nil || r.State == events.Forgotten
	next.adopt(r, accepted)
	return &next.Record
}

var queuedBecause = map[events.Reason]string{
	events.Backlog: "the announcement is an old one and waits behind fresh customers",
	events.Replay:  "an operator has queued the customer again",
}

// Hastened is the record of a deferred customer whom an operator's replay names: the same, due now.
func Hastened(r *events.Record, trigger events.Trigger, now time.Time) *events.Record {
	next := carry(r, r.DomainID)
	next.giveBack(r, now)
	next.State, next.Reason, next.Cause, next.DNS, next.Queued = events.Deferred, r.Reason, r.Cause, r.DNS, true
	next.Trigger, next.NextAttemptAt = trigger, now
	return &next.Record
}

// Cancelled is the record of a deferred customer whom an operator gives up.
func Cancelled(r *events.Record, trigger events.Trigger, why string, now time.Time) *events.Record {
	next := carry(r, r.DomainID)
	next.giveBack(r, now)
	next.State, next.Reason, next.Trigger = events.Failed, events.Cancelled, trigger
	next.Cause = &events.Cause{Description: why, UnknownOutcome: next.Unsettled}
	return &next.Record
}

// Unknown stands for a customer of whom there is no record, and who is to be forgotten all the same: announcements that
// were made before that are then acted on no more.
func Unknown(domainID int64) *events.Record {
	return &events.Record{State: events.None, DomainID: domainID, Round: 1}
}

// Forgotten is what is left of a customer who is to be erased.
func Forgotten(r *events.Record, by, why string) *events.Record {
	return &events.Record{
		State: events.Forgotten, DomainID: r.DomainID, Round: r.Round, Event: r.Event.Hashed(),
		By: by, Why: why, WasState: r.State,
	}
}

// PutOffUntil is the deferred record for an event that came too early: same reason, this event.
func PutOffUntil(r *events.Record, accepted *events.Accepted, at, now time.Time) *events.Record {
	next := carry(r, r.DomainID)
	next.giveBack(r, now)
	next.State, next.Reason, next.Cause, next.DNS = events.Deferred, r.Reason, r.Cause, r.DNS
	next.Trigger = triggerOf(r, accepted)
	next.NextAttemptAt = at
	next.adopt(r, accepted)
	return &next.Record
}

// Conclude is the record of an attempt's verdict. now is when it is written down, jitter
// a draw in [0, 1).
func Conclude(claim *events.Record, answers []Answer, v Verdict, p Policy, now time.Time, jitter float64) *events.Record {
	next := carry(claim, claim.DomainID)
	next.account(answers, p)
	if v.State == events.Activated {
		next.State, next.Via, next.ActivatedAt = events.Activated, v.Via, now
		next.Unsettled, next.Settling, next.LookFirst, next.NotBefore, next.Visibility = false, nil, false, time.Time{}, nil
		next.Customer, next.CustomerOmitted, next.CustomerAltered = v.Cause.Object, v.Cause.Omitted, v.Cause.Altered
		if next.Customer == nil {
			next.Customer = json.RawMessage("null")
		}
		if next.Domain == "" {
			next.Domain = v.Cause.Domain
		}
		return &next.Record
	}

	next.Reason, next.Cause = v.Reason, causeOf(v, next.Unsettled)
	next.sight(answers)
	tries := max(1, next.Seen[v.Reason].Tries)
	if asked(answers) {
		tries = next.see(v.Reason, now)
	}
	next.extend(v.Reason, p)
	next.NotBefore = retryTime(answers)
	if v.Reason == events.PartnerUnavailable || !asked(answers) {
		next.Attempt-- // not the customer's fault: an outage, or a stop of ours
	}
	if v.State == events.Failed || next.givenUp(v.Reason, tries, answers, p) {
		next.State = events.Failed
		return &next.Record
	}
	next.State = events.Deferred
	next.NextAttemptAt = next.due(v, tries, p, now, jitter)
	return &next.Record
}

// draft is a record being written; its methods are the steps of writing it.
type draft struct{ events.Record }

// carry copies what every record of a customer passes on.
func carry(r *events.Record, domainID int64) *draft {
	if r == nil {
		return &draft{events.Record{DomainID: domainID, Round: 1}}
	}
	d := &draft{events.Record{
		DomainID: r.DomainID, Domain: r.Domain, Reference: r.Reference,
		TraceParent: r.TraceParent, TraceState: r.TraceState,
		Round: r.Round, Attempt: r.Attempt, Event: r.Event, Trigger: r.Trigger,
		AcceptedAt: r.AcceptedAt, FirstAttemptAt: r.FirstAttemptAt, LastCallAt: r.LastCallAt, NotBefore: r.NotBefore,
		Seen: maps.Clone(r.Seen), Waived: r.Waived, Calls: r.Calls, GiveUpAt: r.GiveUpAt,
		Unsettled: r.Unsettled, LookFirst: r.LookFirst,
	}}
	if r.Visibility != nil {
		v := *r.Visibility
		d.Visibility = &v
	}
	if r.Settling != nil {
		s := *r.Settling
		d.Settling = &s
	}
	return d
}

// adopt takes over a terms-accepted event that is new to the record.
func (d *draft) adopt(r *events.Record, accepted *events.Accepted) {
	if accepted == nil || (r != nil && !accepted.Event.NewerThan(r.Event)) {
		return
	}
	d.Event, d.AcceptedAt = accepted.Event, accepted.AcceptedAt
	d.TraceParent, d.TraceState = accepted.TraceParent, accepted.TraceState
	if accepted.Domain != "" {
		d.Domain = accepted.Domain
	}
	if accepted.Reference != "" {
		d.Reference = accepted.Reference
	}
}

// renew begins a new round.
func (d *draft) renew() {
	d.Round++
	d.Attempt = 0
	d.FirstAttemptAt, d.NotBefore, d.GiveUpAt = time.Time{}, time.Time{}, time.Time{}
	d.Seen, d.Waived = nil, 0
	if d.Visibility != nil { // what was missed then may have become visible since
		d.Visibility = &events.Visibility{Missed: d.Visibility.Missed}
	}
}

// triggerOf is the event delivered, else what a wake-up stands for: the replay that queued the customer, or the time alone.
func triggerOf(r *events.Record, accepted *events.Accepted) events.Trigger {
	if accepted != nil {
		return events.Trigger{Kind: events.TriggerAccepted, ID: accepted.Event.ID}
	}
	if r.Awaits(events.TriggerReplay) {
		return r.Trigger
	}
	return events.Trigger{Kind: events.TriggerDue, ID: r.ID}
}

// giveBack gives back the time that a deferred customer has waited for what was not its fault. Before the
// first attempt of a round there is nothing to lose.
func (d *draft) giveBack(r *events.Record, now time.Time) {
	if r == nil || r.State != events.Deferred || !waived(r.Reason) || d.FirstAttemptAt.IsZero() {
		return
	}
	waited := now.Sub(r.Time).Round(time.Second)
	if waited <= 0 {
		return
	}
	d.Waived += int64(waited / time.Second)
	if !d.GiveUpAt.IsZero() {
		d.GiveUpAt = d.GiveUpAt.Add(waited)
	}
}

// account adds up what the answers say of calls and of an unsettled outcome.
func (d *draft) account(answers []Answer, p Policy) {
	for _, a := range answers {
		if d.Domain == "" && (a.Kind == Inactive || a.Kind == Shown) {
			d.Domain = a.Domain
		}
		switch a.Operation {
		case Activate:
			d.Calls += a.Sent
			if a.Sent > 0 {
				d.LastCallAt, d.LookFirst = a.StartedAt, false
			}
			_, unclear := Classify(a)
			if a.Kind != Active && unclear {
				d.Unsettled, d.Settling = true, &events.Settling{Since: a.At}
			}
		case LookUp:
			if a.Kind != Inactive {
				continue
			}
			d.LookFirst = false
			if !d.Unsettled {
				continue
			}
			s := p.settle(d.Settling, a)
			d.Settling = &s
			if s.Noes >= settlingLookUps {
				d.Unsettled, d.Settling = false, nil
			}
		}
	}
}

// asked reports whether the attempt went further than our own doing.
func asked(answers []Answer) bool {
	for _, a := range answers {
		if a.Kind != NotAsked {
			return true
		}
	}
	return false
}

// see counts a reason in this round.
func (d *draft) see(reason events.Reason, now time.Time) (tries int) {
	if d.Seen == nil {
		d.Seen = map[events.Reason]events.Seen{}
	}
	s := d.Seen[reason]
	if s.Tries == 0 {
		s.First = now
	}
	s.Tries++
	d.Seen[reason] = s
	return s.Tries
}

// extend moves the deadline to the reason's own, never back and never past the longest round.
func (d *draft) extend(reason events.Reason, p Policy) {
	limit, ok := p.GiveUp[reason]
	if !ok {
		return
	}
	seen, ok := d.Seen[reason]
	if !ok {
		return
	}
	at := seen.First.Add(limit)
	if last := d.FirstAttemptAt.Add(longestRound); at.After(last) {
		at = last
	}
	at = at.Add(time.Duration(d.Waived) * time.Second)
	if at.After(d.GiveUpAt) {
		d.GiveUpAt = at
	}
}

// givenUp reports whether this attempt was the last: something was asked at or after the deadline, and said no.
func (d *draft) givenUp(reason events.Reason, tries int, answers []Answer, p Policy) bool {
	if p.counted(reason) {
		return tries > len(p.Backoff[reason])
	}
	if d.GiveUpAt.IsZero() || reason == events.PartnerUnavailable {
		return false
	}
	for _, a := range answers {
		counts := a.Operation == Activate || a.Operation == LookUp && (d.Unsettled || d.LookFirst) // where no call may come before it
		if counts && a.Sent > 0 && !a.StartedAt.Before(d.GiveUpAt) {
			return true
		}
	}
	return false
}

// due is when the next attempt is.
func (d *draft) due(v Verdict, tries int, p Policy, now time.Time, jitter float64) time.Time {
	wait := p.wait(v.Reason, tries-1)
	if v.Reason == events.DNSUnverified {
		wait = d.nextCall(p.DNS, now)
	}
	if v.Cause.Status == 429 && v.Cause.RetryAfter < 0 {
		wait = max(wait, waitUnhinted)
	}
	if v.Reason == events.UnknownOutcome && v.Cause.Kind == Inactive && d.Settling != nil {
		// A spaced look-up said no: the next one has its own distance from it.
		wait = max(0, d.Settling.Since.Add(p.wait(events.UnknownOutcome, d.Settling.Noes)).Sub(now))
	}
	at := now.Add(stretch(wait, jitter))
	if d.GiveUpAt.After(now) && at.After(d.GiveUpAt) && v.Reason != events.PartnerUnavailable && !p.counted(v.Reason) {
		at = d.GiveUpAt // the last attempt is at the deadline; past it, one that reaches the partner
	}
	if d.NotBefore.After(at) {
		at = now.Add(stretch(d.NotBefore.Sub(now), jitter))
	}
	return at
}

// retryTime is the latest time that any answer gave to come again; zero for none.
func retryTime(answers []Answer) time.Time {
	var latest time.Time
	for _, a := range answers {
		if a.RetryAfter > 0 && a.At.Add(a.RetryAfter).After(latest) {
			latest = a.At.Add(a.RetryAfter)
		}
	}
	return latest
}

func causeOf(v Verdict, unsettled bool) *events.Cause {
	operation := string(v.Cause.Operation)
	if v.Cause.Kind == NoToken {
		operation = "token" // that is who said what follows
	}
	return &events.Cause{
		Operation: operation, HTTPStatus: v.Cause.Status, Code: v.Cause.Code,
		Description: v.Text, PartnerText: v.Cause.PartnerText, RequestID: v.Cause.RequestID,
		UnknownOutcome: unsettled,
	}
}
