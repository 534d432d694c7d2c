package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/audit"
	"activation-worker/internal/events"
	"activation-worker/internal/partnerapi/simulator"
)

const (
	killFirstID = 51_200_001
	killFaults  = 0.15
	killWorkers = 3
	killLimit   = 4 * time.Minute // of the whole test
	killLease   = 11 * time.Second
	// killConcurrency is each worker's.
	killConcurrency = 16
)

// killMix are the faults of a partner that refuses nobody for good: every customer can be activated in the end.
func killMix() []simulator.Fault {
	return []simulator.Fault{
		simulator.Lost, simulator.ResetBefore, simulator.ResetMid, simulator.Cut, simulator.HalfJSON,
		simulator.Status500, simulator.Applied500, simulator.Status502, "502-applied", simulator.Status503, "504-applied",
		"429:reset=1", simulator.Revoked, "slow=100ms-2s", simulator.RedirectSelf,
	}
}

// TestKill kills the real binary with SIGKILL while it holds claims, again and again, in front of a partner that
// fails, or loses or garbles its answer, at one call in seven, and then asks the ledger and the partner whether every customer was
// activated once. KILL_SEED repeats a run's faults and choices, though not the machine's timing.
func TestKill(t *testing.T) {
	t.Parallel()
	customers, kills := 1000, 30
	if testing.Short() {
		customers, kills = 200, 8
	}
	seed := killSeed(t)
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), killLimit)
	defer cancel()

	url, js := newNATS(t)
	p := newPartner(t, simulator.Options{Seed: seed, Latency: 30 * time.Millisecond})
	p.answerAfter(30 * time.Millisecond)
	p.SetMix(killFaults, killMix()...)
	for i := range customers {
		p.Add(simulator.Customer{DomainID: killFirstID + int64(i), Terms: true, DNS: true})
	}
	env := settings(p.env(), []string{
		"NATS_URL=" + url,
		"WORKER_HTTP_ADDR=127.0.0.1:0", "WORKER_CONSOLE_ADDR=127.0.0.1:0",
		"LINEWORKS_TIMEOUT=1s",
		fmt.Sprintf("LINEWORKS_CONCURRENCY=%d", killConcurrency),
		"LINEWORKS_RATE=0",
		"LINEWORKS_SUSTAINED_RATE=0",
		"WORKER_LEASE=" + killLease.String(),
		"WORKER_SWEEP_INTERVAL=2s",
		"WORKER_BACKOFF=transient=500ms/1s,unknown_outcome=1s/2s,partner_unavailable=1s",
	})
	if code := startBinary(t, env, "setup", "--with-intake").Wait(startTimeout); code != exitDone {
		t.Fatalf("worker setup: exit status %d", code)
	}
	view := viewLedger(t, js)
	f := &fleet{t: t, env: env, draw: rand.New(rand.NewPCG(seed, 1)), view: view}
	for range killWorkers {
		f.start()
	}
	for _, w := range f.all {
		w.AwaitReady(startTimeout)
	}
	feed := feeder{t: t, js: js, next: killFirstID, end: killFirstID + int64(customers)}

	blows := 0
	for ; f.counted() < kills; blows++ {
		if blows > 3*kills {
			t.Fatalf("%d kills, and only %d of them hit an open lease", blows, f.counted())
		}
		// Some customers are kept back, so that there is work for kills that do not count.
		feed.announce(ctx, customers/(kills+6))
		f.blow(ctx)
	}
	feed.announce(ctx, customers)
	killing := time.Since(began)

	if !view.await(ctx, func() bool { return len(view.activated) == customers }) {
		t.Fatalf("seed %d: not all were activated within %s: %s\n%s", seed, killLimit, view.laggards(customers), f.said())
	}
	drained(ctx, t, js)
	f.stop()

	t.Logf("seed %d: %d kills hit an open lease (of %d), over %d customers; killing took %.1fs, all of it %.1fs",
		seed, f.counted(), blows, customers, killing.Seconds(), time.Since(began).Seconds())
	if got := f.counted(); got < kills {
		t.Errorf("%d kills hit an open lease, want at least %d", got, kills)
	}
	r := audited(t, js, p.Journal(), audit.Caps{Concurrency: killConcurrency})
	checkEnd(t, r, customers)
	checkCalls(t, p.Journal())
	checkOutput(t, f, p.Journal())
}

