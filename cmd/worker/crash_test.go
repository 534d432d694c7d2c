package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/nats-io/nats.go"

	"activation-worker/internal/events"
	"activation-worker/internal/partnerapi/simulator"
)

// TestDeathAtEveryPoint kills the worker before and after each of its writes, calls and acknowledgements, starts another
// each time, and then checks the promises over all customers it had in hand. CRASH_TIMES says how often at each point,
// KILL_SEED repeats the order.
func TestDeathAtEveryPoint(t *testing.T) {
	t.Parallel()
	times := 1
	if given := os.Getenv("CRASH_TIMES"); given != "" {
		n, err := strconv.Atoi(given)
		if err != nil {
			t.Fatalf("CRASH_TIMES: %v", err)
		}
		times = n
	}
	seed := killSeed(t)
	began := time.Now()
	s := newSite(t)
	env := s.env(
		"WORKER_LOG_LEVEL=info", "LINEWORKS_TIMEOUT=1s", "WORKER_LEASE=11s", "WORKER_SWEEP_INTERVAL=1s",
		"WORKER_BACKOFF=transient=500ms/1s,unknown_outcome=1s/2s,partner_unavailable=500ms,customer_not_found=1s/1s/1s,terms_pending=20s",
		"WORKER_DNS_SCHEDULE=watch=1s/1s,call=1h,visible=1s/1s",
	)
	invoke(t, "", env, "setup", "--with-intake", "--publish-stream", "CUSTOMER").want(t, exitDone)
	c := &crasher{site: s, binary: buildFaulty(t), env: env, feed: newCrashFeed(s), draw: rand.New(rand.NewPCG(seed, 2)), planned: map[string]int{}, kills: map[string]int{}}
	points := c.points()
	var plan []string // of the points that a worker comes to while it works
	for range times {
		for _, point := range points {
			if testing.Short() && c.draw.IntN(3) > 0 {
				continue
			}
			c.planned[point]++
			if strings.HasPrefix(point, "arm.winner") {
				c.dieOvertaken(point)
				continue
			}
			plan = append(plan, point)
		}
	}
	c.draw.Shuffle(len(plan), func(i, j int) { plan[i], plan[j] = plan[j], plan[i] })
	for _, point := range plan {
		c.dieAt(point)
	}
	killing := time.Since(began)

	w := c.start()
	c.feed.settle(w)
	drained(t.Context(), t, s.js)
	w.stop()
	c.feed.check(t)

	var table bytes.Buffer
	columns := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	for _, point := range points {
		fmt.Fprintf(columns, "%s\t%d\n", point, c.kills[point])
		if c.kills[point] != c.planned[point] {
			t.Errorf("the worker was killed %d times at %s, want %d", c.kills[point], point, c.planned[point])
		}
	}
	_ = columns.Flush()
	t.Logf("seed %d: %d kills at %d points over %d customers; killing took %.0f s, all of it %.0f s; by point:\n%s",
		seed, sum(c.kills), len(points), len(c.feed.customers), killing.Seconds(), time.Since(began).Seconds(), table.String())
}

// buildFaulty builds the command so that it can be killed from within.
func buildFaulty(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "worker-faults")
	if err := buildInto(t.Context(), path, "-tags", "faults"); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestTheProductHasNoFaults: nothing of what tests can do to the worker is in the binary that people run.
func TestTheProductHasNoFaults(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]bool{buildWorker(t): false, buildFaulty(t): true} {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{"FAULTS_KILL", "FAULTS_STALL", "FAULTS_CLOCK", "FAULTS_RECORD_VERSION", "put.timer-again"} {
			if got := bytes.Contains(data, []byte(text)); got != want {
				t.Errorf("%s contains %q: %t, want %t", filepath.Base(path), text, got, want)
			}
		}
	}
}

func sum(counts map[string]int) (all int) {
	for _, n := range counts {
		all += n
	}
	return all
}

// TestNoRecordWithoutItsTimer: a worker that dies as soon as a deferred record is stored has left the timer that will wake the customer.
func TestNoRecordWithoutItsTimer(t *testing.T) {
	t.Parallel()
	binary := buildFaulty(t)
	for point, announcement := range map[string]string{
		"record.deferred.after": `{"domainId":51370001}`,
		"put.record.after":      `{"specversion":"1.0","type":"signup.terms.accepted","source":"/signup","id":"old","backfill":true,"data":{"domainId":51370001}}`,
	} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			s := newSetUpSite(t)
			s.partner.Add(simulator.Customer{DomainID: 51370001, Domain: "shop.example", Terms: true})
			w := startProcess(t, binary, s.env("FAULTS_KILL="+point), "run")
			m := nats.NewMsg(events.DefaultIntakeSubject)
			m.Data = []byte(announcement)
			if strings.Contains(announcement, "specversion") {
				m.Header.Set("Content-Type", events.ContentType)
			}
			if _, err := s.js.PublishMsg(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			w.Wait(workTimeout)
			work, err := s.js.Stream(t.Context(), events.StreamsOf(events.DefaultStream).Work)
			if err != nil {
				t.Fatal(err)
			}
			if r := s.newest(51370001); r == nil || r.State != events.Deferred {
				t.Fatalf("the newest record is %+v, want a deferred one", r)
			}
			_, waits := work.GetLastMsgForSubject(t.Context(), events.TimerSubject(51370001))
			_, fired := work.GetLastMsgForSubject(t.Context(), events.DueSubject(51370001))
			if waits != nil && fired != nil {
				t.Errorf("the customer has no timer (%v) and no wake-up (%v)", waits, fired)
			}
		})
	}
}

