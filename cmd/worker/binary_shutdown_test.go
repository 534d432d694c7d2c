package main

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"activation-worker/internal/events"
	"activation-worker/internal/partnerapi/simulator"
	"activation-worker/internal/tracing/tracingtest"
)

// slowCall starts a worker whose activate request for the customer is under way: the partner has it and will not answer soon.
func slowCall(t *testing.T, s *site, id int64, fault simulator.Fault, more ...string) *proc {
	t.Helper()
	s.partner.Script(id, simulator.OpActivate, fault)
	w := startWorker(t, s.env(append([]string{"LINEWORKS_TIMEOUT=8s", "WORKER_LEASE=20s", "LINEWORKS_CONCURRENCY=1"}, more...)...)...)
	w.AwaitReady(startTimeout)
	s.customer(id)
	if !eventually(t, workTimeout, func() bool { return s.calls(id) == 1 }) {
		t.Fatalf("no activate request came; the worker said:\n%s", w.stderr.tail())
	}
	return w
}

// TestBinaryStopsWithRequestUnderWay: it ends, its outcome is recorded, and nothing new begins.
func TestBinaryStopsWithRequestUnderWay(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			s := newSetUpSite(t)
			w := slowCall(t, s, 51200001, "slow=1500ms")
			for id := int64(51200002); id < 51200012; id++ {
				s.customer(id)
			}
			w.signal(signal)
			if code := w.Wait(18 * time.Second); code != exitDone { // LINEWORKS_TIMEOUT and ten seconds
				t.Errorf("exit status %d, want 0; the worker said:\n%s", code, w.stderr.tail())
			}
			if r := s.newest(51200001); r == nil || r.State != events.Activated {
				t.Errorf("the outcome of the request under way was not recorded: %+v", r)
			}
			for id := int64(51200002); id < 51200012; id++ {
				if r := s.newest(id); s.calls(id) != 0 || r != nil {
					t.Errorf("customer %d was begun while the worker stopped: %+v", id, r)
				}
			}
			// What it held in hand comes back at once, not after its ack wait.
			next := startWorker(t, s.env()...)
			for id := int64(51200002); id < 51200012; id++ {
				s.await(id, events.Activated, next)
			}
			next.stop()
		})
	}
}

// TestBinaryStopDefersWhatNeedsMore: an unclear answer would be looked up, but no further request starts.
func TestBinaryStopDefersWhatNeedsMore(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	w := slowCall(t, s, 51200001, "slow=1s+500-applied", "WORKER_BACKOFF=unknown_outcome=1s")
	w.stop()
	r := s.newest(51200001)
	if r == nil || r.State != events.Deferred || r.Reason != events.UnknownOutcome || !r.Unsettled {
		t.Errorf("newest record %+v, want deferred (unknown_outcome), unsettled", r)
	}
	if n := s.partner.Lookups(51200001); n != 0 {
		t.Errorf("%d look-ups began after the stop", n)
	}
	next := startWorker(t, s.env("WORKER_BACKOFF=unknown_outcome=1s")...)
	if r := s.await(51200001, events.Activated, next); r.Via != events.ViaLookup {
		t.Errorf("learned via %s, want lookup", r.Via)
	}
	for _, breach := range s.partner.Journal().Check() {
		t.Error(breach)
	}
	next.stop()
}

func TestBinarySecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	w := slowCall(t, s, 51200001, "slow=7s")
	w.Term()
	second := time.Now()
	// Signals of one kind that wait are merged, so the second is sent again until it counts.
	if !eventually(t, 5*time.Second, func() bool {
		w.Term()
		select {
		case <-w.ended:
			return true
		default:
			return false
		}
	}) {
		t.Fatalf("the worker still runs %s after a second signal", time.Since(second))
	}
	if code := w.Wait(time.Second); code != exitInterrupted {
		t.Errorf("exit status %d, want %d", code, exitInterrupted)
	}
}

func TestBinaryStopsWhileNATSIsAway(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	running := startWorker(t, s.env()...)
	running.AwaitReady(startTimeout)
	s.nats.Stop()
	running.awaitCheck("nats", false)
	starting := startWorker(t, s.env()...)
	starting.awaitSaid("nats is not reachable")
	for name, w := range map[string]*proc{"that had work": running, "that never connected": starting} {
		w.signal(syscall.SIGINT)
		if code := w.Wait(8 * time.Second); code != exitDone {
			t.Errorf("a worker %s: exit status %d after SIGINT, want 0; it said:\n%s", name, code, w.stderr.tail())
		}
	}
}

