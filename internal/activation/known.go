package activation

import (
	"slices"

	"activation-worker/internal/events"
)

// Knows reports whether a table gives an answer to activate a meaning of its own, without looking further: ours, or the
// operator's. What neither knows was explained by what else could be found out, and is worth a line in the operator's.
// It is true for what was no refusal of an activation.
func (p Policy) Knows(c *events.Cause) bool {
	if c == nil || c.Operation != string(Activate) || c.HTTPStatus < 400 || c.HTTPStatus > 499 {
		return true
	}
	a := Answer{Operation: Activate, Kind: Refusal, Status: c.HTTPStatus, Code: c.Code}
	for _, r := range rules {
		if r.noSuchAPI && r.status == c.HTTPStatus && r.meaning.otherwise == c.Description {
			a.NoSuchAPI = true
		}
	}
	return p.Recognizes(a)
}

// Recognizes reports whether a table gives an answer a meaning of its own, as [Policy.Knows] does of a record's cause.
// A refusal of what is only read has one where its status is in ours. It is true for what was no refusal.
func (p Policy) Recognizes(a Answer) bool {
	if a.Kind != Refusal {
		return true
	}
	if a.Operation == Activate {
		m := p.meaningOf(a)
		return m.known || m.unclear || m.ask == Nothing
	}
	return slices.ContainsFunc(rules, func(r rule) bool { return r.kind == Refusal && r.status == a.Status })
}
