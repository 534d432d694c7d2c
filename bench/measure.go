package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"
)

// plans are all that is measured with whole subjects, so ordered that what is compared is measured one after the other.
func plans(o options) []plan {
	var all []plan
	for _, nodes := range o.nodes {
		for _, delay := range o.delays {
			for _, name := range o.subjects {
				all = append(all, plan{subject: name, processes: 1, nodes: nodes, delay: delay})
			}
			if nodes == o.nodes[0] && delay == 0 && slices.Contains(o.subjects, "worker") {
				for _, n := range o.workers {
					all = append(all, plan{subject: "worker", processes: n, nodes: nodes})
				}
			}
		}
	}
	for _, name := range o.subjects {
		all = append(all, plan{subject: name, processes: 1, nodes: o.nodes[0], latency: true})
	}
	return all
}

func (p plan) String() string {
	s := fmt.Sprintf("%d × %s, nodes %d, partner %s", p.processes, p.subject, p.nodes, p.delay)
	if p.latency {
		s += ", latency"
	}
	return s
}

// measure makes all runs, in turns, and tells what came of them.
func measure(ctx context.Context, o options, out io.Writer) error {
	f := &findings{o: o, machine: machine(ctx, o), day: time.Now(), runs: map[plan][]result{}, publish: map[way][]result{}}
	for round := range o.rounds {
		for _, p := range plans(o) {
			r, err := retried(ctx, out, p, func() (result, error) { return once(ctx, o, p) })
			if err != nil {
				return err
			}
			f.runs[p] = append(f.runs[p], r)
			fmt.Fprintf(out, "round %d  %-44s %s\n", round+1, p, r)
		}
		if !o.publish {
			continue
		}
		for _, w := range waysToPublish() {
			r, err := retried(ctx, out, w, func() (result, error) { return oncePublish(ctx, o, w) })
			if err != nil {
				return err
			}
			f.publish[w] = append(f.publish[w], r)
			fmt.Fprintf(out, "round %d  %-44s %s\n", round+1, w, r)
		}
	}
	fmt.Fprintf(out, "\n%s", f.tables())
	if o.results == "" {
		return nil
	}
	return f.write()
}

// retried makes a run, and once more where it fails: on a busy machine a cluster may not find together in time.
func retried(ctx context.Context, out io.Writer, what fmt.Stringer, run func() (result, error)) (result, error) {
	r, err := run()
	if err != nil && ctx.Err() == nil {
		fmt.Fprintf(out, "%s failed, and is tried once more: %v\n", what, err)
		r, err = run()
	}
	if err != nil {
		return r, fmt.Errorf("%s: %w", what, err)
	}
	return r, nil
}

func (r result) String() string {
	if len(r.took) > 0 {
		return fmt.Sprintf("p50 %s, p99 %s", millis(p50Of(r)), millis(p99Of(r)))
	}
	return fmt.Sprintf("%.0f/s, CPU %s, of nats-server %s, %d MB", r.perSecond, micros(r.cpu), micros(r.serverCPU), r.memory>>20)
}
