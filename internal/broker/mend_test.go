package broker_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"activation-worker/internal/broker"
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
