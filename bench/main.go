// Command bench measures the worker against a bare loop that keeps no ledger, and against what one might pick instead, each in a
// process of its own beside nats-server and a stand-in for the partner. It writes docs/performance.md and the plots beside it.
//
//	bench [flags]        everything, see -h; make bench builds what it needs
//	bench partner …      these are the processes that it starts, being started again
//	bench bare …
//	bench watermill …
//	bench publish …
//
// It knows the worker as a binary only, so that it can measure older ones too.
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
)

// commands are the roles that this program has beside that of the one who measures.
var commands = map[string]func(context.Context, []string, io.Writer) error{
	"partner":   servePartner,
	"bare":      runBare,
	"watermill": runWatermill,
	"publish":   runPublish,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	err := run(ctx, os.Args[1:])
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1) //nolint:forbidigo // main of a program of its own
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 {
		if command := commands[args[0]]; command != nil {
			ctx, cancel := untilOrphaned(ctx)
			defer cancel()
			return command(ctx, args[1:], os.Stdout)
		}
	}
	o, err := parse(args, os.Stderr)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.limit, fmt.Errorf("not done within %s: see -limit", o.limit))
	defer cancel()
	return measure(ctx, o, os.Stdout)
}

// untilOrphaned is ctx, and ends with standard input: whoever started us holds its other end.
func untilOrphaned(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	return ctx, cancel
}
