package activation

import (
	"activation-worker/internal/events"
)

// Plan says what to ask next within the attempt that claim began, given the answers so
// far; [Nothing] with a verdict ends it. The order of questions keeps the third promise:
// nothing is activated while an earlier outcome is unknown.
func Plan(claim *events.Record, answers []Answer, p Policy) (Operation, Verdict) {
	if len(answers) == 0 {
		if claim.Unsettled {
			return LookUp, Verdict{}
		}
		return Activate, Verdict{}
	}
	last := answers[len(answers)-1]
	if last.Kind == Active {
		return Nothing, Verdict{State: events.Activated, Via: viaOf(last.Operation), Cause: last}
	}
	switch last.Operation {
	case Activate:
		return afterActivate(last)
	case LookUp:
		if asked, ok := lastActivate(answers); ok {
			return afterDiagnosis(asked, last)
		}
		return afterSettling(claim, last, p)
	default:
		return afterList(answers, last)
	}
}

// afterActivate follows our own call: what could mean several things is looked up once.
func afterActivate(a Answer) (Operation, Verdict) {
	m := classify(a)
	if m.ask != Nothing {
		return m.ask, Verdict{}
	}
	return Nothing, deferred(m, a)
}

// afterDiagnosis follows the look-up that came after an activate which was not a yes.
func afterDiagnosis(asked, found Answer) (Operation, Verdict) {
	was := classify(asked)
	if was.unclear {
		return Nothing, deferred(was, asked) // active would have told; anything else leaves it open
	}
	if found.Kind == Inactive {
		return Nothing, definite(was, asked)
	}
	is := classify(found)
	switch {
	case is.reason == events.CustomerNotFound:
		return Nothing, deferred(is, asked)
	case found.Kind == Refusal && found.Status == 403:
		return List, Verdict{}
	case is.reason == events.PartnerUnavailable:
		return Nothing, deferred(is, found)
	}
	// The no stands, but whether the customer was active already could not be asked: not final yet.
	return Nothing, Verdict{State: events.Deferred, Reason: events.Transient, Cause: worst(asked, found), Text: was.otherwise + ", and whether it is active already could not be asked"}
}

// afterSettling follows the look-up that an unsettled outcome asks for before anything else.
func afterSettling(claim *events.Record, found Answer, p Policy) (Operation, Verdict) {
	if found.Kind == Inactive {
		if s := p.settle(claim.Settling, found); s.Noes >= settlingLookUps {
			return Activate, Verdict{}
		}
		return Nothing, Verdict{
			State: events.Deferred, Reason: events.UnknownOutcome, Cause: found,
			Text: "an earlier request may have been applied; the partner does not show it yet",
		}
	}
	if found.Kind == Refusal && found.Status == 403 {
		return List, Verdict{}
	}
	m := classify(found)
	if m.reason == events.Refused {
		m = meaning{reason: events.UnknownOutcome, otherwise: "the look-up was refused, so an earlier outcome stays unknown"}
	}
	return Nothing, deferred(m, found)
}

// afterList follows a 403 to a look-up: is it this customer, or our right to read any?
func afterList(answers []Answer, listed Answer) (Operation, Verdict) {
	denied, ok := lastActivate(answers)
	if !ok {
		denied = answers[0]
	}
	m := classify(listed)
	switch {
	case listed.Kind == Listed:
		return Nothing, Verdict{State: events.Deferred, Reason: events.CustomerNotFound, Cause: denied, Text: "the partner denies access to this customer but to no other: unknown there, or not ours"}
	case m.reason == events.Transient || m.unclear:
		return Nothing, Verdict{State: events.Deferred, Reason: events.Transient, Cause: worst(denied, listed), Text: "the partner denies access, and whether to this customer alone could not be asked"}
	}
	return Nothing, Verdict{State: events.Deferred, Reason: events.PartnerUnavailable, Cause: listed, Text: "the partner denies access to every customer: the scope or the partner right is missing"}
}

func deferred(m meaning, a Answer) Verdict {
	return Verdict{State: events.Deferred, Reason: m.reason, Cause: a, Text: m.otherwise}
}

// definite is the verdict on a no that the look-up has confirmed.
func definite(m meaning, a Answer) Verdict {
	v := deferred(m, a)
	if m.reason == events.Refused {
		v.State = events.Failed
	}
	return v
}

// worst is the later answer where it names a time to wait, else the earlier.
func worst(earlier, later Answer) Answer {
	if later.RetryAfter > 0 || later.Kind == NoToken {
		return later
	}
	return earlier
}

func lastActivate(answers []Answer) (Answer, bool) {
	for i := len(answers) - 1; i >= 0; i-- {
		if answers[i].Operation == Activate {
			return answers[i], true
		}
	}
	return Answer{}, false
}

func viaOf(op Operation) events.Via {
	if op == Activate {
		return events.ViaActivate
	}
	return events.ViaLookup
}

// settlingLookUps is how many spaced look-ups must say no before an unclear request counts as not applied.
const settlingLookUps = 2

// settle counts a look-up that said no, if it was begun late enough after the one before.
func (p Policy) settle(s *events.Settling, no Answer) events.Settling {
	if s == nil {
		return events.Settling{Since: no.At}
	}
	next := *s
	if next.Noes < settlingLookUps && !no.StartedAt.Before(s.Since.Add(p.wait(events.UnknownOutcome, s.Noes))) {
		next.Noes++
		next.Since = no.At
	}
	return next
}