// crasher lets workers die at points.
type crasher struct {
	*site
	binary string
	env    []string
	feed   *crashFeed
	draw   *rand.Rand

	planned, kills map[string]int // by point
}

func (c *crasher) points() []string {
	list := execute(c.t, c.binary, "", []string{"FAULTS_LIST=1"}).want(c.t, exitDone)
	points := strings.Fields(list.stdout)
	if len(points) < 60 {
		c.t.Fatalf("%d points are named, %v", len(points), points)
	}
	return points
}

func (c *crasher) start(more ...string) *proc {
	c.t.Helper()
	return startProcess(c.t, c.binary, settings(c.env, more), "run")
}

// preludes are what has to have happened for a worker to come to a step for certain.
var preludes = map[string]func(c *crasher){
	// A worker dies between the last record of a forgotten customer and its erasure, which the sweep of the next one ends.
	"sweep.erase": func(c *crasher) {
		c.warmUp()
		c.die("forget.erase.before")
		c.feed.loseRequests() // or whoever takes the request up again may come first
		c.feed.freeSweep()
	},
	// A worker dies with a claim; its announcement comes to the next one while the lease still lasts, and is returned.
	"nak": func(c *crasher) { c.die("claim.after") },
	"sweep.arm": func(c *crasher) {
		c.warmUp()
		c.feed.loseTimers()
	},
	"arm.early":        (*crasher).warmUp,
	"announce.replay":  (*crasher).warmUp,
	"cancel.record":    (*crasher).warmUp,
	"forget.record":    (*crasher).warmUp,
	"forget.erase":     (*crasher).warmUp,
	"forget.published": (*crasher).warmUp,
	"disarm":           (*crasher).warmUp,
	"ack.request":      (*crasher).warmUp,
}

func (c *crasher) warmUp() {
	c.feed.warmUp(c.start())
	c.feed.freeSweep()
}

// dieAt starts a worker, gives it work of every kind, and waits for its death at a point.
func (c *crasher) dieAt(point string) {
	c.t.Helper()
	step := strings.TrimSuffix(strings.TrimSuffix(point, ".before"), ".after")
	if prelude := preludes[step]; prelude != nil {
		prelude(c)
	}
	c.feed.freeSweep()
	pass := 1
	if slices.Contains([]string{"claim", "call.activate", "call.lookup", "arm.outcome", "record.activated", "ack.outcome", "put.timer", "put.record"}, step) {
		pass += c.draw.IntN(3)
	}
	c.die(point + ":" + strconv.Itoa(pass))
	c.kills[point]++
}

// die starts a worker that is to die at a point, gives it work, and waits for its death.
func (c *crasher) die(at string) {
	c.t.Helper()
	w := c.start("FAULTS_KILL=" + at)
	c.feed.batch(at)
	c.awaitDeath(w, at)
}

// dieOvertaken lets a worker die at a point that it comes to only where it has lost a claim: it rests beyond the end of
// its lease, and takes the claim over itself meanwhile, with a partner that does not say what became of it.
func (c *crasher) dieOvertaken(point string) {
	c.t.Helper()
	w := c.start()
	c.feed.settle(w)
	w.stop()
	w = c.start("FAULTS_STALL=record.activated.before:1:14s", "FAULTS_KILL="+point)
	c.feed.overtaken()
	c.awaitDeath(w, point)
	c.kills[point]++
}

func (c *crasher) awaitDeath(w *proc, at string) {
	c.t.Helper()
	select {
	case <-w.ended:
	case <-c.t.Context().Done():
	case <-time.After(workTimeout):
		c.t.Fatalf("the worker has not come to %s; it said:\n%s", at, w.stderr.tail())
	}
	status, ok := w.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if said := "faults: killed at " + at; !ok || status.Signal() != syscall.SIGKILL || !strings.Contains(w.stderr.String(), said) {
		c.t.Fatalf("the worker was to be killed at %s, and ended with %v; it said:\n%s", at, w.cmd.ProcessState, w.stderr.tail())
	}
}
