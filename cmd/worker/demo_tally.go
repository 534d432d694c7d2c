package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"activation-worker/internal/events"
	"activation-worker/internal/partnerapi/simulator"
)

// onItsWay is how long after its announcement a customer may still be unfinished when the demo is interrupted.
const onItsWay = 2 * time.Minute

// tally is how customers have fared.
type tally struct {
	customers, pending int
	good, all          map[string]int // by fate
	states             map[events.State]int
	problems           []string // of the first who had some
}

// maxProblems are as many as anybody reads.
const maxProblems = 50

func newTally() tally {
	return tally{good: map[string]int{}, all: map[string]int{}, states: map[events.State]int{}}
}

// add judges a customer by its events and by what the partner counted.
func (t *tally) add(g *guest, counts simulator.Counts, interrupted bool, now time.Time) {
	t.customers++
	t.states[g.state()]++
	t.all[g.name]++
	wrongs := g.wrongs(counts)
	switch {
	case len(wrongs) == 0:
		t.good[g.name]++
	case interrupted && !g.done() && now.Sub(g.since) < onItsWay:
		t.pending++
	default:
		t.problem(fmt.Sprintf("%d %s (%s): %s", g.id, g.company, g.name, strings.Join(wrongs, "; ")))
	}
}

func (t *tally) problem(text string) {
	switch {
	case len(t.problems) < maxProblems:
		t.problems = append(t.problems, text)
	case len(t.problems) == maxProblems:
		t.problems = append(t.problems, "and others")
	}
}

// breach takes note of what the partner should not have seen, once.
func (t *tally) breach(text string) {
	if text = "at the partner: " + text; !slices.Contains(t.problems, text) {
		t.problem(text)
	}
}

// write counts every customer and every partner call, and reports whether each got what it should.
func (t *tally) write(out io.Writer, j simulator.Journal) bool {
	var b strings.Builder
	b.WriteString("\n")
	for _, f := range fates {
		if t.all[f.name] > 0 {
			fmt.Fprintf(&b, "%s %9s  %s\n", padded(f.name, specialWidth), fmt.Sprintf("%d of %d", t.good[f.name], t.all[f.name]), f.should)
		}
	}
	fmt.Fprintf(&b, "\n%d customers: %s.", t.customers, statesInWords(t.states))
	if t.pending > 0 {
		fmt.Fprintf(&b, " Still on their way: %d.", t.pending)
	}
	fmt.Fprintf(&b, "\nPartner: %s; %d at once.\n", callsInWords(j), j.MaxConcurrent)
	whom := "Each"
	if t.pending > 0 {
		whom = "Each of the others"
	}
	if len(t.problems) == 0 {
		fmt.Fprintf(&b, "%s got what it should, and nobody was activated twice.\n", whom)
	} else {
		fmt.Fprintf(&b, "\nNot as it should be:\n  %s\n", strings.Join(t.problems, "\n  "))
	}
	_, err := io.WriteString(out, b.String())
	return err == nil && len(t.problems) == 0
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
	var parts []string
	for _, op := range slices.Sorted(maps.Keys(j.Made)) {
		switch n := j.Made[op]; op {
		case simulator.OpActivate:
			parts = append(parts, fmt.Sprintf("%d activate (%d took effect)", n, j.Applied))
		case simulator.OpCustomer:
			parts = append(parts, fmt.Sprintf("%d look-up", n))
		case simulator.OpUpgradeDomain:
			parts = append(parts, fmt.Sprintf("%d DNS data", n))
		default:
			parts = append(parts, fmt.Sprintf("%d %s", n, op))
		}
	}
	return strings.Join(append(parts, fmt.Sprintf("%d token", j.TokenRequests)), ", ")
}