// TestBinaryStopsWhileNobodyAnswers: the network is gone without a word, to NATS, the partner and the collector, and what waits for
// each of them in turn must not add up to more than is promised.
func TestBinaryStopsWhileNobodyAnswers(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	between := newFreezer(t, s.nats.URL())
	c := tracingtest.Start(t)
	c.Answer = func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	const timeout = 2 * time.Second
	w := startWorker(t, s.env("NATS_URL="+between.url(), "LINEWORKS_TIMEOUT="+timeout.String(), "OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL)...)
	w.AwaitReady(startTimeout)
	s.partner.hold(51200001, heldUndone)
	s.customer(51200001)
	select {
	case <-s.partner.held:
	case <-time.After(workTimeout):
		t.Fatalf("no activate request came; the worker said:\n%s", w.stderr.tail())
	}
	between.freeze()
	began := time.Now()
	w.Term()
	if code := w.Wait(timeout + 20*time.Second); code != exitDone {
		t.Errorf("exit status %d; the worker said:\n%s", code, w.stderr.tail())
	}
	if took := time.Since(began); took > timeout+10*time.Second {
		t.Errorf("it took %s to end, LINEWORKS_TIMEOUT and ten seconds are promised; the worker said:\n%s", took, w.stderr.tail())
	} else {
		t.Logf("ended after %s", took)
	}
}

// freezer stands between a client and a server, and passes nothing on any more once it is frozen.
type freezer struct {
	listener net.Listener
	frozen   chan struct{}
}

func newFreezer(t *testing.T, url string) *freezer {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &freezer{l, make(chan struct{})}
	var tasks sync.WaitGroup
	t.Cleanup(tasks.Wait)
	t.Cleanup(func() { _ = l.Close() })
	tasks.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "nats://"))
			if err != nil {
				_ = client.Close()
				continue
			}
			context.AfterFunc(t.Context(), func() { _, _ = client.Close(), server.Close() })
			tasks.Go(func() { f.pass(client, server) })
			tasks.Go(func() { f.pass(server, client) })
		}
	})
	return f
}

func (f *freezer) url() string { return "nats://" + f.listener.Addr().String() }

func (f *freezer) freeze() { close(f.frozen) }

// pass copies until there is an end; frozen, what comes is dropped.
func (f *freezer) pass(from, to net.Conn) {
	some := make([]byte, 64<<10)
	for {
		n, err := from.Read(some)
		select {
		case <-f.frozen:
		default:
			if err == nil {
				_, err = to.Write(some[:n])
			}
		}
		if err != nil {
			_, _ = from.Close(), to.Close()
			return
		}
	}
}

func TestBinarySIGUSR1(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	w := startWorker(t, s.env("WORKER_LOG_LEVEL=info")...)
	w.awaitSaid("worker started") // before it takes the signal, the signal would end it
	w.signal(syscall.SIGUSR1)
	w.awaitSaid(`"log_level":"debug"`)
	s.customer(51200001)
	w.awaitSaid("customer activated")
	w.signal(syscall.SIGUSR1)
	w.awaitSaid(`"log_level":"info"`)
	s.customer(51200002)
	s.await(51200002, events.Activated, w)
	w.stop()
	_, debug, _ := strings.Cut(w.stderr.String(), `"log_level":"debug"`)
	debug, info, _ := strings.Cut(debug, `"log_level":"info"`)
	if !strings.Contains(debug, `"level":"debug"`) || strings.Contains(info, `"level":"debug"`) {
		t.Errorf("SIGUSR1 does not switch to debug and back; the worker said:\n%s", w.stderr.tail())
	}
}

// TestBinaryInterruptedCommand: a command that is interrupted while it waits exits 130.
func TestBinaryInterruptedCommand(t *testing.T) {
	t.Parallel()
	p := startBinary(t, nil, "simulate", "--listen", "127.0.0.1:0")
	ctx := t.Context()
	if !p.stdout.waitFor(ctx, p.ended, func(said string) bool { return strings.Contains(said, "LINEWORKS_API_URL") }) {
		t.Fatalf("the simulator did not start:\n%s", p.stderr.tail())
	}
	p.signal(syscall.SIGINT)
	if code := p.Wait(10 * time.Second); code != exitDone && code != exitInterrupted {
		t.Errorf("exit status %d after SIGINT, want 0 or 130", code)
	}
}
