package activation

import (
	"time"

	"activation-worker/internal/events"
)

// Plan says what to ask next within the attempt that claim began, given the answers so
// far; [Nothing] with a verdict ends it. The order of questions keeps the third promise:
// nothing is activated while an earlier outcome is unknown.
func Plan(claim *events.Record, answers []Answer, p Policy) (Operation, Verdict) {
	if len(answers) == 0 {
		if claim.Unsettled || claim.LookFirst {
			return LookUp, Verdict{}
		}
		return Activate, Verdict{}
	}
	last := answers[len(answers)-1]
	if last.Kind == Active {
		return Nothing, Verdict{State: events.Activated, Via: viaOf(last.Operation), Cause: last}
	}
	asked, called := lastOf(answers, Activate)
	switch last.Operation {
	case Activate:
		return afterActivate(last, p)
	case LookUp:
		if called {
			return afterDiagnosis(asked, last, p)
		}
		return afterSettling(claim, last, p)
	case DNSData:
		return afterDNSData(claim, answers, last, p)
	case LookDNS:
		return afterLook(claim, answers, last, p)
	default:
		return afterList(answers, last)
	}
}

// afterActivate follows our own call: what could mean several things is looked up once.
func afterActivate(a Answer, p Policy) (Operation, Verdict) {
	m := p.meaningOf(a)
	if m.ask != Nothing {
		return m.ask, Verdict{}
	}
	return Nothing, deferred(m, a)
}

// afterDiagnosis follows the look-up that came after an activate which was not a yes.
func afterDiagnosis(asked, found Answer, p Policy) (Operation, Verdict) {
	was := p.meaningOf(asked)
	if was.unclear {
		return Nothing, deferred(was, asked) // active would have told; anything else leaves it open
	}
	if found.Kind == Inactive {
		switch {
		case was.known && was.reason != events.DNSUnverified:
			return Nothing, definite(was, asked)
		case found.NoProof && !was.known:
			return Nothing, unexplained(was, asked, found)
		}
		return DNSData, Verdict{}
	}
	is := classify(found)
	switch {
	case was.known && (is.reason == events.Refused || is.reason == events.CustomerNotFound):
		return Nothing, definite(was, asked)
	case is.reason == events.CustomerNotFound && asked.Status != 403:
		return Nothing, deferred(is, asked)
	case is.reason == events.Refused || is.reason == events.CustomerNotFound:
		return List, Verdict{}
	case is.reason == events.PartnerUnavailable:
		return Nothing, deferred(is, found)
	}
	// The no stands, but whether the customer was active already could not be asked: not final yet.
	return Nothing, Verdict{State: events.Deferred, Reason: events.Transient, Cause: worst(asked, found), Text: was.otherwise + ", and whether it is active already could not be asked"}
}

// afterDNSData follows the question which records prove the ownership. On an active, a
// group or a by-works domain nobody knows what it answers (partner sheet §6): where it
// wants nothing, or says no, the look-up is gone by.
func afterDNSData(claim *events.Record, answers []Answer, got Answer, p Policy) (Operation, Verdict) {
	asked, _ := lastOf(answers, Activate)
	m := classify(got)
	switch {
	case m.reason == events.PartnerUnavailable && !got.NoSuchAPI:
		return Nothing, deferred(m, got)
	case got.lacksNothing():
		return Nothing, seeing(claim, answers, got, p)
	case got.Kind == Shown:
		return LookDNS, Verdict{}
	}
	return Nothing, Verdict{State: events.Deferred, Reason: events.Transient, Cause: worst(asked, got), Text: p.meaningOf(asked).otherwise + ", and which ownership records it wants could not be asked"}
}

// lacksNothing reports an answer to the question for ownership records by which none is missing.
func (a Answer) lacksNothing() bool {
	if a.Kind == Shown {
		return len(a.Wanted) == 0 || a.Proven
	}
	return a.Kind == Refusal && a.Status != 401 && a.Status != 429 && !classify(a).unclear
}

// afterLook follows our own look at DNS.
func afterLook(claim *events.Record, answers []Answer, look Answer, p Policy) (Operation, Verdict) {
	if look.Kind == Looked && look.Visible {
		return Nothing, seeing(claim, answers, look, p)
	}
	asked, _ := lastOf(answers, Activate)
	text := "the partner says no, and the ownership records are not visible in DNS"
	if look.Kind != Looked {
		text = "the partner says no, and whether the ownership records are visible could not be found out"
	}
	return Nothing, Verdict{State: events.Deferred, Reason: events.DNSUnverified, Cause: asked, Text: text}
}

// visibleFor is how long after they became visible the ownership records may still be what keeps the partner from seeing them.
const visibleFor = 24 * time.Hour

// seeing is the verdict on a no although no ownership record is missing.
func seeing(claim *events.Record, answers []Answer, last Answer, p Policy) Verdict {
	asked, _ := lastOf(answers, Activate)
	found, _ := lastOf(answers, LookUp)
	was := p.meaningOf(asked)
	switch v := claim.Visibility; {
	case was.known:
		return definite(was, asked)
	case found.Pending:
	case v != nil && !v.Missed.IsZero() && (v.Since.IsZero() || last.At.Sub(v.Since) < visibleFor):
		return Verdict{State: events.Deferred, Reason: events.DNSUnverified, Cause: asked, Text: "the ownership records are visible, but the partner does not seem to see them yet"}
	}
	return unexplained(was, asked, found)
}

// unexplained is the verdict on a no that no ownership record explains.
func unexplained(was meaning, asked, found Answer) Verdict {
	if found.Pending {
		return Verdict{State: events.Deferred, Reason: events.TermsPending, Cause: asked, Text: "the partner says no, and shows that the terms are still to be accepted"}
	}
	return definite(was, asked)
}

// afterSettling follows the look-up that is due before anything else: after an unsettled
// outcome, or for a customer that may have been activated long ago.
func afterSettling(claim *events.Record, found Answer, p Policy) (Operation, Verdict) {
	if found.Kind == Inactive {
		if s := p.settle(claim.Settling, found); !claim.Unsettled || s.Noes >= settlingLookUps {
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
		if !claim.Unsettled {
			return Activate, Verdict{} // nothing of ours can have been applied, and its answer says more
		}
		m = meaning{reason: events.UnknownOutcome, otherwise: "the look-up was refused, so an earlier outcome stays unknown"}
	}
	return Nothing, deferred(m, found)
}

// afterList follows a 403 to a look-up: is it this customer, or our right to read any?
func afterList(answers []Answer, listed Answer) (Operation, Verdict) {
	denied, called := lastOf(answers, Activate)
	if !called {
		denied = answers[0]
	}
	m := classify(listed)
	found, _ := lastOf(answers, LookUp)
	switch {
	case listed.Kind == Listed && called && classify(found).reason == events.Refused && found.Status != 403:
		return Nothing, definite(classify(denied), denied) // customers can be read, and this one's is refused as well
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

// lastOf is the newest answer to an operation, if it was asked.
func lastOf(answers []Answer, op Operation) (Answer, bool) {
	for i := len(answers) - 1; i >= 0; i-- {
		if answers[i].Operation == op {
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
