package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/broker/brokertest"
	"activation-worker/internal/events"
	"activation-worker/internal/partnerapi/simulator"
)

// waiting is how many customers wait in the ledger of [BenchmarkMillionWaiting].
var waiting = flag.Int("waiting", 1_000_000, "customers who wait in the ledger of BenchmarkMillionWaiting")

const (
	millionMemory = 64 << 10 // KiB that a worker may hold
	millionReady  = 2 * time.Second
	millionLimit  = 15 * time.Minute // of one command or one sweep
)

// BenchmarkMillionWaiting is what a worker and the reading commands cost beside a ledger in which a million customers wait, and a
// tenth as many are active. NATS, with its default settings, and the partner are other processes or the test itself. It fails
// where the worker holds more than 64 MiB at any time, or is not ready within two seconds.
//
//	go test -run '^$' -bench MillionWaiting -benchtime 1x -timeout 60m ./cmd/worker
//	go test -run '^$' -bench MillionWaiting -benchtime 1x ./cmd/worker -waiting 20000
func BenchmarkMillionWaiting(b *testing.B) {
	m := newMillion(b)
	for range b.N {
		m.fill()
		m.run()
		m.commands()
	}
	b.ReportMetric(0, "ns/op")
}

// commands runs those that read.
func (m *million) commands() {
	m.b.Helper()
	id := strconv.Itoa(millionFirst + *waiting/2)
	for _, args := range [][]string{
		{"status", id}, {"doctor"}, {"list", "-o", "json"}, {"list", "--state", "deferred"}, {"status", fmt.Sprintf("shop-%s.example", id)},
	} {
		m.command(args...)
	}
}

// million is a ledger on a NATS server of its own process.
type million struct {
	b   *testing.B
	url string
	js  jetstream.JetStream
	nc  *proc
	p   *partner

	next int64 // fresh customer
}

func newMillion(b *testing.B) *million {
	b.Helper()
	path := filepath.Join(binary.dir, "nats-server")
	build := exec.Command("go", "build", "-C", filepath.Join("..", "..", "tools"), "-o", path, "github.com/nats-io/nats-server/v2")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("go build of nats-server: %v\n%s", err, out)
	}
	host, port, _ := strings.Cut(freePort(b), ":")
	m := &million{b: b, url: "nats://" + host + ":" + port, p: newPartner(b, simulator.Options{}), next: benchFirstID}
	m.nc = startProcess(b, path, nil, "-a", host, "-p", port, "-js", "-sd", b.TempDir())
	m.nc.awaitSaid("Server is ready")
	_, m.js = brokertest.Connect(b, m.url)
	invoke(b, "", m.env(), "setup", "--with-intake").want(b, exitDone)
	return m
}

func (m *million) env(more ...string) []string {
	return settings((&site{partner: m.p, url: m.url}).env("WORKER_STREAM_MAX_BYTES=32GiB", "WORKER_LOG_LEVEL=info"), more)
}

func (m *million) fill() {
	m.b.Helper()
	began := time.Now()
	c := crowd{waiting: *waiting, active: *waiting / 10}
	c.fill(m.b, m.url, began)
	m.b.Logf("%d customers wait and %d are active, written in %s; nats-server holds %d MiB",
		c.waiting, c.active, time.Since(began).Round(time.Second), memoryOf(m.b, m.nc)["VmRSS"]>>10)
}

// run starts a worker and lets it sweep twice.
func (m *million) run() {
	b := m.b
	b.Helper()
	address := freePort(b)
	buildWorker(b)
	began := time.Now()
	w := startWorker(b, m.env("WORKER_HTTP_ADDR="+address, "WORKER_CONSOLE_ADDR=off", "WORKER_SWEEP_INTERVAL=8s", "LINEWORKS_CONCURRENCY=16")...)
	m.awaitReady(w, address)
	ready := time.Since(began)
	b.ReportMetric(ready.Seconds()*1000, "ready-ms")
	m.memory(w, "start")
	alone := m.fresh() // before the first sweep
	took := m.sweep(w, nil)
	b.ReportMetric(took.Seconds(), "sweep-s")
	m.memory(w, "sweep")
	beside := 0.0
	m.sweep(w, func() { beside = m.fresh() })
	m.memory(w, "sweep-and-fresh")
	b.ReportMetric(alone, "fresh/s")
	b.ReportMetric(beside, "fresh-while-sweeping/s")
	if said := w.stderr.String(); strings.Contains(said, "sweep failed") || strings.Contains(said, "lost timers") {
		b.Errorf("the worker swept in vain:\n%s", w.stderr.tail())
	}
	if ready > millionReady {
		b.Errorf("ready after %s, want %s", ready, millionReady)
	}
	w.stop()
	usage := w.cmd.ProcessState
	b.Logf("the worker used %s of CPU", usage.UserTime()+usage.SystemTime())
}

