package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"activation-worker/internal/broker/brokertest"
	"activation-worker/internal/events"
	"activation-worker/internal/events/eventstest"
	"activation-worker/internal/ledger"
	"activation-worker/internal/partnerapi/simulator"
)

// workTimeout is how long a worker may take for what takes it a moment; the machine may be busy.
const workTimeout = time.Minute

// site is what a worker needs around it: a NATS server over TCP and a partner over HTTP.
type site struct {
	t       testing.TB
	nats    *brokertest.Server
	js      jetstream.JetStream
	partner *partner
	url     string                  // of a NATS server that is not nats
	lost    *jetstream.StreamConfig // settings of a stream that a test has deleted
}

// newSite starts a NATS server that has nothing on it, and a partner.
func newSite(t testing.TB, options ...brokertest.Option) *site {
	t.Helper()
	s := &site{t: t, nats: brokertest.Start(t, options...), partner: newPartner(t, simulator.Options{})}
	_, s.js = brokertest.Connect(t, s.nats.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	eventstest.AtEnd(t, s.js)
	return s
}

// newSetUpSite has the streams too, the intake's included.
func newSetUpSite(t testing.TB) *site {
	t.Helper()
	s := newSite(t)
	invoke(t, "", s.env(), "setup", "--with-intake").want(t, exitDone)
	return s
}

// env are the settings of a worker on the site, with a short timeout and lease; more are added, and replace those of the same name.
func (s *site) env(more ...string) []string {
	url := s.url
	if s.nats != nil {
		url = s.nats.URL()
	}
	return settings(s.partner.env(), []string{
		"NATS_URL=" + url,
		"WORKER_HTTP_ADDR=127.0.0.1:0", "WORKER_CONSOLE_ADDR=127.0.0.1:0",
		"WORKER_LOG_LEVEL=debug",
		"LINEWORKS_TIMEOUT=2s",
		"LINEWORKS_RATE=0",
		"LINEWORKS_SUSTAINED_RATE=0",
		"WORKER_LEASE=12s",
		"WORKER_STREAM_MAX_BYTES=1GiB",
	}, more)
}

// customer adds a customer to the partner that can be activated, and announces it as plain JSON.
func (s *site) customer(id int64) {
	s.t.Helper()
	s.partner.Add(simulator.Customer{DomainID: id, Terms: true, DNS: true})
	s.announce(fmt.Sprintf(`{"domainId":%d}`, id))
}

// announce publishes the data of a terms-accepted event as another program would, and returns its sequence.
func (s *site) announce(data string) uint64 {
	s.t.Helper()
	ack, err := s.js.Publish(s.t.Context(), events.DefaultIntakeSubject, []byte(data))
	if err != nil {
		s.t.Fatalf("announcing %s: %v", data, err)
	}
	return ack.Sequence
}

// newest is the newest record of a customer as the stream's leader has it, nil for none.
func (s *site) newest(id int64) *events.Record {
	s.t.Helper()
	l := ledger.New(ledger.Options{Conn: s.js.Conn(), JetStream: s.js, Streams: events.StreamsOf(events.DefaultStream), Log: zap.NewNop()})
	r, err := l.Load(s.t.Context(), id)
	if errors.Is(err, events.ErrForeignRecord) {
		s.t.Fatalf("the newest record of %d: %v", id, err)
	}
	return r // nil also while the server is away
}

// await waits until the newest record of a customer is in a state and returns it.
func (s *site) await(id int64, state events.State, p *proc) *events.Record {
	s.t.Helper()
	var r *events.Record
	if !eventually(s.t, workTimeout, func() bool {
		r = s.newest(id)
		return r != nil && r.State == state
	}) {
		s.t.Fatalf("customer %d is not %s after %s, but %+v; the worker said:\n%s", id, state, workTimeout, r, p.stderr.tail())
	}
	return r
}

// calls counts the activate requests that the partner got for a customer.
func (s *site) calls(id int64) int { return s.partner.Journal().Customers[id].Activates }

// result is how a command ended and what it said.
type result struct {
	args           []string
	code           int
	stdout, stderr string
}

// invoke runs the command to its end.
func invoke(t testing.TB, stdin string, env []string, args ...string) result {
	t.Helper()
	return execute(t, buildWorker(t), stdin, env, args...)
}

func execute(t testing.TB, path, stdin string, env []string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), workTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	cmd.Dir, cmd.Env = t.TempDir(), slices.Clone(env)
	err := cmd.Run()
	if exit := new(exec.ExitError); err != nil && (!errors.As(err, &exit) || ctx.Err() != nil) {
		t.Fatalf("%s %s: %v; it said:\n%s%s", filepath.Base(path), strings.Join(args, " "), err, stdout.String(), stderr.String())
	}
	return result{args, cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// want checks the exit status and that each text was said, on either output.
func (r result) want(t testing.TB, code int, texts ...string) result {
	t.Helper()
	if r.code != code {
		t.Errorf("worker %s: exit status %d, want %d; it said:\n%s%s", strings.Join(r.args, " "), r.code, code, r.stdout, r.stderr)
	}
	for _, text := range texts {
		if !strings.Contains(r.stdout+r.stderr, text) {
			t.Errorf("worker %s does not say %q but:\n%s%s", strings.Join(r.args, " "), text, r.stdout, r.stderr)
		}
	}
	return r
}

// awaitSaid waits until a process has written a text to its log.
func (p *proc) awaitSaid(text string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), workTimeout)
	defer cancel()
	if !p.stderr.waitFor(ctx, p.ended, func(said string) bool { return strings.Contains(said, text) }) {
		p.t.Fatalf("the worker has not said %q but:\n%s", text, p.stderr.tail())
	}
}

