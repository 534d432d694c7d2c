package audit

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"activation-worker/internal/events"
)

// Op is what a call asked of the partner: one of these, or any other word.
type Op string

// The operations that rules speak of.
const (
	Activate Op = "activate"
	LookUp   Op = "lookup" // of one customer
)

// What an answer said about a customer.
const (
	ToldActive   = "active"
	ToldInactive = "inactive"
)

// Call is one request as the partner saw it, by the clock of the machine that stores the ledger.
//
// A request that was frozen on its way, in a stopped worker or a network that held it, arrives outside of the lease it
// began under, and nobody but its sender knows when it began. It is counted by its start, apart, where two things hold: it
// arrives within [Options.Hold] of the end of a claim's lease, and of that claim more requests were sent, by its outcome, than have arrived
// under it; a claim without an outcome of its own may have sent any number. Every other request outside of a lease is a breach.
// So Hold is to be as long as the longest stop or hold that was possible, and zero where there was none.
type Call struct {
	At        time.Time // arrival
	EndedAt   time.Time // just before the answer went out, or was given up; zero: not over
	AppliedAt time.Time // zero: it changed nothing
	Op        Op
	DomainID  int64  // 0: about nobody
	Applied   bool   // it made the customer active
	Lost      bool   // the answer did not reach the caller whole
	Told      string // what a whole answer said: [ToldActive], [ToldInactive] or nothing
}

// span is a record as the calls are held against it.
type span struct {
	sequence, over uint64 // its own, and that of the record it was written over
	stored, lease  int64  // lease: its end, of a claim
	calls          int32
	state          state
	worker         string
	foreign        bool // what it says is not known
}

func spanOf(r *events.Record) span {
	over, _ := expectedOf(r)
	return span{
		sequence: r.Sequence, over: over, stored: nanos(r.StoredAt), lease: nanos(r.LeaseExpiresAt), calls: int32(r.Calls),
		state: stateOf(r.State), worker: r.Worker,
	}
}

// checkCalls holds what the partner saw against the ledger.
func (a *auditor) checkCalls() {
	if len(a.Calls) == 0 {
		return
	}
	slices.SortStableFunc(a.Calls, func(x, y Call) int { return x.At.Compare(y.At) })
	byCustomer := map[int64][]Call{}
	for _, c := range a.Calls {
		p := &a.report.Partner
		p.Calls++
		if c.Applied {
			p.Applied++
		}
		switch c.Op {
		case Activate:
			p.Activates++
		case LookUp:
			p.LookUps++
		}
		if c.DomainID != 0 {
			byCustomer[c.DomainID] = append(byCustomer[c.DomainID], c)
		}
	}
	for id, calls := range byCustomer {
		l := &licences{auditor: a, id: id, spans: a.shards.of(id).claims[id], family: a.shards.find(id), used: map[uint64]int32{}}
		l.check(calls)
	}
	from := nanos(a.Calls[0].At)
	for id, f := range a.shards.all() {
		if f.now == activated && f.stored >= from && len(byCustomer[id]) == 0 {
			a.add(Breach{RulePhantom, id, f.sequence, "the partner was never asked about it"})
		}
	}
	a.checkCaps()
}

// licences are one customer's claims, and the calls that were made under them.
type licences struct {
	*auditor
	id     int64
	spans  []span
	family *family          // nil: no record
	used   map[uint64]int32 // activate calls by the sequence of their claim
}

// doer is an activate call that took effect, with when its sender began at the earliest.
type doer struct {
	call  Call
	began time.Time
}

func (l *licences) breach(rule Rule, sequence uint64, format string, args ...any) {
	l.add(Breach{rule, l.id, sequence, fmt.Sprintf(format, args...)})
}

func (l *licences) check(calls []Call) {
	var done []doer
	active := false // whether anything shows that the partner has it so
	for i, c := range calls {
		active = active || c.Applied || c.Told == ToldActive
		if c.Op != Activate {
			continue
		}
		claim, how := l.licence(c)
		if how == licensed {
			l.askedBetween(calls[:i], done, c)
		}
		if c.Applied {
			began := c.At
			if how == frozen {
				began = time.Unix(0, claim.stored)
			}
			done = append(done, doer{c, began})
		}
	}
	switch f := l.family; {
	case f == nil && len(done) > 0:
		l.breach(RuleUnrecorded, 0, "activated at %s, and there is no record", stamp(nanos(done[0].call.AppliedAt)))
	case f == nil:
	case f.now == failed && len(done) > 0 && !f.has(unsettled):
		l.breach(RuleUnrecorded, f.sequence, "activated at %s, and recorded as failed", stamp(nanos(done[0].call.AppliedAt)))
	case f.now == activated && !active && f.stored >= nanos(calls[0].At):
		l.breach(RulePhantom, f.sequence, "no call activated it, and no answer said that it is active")
	case f.now != activated && f.forgotten == 0 && len(done) > 0:
		l.report.Partner.Unfinished++
	}
}

