package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"
)

// options are the flags.
type options struct {
	events   int           // of one run with a partner that answers at once
	rounds   int           // how often each run is made
	rate     int           // events a second where latency is measured
	lasting  time.Duration // of a run that measures latency
	inFlight int           // events in hand at the same time, over all processes of a subject
	subjects []string
	nodes    []int
	delays   []time.Duration
	workers  []int
	sync     string // nats-server's sync_interval
	limit    time.Duration
	worker   string // path of the binary
	server   string // path of nats-server
	results  string // path of the document; "": only shown
	micro    string // path of the microbenchmarks' output, for the document
	publish  bool   // measure ways to publish too
	keep     bool
}

func parse(args []string, stderr io.Writer) (options, error) {
	o := options{}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	quick := f.Bool("quick", false, "one small round of each, about a minute: to see that it works; nothing is written")
	f.IntVar(&o.events, "events", 20_000, "events of one run; a third of it where the partner takes its time")
	f.IntVar(&o.rounds, "rounds", 5, "how often each run is made, in turns; the median counts")
	f.IntVar(&o.rate, "rate", 200, "events a second where latency is measured")
	f.DurationVar(&o.lasting, "lasting", 10*time.Second, "how long latency is measured")
	f.IntVar(&o.inFlight, "in-flight", 64, "events in hand at the same time, over all processes of a subject")
	subjects := f.String("subjects", "bare,worker,watermill", "what is measured; bare is what the others are held against")
	nodes := f.String("nodes", "1,3", "how many nats-servers")
	delays := f.String("delays", "0s,20ms", "how long the partner takes to answer")
	workers := f.String("workers", "2,4", "how many workers at once, beside the run with one; - for none")
	f.StringVar(&o.sync, "sync", "2m", "sync_interval of nats-server, or always")
	f.DurationVar(&o.limit, "limit", 40*time.Minute, "all ends within this time, as a failure if it is not done")
	f.StringVar(&o.worker, "worker", "bin/worker", "the worker to measure")
	f.StringVar(&o.server, "nats-server", "tools/bin/nats-server", "the nats-server to use")
	f.StringVar(&o.results, "results", "", "document to write the results into, between its markers; plots beside it")
	f.StringVar(&o.micro, "micro", "", "output of the microbenchmarks, shown in the document")
	f.BoolVar(&o.publish, "publish", true, "measure ways to publish compare-and-set records, too")
	f.BoolVar(&o.keep, "keep", false, "keep the directory of each run")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("%q: there are no arguments but flags", f.Arg(0))
	}
	o.subjects = strings.Split(*subjects, ",")
	for _, name := range o.subjects {
		if _, known := subjectsByName[name]; !known {
			return o, fmt.Errorf("-subjects: %q is not known", name)
		}
	}
	if *quick {
		o.events, o.rounds, o.lasting, o.results = 3000, 1, time.Second, ""
		*workers = "2"
	}
	errs := []error{
		list(*nodes, &o.nodes, "%d"), list(*workers, &o.workers, "%d"),
	}
	for s := range strings.SplitSeq(*delays, ",") {
		d, err := time.ParseDuration(s)
		o.delays, errs = append(o.delays, d), append(errs, err)
	}
	if o.events < 100 || o.rounds < 1 || o.inFlight < 1 || o.rate < 1 {
		errs = append(errs, errors.New("-events wants 100 or more, -rounds, -in-flight and -rate 1 or more"))
	}
	return o, errors.Join(errs...)
}

// list reads numbers with commas between them.
func list(s string, into *[]int, format string) error {
	if s == "-" || s == "" {
		return nil
	}
	for one := range strings.SplitSeq(s, ",") {
		var n int
		if _, err := fmt.Sscanf(one, format, &n); err != nil || n < 1 {
			return fmt.Errorf("%q is no list of numbers", s)
		}
		*into = append(*into, n)
	}
	return nil
}