// killSeed is KILL_SEED or a drawn one. It is told at once, whatever way the test ends.
func killSeed(t *testing.T) uint64 {
	t.Helper()
	seed := rand.Uint64N(1e6)
	if given := os.Getenv("KILL_SEED"); given != "" {
		var err error
		if seed, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatalf("KILL_SEED: %v", err)
		}
	}
	t.Logf("again: KILL_SEED=%d", seed)
	return seed
}

// feeder announces customers little by little.
type feeder struct {
	t         *testing.T
	js        jetstream.JetStream
	next, end int64
}

// announce publishes the terms-accepted events of the next n customers, as far as there are any.
func (f *feeder) announce(ctx context.Context, n int) {
	f.t.Helper()
	for last := min(f.next+int64(n), f.end); f.next < last; f.next++ {
		if _, err := announce(ctx, f.js, events.DefaultIntakeSubject, "signup.terms.accepted", announcement("/domainId", f.next, "", ""), false); err != nil {
			f.t.Fatalf("announcing %d: %v", f.next, err)
		}
	}
}

// fleet are the workers of the test, those killed included.
type fleet struct {
	t    *testing.T
	env  []string
	draw *rand.Rand
	view *ledgerView

	live map[string]*proc     // by WORKER_ID, which names one process only
	dead map[string]time.Time // when killed
	all  []*proc
}

func (f *fleet) start() {
	f.t.Helper()
	if f.live == nil {
		f.live, f.dead = map[string]*proc{}, map[string]time.Time{}
	}
	id := fmt.Sprintf("worker-%d", len(f.all)+1)
	p := startWorker(f.t, settings(f.env, []string{"WORKER_ID=" + id})...)
	f.live[id], f.all = p, append(f.all, p)
}

// blow kills one of the workers that hold a lease, at a moment drawn within about the time of a call, and starts another.
func (f *fleet) blow(ctx context.Context) {
	f.t.Helper()
	holders := f.view.awaitHolder(ctx, sortedIDs(f.live))
	if len(holders) == 0 {
		f.t.Fatalf("nobody claims anything:\n%s", f.said())
	}
	pause(ctx, f.upTo(80*time.Millisecond))
	id := holders[f.draw.IntN(len(holders))]
	select {
	case <-f.live[id].ended:
		f.t.Fatalf("%s ended by itself; it said:\n%s", id, f.live[id].stderr.tail())
	default:
	}
	f.dead[id] = time.Now()
	f.live[id].Kill()
	delete(f.live, id)
	f.start()
	f.view.catchUp(ctx)
	pause(ctx, 100*time.Millisecond+f.upTo(300*time.Millisecond))
}

func (f *fleet) upTo(most time.Duration) time.Duration {
	return time.Duration(f.draw.Int64N(int64(most)))
}

// counted is how many kills hit an open lease.
func (f *fleet) counted() int {
	count := 0
	for id, at := range f.dead {
		if f.view.abandoned(id, at) > 0 {
			count++
		}
	}
	return count
}

// stop ends the workers in order and sees that no process is left.
func (f *fleet) stop() {
	f.t.Helper()
	for _, p := range f.live {
		p.Term()
	}
	for id, p := range f.live {
		if code := p.Wait(11 * time.Second); code != exitDone { // LINEWORKS_TIMEOUT and ten seconds
			f.t.Errorf("%s ended with exit status %d after SIGTERM; it said:\n%s", id, code, p.stderr.tail())
		}
	}
	for _, p := range f.all {
		select {
		case <-p.ended:
		default:
			f.t.Errorf("process %d is left", p.cmd.Process.Pid)
		}
	}
}

// said is the end of what the live workers have logged.
func (f *fleet) said() string {
	var b strings.Builder
	for _, id := range sortedIDs(f.live) {
		fmt.Fprintf(&b, "%s: %s\n", id, f.live[id].stderr.tail())
	}
	return b.String()
}
