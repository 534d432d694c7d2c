package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"activation-worker/internal/events"
	"activation-worker/internal/partnerapi/simulator"
)

// fate is what happens to a customer of the demo, and what must become of it all the same.
type fate struct {
	name   string // as the table has it, at most 15 columns
	should string // in the summary

	announced int               // terms-accepted events, each with an id of its own
	backfill  bool              // announced as of old
	lacks     lack              // when announced; for a while
	faults    []simulator.Fault // of the partner's answers to activate

	mended bool // after a refusal, and then replayed by an operator

	state   events.State
	reason  events.Reason // of a failure
	via     events.Via    // "": either
	applied int           // activate calls that take effect at the partner
	calls   int           // activate calls, at least
}

// lack is what a customer is not ready for.
type lack string

const (
	lacksDNS   lack = "DNS"
	lacksTerms lack = "terms"
)

// fates are the kinds of customers, in the order of the summary.
var fates = []fate{
	{name: "fresh", should: "activated", announced: 1, state: events.Activated, applied: 1, calls: 1},
	{
		name: "announced twice", should: "activated by one call",
		announced: 2, state: events.Activated, applied: 1, calls: 1,
	},
	{
		name: "slow partner", should: "activated, however long the answer takes",
		announced: 1, faults: []simulator.Fault{"slow=2s"}, state: events.Activated, applied: 1, calls: 1,
	},
	{
		name: "busy partner", should: "activated, called again after the 429",
		announced: 1, faults: []simulator.Fault{"429:reset=2"}, state: events.Activated, applied: 1, calls: 2,
	},
	{
		name: "over the quota", should: "activated, put off until the time the 429 names",
		announced: 1, faults: []simulator.Fault{"429:reset=6"}, state: events.Activated, applied: 1, calls: 2,
	},
	{
		name: "answer lost", should: "activated, found by asking instead of calling again",
		announced: 1, faults: []simulator.Fault{simulator.Lost},
		state: events.Activated, via: events.ViaLookup, applied: 1, calls: 1,
	},
	{
		name: "lost, seen late", should: "activated, asked about until the partner shows it",
		announced: 1, faults: []simulator.Fault{"lost+lag=2s"},
		state: events.Activated, via: events.ViaLookup, applied: 1, calls: 1,
	},
	{
		name: "DNS missing", should: "activated by two calls, the second when DNS shows the record",
		announced: 1, lacks: lacksDNS, state: events.Activated, via: events.ViaActivate, applied: 1, calls: 2,
	},
	{
		name: "terms open", should: "activated once the terms are accepted after all",
		announced: 1, lacks: lacksTerms, state: events.Activated, via: events.ViaActivate, applied: 1, calls: 2,
	},
	{
		name: "of last year", should: "activated behind the others, looked up first",
		announced: 1, backfill: true, state: events.Activated, applied: 1, calls: 1,
	},
	{
		name: "refused", should: "failed, with the partner's reason on record",
		announced: 1, faults: []simulator.Fault{"409:CONTRACT_ENDED*"},
		state: events.Failed, reason: events.Refused, calls: 1,
	},
	{
		name: refusedMended, should: "failed, then activated by a replay",
		announced: 1, faults: []simulator.Fault{"409:CONTRACT_ENDED*"}, mended: true, state: events.Activated, applied: 1, calls: 2,
	},
}

// refusedMended is a fate of the trickle alone: it takes its time.
const refusedMended = "refused, mended"

// fateMix is the order in which the fates come, over and over; the first eight have nearly every one.
var fateMix = []string{
	"fresh", "announced twice", "answer lost", "slow partner", "refused", "busy partner", "fresh", "lost, seen late",
	"DNS missing", "terms open", "of last year", "fresh", "over the quota", "answer lost", "DNS missing", "fresh",
	"slow partner", "fresh", "lost, seen late", "terms open", "announced twice", "refused", "of last year", "fresh",
}

// firstDemoID is the domain id of the first customer.
const firstDemoID = 51200001

// guest is one customer of the demo, and what the event stream has said of it.
type guest struct {
	fate
	id      int64
	company string
	since   time.Time // of its announcement
	changed time.Time // when its newest record was seen

	readyAfter time.Duration // see getReady

	lacking     time.Time      // since when it is known to lack something
	promised    bool           // to be ready soon
	record      *events.Record // the newest; nil: none yet. Without the partner's object
	activations int            // activated records
	complete    bool           // the activated event carries the partner's customer
}

// invite makes the n-th customer of the crowd, from 0.
func invite(n int) *guest { return inviteOf(fateMix, n) }

