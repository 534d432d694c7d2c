// Package brokertest runs NATS servers for tests: in the test's process, over TCP on free loopback ports, with file
// storage that goes away with the test. It is for tests only and not linked into the worker.
package brokertest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const readyTimeout = time.Minute

// Option changes how a server is started.
type Option func(testing.TB, *server.Options)

// WithConfig adds a server configuration file, for accounts, users and permissions. Address, store and JetStream are
// set by the test server itself.
func WithConfig(text string) Option {
	return func(t testing.TB, o *server.Options) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "nats.conf")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatalf("writing the server configuration: %v", err)
		}
		if err := o.ProcessConfigFile(file); err != nil {
			t.Fatalf("reading the server configuration: %v", err)
		}
	}
}

// WithoutJetStream starts a server that has no JetStream.
func WithoutJetStream() Option {
	return func(_ testing.TB, o *server.Options) { o.JetStream = false }
}

// WithSyncAlways syncs every write to the disk before it is acknowledged, as the embedded server does.
func WithSyncAlways() Option {
	return func(_ testing.TB, o *server.Options) { o.SyncAlways = true }
}

// Server is one NATS server.
type Server struct {
	t       testing.TB
	options *server.Options
	server  *server.Server // nil: stopped
}

// Start starts a server with JetStream. It ends with the test.
func Start(t testing.TB, options ...Option) *Server {
	t.Helper()
	s := newServer(t, t.TempDir(), options...)
	s.Restart()
	return s
}

func newServer(t testing.TB, dir string, options ...Option) *Server {
	t.Helper()
	s := &Server{t: t}
	s.options = s.with(dir, server.RANDOM_PORT, options)
	t.Cleanup(s.Stop)
	return s
}

func (s *Server) with(dir string, port int, options []Option) *server.Options {
	s.t.Helper()
	// What tests reserve for their streams is not held against the disk: they store little.
	o := &server.Options{JetStream: true, JetStreamMaxStore: 1 << 40}
	for _, option := range options {
		option(s.t, o)
	}
	o.Host, o.Port = "127.0.0.1", port
	o.StoreDir = dir
	o.NoSigs, o.NoLog = true, true
	return o
}

// Dir is where the server keeps what it stores.
func (s *Server) Dir() string { return s.options.StoreDir }

// Reload changes the options of the running server, as a changed configuration file does.
func (s *Server) Reload(options ...Option) {
	s.t.Helper()
	o := s.with(s.options.StoreDir, s.options.Port, options)
	o.ConfigFile = s.options.ConfigFile // a server takes no other
	if err := s.server.ReloadOptions(o.Clone()); err != nil {
		s.t.Fatalf("reloading the options of a NATS server: %v", err)
	}
	s.options = o
}

// RestartWith starts the server again with other options, on the same port and directory.
func (s *Server) RestartWith(options ...Option) {
	s.t.Helper()
	s.options = s.with(s.options.StoreDir, s.options.Port, options)
	s.Restart()
}

// Name is the server's name in its cluster.
func (s *Server) Name() string { return s.options.ServerName }

// URL is where clients connect. It stays the same over a restart.
func (s *Server) URL() string { return fmt.Sprintf("nats://127.0.0.1:%d", s.options.Port) }

// Stop stops the server and waits until it is gone. A second call does nothing.
func (s *Server) Stop() {
	if s.server == nil {
		return
	}
	s.server.Shutdown()
	s.server.WaitForShutdown()
	s.server = nil
}

// Restart starts the server again, after stopping it if need be, on the same port and directory.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	s.launch()
	if !s.server.ReadyForConnections(readyTimeout) {
		s.t.Fatalf("the NATS server did not start within %s", readyTimeout)
	}
}

// launch starts the server and keeps its port for the next time.
func (s *Server) launch() {
	s.t.Helper()
	started, err := server.NewServer(s.options.Clone())
	if err != nil {
		s.t.Fatalf("starting a NATS server: %v", err)
	}
	s.server = started
	started.Start()
	if address := started.Addr(); address != nil {
		s.options.Port = tcpPort(s.t, address)
	}
}

// Connect connects to a server and closes the connection with the test.
func Connect(t testing.TB, url string, options ...nats.Option) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	nc, err := nats.Connect(url, options...)
	if err != nil {
		t.Fatalf("connecting to %s: %v", url, err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatalf("JetStream: %v", err)
	}
	return nc, js
}
