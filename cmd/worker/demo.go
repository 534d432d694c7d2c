package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"activation-worker/internal/broker"
	"activation-worker/internal/config"
	"activation-worker/internal/partnerapi/simulator"
)

// demo holds the flags of worker demo.
type demo struct {
	customers int
	forever   bool

	environ []string                   // for the view alone: NO_COLOR, TERM
	under   string                     // where the temporary directory is made; "": the system's place
	mix     []string                   // fates of the crowd, over and over; nil: fateMix
	tamper  func(*simulator.Simulator) // called when the first customers are known to the partner; nil: nothing is changed
}

// maxDemoCustomers are about as many as the partner's quota lets through in the time that anybody watches.
const maxDemoCustomers = 1000

func demoCommand() *cobra.Command {
	var d demo
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See it work, with nothing else installed",
		Long: `Runs everything in this one process: a NATS server with JetStream, a stand-in for the LINE WORKS partner
API, and a worker between them. A crowd of customers accepts the terms. Some go smoothly; others are
announced twice, meet a slow or a busy partner, lose the answer on its way, are not ready yet, or are refused for good.

What is shown comes from the worker's event stream, as any other program would read it: a live table on
a terminal, else a line for each change. The summary at the end counts every customer and every call that
the partner got. The exit status is 0 only if each customer got what it should.

The worker's page shows the same in a browser; its address is printed before anybody comes. With --forever
it is worth watching: customers keep coming in waves, some wait for their DNS records, some are refused and
replayed later. The ledger grows meanwhile, by some 15 MB an hour.

Nothing leaves this machine: the servers listen on free loopback ports and keep their data in a temporary
directory, which is removed at the end. Of all settings only WORKER_CONSOLE_ADDR and WORKER_CONSOLE_HOSTS
are read, from the environment; without them the page is at 127.0.0.1:8081, or at a free port where that is
taken. It takes about 15 seconds.`,
		Example: `  worker demo
  worker demo --customers 100
  worker demo --forever           a trickle of new customers until Ctrl-C
  worker demo | cat               one line for each change`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if d.customers < 1 || d.customers > maxDemoCustomers {
				return usageError{fmt.Errorf("--customers: %d; wanted 1 to %d", d.customers, maxDemoCustomers)}
			}
			d.environ = os.Environ()
			// A reader that has gone is an error of the write, so that the directory is still removed.
			signal.Ignore(syscall.SIGPIPE)
			defer signal.Reset(syscall.SIGPIPE)
			return d.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().IntVar(&d.customers, "customers", len(fateMix), "how many customers come")
	cmd.Flags().BoolVar(&d.forever, "forever", false, "let new customers come after these, until interrupted")
	return cmd
}

// run performs the demo. What the parts logged is shown only if something is not as it should be.
func (d *demo) run(ctx context.Context, out, errOut io.Writer) (err error) {
	dir, err := os.MkdirTemp(d.under, "worker-demo-")
	if err != nil {
		return fmt.Errorf("demo: make a temporary directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	var log logTail
	logger := newLogger("console", zap.NewAtomicLevelAt(zap.InfoLevel), &log)
	err = d.perform(ctx, dir, out, logger)
	_ = logger.Sync()
	switch {
	case ctx.Err() != nil && !errors.As(err, new(silent)):
		return context.Cause(ctx)
	case err != nil && !errors.Is(err, syscall.EPIPE):
		fmt.Fprintf(errOut, "\nThe last that the worker and its servers logged:\n%s\n", log.text())
	}
	return err
}

// perform sets the stage, lets the customers come, and judges what became of them.
func (d *demo) perform(ctx context.Context, dir string, out io.Writer, log *zap.Logger) error {
	partner, base, closePartner, err := startPartner(ctx, log)
	if err != nil {
		return fmt.Errorf("demo: start the partner's stand-in: %w", err)
	}
	defer closePartner()
	dns, closeDNS, err := startDNS(ctx, partner, log)
	if err != nil {
		return fmt.Errorf("demo: start a stand-in for the public DNS: %w", err)
	}
	defer closeDNS()
	c, err := config.Load(nil, append(demoSettings(base, dns, partner.Credentials()), d.consoleSettings()...))
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	server, err := broker.StartEmbedded(ctx, broker.EmbeddedOptions{Dir: filepath.Join(dir, "nats"), Listen: "127.0.0.1:0", Log: log, Quiet: true})
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer server.Shutdown()
	nc, js, err := broker.Connect(ctx, natsOptions(c, server.URL(), c.Worker.ID, log))
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer closeConnection(nc)
	layout := layoutOf(c)
	layout.WithIntake = true
	upkeep := newUpkeep(js, layout, log)
	if err := upkeep.ensure(ctx); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	p := newParts()
	p.nats.Store(nc)
	page, closePage, err := serveDemoConsole(ctx, p, c, log)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer closePage()

	// Announcing and watching are other programs' business: they have a connection of their own.
	outside, outsideJS, err := broker.ConnectOnce(ctx, natsOptions(c, server.URL(), "worker demo", log))
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer outside.Close()
	fmt.Fprint(out, "A NATS server, stand-ins for the LINE WORKS partner API and for DNS, and a worker run here.\n"+
		"Customers accept the terms; what becomes of them is read from its events.\n")
	if page != "" {
		fmt.Fprintf(out, "Console: %s\n", page)
	}
	if d.forever {
		fmt.Fprintf(out, "From another terminal: NATS_URL=%s worker status %d\n", server.URL(), firstDemoID)
	}
	fmt.Fprintln(out)
	show := newDemoShow(d, partner, outsideJS, layout)
	show.view = newDemoView(out, d.expected(), d.environ, &show.past)
	err = show.run(ctx, func(ctx context.Context) error {
		return p.work(ctx, c, nc, upkeep, instruments{metrics: p.metrics()}, log)
	})
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if !show.summary(out, ctx.Err() != nil, time.Now()) {
		return silent{exitFailed}
	}
	fmt.Fprint(out, "\nNext: worker run is the service itself. README.md says how to connect it to your\nNATS and to LINE WORKS.\n")
	return nil
}

// expected is how many customers come; 0: no end.
func (d *demo) expected() int {
	if d.forever {
		return 0
	}
	return d.customers
}