// inviteOf is invite with another mix of fates.
func inviteOf(mix []string, n int) *guest { return inviteAs(n, mix[n%len(mix)], readyAfter) }

// inviteAs makes the n-th customer, with a fate.
func inviteAs(n int, name string, readyAfter time.Duration) *guest {
	kind := fates[slices.IndexFunc(fates, func(f fate) bool { return f.name == name })]
	return &guest{fate: kind, id: firstDemoID + int64(n), company: companyName(n), readyAfter: readyAfter}
}

// companyName makes up the n-th name, at most 13 columns wide; 63 differ.
func companyName(n int) string {
	places := []string{"ひので", "青葉", "Kogane ", "みなと", "雪道", "三葉", "月見"}
	trades := []string{"食品", "印刷", "歯科", "製作所", "商店", "設計", "物流", "茶舗", "Labs"}
	return places[n%len(places)] + trades[n%len(trades)]
}

// register makes the customer known to the partner, fate included.
func (g *guest) register(partner *simulator.Simulator) {
	partner.Add(simulator.Customer{DomainID: g.id, CompanyName: g.company, Terms: g.lacks != lacksTerms, DNS: g.lacks != lacksDNS})
	partner.Script(g.id, simulator.OpActivate, g.faults...)
}

// readyAfter is how long a customer of the crowd is waited for who is not ready.
const readyAfter = 3 * time.Second

// getReady makes up for what the customer lacks, a while after the worker has found out; mended is told then of one to be replayed. It is called
// when a record of the customer's is seen. Terms are accepted right after an attempt: between the partner's no and the look-up that explains
// it, nobody could tell why it said no.
func (g *guest) getReady(partner *simulator.Simulator, mended chan<- *guest) {
	lacking := g.state() == events.Deferred && g.lacks != "" || g.state() == events.Failed && g.mended
	if !lacking || g.promised {
		return
	}
	if g.lacking.IsZero() {
		g.lacking = g.record.Time
	}
	if g.lacks == lacksTerms {
		// at the last record before an attempt that should find it ready; waits vary a little
		if g.promised = g.record.NextAttemptAt.Sub(g.lacking) >= g.readyAfter*3/4; g.promised {
			partner.SetTerms(g.id, true)
		}
		return
	}
	g.promised = true
	time.AfterFunc(g.readyAfter, func() {
		if g.lacks == lacksDNS {
			partner.SetDNS(g.id, true)
			return
		}
		partner.Script(g.id, simulator.OpActivate)
		select {
		case mended <- g:
		default: // nobody takes them any more
		}
	})
}

// see takes over a record from the event stream.
func (g *guest) see(r *events.Record) {
	g.record, g.changed = r, time.Now()
	if r.State == events.Activated {
		g.activations++
		var customer struct {
			DomainID    int64  `json:"domainId"`
			CompanyName string `json:"companyName"`
		}
		err := json.Unmarshal(r.Customer, &customer)
		g.complete = err == nil && customer.DomainID == g.id && customer.CompanyName == g.company
	}
	r.Customer = nil // seen; in a long demo it would only take room
}

// state is the newest state, or "announced".
func (g *guest) state() events.State {
	if g.record == nil {
		return "announced"
	}
	return g.record.State
}

// done reports whether nothing more is to come.
func (g *guest) done() bool {
	return g.state() == events.Activated || g.state() == events.Failed && !g.mended
}

// wrongs are what the customer should have got and did not, from the events and from what the partner counted.
func (g *guest) wrongs(counts simulator.Counts) []string {
	var wrongs []string
	check := func(ok bool, format string, args ...any) {
		if !ok {
			wrongs = append(wrongs, fmt.Sprintf(format, args...))
		}
	}
	check(g.state() == g.fate.state, "is %s, should be %s", g.state(), g.fate.state)
	check(counts.Applied == g.applied, "%d activate calls took effect, should be %d", counts.Applied, g.applied)
	check(counts.Activates >= g.calls, "%d activate calls were made, should be at least %d", counts.Activates, g.calls)
	if g.state() != g.fate.state {
		return wrongs
	}
	r := g.record
	switch r.State {
	case events.Activated:
		check(g.activations == 1, "there are %d activated events, should be one", g.activations)
		check(g.complete, "the activated event lacks the partner's answer")
		check(g.via == "" || r.Via == g.via, "was learned of via %s, should be %s", r.Via, g.via)
	case events.Failed:
		check(r.Reason == g.reason, "failed as %s, should be %s", r.Reason, g.reason)
		check(r.Cause != nil && r.Cause.HTTPStatus != 0, "the partner's reason is not on record")
	}
	return wrongs
}
