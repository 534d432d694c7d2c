package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// whom says what a blow is struck at and how, in the plan and in the progress.
func (b Blow) whom() string {
	var parts []string
	if b.Worker > 0 {
		parts = append(parts, fmt.Sprintf("worker %d", b.Worker))
	}
	switch {
	case b.Peer > 0:
		parts = append(parts, fmt.Sprintf("nodes %d and %d", b.Node, b.Peer))
	case b.Node > 0:
		parts = append(parts, fmt.Sprintf("node %d", b.Node))
	}
	if b.For > 0 {
		parts = append(parts, "for "+b.For.String())
	}
	if b.Start.Version > 0 && b.Kind != workerFrozen && b.Kind != workerFrozenLong {
		parts = append(parts, "then "+b.Start.String())
	}
	for _, t := range b.Toxics {
		var values []string
		for _, name := range slices.Sorted(maps.Keys(t.Attributes)) {
			values = append(values, fmt.Sprintf("%s %d", name, t.Attributes[name]))
		}
		parts = append(parts, t.Stream+" "+strings.Join(values, " "))
	}
	return strings.Join(parts, ", ")
}

// String says how a worker is started.
func (s Start) String() string {
	text := fmt.Sprintf("version %d, clock %+.3fs", s.Version, s.Clock.Seconds())
	if s.Point != "" {
		text += ", until " + s.Point
	}
	return text
}

// print writes the plan for a reader.
func (p Plan) print(out io.Writer) {
	for i, s := range p.First {
		fmt.Fprintf(out, "%10s  %-32s worker %d, %s\n", "0s", "start", i+1, s)
	}
	for _, b := range p.Blows {
		fmt.Fprintf(out, "%10s  %-32s %s\n", b.At, b.Kind, b.whom())
	}
	counts := map[fate]int{}
	for _, g := range p.Guests {
		counts[g.Fate]++
	}
	fmt.Fprintf(out, "%10s  all is cured\n\n", p.End)
	for _, f := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(out, "%7d %s\n", counts[f], f)
	}
}
