package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Exit status.
const (
	exitDone        = 0
	exitBroken      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// options are the flags.
type options struct {
	customers, kills int
	seed             uint64
	faults           float64
	limit, settle    time.Duration
	dir, tools       string
	worker           string
	planOnly, keep   bool
	tags             bool // the worker can be built with the tag faults; without it there are neither clocks, versions nor points
	clocks, versions bool
	points           bool
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("chaos", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.IntVar(&o.customers, "customers", 10_000, "customers who are announced")
	f.IntVar(&o.kills, "kills", 200, "SIGKILLs of workers and nodes, about; other blows come in proportion")
	f.Uint64Var(&o.seed, "seed", 1, "the same seed gives the same plan")
	f.Float64Var(&o.faults, "faults", 0.25, "part of the partner's answers that are faulty")
	f.DurationVar(&o.limit, "limit", 40*time.Minute, "the whole run ends within this time, as a failure if it is not done")
	f.DurationVar(&o.settle, "settle", 2*time.Minute, "after all is cured, the longest time in which no further customer reaches an outcome")
	f.StringVar(&o.dir, "dir", "", "directory for everything that the run writes; kept (default a temporary one, kept after a breach)")
	f.StringVar(&o.tools, "tools", "tools/bin", "directory into which nats-server and toxiproxy-server are built")
	f.StringVar(&o.worker, "worker", "", "worker to run, for example an older one (default one that is built now)")
	f.BoolVar(&o.planOnly, "plan", false, "print the plan and end")
	f.BoolVar(&o.keep, "keep", false, "keep the directory whatever comes out")
	f.BoolVar(&o.tags, "tags", true, "build the worker with the tag faults, which the next three need")
	f.BoolVar(&o.clocks, "clocks", true, "clocks of workers are off, from one another by up to five seconds")
	f.BoolVar(&o.versions, "versions", true, "upgrade and roll back between two versions of the records")
	f.BoolVar(&o.points, "points", true, "some workers kill themselves at a point of the code")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if o.tags && o.versions && !readsNewer() {
		return o, errors.New("chaos: records of the newer version could not be read: start as make chaos does, " +
			"FAULTS_RECORD_VERSION=2 go run -tags faults ./internal/chaos, or with -versions=false")
	}
	o.clocks, o.versions, o.points = o.clocks && o.tags, o.versions && o.tags, o.points && o.tags
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("chaos: %q: there are no arguments but flags", f.Arg(0))
	case o.customers < 1, o.kills < 1, o.faults < 0, o.faults > 1:
		return o, errors.New("chaos: -customers and -kills want 1 or more, -faults a number from 0 to 1")
	}
	return o, nil
}

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitDone
	case err != nil:
		fmt.Fprintln(stderr, err)
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	limited, cancel := context.WithTimeoutCause(ctx, o.limit, fmt.Errorf("not done within %s: see -limit", o.limit))
	defer cancel()
	err = chaos(limited, o, stdout)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "chaos: interrupted")
		return exitInterrupted
	case err != nil:
		fmt.Fprintln(stderr, "chaos:", err)
		return exitBroken
	}
	return exitDone
}