// arrival is how a call lies to the claims.
type arrival int

const (
	unlicensed arrival = iota // a breach, or nobody can tell
	licensed                  // within the lease of its claim
	frozen                    // outside of it
)

// licence finds the claim that a call was made under. A call that no claim explains is a breach.
func (l *licences) licence(c Call) (claim span, how arrival) {
	at := nanos(c.At)
	i, found := slices.BinarySearchFunc(l.spans, at, func(s span, at int64) int { return cmp.Compare(s.stored, at) })
	if !found {
		i-- // the newest record when the call arrived; -1 for none
	}
	if l.unknown(i) {
		l.report.Partner.Unchecked++
		return span{}, unlicensed
	}
	if i >= 0 && l.spans[i].state == started && at <= l.spans[i].lease {
		l.used[l.spans[i].sequence]++
		return l.spans[i], licensed
	}
	for j := i; j >= 0; j-- {
		s := l.spans[j]
		if s.state == started && at <= s.lease+int64(l.Hold) && l.mayBeOnItsWay(j) {
			l.used[s.sequence]++
			l.report.Partner.Frozen++
			return s, frozen
		}
	}
	switch {
	case i < 0:
		l.breach(RuleUnlicensed, 0, "activate at %s began before there was any record", stamp(at))
	case l.spans[i].state == activated:
		l.breach(RuleAfterSuccess, l.spans[i].sequence, "activate at %s, after the activated record of %s", stamp(at), stamp(l.spans[i].stored))
	case l.spans[i].state == started:
		l.breach(RuleUnlicensed, l.spans[i].sequence, "activate at %s, after the end of the lease of %s at %s", stamp(at), l.spans[i].worker, stamp(l.spans[i].lease))
	default:
		l.breach(RuleUnlicensed, l.spans[i].sequence, "activate at %s, while %s", stamp(at), l.spans[i].state)
	}
	return span{}, unlicensed
}

// unknown reports that what stood in the ledger after record i is not kept, or cannot be read.
func (l *licences) unknown(i int) bool {
	switch {
	case i < 0:
		return len(l.spans) > 0 && l.spans[0].over > 0
	case l.spans[i].foreign:
		return true
	}
	return i+1 < len(l.spans) && l.spans[i+1].over != l.spans[i].sequence
}

// mayBeOnItsWay reports whether more calls were sent under claim j than have been found.
func (l *licences) mayBeOnItsWay(j int) bool {
	if j+1 == len(l.spans) || l.spans[j+1].over != l.spans[j].sequence {
		return true
	}
	next := l.spans[j+1]
	if next.state == started || next.state == forgotten || next.foreign {
		return true // its holder was overtaken: what it sent stands nowhere
	}
	return next.calls-l.spans[j].calls > l.used[l.spans[j].sequence]
}

// askedBetween expects an answered look-up between an activation that took effect and the next call, and no call after an answer
// that said active.
func (l *licences) askedBetween(before []Call, done []doer, c Call) {
	asked := func(since time.Time) bool {
		return slices.ContainsFunc(before, func(b Call) bool {
			return b.Op == LookUp && b.Told != "" && b.At.After(since) && !b.EndedAt.After(c.At)
		})
	}
	for _, d := range done {
		if !d.call.AppliedAt.After(c.At) && !asked(d.began) {
			l.breach(RuleNoLookUp, 0, "activate at %s, after that of %s had taken effect", stamp(nanos(c.At)), stamp(nanos(d.call.At)))
			return
		}
	}
	for _, b := range before {
		if b.Told == ToldActive && !b.EndedAt.After(c.At) && !l.forgottenBetween(b.At, c.At) {
			l.breach(RuleNoLookUp, 0, "activate at %s, after a call was told at %s that the customer is active", stamp(nanos(c.At)), stamp(nanos(b.EndedAt)))
			return
		}
	}
}

// forgottenBetween reports whether what was known of the customer was erased.
func (l *licences) forgottenBetween(from, to time.Time) bool {
	return slices.ContainsFunc(l.spans, func(s span) bool {
		return s.state == forgotten && s.stored >= nanos(from) && s.stored <= nanos(to)
	})
}
