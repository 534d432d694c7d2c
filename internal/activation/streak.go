package activation

import (
	"slices"

	"activation-worker/internal/events"
)

// Streak finds trouble that is everybody's behind answers that each look like one
// customer's: the same definite no for many customers in a row, or many in a row that did
// not answer at all. The zero value has seen nothing. It is not safe for concurrent use.
type Streak struct {
	status    int
	code      string
	customers customers               // who got that no, without a success between
	silent    map[Operation]customers // whom nobody answered about, since that operation was last answered
}

const (
	// sameNoes is the contract's: so many customers with the same no are not their own fault.
	sameNoes = 10
	// silences is after how many customers in a row about whom an operation went unanswered nobody is asked any more.
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
// customer's, it returns the verdict to record in its place. answers are those of the attempt.
func (s *Streak) Note(domainID int64, v Verdict, answers []Answer, p Policy) (Verdict, Common) {
	for _, a := range slices.Concat(answers, []Answer{v.Cause}) {
		if a.Answered() {
			delete(s.silent, a.Operation)
		}
	}
	switch {
	case v.State == events.Activated, v.Reason == events.DNSUnverified, v.Reason == events.TermsPending:
		s.customers = nil // a customer of ours was found
		return v, 0
	case v.Cause.Unanswered() && v.Cause.Operation != Nothing:
		if s.silent == nil {
			s.silent = map[Operation]customers{}
		}
		if s.silent[v.Cause.Operation] == nil {
			s.silent[v.Cause.Operation] = customers{}
		}
		if !s.silent[v.Cause.Operation].add(domainID, silences) {
			return v, 0
		}
		v.State, v.Reason = events.Deferred, events.PartnerUnavailable
		v.Text = "the partner does not answer anybody"
		return v, Silence
	}
	if v.Reason != events.CustomerNotFound && v.Reason != events.Refused {
		return v, 0
	}
	if _, known := p.known(v.Cause); known {
		return v, 0
	}
	if v.Cause.Status != s.status || v.Cause.Code != s.code || s.customers == nil {
		s.status, s.code, s.customers = v.Cause.Status, v.Cause.Code, customers{}
	}
	if !s.customers.add(domainID, sameNoes) {
		return v, 0
	}
	v.State, v.Reason = events.Deferred, events.PartnerUnavailable
	v.Text = "the partner says the same no to every customer: credentials of another tenant, or a right that is missing"
	return v, SameNo
}

// customers is a set that is counted up to some number.
type customers map[int64]bool

// add counts a customer once, and reports whether there are enough.
func (c customers) add(domainID int64, enough int) bool {
	if len(c) < enough {
		c[domainID] = true
	}
	return len(c) >= enough
}
