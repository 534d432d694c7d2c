package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
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
}

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

	promised    bool           // to be ready soon
	record      *events.Record // the newest; nil: none yet. Without the partner's object
	activations int            // activated records
	complete    bool           // the activated event carries the partner's customer
}

// invite makes the n-th customer, from 0.
func invite(n int) *guest {
	name := fateMix[n%len(fateMix)]
	kind := fates[slices.IndexFunc(fates, func(f fate) bool { return f.name == name })]
	return &guest{fate: kind, id: firstDemoID + int64(n), company: companyName(n)}
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

// readyAfter is how long a customer is waited for who is not ready.
const readyAfter = 3 * time.Second

// getReady makes up for what the customer lacks, a while after the worker has found out.
func (g *guest) getReady(partner *simulator.Simulator) {
	if g.state() != events.Deferred || g.promised {
		return
	}
	g.promised = g.lacks != ""
	switch g.lacks {
	case lacksDNS:
		time.AfterFunc(readyAfter, func() { partner.SetDNS(g.id, true) })
	case lacksTerms:
		time.AfterFunc(readyAfter, func() { partner.SetTerms(g.id, true) })
	}
}

// see takes over a record from the event stream.
func (g *guest) see(r *events.Record) {
	g.record = r
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
	return g.state() == events.Activated || g.state() == events.Failed
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

// onItsWay is how long after its announcement a customer may still be unfinished when the demo is interrupted.
const onItsWay = 30 * time.Second

// demoSummary counts every customer and every partner call, and reports whether each got what it should.
func demoSummary(out io.Writer, guests []*guest, j simulator.Journal, breaches []string, interrupted bool, now time.Time) bool {
	var problems []string
	pending, states := 0, map[events.State]int{}
	good, all := map[string]int{}, map[string]int{}
	for _, g := range guests {
		states[g.state()]++
		all[g.name]++
		wrongs := g.wrongs(j.Customers[g.id])
		switch {
		case len(wrongs) == 0:
			good[g.name]++
		case interrupted && !g.done() && now.Sub(g.since) < onItsWay:
			pending++
		default:
			problems = append(problems, fmt.Sprintf("%d %s (%s): %s", g.id, g.company, g.name, strings.Join(wrongs, "; ")))
		}
	}
	var b strings.Builder
	b.WriteString("\n")
	for _, f := range fates {
		if all[f.name] > 0 {
			fmt.Fprintf(&b, "%s %9s  %s\n", padded(f.name, specialWidth), fmt.Sprintf("%d of %d", good[f.name], all[f.name]), f.should)
		}
	}
	fmt.Fprintf(&b, "\n%d customers: %s.", len(guests), statesInWords(states))
	if pending > 0 {
		fmt.Fprintf(&b, " Still on their way: %d.", pending)
	}
	fmt.Fprintf(&b, "\nPartner: %s; %d at once.\n", callsInWords(j), j.MaxConcurrent)
	for _, breach := range breaches {
		problems = append(problems, "at the partner: "+breach)
	}
	whom := "Each"
	if pending > 0 {
		whom = "Each of the others"
	}
	if len(problems) == 0 {
		fmt.Fprintf(&b, "%s got what it should, and nobody was activated twice.\n", whom)
	} else {
		fmt.Fprintf(&b, "\nNot as it should be:\n  %s\n", strings.Join(problems, "\n  "))
	}
	_, err := io.WriteString(out, b.String())
	return err == nil && len(problems) == 0
}

// statesInWords is a list such as "22 activated, 2 failed".
func statesInWords(states map[events.State]int) string {
	var parts []string
	for _, s := range []events.State{events.Activated, events.Failed, events.Deferred, events.Started, "announced"} {
		if states[s] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", states[s], s))
		}
	}
	return cmp.Or(strings.Join(parts, ", "), "none came")
}

// callsInWords is every request that the partner got, by operation.
func callsInWords(j simulator.Journal) string {
	counts, applied := map[simulator.Operation]int{}, 0
	for _, c := range j.Calls {
		counts[c.Op]++
		if c.Applied {
			applied++
		}
	}
	var parts []string
	for _, op := range slices.Sorted(maps.Keys(counts)) {
		switch op {
		case simulator.OpActivate:
			parts = append(parts, fmt.Sprintf("%d activate (%d took effect)", counts[op], applied))
		case simulator.OpCustomer:
			parts = append(parts, fmt.Sprintf("%d look-up", counts[op]))
		case simulator.OpUpgradeDomain:
			parts = append(parts, fmt.Sprintf("%d DNS data", counts[op]))
		default:
			parts = append(parts, fmt.Sprintf("%d %s", counts[op], op))
		}
	}
	return strings.Join(append(parts, fmt.Sprintf("%d token", j.TokenRequests)), ", ")
}
