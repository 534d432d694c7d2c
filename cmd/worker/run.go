package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"activation-worker/internal/broker"
	"activation-worker/internal/census"
	"activation-worker/internal/config"
	"activation-worker/internal/console"
	"activation-worker/internal/consumer"
	"activation-worker/internal/ledger"
	"activation-worker/internal/partnerapi"
)

func runCommand() *cobra.Command {
	var printConfig bool
	cmd := &cobra.Command{
		Use:   "run",
		Short: "The service: activates customers until it is stopped",
		Long: `Takes terms-accepted events and activates customers until SIGTERM or SIGINT. Without NATS_URL it
starts a durable NATS server of its own in WORKER_DATA_DIR. Without LINE WORKS credentials it starts
paused and says so at /readyz. WORKER_CONSOLE_ADDR is where a page shows how things stand, live. SIGUSR1
switches the log level to debug and back.`,
		Example: `  worker run
  NATS_URL=nats://nats.internal:4222 worker run --config worker.yaml
  worker run --print-config`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := config.Load(cmd.Flags(), os.Environ())
			if err != nil {
				return err
			}
			if printConfig {
				return c.Print(cmd.OutOrStdout())
			}
			level := zap.NewAtomicLevel()
			if err := level.UnmarshalText([]byte(c.Worker.LogLevel)); err != nil {
				return usageError{fmt.Errorf("WORKER_LOG_LEVEL: %w", err)}
			}
			log := newLogger(c.Worker.LogFormat, level, cmd.ErrOrStderr())
			defer func() { _ = log.Sync() }()
			defer toggleDebug(level, log)()
			for _, warning := range c.Warnings {
				log.Warn("setting", zap.String("warning", warning))
			}
			return service(cmd.Context(), c, log)
		},
	}
	cmd.Flags().BoolVar(&printConfig, "print-config", false, "show the effective settings, secrets hidden, and exit")
	config.Flags(cmd.Flags(), config.GroupNATS, config.GroupPartner, config.GroupStreams, config.GroupWorker, config.GroupHTTP, config.GroupLog)
	return cmd
}

// toggleDebug lets SIGUSR1 switch the log level to debug and back.
func toggleDebug(level zap.AtomicLevel, log *zap.Logger) (stop func()) {
	normal := level.Level()
	signals := make(chan os.Signal, 1)
	done := make(chan struct{})
	signal.Notify(signals, syscall.SIGUSR1)
	go func() {
		for {
			select {
			case <-done:
				return
			case <-signals:
			}
			if level.Level() == zap.DebugLevel {
				level.SetLevel(normal)
			} else {
				level.SetLevel(zap.DebugLevel)
			}
			log.Info("log level changed", zap.Stringer("log_level", level.Level()))
		}
	}()
	return func() {
		signal.Stop(signals)
		close(done)
	}
}

// parts are what the running service is made of, as far as it has come.
type parts struct {
	nats   atomic.Pointer[nats.Conn]
	worker atomic.Pointer[consumer.Worker]
	census atomic.Pointer[census.Census]
	client atomic.Pointer[partnerapi.Client]
	shared atomic.Pointer[sharedQuota] // the partner's quota as last read
	stage  atomic.Pointer[string]      // what it is waiting for before there is a worker
	server atomic.Pointer[broker.Embedded]
	reader atomic.Pointer[statusReader]
	denied broker.Denials

	asked  atomic.Pointer[answers] // of the server, for the page
	looked atomic.Int64            // when somebody last looked at the page, in Unix nanoseconds
	look   chan struct{}           // somebody looks who found nothing new

	searches searches // for the page
}

func newParts() *parts {
	p := &parts{look: make(chan struct{}, 1)}
	p.waitFor("starting")
	return p
}

