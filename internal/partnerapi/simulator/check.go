package simulator

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Secrets are all that the simulator holds or gave out, and the assertions that it was sent: none may show in a log, an event or a page.
func (j Journal) Secrets() []string { return slices.Clone(j.secrets) }

// PersonalData are the private addresses and telephone numbers of all customers.
func (j Journal) PersonalData() []string { return slices.Clone(j.personal) }

// Of returns the calls for a customer and an operation by arrival; 0 and "" stand for any.
func (j Journal) Of(domainID int64, op Operation) []Call {
	var some []Call
	for _, c := range j.Calls {
		if (domainID == 0 || c.DomainID == domainID) && (op == "" || c.Op == op) {
			some = append(some, c)
		}
	}
	return some
}

// Peak is the most requests of an operation that arrived in any span of the given length, a sliding one; "" stands for any.
func (j Journal) Peak(op Operation, span time.Duration) int {
	peak, calls := 0, j.Of(0, op)
	for first, last := 0, 0; last < len(calls); last++ {
		for calls[last].At.Sub(calls[first].At) >= span {
			first++
		}
		peak = max(peak, last-first+1)
	}
	return peak
}

// Check returns the breaches of what a careful client never does:
//   - begin an activate after an earlier one had been applied, with no look-up between that began after that one
//     and was answered whole;
//   - begin an activate after a whole answer, of an activate or a look-up, had shown the customer active.
//
// Between means in the order in which requests arrived, took effect and were answered. Undoing an activation, adding or deleting a
// customer starts that customer afresh.
func (j Journal) Check() []string {
	type happening struct {
		seq int
		id  int64
		do  func(*history) string
	}
	var all []happening
	for _, c := range j.Calls {
		if c.DomainID == 0 {
			continue
		}
		all = append(all, happening{c.Seq, c.DomainID, func(h *history) string { return h.arrived(c) }})
		if c.appliedSeq > 0 {
			all = append(all, happening{c.appliedSeq, c.DomainID, func(h *history) string { return h.applied(c) }})
		}
		if c.endedSeq > 0 {
			all = append(all, happening{c.endedSeq, c.DomainID, func(h *history) string { return h.answered(c) }})
		}
	}
	for _, m := range j.hands {
		all = append(all, happening{m.seq, m.id, func(h *history) string { *h = history{}; return "" }})
	}
	slices.SortFunc(all, func(a, b happening) int { return cmp.Compare(a.seq, b.seq) })
	customers, breaches := map[int64]*history{}, []string(nil)
	for _, one := range all {
		h := customers[one.id]
		if h == nil {
			h = &history{}
			customers[one.id] = h
		}
		if breach := one.do(h); breach != "" {
			breaches = append(breaches, breach)
		}
	}
	return breaches
}

// history is what Check knows of a customer at some moment.
type history struct {
	active  int // Seq of the activate that was applied, 0: none
	lookup  int // Seq of the latest answered look-up
	showing int // Seq of a call whose answer showed the customer active, 0: none
}

func (h *history) arrived(c Call) string {
	switch {
	case c.Op != OpActivate:
	case h.showing > 0:
		return fmt.Sprintf("activate of %d (call %d) began after call %d had been answered as active", c.DomainID, c.Seq, h.showing)
	case h.active > h.lookup:
		return fmt.Sprintf("activate of %d (call %d) began after an earlier one (call %d) had been applied, with no look-up between",
			c.DomainID, c.Seq, h.active)
	}
	return ""
}

func (h *history) applied(c Call) string {
	h.active = c.Seq
	return ""
}

func (h *history) answered(c Call) string {
	if c.Op == OpCustomer && c.Told != ToldNothing {
		h.lookup = max(h.lookup, c.Seq)
	}
	if c.Told == ToldActive {
		h.showing = c.Seq
	}
	return ""
}
