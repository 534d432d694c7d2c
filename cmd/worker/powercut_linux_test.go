package main

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/audit"
	"activation-worker/internal/broker/brokertest"
	"activation-worker/internal/broker/powercut"
	"activation-worker/internal/events"
	"activation-worker/internal/partnerapi/simulator"
)

// TestPowerCut cuts the power of a worker with its embedded server while it works, lets the disk lose what was not
// synced, and starts the worker again on what is left; again and again, in front of one partner, which loses nothing.
// In the end every announcement that was acknowledged is an activated customer, and the partner was not called twice.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	cuts := 6
	if testing.Short() {
		cuts = 3
	}
	c := newPowerRig(t, killSeed(t))
	for i := range cuts {
		c.round(i)
	}
	c.finish()
}

// powerRig is a worker on one data directory after the other: each is what the cut has left of the one before.
type powerRig struct {
	t      *testing.T
	site   *site
	listen string
	seed   uint64
	draw   *rand.Rand
	data   string
	next   int64
	owed   []int64         // customers whose announcement was acknowledged
	acked  map[uint64]bool // sequences of records whose writer was told in the last round that they are stored
	held   int             // how many of these had to be there after a cut
}

func newPowerRig(t *testing.T, seed uint64) *powerRig {
	t.Helper()
	listen := freePort(t)
	p := newPartner(t, simulator.Options{Seed: seed, Latency: 20 * time.Millisecond})
	p.answerAfter(20 * time.Millisecond)
	return &powerRig{
		t: t, site: &site{t: t, partner: p}, listen: listen, seed: seed, draw: rand.New(rand.NewPCG(seed, 2)),
		data: filepath.Join(t.TempDir(), "data"), next: killFirstID,
	}
}

// round runs the worker until the power is cut, and checks what is left. The models are taken in turn.
func (c *powerRig) round(i int) {
	t := c.t
	t.Helper()
	model := []powercut.Model{
		{Data: powercut.DataLost, Names: powercut.NamesOwn},
		{Data: powercut.DataTorn, Names: powercut.NamesOwn},
		{Data: powercut.DataTorn, Names: powercut.NamesKept},
	}[i%3]
	w, recording, js := c.start()
	recording.CutAt(recording.Calls() + 1 + c.draw.IntN(400))
	for c.announce(js) {
	}
	<-w.ended
	trace, err := recording.Wait()
	if err != nil {
		t.Fatalf("the trace of round %d: %v", i, err)
	}
	if said := w.stdout.String() + w.stderr.String(); strings.Contains(said, "panic:") {
		t.Errorf("round %d: the worker said:\n%s", i, w.stderr.tail())
	}
	left := filepath.Join(t.TempDir(), "left")
	if err := trace.Restore(left, trace.Last, model, c.draw); err != nil {
		t.Fatal(err)
	}
	t.Logf("round %d: cut at call %d, %s; %s", i, recording.Calls(), trace.Unsynced(trace.Last), model)
	c.data = left
	c.acked = acked(t, trace)
}

// start runs the worker under watch and returns when it is ready and has shown that it kept what it had acknowledged.
func (c *powerRig) start() (*proc, *powercut.Recording, jetstream.JetStream) {
	t := c.t
	t.Helper()
	if err := os.MkdirAll(c.data, 0o700); err != nil {
		t.Fatal(err)
	}
	p := &proc{t: t, stdout: newText(), stderr: newText(), ended: make(chan struct{})}
	p.cmd = exec.Command(buildWorker(t), "run")
	p.cmd.Dir = t.TempDir()
	p.cmd.Env = c.env()
	p.cmd.Stdout, p.cmd.Stderr = p.stdout, p.stderr
	recording, err := powercut.Record(p.cmd, c.data)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-recording.Done()
		close(p.ended)
	}()
	t.Cleanup(p.Kill)
	return p, recording, c.connect(p)
}

func (c *powerRig) env() []string {
	return embeddedEnv(c.site, c.listen, "WORKER_DATA_DIR="+c.data, "LINEWORKS_TIMEOUT=1s", "WORKER_LEASE="+killLease.String(),
		"LINEWORKS_CONCURRENCY=8", "LINEWORKS_RATE=0", "LINEWORKS_SUSTAINED_RATE=0", "WORKER_SWEEP_INTERVAL=2s",
		"WORKER_BACKOFF=transient=500ms/1s,unknown_outcome=1s/2s,partner_unavailable=1s")
}

// connect waits until the worker is ready and asks its server for every record that was acknowledged before the cut.
func (c *powerRig) connect(p *proc) jetstream.JetStream {
	t := c.t
	t.Helper()
	p.AwaitReady(startTimeout)
	_, js := brokertest.Connect(t, "nats://"+c.listen, nats.NoReconnect())
	stream, err := js.Stream(t.Context(), events.DefaultStream)
	if err != nil {
		t.Fatal(err)
	}
	for seq := range c.acked {
		if _, err := stream.GetMsg(t.Context(), seq); err != nil {
			t.Errorf("record %d was acknowledged and is gone: %v", seq, err)
		}
	}
	c.held += len(c.acked)
	return js
}

// announce publishes one more customer's terms, unless the power is gone.
func (c *powerRig) announce(js jetstream.JetStream) bool {
	ctx, cancel := context.WithTimeout(c.t.Context(), 5*time.Second)
	defer cancel()
	id := c.next
	c.next++
	c.site.partner.Add(simulator.Customer{DomainID: id, Terms: true, DNS: true})
	if _, err := announce(ctx, js, events.DefaultIntakeSubject, "signup.terms.accepted", announcement("/domainId", id, "", ""), false); err != nil {
		return false
	}
	c.owed = append(c.owed, id)
	return true
}

var pubAck = regexp.MustCompile(`\{"stream":"` + events.DefaultStream + `",\s*"seq":(\d+)\}`)

// acked are the sequences of the ledger's records that the server acknowledged.
func acked(t *testing.T, trace *powercut.Trace) map[uint64]bool {
	t.Helper()
	all := map[uint64]bool{}
	for _, s := range trace.Sent {
		for _, m := range pubAck.FindAllSubmatch(s.Data, -1) {
			seq, err := strconv.ParseUint(string(m[1]), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			all[seq] = true
		}
	}
	return all
}

// finish lets the worker end its work and checks the whole.
func (c *powerRig) finish() {
	t := c.t
	t.Helper()
	w := startWorker(t, c.env()...)
	js := c.connect(w)
	view := viewLedger(t, js)
	ctx, cancel := context.WithTimeout(t.Context(), killLimit)
	defer cancel()
	if !view.await(ctx, func() bool {
		return !slices.ContainsFunc(c.owed, func(id int64) bool { return !view.activated[id] })
	}) {
		t.Fatalf("not all were activated: %s\n%s", view.laggards(len(c.owed)), w.stderr.tail())
	}
	drained(ctx, t, js)
	view.catchUp(ctx)
	report := audited(t, js, c.site.partner.Journal(), audit.Caps{})
	w.stop() // with its server

	takeovers := report.Ledger.Takeovers
	if takeovers == 0 || c.held == 0 {
		t.Errorf("%d takeovers, %d records held against a cut: the cuts tested nothing", takeovers, c.held)
	}
	t.Logf("seed %d: %d customers announced, %d records held against a cut, %d takeovers", c.seed, len(c.owed), c.held, takeovers)
}
