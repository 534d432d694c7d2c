package activation

import (
	"activation-worker/internal/events"
)

// Streak finds trouble that is everybody's behind answers that each look like one
// customer's: the same definite no for many customers in a row, or many in a row that did
// not answer at all. The zero value has seen nothing. It is not safe for concurrent use.
type Streak struct {
	status    int
	code      string
	customers map[int64]bool // who got that no, without a success between
	silent    int            // attempts in a row that no answer came to
}

const (
	// sameNoes is the contract's: so many customers with the same no are not their own fault.
	sameNoes = 10
	// silences is how many attempts in a row may go unanswered before nobody is asked any more.
	silences = 10
)

// Common says what many customers have in common.
type Common int

// What is common to many; the zero value is nothing.
const (
	_       Common = iota
	Silence        // nobody is answered
	SameNo         // everybody gets the same definite no
)

// Note judges a verdict in the light of those before it. Where the trouble is not this
// customer's, it returns the verdict to record in its place.
func (s *Streak) Note(domainID int64, v Verdict, p Policy) (Verdict, Common) {
	switch {
	case v.State == events.Activated, v.Reason == events.DNSUnverified, v.Reason == events.TermsPending:
		*s = Streak{} // a customer of ours was found
		return v, 0
	case v.Cause.Kind == NotSent || v.Cause.Kind == Unclear && v.Cause.Operation != "":
		if s.silent++; s.silent < silences {
			return v, 0
		}
		v.State, v.Reason = events.Deferred, events.PartnerUnavailable
		v.Text = "the partner does not answer anybody"
		return v, Silence
	case v.Cause.Kind == Refusal && v.Cause.Status != 429:
		s.silent = 0
	}
	if v.Reason != events.CustomerNotFound && v.Reason != events.Refused {
		return v, 0
	}
	if _, known := p.known(v.Cause); known {
		return v, 0
	}
	if v.Cause.Status != s.status || v.Cause.Code != s.code || s.customers == nil {
		s.status, s.code, s.customers = v.Cause.Status, v.Cause.Code, map[int64]bool{}
	}
	if len(s.customers) < sameNoes {
		s.customers[domainID] = true
	}
	if len(s.customers) < sameNoes {
		return v, 0
	}
	v.State, v.Reason = events.Deferred, events.PartnerUnavailable
	v.Text = "the partner says the same no to every customer: credentials of another tenant, or a right that is missing"
	return v, SameNo
}
