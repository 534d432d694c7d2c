package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"activation-worker/internal/broker"
	"activation-worker/internal/config"
	"activation-worker/internal/ledger"
	"activation-worker/internal/partnerapi/simulator"
)

// demo holds the flags of worker demo.
type demo struct {
	customers int
	forever   bool

	environ []string                   // for the view alone: NO_COLOR, TERM
	under   string                     // where the temporary directory is made; "": the system's place
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

No settings are read and nothing leaves this machine: the servers listen on free loopback ports and keep
their data in a temporary directory, which is removed at the end. It takes about 15 seconds.`,
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
	c, err := config.Load(nil, demoSettings(base, dns, partner.Credentials()))
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
	if err := broker.Ensure(ctx, js, layout); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	client, err := partnerClient(c, ledger.MaxObject(nc), instruments{}, log)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer keepToken(ctx, client)()
	looker, err := lookerOf(c)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	upkeep := newUpkeep(js, layout, log)
	worker := newWorker(c, newLedger(c, nc, upkeep, log), upkeep, client, looker, instruments{}, log)

	// Announcing and watching are other programs' business: they have a connection of their own.
	outside, outsideJS, err := broker.ConnectOnce(ctx, natsOptions(c, server.URL(), "worker demo", log))
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer outside.Close()
	fmt.Fprint(out, "A NATS server, stand-ins for the LINE WORKS partner API and for DNS, and a worker run here.\n"+
		"Customers accept the terms; what becomes of them is read from its events.\n")
	if d.forever {
		fmt.Fprintf(out, "From another terminal: NATS_URL=%s worker status %d\n", server.URL(), firstDemoID)
	}
	fmt.Fprintln(out)
	show := &demoShow{demo: d, partner: partner, js: outsideJS, layout: layout, view: newDemoView(out, d.expected(), d.environ)}
	if err := show.run(ctx, worker); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	journal := partner.Journal()
	good := demoSummary(out, show.guests, journal, journal.Check(), ctx.Err() != nil, time.Now())
	if !good {
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

// startPartner serves the stand-in on a free loopback port until it is closed.
func startPartner(ctx context.Context, log *zap.Logger) (partner *simulator.Simulator, base string, closeIt func(), err error) {
	partner, err = simulator.New(simulator.Options{
		RatePerMinute: simulator.DefaultRatePerMinute, MaxConcurrent: simulator.DefaultMaxConcurrent, Latency: 150 * time.Millisecond,
	})
	if err != nil {
		return nil, "", nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", nil, err
	}
	// It outlives the interruption of the demo: calls on their way are answered.
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	var served sync.WaitGroup
	served.Go(func() {
		if err := serveUntil(serving, listener, partner, log.Named("partner")); err != nil {
			log.Error("partner's stand-in", zap.Error(err))
		}
	})
	return partner, "http://" + listener.Addr().String(), func() {
		stop()
		served.Wait()
	}, nil
}

// startDNS serves the customers' ownership records on a free loopback port until it is closed.
func startDNS(ctx context.Context, partner *simulator.Simulator, log *zap.Logger) (address string, closeIt func(), err error) {
	names, err := partner.ListenDNS(ctx, "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	serving, stop := context.WithCancel(ctx)
	var served sync.WaitGroup
	served.Go(func() {
		if err := names.Serve(serving); err != nil {
			log.Error("stand-in for DNS", zap.Error(err))
		}
	})
	return names.Addr(), func() {
		stop()
		served.Wait()
	}, nil
}

// demoSettings are all the settings there are: the environment is not asked.
func demoSettings(base, dns string, creds simulator.Credentials) []string {
	api, token := simulator.URLs(base)
	return []string{
		"LINEWORKS_API_URL=" + api,
		"LINEWORKS_TOKEN_URL=" + token,
		"LINEWORKS_CLIENT_ID=" + creds.ClientID,
		"LINEWORKS_CLIENT_SECRET=" + creds.ClientSecret,
		"LINEWORKS_SERVICE_ACCOUNT=" + creds.ServiceAccount,
		"LINEWORKS_PRIVATE_KEY=" + creds.PrivateKeyPEM,
		"LINEWORKS_TIMEOUT=5s",
		"LINEWORKS_SUSTAINED_RATE=0",
		"WORKER_ID=demo",
		"WORKER_LEASE=15s",
		"WORKER_STREAM_MAX_BYTES=1GiB",
		// Nobody wants to watch for as long as one would wait in earnest.
		"WORKER_BACKOFF=transient=1s/2s,unknown_outcome=1s/3s/5s,partner_unavailable=1s/2s,terms_pending=3s/4s",
		"WORKER_DNS_SCHEDULE=watch=1s/2s,call=1m,visible=2s/4s",
		"WORKER_DNS_RESOLVERS=" + dns,
	}
}

// logTail keeps the last of what is written to it.
type logTail struct {
	mu   sync.Mutex
	tail []byte
}

// logKept is how many bytes are kept, at least.
const logKept = 8 << 10

func (l *logTail) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tail = append(l.tail, p...); len(l.tail) > 2*logKept {
		l.tail = append([]byte(nil), l.tail[len(l.tail)-logKept:]...)
	}
	return len(p), nil
}

func (l *logTail) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.tail)
}
