package broker_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

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
	look := e.Look()
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
	e.Look()(t.Context())
	if got := e.MaxStore(); got < first {
		t.Errorf("the limit is %d after the server was started again, and %d before", got, first)
	}
}