// awaitCheck waits until a line of /readyz is as wanted, and /readyz 503 where it is not OK. Each text must be in its detail.
func (p *proc) awaitCheck(name string, ok bool, texts ...string) {
	p.t.Helper()
	var last readiness
	var err error
	if !eventually(p.t, workTimeout, func() bool {
		last, err = p.Readyz("")
		for _, c := range last.Checks {
			lacks := func(text string) bool { return !strings.Contains(c.Detail, text) }
			if c.Name == name && c.OK == ok && !slices.ContainsFunc(texts, lacks) {
				return err == nil && (ok || !last.Ready && last.Status == http.StatusServiceUnavailable)
			}
		}
		return false
	}) {
		p.t.Fatalf("/readyz has no %s with ok=%t and %q, but %+v, %v; the worker said:\n%s", name, ok, texts, last, err, p.stderr.tail())
	}
}

// livez is the status of /livez.
func (p *proc) livez() int {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, "http://"+p.Probes()+"/livez", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		p.t.Fatalf("/livez: %v", err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// stop ends a worker as an orchestrator does and checks that it went in order.
func (p *proc) stop() {
	p.t.Helper()
	p.Term()
	if code := p.Wait(workTimeout); code != exitDone {
		p.t.Fatalf("exit status %d after SIGTERM; the worker said:\n%s", code, p.stderr.tail())
	}
}

// ports are those that [freePort] has given out.
var ports sync.Map

// freePort finds a loopback address for a server that must be told one. It is below the range from which the system gives out ports.
func freePort(t testing.TB) string {
	t.Helper()
	return freePortFrom(t, 20000)
}

// freePortFrom is freePort of another range, of 8000 ports.
func freePortFrom(t testing.TB, first int) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", first+rand.IntN(8000))
		if _, taken := ports.LoadOrStore(address, true); taken {
			continue
		}
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			t.Fatalf("freeing a port: %v", err)
		}
		return address
	}
	t.Fatal("no free port found")
	return ""
}

// store writes a customer's first record as a worker would.
func (s *site) store(r *events.Record) {
	s.t.Helper()
	data, err := events.EncodeRecord(r, "/lineworks-simulated/activation", 0, time.Now())
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.js.Publish(s.t.Context(), events.CustomerSubject(r.DomainID, r.State), data); err != nil {
		s.t.Fatalf("storing %s of %d: %v", r.State, r.DomainID, err)
	}
}