func (m *million) awaitReady(w *proc, address string) {
	m.b.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	if !eventually(m.b, startTimeout, func() bool {
		req, err := http.NewRequestWithContext(m.b.Context(), http.MethodGet, "http://"+address+"/readyz", nil)
		if err != nil {
			m.b.Fatal(err)
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			return false
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}) {
		m.b.Fatalf("the worker is not ready; it said:\n%s", w.stderr.tail())
	}
}

// fresh is how many customers a second become active who are announced now, at a partner that answers at once.
func (m *million) fresh() float64 {
	b := m.b
	b.Helper()
	const many = 2000
	first := m.next
	m.next += many
	for id := first; id < m.next; id++ {
		m.p.Add(simulator.Customer{DomainID: id, Terms: true, DNS: true})
	}
	began := time.Now()
	for id := first; id < m.next; id++ {
		if _, err := m.js.PublishMsgAsync(&nats.Msg{Subject: events.DefaultIntakeSubject, Data: fmt.Appendf(nil, `{"domainId":%d}`, id)}); err != nil {
			b.Fatal(err)
		}
	}
	<-m.js.PublishAsyncComplete()
	if !eventually(b, millionLimit, func() bool {
		cons, err := m.js.Consumer(b.Context(), events.DefaultIntakeStream, events.ConsumerActivator)
		return err == nil && cons.CachedInfo().NumPending == 0 && cons.CachedInfo().NumAckPending == 0
	}) {
		b.Fatal("not all announcements are taken")
	}
	return many / time.Since(began).Seconds()
}

// sweep waits until a sweep has begun and ended, and returns how long it took. during is called, if not nil, while it goes on.
func (m *million) sweep(w *proc, during func()) time.Duration {
	m.b.Helper()
	var began, ended time.Time
	if !eventually(m.b, millionLimit, func() bool {
		ctx, cancel := context.WithTimeout(m.b.Context(), time.Minute)
		defer cancel()
		_, err := m.js.Consumer(ctx, events.DefaultStream, "sweep")
		switch {
		case err == nil && began.IsZero():
			began = time.Now()
			if during != nil {
				during()
			}
		case errors.Is(err, jetstream.ErrConsumerNotFound) && !began.IsZero():
			ended = time.Now()
		}
		return !ended.IsZero()
	}) {
		m.b.Fatalf("no sweep has ended; the worker said:\n%s", w.stderr.tail())
	}
	return ended.Sub(began)
}

// memory reports what a process holds, and the most that it held since it was last asked.
func (m *million) memory(w *proc, when string) {
	m.b.Helper()
	held := memoryOf(m.b, w)
	m.b.ReportMetric(float64(held["VmRSS"])/1024, when+"-RSS-MiB")
	m.b.ReportMetric(float64(held["VmHWM"])/1024, when+"-peak-MiB")
	if held["VmHWM"] > millionMemory {
		m.b.Errorf("%s: the worker held %d KiB, want at most %d", when, held["VmHWM"], millionMemory)
	}
	const peakFromNow = "5"
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", w.cmd.Process.Pid), []byte(peakFromNow), 0); err != nil {
		m.b.Fatal(err)
	}
}

// memoryOf is what a process holds, in KiB.
func memoryOf(t testing.TB, p *proc) map[string]int {
	t.Helper()
	held := heldBy(p.cmd.Process.Pid)
	if len(held) == 0 {
		t.Fatalf("worker %s has ended; it said:\n%s", strings.Join(p.cmd.Args[1:], " "), p.stderr.tail())
	}
	return held
}

// heldBy is empty for a process that is gone.
func heldBy(pid int) map[string]int {
	held := map[string]int{}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return held
	}
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); len(f) == 3 && f[2] == "kB" {
			held[strings.TrimSuffix(f[0], ":")], _ = strconv.Atoi(f[1])
		}
	}
	return held
}

// command runs a command of the binary and logs what it cost.
func (m *million) command(args ...string) {
	b := m.b
	b.Helper()
	cmd := exec.CommandContext(b.Context(), buildWorker(b), args...)
	var lines counter
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Env = &lines, &stderr, m.env()
	began := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(millionLimit)
	for peak := 0; ; {
		select {
		case <-tick.C:
			// The figure that is told of a process that has ended counts the tests' own memory, from before it became the command.
			peak = max(peak, heldBy(cmd.Process.Pid)["VmHWM"])
		case err := <-ended:
			b.Logf("worker %-40s %8s, %6.2f s of CPU, at most %3d MiB, %d lines", strings.Join(args, " "), time.Since(began).Round(time.Millisecond),
				(cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), peak>>10, lines)
			if err != nil {
				b.Logf("%v\n%.2000s", err, stderr.String())
			}
			if peak > millionMemory {
				b.Errorf("worker %s held %d KiB, want at most %d", strings.Join(args, " "), peak, millionMemory)
			}
			return
		case <-limit:
			b.Fatalf("worker %s has not ended within %s", strings.Join(args, " "), millionLimit)
		}
	}
}

// counter counts the lines written to it.
type counter int

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(bytes.Count(p, []byte("\n")))
	return len(p), nil
}
