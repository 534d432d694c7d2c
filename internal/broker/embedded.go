package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"go.uber.org/zap"
)

const (
	readyTimeout = 30 * time.Second // a large store takes seconds to be read again

	// minStore lets the declared sizes of the streams fit on a small disk; they are limits, not allocations.
	minStore = 4 << 30
)

// EmbeddedOptions say where the embedded server keeps its data and listens.
type EmbeddedOptions struct {
	Dir    string      // data directory, made with mode 0700 where missing
	Listen string      // loopback address and port; port 0 or -1 takes a free one
	Log    *zap.Logger // nil: no log
	Quiet  bool        // warnings and errors only
}

// Embedded is a NATS server with JetStream in this process, durable on its own: every write is synced to the disk
// before it is acknowledged, and nobody else opens its directory meanwhile. It is safe for concurrent use.
type Embedded struct {
	options EmbeddedOptions
	host    string
	lock    *os.File
	log     *serverLog
	stop    sync.Once

	mu     sync.Mutex
	port   int
	server *server.Server
	fault  string // why it does not work now

	maxStore uint64 // limit of the store, what the streams declare is within it; only for start
}

// StartEmbedded starts the server and returns when it accepts connections; ctx limits only the start. It fails where
// the directory is in use ([ErrLocked]), the port is taken, or the address is not a loopback one.
func StartEmbedded(ctx context.Context, o EmbeddedOptions) (*Embedded, error) {
	host, port, err := loopback(o.Listen)
	if err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	store := filepath.Join(o.Dir, server.JetStreamStoreDir)
	if err := os.MkdirAll(store, 0o700); err != nil {
		return nil, fmt.Errorf("WORKER_DATA_DIR: %w", err)
	}
	lock, err := lockDir(o.Dir)
	if err != nil {
		return nil, err
	}
	e := &Embedded{options: o, host: host, port: port, lock: lock, log: &serverLog{log: o.Log.Named("nats"), quiet: o.Quiet}}
	if err := removeProbes(o.Dir); err != nil {
		e.options.Log.Warn("what a try of the disk has left takes room still", zap.Error(err))
	}
	if err = portFree(ctx, host, port); err == nil {
		err = e.start(ctx)
	}
	if err != nil {
		e.Shutdown()
		return nil, err
	}
	return e, nil
}

func (e *Embedded) start(ctx context.Context) error {
	store := filepath.Join(e.options.Dir, server.JetStreamStoreDir)
	free, err := FreeDisk(e.options.Dir)
	if err != nil {
		return err
	}
	used, err := size(store)
	if err != nil {
		return fmt.Errorf("WORKER_DATA_DIR: %w", err)
	}
	e.maxStore = max(used+free/4*3, minStore, e.maxStore)
	mended, err := mendSums(store)
	if err != nil {
		return err
	}
	for _, name := range mended {
		e.options.Log.Warn("making or changing a stream or consumer was interrupted; it is complete now, and a checksum that it had is kept as meta.sum.bak", zap.String("name", name))
	}
	started, err := server.NewServer(&server.Options{
		ServerName: "activation-worker",
		Host:       e.host,
		Port:       e.port,
		NoSigs:     true,
		JetStream:  true,
		StoreDir:   e.options.Dir,
		SyncAlways: true, // one node survives a power cut only so

		// What is there and three quarters of what is free, and never less than before. Streams that exist are loaded
		// whatever this says, but a server that has more than this refuses every write, also when there is room again.
		JetStreamMaxStore:      int64(e.maxStore),
		DisableJetStreamBanner: true,
	})
	if err != nil {
		return fmt.Errorf("preparing the embedded NATS server: %w", err)
	}
	e.mu.Lock()
	e.server = started
	e.mu.Unlock()
	e.log.forget()
	started.SetLoggerV2(e.log, false, false, false)
	started.Start()
	if ctx.Err() != nil {
		return fmt.Errorf("starting the embedded NATS server: %w", context.Cause(ctx))
	}
	if fatal := e.log.fatal(); fatal != "" || !started.ReadyForConnections(readyTimeout) || !started.JetStreamEnabled() {
		return fmt.Errorf("the embedded NATS server does not start in %s: %s; see the log", e.options.Dir, fatal)
	}
	if tcp, ok := started.Addr().(*net.TCPAddr); ok {
		e.port = tcp.Port // it stays the same when the server is started again
	}
	return nil
}

// URL is where clients connect.
func (e *Embedded) URL() string { return e.running().ClientURL() }

func (e *Embedded) running() *server.Server {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.server
}

// Shutdown stops the server, waits until its data is on the disk, and gives the directory free. A second call waits
// for the first and does nothing.
func (e *Embedded) Shutdown() {
	e.stop.Do(func() {
		e.halt()
		unlockDir(e.lock)
	})
}

// halt stops the server, if there is one, also one that has not come up.
func (e *Embedded) halt() {
	if s := e.running(); s != nil {
		s.Shutdown()
		s.WaitForShutdown()
	}
}

// loopback reads a listen address and refuses one that others can reach.
func loopback(listen string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(listen)
	if err != nil {
		return "", 0, fmt.Errorf("WORKER_NATS_LISTEN: %q is not an address such as 127.0.0.1:4222", listen)
	}
	port, err = strconv.Atoi(text)
	if err != nil || port < -1 || port > 65535 {
		return "", 0, fmt.Errorf("WORKER_NATS_LISTEN: %q is not a port", text)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return "", 0, fmt.Errorf("WORKER_NATS_LISTEN: %q is not a loopback address, and the embedded server has no authentication; "+
			"run a NATS server of your own and name it with NATS_URL", listen)
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	return host, port, nil
}

// portFree finds a taken port before the store is opened: the server itself would only log it.
func portFree(ctx context.Context, host string, port int) error {
	if port == server.RANDOM_PORT {
		return nil
	}
	address := net.JoinHostPort(host, strconv.Itoa(port))
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("WORKER_NATS_LISTEN: the embedded NATS server cannot listen on %s: %w; "+
			"choose another port, or set NATS_URL if a NATS server runs there", address, errors.Unwrap(err))
	}
	return l.Close()
}
