package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// chaos is one run, from the building of the binaries to the report. Its error says that something was lost, or why the run could not
// be made.
func chaos(ctx context.Context, o options, out io.Writer) (err error) {
	site, remove, err := newSite(ctx, o)
	if err != nil {
		return err
	}
	kept := o.keep || o.dir != ""
	defer func() {
		if kept || err != nil && !errors.Is(ctx.Err(), context.Canceled) { // interrupted: nobody wants to look closer
			fmt.Fprintf(out, "logs, plan, journal and report are in %s\n", site.dir)
			return
		}
		err = errors.Join(err, remove())
	}()
	if err := buildTools(ctx, site.tools); err != nil {
		return err
	}
	binary, err := buildWorker(ctx, o, site.dir)
	if err != nil {
		return err
	}
	points, err := pointsOf(ctx, o, binary)
	if err != nil {
		return err
	}
	plan := newPlan(o, points)
	if o.planOnly {
		kept = false
		plan.print(out)
		return nil
	}
	if err := keepPlan(site.dir, plan); err != nil {
		return err
	}
	journal, err := os.OpenFile(filepath.Join(site.dir, "progress.txt"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = journal.Close() }() // what it says was said on the terminal too
	r := &game{options: o, plan: plan, site: site, notes: newNotes(out, journal)}
	return r.play(ctx, binary)
}

// newSite makes the directory. remove takes it away again where nobody has asked for it.
func newSite(ctx context.Context, o options) (s *site, remove func() error, err error) {
	s = &site{}
	remove = func() error { return nil }
	if s.dir = o.dir; s.dir == "" {
		if s.dir, err = os.MkdirTemp("", "chaos-"); err != nil {
			return nil, nil, err
		}
		remove = func() error { return os.RemoveAll(s.dir) }
	}
	if s.dir, err = filepath.Abs(s.dir); err == nil {
		err = os.MkdirAll(filepath.Join(s.dir, "logs"), 0o700)
	}
	if err == nil {
		s.tools, err = filepath.Abs(o.tools) // processes run elsewhere
	}
	if err == nil {
		err = s.settle(ctx)
	}
	return s, remove, err
}

func keepPlan(dir string, plan Plan) error {
	file, err := os.OpenFile(filepath.Join(dir, "plan.txt"), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	plan.print(file)
	return file.Close()
}

// game is a run that has its plan.
type game struct {
	options
	plan  Plan
	site  *site
	notes *notes

	partner *partner
	fleet   *fleet
	nodes   [nodeCount]*node
	nc      *nats.Conn
	js      jetstream.JetStream
	view    *view
	feed    *feed
}

// play starts everything, lets the plan happen and judges what has become of it.
func (g *game) play(ctx context.Context, binary string) (err error) {
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServing()
	if g.partner, err = newPartner(serving, g.options, g.site.partner[:]); err != nil {
		return err
	}
	var background sync.WaitGroup
	background.Go(func() {
		if err := g.partner.serve(serving); err != nil {
			g.notes.add("%v", err)
		}
	})
	defer background.Wait()
	defer stopServing()

	living, stopLiving := context.WithCancel(ctx)
	defer stopLiving()
	defer g.end(stopLiving)
	if err := g.start(living, binary); err != nil {
		return err
	}
	background.Go(func() { g.view.follow(serving) })

	began := time.Now()
	g.notes.say("%d customers, %d blows planned within %s, seed %d", g.customers, len(g.plan.Blows), g.plan.End.Round(time.Second), g.seed)
	striker := &striker{site: g.site, fleet: g.fleet, nodes: g.nodes, js: g.js, notes: g.notes}
	var playing sync.WaitGroup
	var fed error
	playing.Go(func() { fed = g.feed.run(living, began) })
	playing.Go(func() { striker.play(living, g.plan, began) })
	watching, stopWatching := context.WithCancel(living)
	background.Go(func() { g.progress(watching) })
	playing.Wait()
	stopWatching()
	if err := errors.Join(fed, context.Cause(ctx)); err != nil {
		return err
	}
	if err := striker.cureAll(ctx); err != nil {
		return err
	}
	g.notes.say("all is cured after %d blows", g.notes.struck())
	g.await(ctx)
	for _, w := range g.fleet.workers {
		w.stop(ctx)
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return g.judge(ctx)
}

// start starts toxiproxy, the nodes, the streams and the workers.
func (g *game) start(ctx context.Context, binary string) error {
	var err error
	if g.site.process, err = g.site.between(ctx); err != nil {
		return err
	}
	for i := range g.nodes {
		if g.nodes[i], err = newNode(g.site, i+1); err != nil {
			return err
		}
		if err := g.nodes[i].start(); err != nil {
			return err
		}
	}
	if err := g.connect(ctx); err != nil {
		return err
	}
	known := fmt.Sprintf("- {status: %d, code: %s, reason: refused}\n", contractEnded, endedCode)
	if err := os.WriteFile(filepath.Join(g.site.dir, classification), []byte(known), 0o600); err != nil {
		return err
	}
	g.fleet = &fleet{site: g.site, binary: binary, env: append(g.partner.env(), settings(g.site.dir, g.plan.rate())...), tags: g.tags, notes: g.notes}
	if err := g.setUp(ctx, binary); err != nil {
		return err
	}
	g.feed = &feed{js: g.js, partner: g.partner, guests: g.plan.Guests}
	g.view = newView(g.js, g.plan.Guests, g.grant)
	for i, s := range g.plan.First {
		w := &worker{fleet: g.fleet, number: i + 1}
		g.fleet.workers[i] = w
		if err := w.run(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// grant gives a customer what it lacks.
func (g *game) grant(guest Guest) {
	switch guest.Fate {
	case lateDNS:
		g.partner.SetDNS(guest.ID, true)
	case lateTerms:
		g.partner.SetTerms(guest.ID, true)
	}
}

// settings are the same for all workers: a lease as short as can be, and one quota for all of them.
func settings(dir string, rate int) []string {
	return []string{
		"WORKER_CLASSIFICATION=" + filepath.Join(dir, classification),
		"WORKER_CONSOLE_ADDR=off",
		"WORKER_LOG_FORMAT=json",
		"WORKER_STREAM_MAX_BYTES=2GiB",
		"WORKER_LEASE=" + lease.String(),
		"LINEWORKS_TIMEOUT=" + timeout.String(),
		fmt.Sprintf("LINEWORKS_CONCURRENCY=%d", concurrency),
		fmt.Sprintf("LINEWORKS_RATE=%d/s", rate),
		"LINEWORKS_SUSTAINED_RATE=0",
		"WORKER_SWEEP_INTERVAL=2s",
		"WORKER_DNS_SCHEDULE=watch=1s/2s,call=10s/20s,visible=1s/2s/4s",
		// Terms wait for longer than clocks are apart, see fresh.
		"WORKER_BACKOFF=transient=500ms/1s,unknown_outcome=" + settling + ",partner_unavailable=1s,terms_pending=9s",
	}
}

// classification is the file of the answers that workers know.
const classification = "classification.yaml"

// concurrency are the simultaneous requests of all workers.
const concurrency = 16

// connect makes the connection of the announcements and of the audit, past the proxies.
func (g *game) connect(ctx context.Context) error {
	var urls string
	for _, address := range g.site.clients {
		urls += "nats://" + address + ","
	}
	err := eventually(ctx, 20*time.Second, func() (err error) {
		g.nc, err = nats.Connect(urls[:len(urls)-1], nats.Name("chaos"), nats.MaxReconnects(-1), nats.ReconnectWait(200*ms),
			nats.ReconnectBufSize(-1), nats.PingInterval(2*time.Second), nats.MaxPingsOutstanding(2), nats.Timeout(2*time.Second),
			nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { g.notes.log("our own connection: %v", err) }))
		return err
	})
	if err != nil {
		return fmt.Errorf("connect to the nodes: %w", err)
	}
	g.js, err = jetstream.New(g.nc)
	return err
}

// setUp makes the streams, as soon as the cluster has a leader.
func (g *game) setUp(ctx context.Context, binary string) error {
	env := append(slices.Clone(g.fleet.env), "NATS_URL=nats://"+g.site.clients[0],
		"LINEWORKS_API_URL=http://"+g.site.toPartner[0]+apiPath, "LINEWORKS_TOKEN_URL=http://"+g.site.toPartner[0]+tokenPath)
	return eventually(ctx, time.Minute, func() error {
		p, err := launch("worker setup", g.site.logFile("setup"), env, binary, "setup", "--with-intake")
		if err != nil {
			return err
		}
		if !p.wait(ctx, 30*time.Second) || p.cmd.ProcessState.ExitCode() != 0 {
			p.kill()
			return fmt.Errorf("worker setup: %s; see %s", p.how(), g.site.logFile("setup"))
		}
		return nil
	})
}

// end ends every process that is left.
func (g *game) end(stopLiving func()) {
	stopLiving() // no supervisor starts another
	if g.fleet != nil {
		for _, w := range g.fleet.workers {
			if w != nil && w.proc != nil {
				w.kill()
			}
		}
		g.fleet.watching.Wait()
	}
	if g.nc != nil {
		g.nc.Close()
	}
	for _, n := range g.nodes {
		if n != nil {
			n.kill()
		}
	}
	if g.site.process != nil {
		g.site.process.kill()
	}
}

// progressEvery is between two lines of progress.
const progressEvery = 10 * time.Second

func (g *game) progress(ctx context.Context) {
	for pause(ctx, progressEvery) {
		announced := g.feed.announced()
		waiting, wrong := g.view.open(announced)
		_, takeovers := g.view.sums()
		g.notes.say("%d of %d announced, %d on their way, %d takeovers, %d of %d blows", len(announced), g.customers, len(waiting)+len(wrong), takeovers, g.notes.struck(), len(g.plan.Blows))
	}
}
