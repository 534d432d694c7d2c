package main

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"activation-worker/internal/events"
)

const firstID = 51_200_001

// fate is what is meant for a customer.
type fate string

const (
	ready     fate = "ready"            // nothing is in the way
	twice     fate = "announced twice"  // by two events
	backlog   fate = "announced of old" // waits behind the others, is looked up first
	lateDNS   fate = "DNS appears late" // after the first no
	lateTerms fate = "terms come late"  // likewise
	refused   fate = "refused"          // the partner says no for good
	invalid   fate = "invalid message"  // no customer at all
)

// fates are the shares of each; the rest is ready.
var fates = []struct {
	fate  fate
	share float64
}{{twice, 0.04}, {backlog, 0.03}, {lateDNS, 0.03}, {lateTerms, 0.02}, {refused, 0.01}, {invalid, 0.01}}

// outcome is where a fate has to end.
func (f fate) outcome() (events.State, events.Reason) {
	if f == refused {
		return events.Failed, events.Refused
	}
	return events.Activated, ""
}

// Guest is a customer, or a message that names none.
type Guest struct {
	ID   int64
	Fate fate
	At   time.Duration // of the announcement
	Noes int           // how often it is put off before what it lacks is there
	Body string        // of an invalid message
}

// guests draws who comes and when: half of them just before a blow, so that it finds work under way, the others at any time.
func guests(o options, blows []Blow, end time.Duration) []Guest {
	draw := drawer(o.seed, "guests")
	all := make([]Guest, 0, o.customers)
	for i := range o.customers {
		g := Guest{ID: firstID + int64(i), Fate: pick(draw), At: time.Duration(draw.Int64N(int64(end))).Truncate(ms)}
		if draw.IntN(2) == 0 {
			g.At = max(0, blows[draw.IntN(len(blows))].At-time.Duration(draw.Int64N(int64(justBefore))).Truncate(ms))
		}
		switch g.Fate {
		case lateDNS, lateTerms:
			g.Noes = 1 + draw.IntN(2)
		case invalid:
			g.Body = spoilt(draw, g.ID)
		}
		all = append(all, g)
	}
	slices.SortStableFunc(all, func(a, b Guest) int { return cmp.Compare(a.At, b.At) })
	return all
}

// justBefore is how long before a blow a customer is announced at most who is to be hit by it: about the time that an attempt takes.
const justBefore = 400 * ms

func pick(draw *rand.Rand) fate {
	at := draw.Float64()
	for _, f := range fates {
		if at -= f.share; at < 0 {
			return f.fate
		}
	}
	return ready
}

// spoilt is a message that nobody can act on.
func spoilt(draw *rand.Rand, id int64) string {
	forms := []string{`not JSON %d`, `{"domain":"%d.example"}`, `{"domainId":%d.5}`, `{"domainId":%d,"domainId":1}`, `[%d]`, `{"domainId":-%d}`, `{"domainId":%d} trailing`}
	return fmt.Sprintf(forms[draw.IntN(len(forms))], id)
}