// service runs the worker with its server, probes and partner until ctx ends.
func service(ctx context.Context, c *config.Config, log *zap.Logger) error {
	defer ballast()()
	p := newParts()
	if err := checkPartner(c.Partner); err != nil {
		return usageError{err}
	}
	tracer, traced, err := tracerOf(ctx, c, log)
	if err != nil {
		return err
	}
	defer traced()
	layout := layoutOf(c)
	url := c.NATS.URL
	if url == "" {
		if c.NATS.Embedded == "never" {
			return usageError{errors.New("NATS_URL is not set and WORKER_EMBEDDED_NATS=never: set NATS_URL to the servers to use")}
		}
		server, err := embedded(ctx, c, &layout, log)
		if err != nil {
			return orStopped(ctx, err)
		}
		defer server.Shutdown()
		p.server.Store(server)
		url = server.URL()
		defer inBackground(context.WithoutCancel(ctx), server.Mend)() // also while the worker stops, and writes
	}
	measured := p.metrics()
	probes, err := console.Listen(ctx, "WORKER_HTTP_ADDR", c.Worker.HTTPAddr, console.Handler(p.checks, measured.Handler()), log)
	if err != nil {
		return orStopped(ctx, err)
	}
	defer probes.Close() //nolint:contextcheck // ctx has ended by then

	log.Info("probes are served", zap.String("probes", probes.Addr()))
	_, closed, err := p.serveConsole(ctx, c, c.Worker.ConsoleAddr, log)
	switch {
	case err == nil:
	case c.SaysConsoleAddr() || ctx.Err() != nil:
		return orStopped(ctx, err)
	default: // another worker is on this machine, say
		closed = func() {}
		log.Warn("no console is served: set WORKER_CONSOLE_ADDR to another port, or to off", zap.Error(err))
	}
	defer closed()
	p.waitFor("waiting for NATS")
	link := natsOptions(c, url, c.Worker.ID, log)
	link.Denials = &p.denied
	nc, js, err := broker.Connect(ctx, link)
	if err != nil {
		return orStopped(ctx, usageError{err}) // it waits for servers; what is left is a setting that cannot be right
	}
	defer closeConnection(nc)
	ctx, lost := context.WithCancelCause(ctx)
	defer lost(nil)
	go watchConnection(ctx, nc, lost)
	p.nats.Store(nc)

	upkeep := newUpkeep(js, layout, log)
	if err := ready(ctx, upkeep.ensure, p, log); err != nil {
		return orStopped(ctx, err)
	}
	err = p.work(ctx, c, nc, upkeep, instruments{measured, tracer}, log)
	if err == nil && errors.Is(context.Cause(ctx), errConnectionLost) {
		return errConnectionLost
	}
	return err
}

// work takes part with a worker, on a connection whose streams are there, until ctx ends.
func (p *parts) work(ctx context.Context, c *config.Config, nc *nats.Conn, upkeep *upkeep, in instruments, log *zap.Logger) error {
	var partner consumer.Partner
	if c.Partner.HasCredentials() {
		client, err := partnerClient(c, ledger.MaxObject(nc), in, log)
		if err != nil {
			return err
		}
		defer keepToken(ctx, client)()
		partner = client
		p.client.Store(client)
	}
	looker, err := lookerOf(c)
	if err != nil {
		return err
	}
	records := newLedger(c, nc, upkeep, log)
	w := newWorker(c, records, upkeep, partner, looker, in, log)
	counted := newCensus(c, records, upkeep, log)
	p.reader.Store(&statusReader{nc: nc, js: upkeep.js, c: c, ledger: readerOf(c, nc, upkeep.js), oneByOne: true, patience: rejectionsTime})
	p.census.Store(counted)
	p.worker.Store(w) // last: where it is, the others are
	defer inBackground(ctx, counted.Run)()
	defer p.askAround(ctx, c, upkeep.js, upkeep.layout, in.metrics)()
	defer inBackground(ctx, newOperator(c, records, nc, upkeep, w.Halted, log).Run)()
	log.Info("worker started", zap.String("worker", c.Worker.ID), zap.String("version", buildVersion()))
	defer context.AfterFunc(ctx, func() {
		log.Info("stopping: nothing new is taken, requests on their way end and are recorded", zap.Duration("within", c.Partner.Timeout+10*time.Second))
	})()
	defer log.Info("worker stopped")
	return w.Run(ctx)
}

// inBackground runs what goes on until ctx ends or done is called, which waits for its end.
func inBackground(ctx context.Context, run func(context.Context)) (done func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { run(ctx) })
	return func() {
		cancel()
		running.Wait()
	}
}

// errConnectionLost ends the process, so that whatever supervises it starts it again.
var errConnectionLost = errors.New("the NATS connection was closed for good; see the log above for why")

// watchConnection ends the service when the client has closed its connection and will not reconnect.
func watchConnection(ctx context.Context, nc *nats.Conn, lost context.CancelCauseFunc) {
	closed := nc.StatusChanged(nats.CLOSED)
	defer nc.RemoveStatusListener(closed)
	select {
	case <-closed:
		lost(errConnectionLost)
	case <-ctx.Done():
	}
}

