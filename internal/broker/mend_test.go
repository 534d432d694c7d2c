package broker_test

import (
	"bytes"
	"compress/flate"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"activation-worker/internal/broker"
	"activation-worker/internal/broker/brokertest"
)

// TestMendTriesAgain: somebody takes the port while the server is away, and gives it back later.
func TestMendTriesAgain(t *testing.T) {
	t.Parallel()
	log, logs := watchLog()
	e := embed(t, broker.EmbeddedOptions{Dir: t.TempDir(), Log: log})
	e.Halt()
	taken, err := net.Listen("tcp", strings.TrimPrefix(e.URL(), "nats://"))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var mending sync.WaitGroup
	mending.Go(func() { e.Mend(ctx) })
	defer mending.Wait()
	defer cancel()
	eventually(t, "the fault names the port", func() bool { return strings.Contains(e.Fault(), "WORKER_NATS_LISTEN") })
	_ = taken.Close()
	eventually(t, "it serves again", func() bool {
		nc, err := nats.Connect(e.URL())
		if err == nil {
			nc.Close()
		}
		return err == nil
	})
	eventually(t, "the fault is over", func() bool { return e.Fault() == "" })
	if n := logged(logs, "does not start again"); n != 1 {
		t.Errorf("one reason was logged %d times", n)
	}
}

// TestFaultSaysTheReasonOfToday also where it is another than at first, and that it is a fault is logged once.
func TestFaultSaysTheReasonOfToday(t *testing.T) {
	t.Parallel()
	log, logs := watchLog()
	e := embed(t, broker.EmbeddedOptions{Dir: t.TempDir(), Log: log})
	e.Halt()
	taken, err := net.Listen("tcp", strings.TrimPrefix(e.URL(), "nats://"))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	look := e.Look(time.Now)
	e.Sicken("no space left on device")
	look(t.Context())
	for range 2 {
		if fault := e.Fault(); !strings.Contains(fault, "WORKER_NATS_LISTEN") || strings.Contains(fault, "make room") {
			t.Errorf("the fault is %q, want the taken port", fault)
		}
		look(t.Context())
	}
	if n := logged(logs, "has stopped to write"); n != 1 {
		t.Errorf("it was logged %d times", n)
	}
}

// TestLimitOfTheStore: a server that has more than its limit refuses all writes, and a full disk makes no small limit.
func TestLimitOfTheStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e := embed(t, broker.EmbeddedOptions{Dir: dir})
	_, js := brokertest.Connect(t, e.URL())
	ensure(t, js, layout())
	e.Shutdown()
	file := filepath.Join(dir, "jetstream", "$G", "streams", "ACTIVATION", "large")
	const large = 1 << 42 // a hole: it takes no room
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, large); err != nil {
		t.Fatal(err)
	}
	e = embed(t, broker.EmbeddedOptions{Dir: dir})
	first := e.MaxStore()
	if first < large {
		t.Errorf("the limit is %d, and %d are there", first, int64(large))
	}
	_, js = brokertest.Connect(t, e.URL())
	publish(t, js, "activation.customer.1.started", 1)
	if err := os.Remove(file); err != nil { // from now on there is as little as on a small disk
		t.Fatal(err)
	}
	e.Sicken("no space left on device")
	e.Look(time.Now)(t.Context())
	if got := e.MaxStore(); got < first {
		t.Errorf("the limit is %d after the server was started again, and %d before", got, first)
	}
}

// TestMendTakesItsTime: a file that fails on a disk that takes data does not make the server start again and again.
func TestMendTakesItsTime(t *testing.T) {
	t.Parallel()
	log, logs := watchLog()
	e := embed(t, broker.EmbeddedOptions{Dir: t.TempDir(), Log: log})
	now := time.Now()
	look := e.Look(func() time.Time { return now })
	for i, step := range []struct {
		after   time.Duration
		fails   bool
		started int
		fault   string
	}{
		{0, false, 0, ""},
		{time.Minute, true, 1, "was started again"},
		{2 * time.Second, true, 1, "cannot write"},
		{8*time.Second - 1, true, 1, "cannot write"},
		{1, true, 2, "was started again"},
		{20*time.Second - 1, true, 2, "cannot write"},
		{1, true, 3, "was started again"},
		{40 * time.Second, true, 4, "was started again"},
		{59 * time.Second, true, 4, "cannot write"}, // no longer than a minute
		{1 * time.Second, false, 5, "was started again"},
		{time.Minute - 1, false, 5, "was started again"},
		{1, false, 5, ""},
		{time.Second, true, 6, "was started again"}, // after a good while it is as at first
		{5*time.Second - 1, false, 6, "was started again"},
		{1, false, 6, ""},
	} {
		now = now.Add(step.after)
		if step.fails {
			e.Sicken("input/output error")
		}
		look(t.Context())
		if n := logged(logs, "was started again"); n != step.started {
			t.Errorf("step %d: started again %d times, want %d", i, n, step.started)
		}
		if fault := e.Fault(); !strings.Contains(fault, step.fault) || step.fault == "" && fault != "" {
			t.Errorf("step %d: the fault is %q, want %q", i, fault, step.fault)
		}
	}
	if n := logged(logs, "has stopped to write"); n != 2 {
		t.Errorf("two times of failing were logged %d times", n)
	}
}

// TestProbesDoNotStay where a process was killed while it wrote one, nor after a try, nor is anything else removed.
func TestProbesDoNotStay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"probe-1234567", "probe-1", "probes"} {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, 1024), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e := embed(t, broker.EmbeddedOptions{Dir: dir})
	e.Sicken("no space left on device")
	e.Look(time.Now)(t.Context())
	if left, err := filepath.Glob(filepath.Join(dir, "probe*")); err != nil || len(left) != 1 || filepath.Base(left[0]) != "probes" {
		t.Errorf("there are %q, want the file named probes only (%v)", left, err)
	}
}

// TestProbeTakesRoom also on a file system that compresses.
func TestProbeTakesRoom(t *testing.T) {
	t.Parallel()
	var small bytes.Buffer
	w, err := flate.NewWriter(&small, flate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(broker.WriteProbe(w), w.Close()); err != nil || small.Len() < broker.ProbeSize {
		t.Errorf("%d bytes need %d (%v)", broker.ProbeSize, small.Len(), err)
	}
}
