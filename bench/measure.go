package main

import (
	"context"
	"fmt"
	"io"
	"time"
)

// plans are all that is measured, so ordered that what is compared is measured one after the other.
func plans(o options) []plan {
	var all []plan
	for _, nodes := range o.nodes {
		for _, delay := range o.delays {
			for _, name := range o.subjects {
				all = append(all, plan{subject: name, processes: 1, nodes: nodes, delay: delay})
			}
		}
	}
	for _, name := range o.subjects {
		all = append(all, plan{subject: name, processes: 1, nodes: o.nodes[0], latency: true})
	}
	for _, n := range o.workers {
		all = append(all, plan{subject: "worker", processes: n, nodes: o.nodes[0]})
	}
	return all
}

func (p plan) String() string {
	s := fmt.Sprintf("%-9s %d×, %d nodes, partner %s", p.subject, p.processes, p.nodes, p.delay)
	if p.latency {
		s += ", latency"
	}
	return s
}

// measure makes all runs, in turns, and writes what came of them.
func measure(ctx context.Context, o options, out io.Writer) error {
	results := map[plan][]result{}
	for round := range o.rounds {
		for _, p := range plans(o) {
			began := time.Now()
			r, err := once(ctx, o, p)
			if err != nil {
				return fmt.Errorf("%s: %w", p, err)
			}
			results[p] = append(results[p], r)
			fmt.Fprintf(out, "%d  %-44s %8.0f/s  cpu %6s  servers %6s  %4d MB  p50 %6s p99 %6s  (%s)\n", round+1, p, r.perSecond,
				r.cpu.Round(time.Microsecond), r.serverCPU.Round(time.Microsecond), r.memory>>20,
				r.p50.Round(10*time.Microsecond), r.p99.Round(10*time.Microsecond), time.Since(began).Round(100*time.Millisecond))
		}
	}
	return nil
}
