package broker_test

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"activation-worker/internal/broker"
	"activation-worker/internal/broker/brokertest"
)

func embed(t *testing.T, o broker.EmbeddedOptions) *broker.Embedded {
	t.Helper()
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	e, err := broker.StartEmbedded(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Shutdown)
	return e
}

func TestEmbeddedKeepsItsData(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	log, logs := watchLog()
	began := time.Now()
	e := embed(t, broker.EmbeddedOptions{Dir: dir, Log: log})
	if took := time.Since(began); took > time.Second { // about 40 ms alone
		t.Errorf("the start took %s", took)
	}
	if logged(logs, "embedded server") == 0 || logs.FilterLevelExact(zap.DebugLevel).Len() != logs.Len() {
		t.Errorf("a normal start logs %v, want debug messages only", logs.All())
	}
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory has mode %v, want 0700 (%v)", info.Mode(), err)
	}
	if !e.SyncAlways() {
		t.Error("writes are acknowledged before they are on the disk")
	}
	nc, js := brokertest.Connect(t, e.URL())
	ensure(t, js, layout())
	publish(t, js, "activation.customer.1.started", 3)
	c := streamConfig(t, js, "ACTIVATION")
	nc.Close()
	e.Shutdown()
	e.Shutdown()

	e = embed(t, broker.EmbeddedOptions{Dir: dir, Quiet: true, Log: log})
	_, js = brokertest.Connect(t, e.URL())
	s, err := js.Stream(t.Context(), "ACTIVATION")
	if err != nil {
		t.Fatal(err)
	}
	if got := s.CachedInfo(); got.State.Msgs != 3 || got.Config.MaxBytes != c.MaxBytes {
		t.Errorf("after a restart: %+v", got.State)
	}
	ensure(t, js, layout())
}

func TestEmbeddedQuiet(t *testing.T) {
	t.Parallel()
	log, logs := watchLog()
	embed(t, broker.EmbeddedOptions{Dir: t.TempDir(), Log: log, Quiet: true}).Shutdown()
	if logs.Len() != 0 {
		t.Errorf("logs %v", logs.All())
	}
}

func TestOneDirectoryServesOneServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e := embed(t, broker.EmbeddedOptions{Dir: dir})
	_, err := broker.StartEmbedded(t.Context(), broker.EmbeddedOptions{Dir: dir, Listen: "127.0.0.1:0"})
	if !errors.Is(err, broker.ErrLocked) {
		t.Fatalf("error %v, want ErrLocked", err)
	}
	wantError(t, err, dir, "process "+strconv.Itoa(os.Getpid()), "WORKER_DATA_DIR")
	_, js := brokertest.Connect(t, e.URL())
	ensure(t, js, layout()) // the first is not disturbed
	e.Shutdown()
	embed(t, broker.EmbeddedOptions{Dir: dir})
}

const holdDir = "BROKER_TEST_HOLD_DIR"

// TestHoldDirectory is the process that TestLockEndsWithAKilledProcess kills.
func TestHoldDirectory(t *testing.T) {
	t.Parallel()
	dir := os.Getenv(holdDir)
	if dir == "" {
		return
	}
	e := embed(t, broker.EmbeddedOptions{Dir: dir})
	if err := os.WriteFile(filepath.Join(dir, "url"), []byte(e.URL()), 0o600); err != nil {
		t.Fatal(err)
	}
	<-t.Context().Done()
}

func TestLockEndsWithAKilledProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	holder := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHoldDirectory$")
	holder.Env = append(os.Environ(), holdDir+"="+dir)
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other process serves", func() bool { _, err := os.Stat(filepath.Join(dir, "url")); return err == nil })
	_, err := broker.StartEmbedded(t.Context(), broker.EmbeddedOptions{Dir: dir, Listen: "127.0.0.1:0"})
	if !errors.Is(err, broker.ErrLocked) {
		t.Errorf("error %v, want ErrLocked", err)
	} else {
		wantError(t, err, "process "+strconv.Itoa(holder.Process.Pid))
	}
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = holder.Wait()
	embed(t, broker.EmbeddedOptions{Dir: dir})
}

func TestEmbeddedRefusesToListen(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })
	for listen, says := range map[string]string{
		taken.Addr().String(): "address already in use",
		"0.0.0.0:4222":        "not a loopback address",
		":4222":               "not a loopback address",
		"192.0.2.1:4222":      "NATS_URL",
		"example.com:4222":    "not a loopback address",
		"127.0.0.1":           "is not an address",
		"127.0.0.1:nats":      "is not a port",
		"127.0.0.1:70000":     "is not a port",
	} {
		t.Run(listen, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			_, err := broker.StartEmbedded(t.Context(), broker.EmbeddedOptions{Dir: dir, Listen: listen})
			wantError(t, err, "WORKER_NATS_LISTEN", says)
			embed(t, broker.EmbeddedOptions{Dir: dir}) // nothing is left locked
		})
	}
}

func TestEmbeddedStartEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	_, err := broker.StartEmbedded(ctx, broker.EmbeddedOptions{Dir: dir, Listen: "127.0.0.1:-1"})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v, want the context's", err)
	}
	embed(t, broker.EmbeddedOptions{Dir: dir, Listen: "localhost:0"})
}

func TestEmbeddedWithoutADirectory(t *testing.T) {
	t.Parallel()
	_, err := broker.StartEmbedded(t.Context(), broker.EmbeddedOptions{Dir: write(t, "file", "") + "/data", Listen: "127.0.0.1:0"})
	wantError(t, err, "WORKER_DATA_DIR", "not a directory")
}

func TestFreeDisk(t *testing.T) {
	t.Parallel()
	free, err := broker.FreeDisk(t.TempDir())
	if err != nil || free == 0 {
		t.Errorf("%d bytes free, %v", free, err)
	}
	_, err = broker.FreeDisk("/nowhere")
	wantError(t, err, "/nowhere")
}

func TestTooLargeALedgerIsExplained(t *testing.T) {
	t.Parallel()
	e := embed(t, broker.EmbeddedOptions{Dir: t.TempDir()})
	_, js := brokertest.Connect(t, e.URL())
	err := broker.Ensure(t.Context(), js, layout(func(l *broker.Layout) { l.MaxBytes = 1 << 60 }))
	wantDrifts(t, err, "storage space")
	wantError(t, err, "WORKER_STREAM_MAX_BYTES")
	if _, err := js.Stream(t.Context(), "ACTIVATION"); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("the stream: %v", err)
	}
}
