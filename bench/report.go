package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// findings are all results, by what was measured, in the order of rounds.
type findings struct {
	o       options
	machine string
	day     time.Time
	runs    map[plan][]result
	publish map[way][]result
}

// tables are the results in Markdown.
func (f *findings) tables() string {
	var b strings.Builder
	o := f.o
	fmt.Fprintf(&b, "%s, on %s. `sync_interval: %s` for all. %d events a run, a third of it with a slow partner; %d in flight; medians of %d rounds.\n\n",
		f.day.Format(time.DateOnly), f.machine, o.sync, o.events, o.inFlight, o.rounds)
	f.throughput(&b)
	f.latency(&b)
	f.scaling(&b)
	f.publishing(&b)
	f.micro(&b)
	return b.String()
}

func (f *findings) throughput(b *strings.Builder) {
	b.WriteString("### Events a second\n\n| nodes | partner | | events/s | against bare | CPU per event | against bare | nats-server's CPU per event | memory |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, p := range plans(f.o) {
		runs, bare := f.runs[p], f.runs[plan{subject: "bare", processes: 1, nodes: p.nodes, delay: p.delay}]
		if p.latency || p.processes > 1 || len(runs) == 0 {
			continue
		}
		fmt.Fprintf(b, "| %d | %s | %s | %.0f | %s | %s | %s | %s | %d MB |\n", p.nodes, millis(p.delay), p.subject,
			medianOf(runs, perSecondOf), times(ratio(runs, bare, perSecondOf)),
			micros(medianOf(runs, func(r result) time.Duration { return r.cpu })), times(ratio(runs, bare, cpuOf)),
			micros(medianOf(runs, func(r result) time.Duration { return r.serverCPU })),
			medianOf(runs, func(r result) int64 { return r.memory })>>20)
	}
}