// orStopped is nil where the wait ended because the process is told to stop.
func orStopped(ctx context.Context, err error) error {
	switch {
	case ctx.Err() == nil:
		return err
	case errors.Is(context.Cause(ctx), errConnectionLost):
		return errConnectionLost
	}
	return nil
}

func embedded(ctx context.Context, c *config.Config, layout *broker.Layout, log *zap.Logger) (*broker.Embedded, error) {
	server, err := broker.StartEmbedded(ctx, broker.EmbeddedOptions{Dir: c.Worker.DataDir, Listen: c.Worker.NATSListen, Log: log})
	if err != nil {
		return nil, err
	}
	layout.WithIntake = true
	if c.Worker.StreamMaxBytes == 0 {
		dir, err := filepath.Abs(c.Worker.DataDir)
		if err == nil {
			if free, err := broker.FreeDisk(dir); err == nil {
				layout.MaxBytes = int64(min(free/10, 1<<62))
			}
		}
	}
	return server, nil
}

// ready makes sure of the streams, and waits where only time can help. A missing intake
// is not waited for here: the worker looks for it and says so.
func ready(ctx context.Context, ensure func(context.Context) error, p *parts, log *zap.Logger) error {
	retry := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(500*time.Millisecond), backoff.WithMaxInterval(5*time.Second), backoff.WithMaxElapsedTime(0))
	told := ""
	for {
		err := ensure(ctx)
		switch {
		case err == nil, errors.Is(err, broker.ErrIntakeMissing):
			return nil
		case !passes(err):
			return err
		}
		p.waitFor(err.Error())
		if err.Error() != told {
			told = err.Error()
			log.Warn("streams are not ready, waiting", zap.Error(err))
		}
		timer := time.NewTimer(retry.NextBackOff())
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// passes reports trouble with streams that waiting can mend.
func passes(err error) bool {
	for _, final := range []any{new(*broker.LayoutError), new(*broker.VersionError), new(*broker.BindingError), new(*broker.IntakeFromError)} {
		if errors.As(err, final) {
			return false
		}
	}
	return true
}

// flushTime is little, since the end is promised: a server that answers needs a moment.
const flushTime = 500 * time.Millisecond

func closeConnection(nc *nats.Conn) {
	// What was acked last must leave before the connection does.
	_ = nc.FlushTimeout(flushTime)
	nc.Close()
}

func (p *parts) waitFor(what string) { p.stage.Store(&what) }

// link is the check of NATS; away tells that there is no connection.
func (p *parts) link() (link console.Check, away bool) {
	link = console.Check{Name: "nats", OK: true, Detail: "connected"}
	if nc := p.nats.Load(); nc == nil || !nc.IsConnected() {
		link.OK, link.Detail = false, "not connected: check NATS_URL and the server; the worker tries again by itself"
	}
	away = !link.OK
	if server := p.server.Load(); server != nil && server.Fault() != "" {
		link.OK, link.Detail = false, server.Fault()
	} else if denied := p.denied.List(); !away && len(denied) > 0 {
		link.OK, link.Detail = false, "connected, but the NATS user may not "+strings.Join(denied, ", nor ")+": grant it; the worker tries again by itself"
	}
	return link, away
}

// checks are the lines of /readyz.
func (p *parts) checks(ctx context.Context) []console.Check {
	link, unknown := p.unknown()
	if unknown != "" {
		return unknownChecks(link, unknown)
	}
	checks := []console.Check{link}
	for _, c := range p.worker.Load().Checks(ctx) {
		checks = append(checks, console.Check(c))
	}
	return checks
}

// unknown is why nobody can say how the worker stands; empty where it can be asked.
func (p *parts) unknown() (link console.Check, why string) {
	link, away := p.link()
	switch {
	case p.worker.Load() == nil:
		why = "not known yet: " + *p.stage.Load()
	case away:
		why = "not known while NATS is away"
	}
	return link, why
}

func unknownChecks(link console.Check, why string) []console.Check {
	checks := []console.Check{link}
	for _, name := range []string{"streams", "intake", "credentials", "partner", "records"} {
		checks = append(checks, console.Check{Name: name, Detail: why})
	}
	return checks
}