func (f *findings) latency(b *strings.Builder) {
	fmt.Fprintf(b, "\n### Latency at %d events a second\n\nFrom publishing an announcement until its outcome is stored; one node, a partner that answers at once.\n\n", f.o.rate)
	b.WriteString("| | p50 | p99 | p99 beyond bare's |\n|---|---|---|---|\n")
	bare := f.runs[plan{subject: "bare", processes: 1, nodes: f.o.nodes[0], latency: true}]
	for _, p := range plans(f.o) {
		runs := f.runs[p]
		if !p.latency || len(runs) == 0 {
			continue
		}
		var beyond []time.Duration
		for i := range min(len(runs), len(bare)) {
			beyond = append(beyond, p99Of(runs[i])-p99Of(bare[i]))
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", p.subject, millis(medianOf(runs, p50Of)), millis(medianOf(runs, p99Of)), millis(median(beyond)))
	}
	b.WriteString("\n![Latency](performance-latency.svg)\n")
}

func (f *findings) scaling(b *strings.Builder) {
	if len(f.o.workers) == 0 {
		return
	}
	fmt.Fprintf(b, "\n### Several workers on one machine\n\nOne node, a partner that answers at once, %d in flight over all of them.\n\n", f.o.inFlight)
	b.WriteString("| workers | events/s | against one | CPU per event |\n|---|---|---|---|\n")
	one := f.runs[plan{subject: "worker", processes: 1, nodes: f.o.nodes[0]}]
	for _, n := range append([]int{1}, f.o.workers...) {
		runs := f.runs[plan{subject: "worker", processes: n, nodes: f.o.nodes[0]}]
		fmt.Fprintf(b, "| %d | %.0f | %s | %s |\n", n, medianOf(runs, perSecondOf), times(ratio(runs, one, perSecondOf)),
			micros(medianOf(runs, func(r result) time.Duration { return r.cpu })))
	}
	b.WriteString("\n![Several workers](performance-scaling.svg)\n")
}

func (f *findings) publishing(b *strings.Builder) {
	if len(f.publish) == 0 {
		return
	}
	fmt.Fprintf(b, "\n### Ways to publish\n\nTwo compare-and-set records for each customer, the second after the first, %d customers at once, one node.\n\n", f.o.inFlight)
	b.WriteString("| | connections | records/s | against the first | CPU per record |\n|---|---|---|---|---|\n")
	first := f.publish[waysToPublish()[0]]
	for _, w := range waysToPublish() {
		runs := f.publish[w]
		fmt.Fprintf(b, "| %s | %d | %.0f | %s | %s |\n", w.mode(), w.Connections, medianOf(runs, perSecondOf),
			times(ratio(runs, first, perSecondOf)), micros(medianOf(runs, func(r result) time.Duration { return r.cpu })))
	}
}

// micro shows the output of the microbenchmarks as benchstat reads it.
func (f *findings) micro(b *strings.Builder) {
	if f.o.micro == "" {
		return
	}
	b.WriteString("\n### Microbenchmarks\n\nIn the form that `tools/bin/benchstat` reads; the last two with a server in the same process.\n\n```text\n")
	for line := range strings.SplitSeq(read(f.o.micro), "\n") {
		if strings.HasPrefix(line, "Benchmark") || strings.HasPrefix(line, "pkg:") {
			b.WriteString(line + "\n")
		}
	}
	b.WriteString("```\n")
}

func times(r float64) string {
	if r == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", r)
}

func micros(d time.Duration) string { return fmt.Sprintf("%.0f µs", float64(d)/1e3) }

func millis(d time.Duration) string {
	if d == d.Round(time.Millisecond) {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.2f ms", float64(d)/1e6)
}

// quantiles are the places of the plot of latency.
var quantiles = []float64{0.10, 0.25, 0.50, 0.75, 0.90, 0.95, 0.99}

// latencyPlot is how long the slowest part of the outcomes takes.
func (f *findings) latencyPlot() plot {
	p := plot{
		title: fmt.Sprintf("Latency at %d events a second", f.o.rate),
		xAxis: "share of the events that were done by then", yAxis: "milliseconds",
	}
	for _, q := range quantiles {
		p.places = append(p.places, fmt.Sprintf("%g%%", q*100))
	}
	for _, name := range f.o.subjects {
		var took []time.Duration
		for _, r := range f.runs[plan{subject: name, processes: 1, nodes: f.o.nodes[0], latency: true}] {
			took = append(took, r.took...)
		}
		slices.Sort(took)
		s := series{name: name}
		for _, q := range quantiles {
			s.values = append(s.values, float64(quantile(took, q))/1e6)
		}
		p.series = append(p.series, s)
	}
	return p
}

// scalingPlot is what several workers do, beside what the bare loop does alone.
func (f *findings) scalingPlot() plot {
	p := plot{title: "Several workers on one machine", xAxis: "workers", yAxis: "events a second"}
	worker, bare := series{name: "worker"}, series{name: "bare, one"}
	alone := medianOf(f.runs[plan{subject: "bare", processes: 1, nodes: f.o.nodes[0]}], perSecondOf)
	for _, n := range append([]int{1}, f.o.workers...) {
		p.places = append(p.places, fmt.Sprint(n))
		worker.values = append(worker.values, medianOf(f.runs[plan{subject: "worker", processes: n, nodes: f.o.nodes[0]}], perSecondOf))
		bare.values = append(bare.values, alone)
	}
	p.series = []series{bare, worker}
	return p
}

// The results stand between these lines of the document; what is around them was written by people.
const (
	beginMark = "<!-- bench: begin, written by make bench -->\n"
	endMark   = "<!-- bench: end -->\n"
)

// write puts the results into the document and the plots beside it.
func (f *findings) write() error {
	raw, err := os.ReadFile(f.o.results)
	if err != nil {
		return err
	}
	before, rest, begins := strings.Cut(string(raw), beginMark)
	_, after, ends := strings.Cut(rest, endMark)
	if !begins || !ends {
		return errors.New(f.o.results + " lacks the lines between which the results stand")
	}
	text := before + beginMark + "\n" + f.tables() + "\n" + endMark + after
	beside := filepath.Dir(f.o.results)
	return errors.Join(
		publish(f.o.results, text),
		publish(filepath.Join(beside, "performance-latency.svg"), f.latencyPlot().svg()),
		publish(filepath.Join(beside, "performance-scaling.svg"), f.scalingPlot().svg()),
	)
}

func publish(path, text string) error {
	return os.WriteFile(path, []byte(text), 0o644) //nolint:gosec // documents, for everybody to read
}
