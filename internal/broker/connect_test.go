package broker_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"activation-worker/internal/broker"
	"activation-worker/internal/broker/brokertest"
	"activation-worker/internal/repeats"
)

const passwordConfig = `authorization { users: [{user: w, password: "right-secret"}] }`

func watchLog() (*zap.Logger, *observer.ObservedLogs) {
	core, logs := observer.New(zap.DebugLevel)
	return zap.New(core), logs
}

// eventually waits until the condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	limit := time.After(10 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("not within ten seconds: %s", what)
		}
	}
}

// logged reports whether the log has the message, and shows how often.
func logged(logs *observer.ObservedLogs, part string) int {
	n := 0
	for _, e := range logs.All() {
		if strings.Contains(e.Message, part) {
			n++
		}
	}
	return n
}

func fixed(secret string) func() (string, error) {
	return func() (string, error) { return secret, nil }
}

func TestConnectWaitsForTheServer(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t)
	url := s.URL()
	s.Stop()
	log, logs := watchLog()
	type result struct {
		nc  *nats.Conn
		err error
	}
	connected := make(chan result, 1)
	go func() {
		nc, _, err := broker.Connect(t.Context(), broker.Options{URL: url, Log: log, Name: "test"})
		connected <- result{nc, err}
	}()
	eventually(t, "says that it waits", func() bool { return logged(logs, "not reachable") == 1 })
	s.Restart()
	r := <-connected
	if r.err != nil {
		t.Fatal(r.err)
	}
	defer r.nc.Close()
	if n := logged(logs, "not reachable"); n != 1 {
		t.Errorf("said %d times that it waits, want once", n)
	}

	s.Stop()
	eventually(t, "notices the loss", func() bool { return logged(logs, "connection lost") == 1 && logged(logs, "not reachable") == 2 })
	if err := r.nc.Publish("x", nil); !errors.Is(err, nats.ErrReconnectBufExceeded) {
		t.Errorf("publishing while disconnected: %v, want a refusal", err)
	}
	s.Restart()
	eventually(t, "connects again", r.nc.IsConnected)
	eventually(t, "says so", func() bool { return logged(logs, "nats connected") == 2 })
}

// Whoever reads the log finds whether there is a connection now: each loss is written, as each connection is.
func TestEachLossIsLogged(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t)
	core, logs := observer.New(zap.InfoLevel)
	nc, _, err := broker.Connect(t.Context(), broker.Options{URL: s.URL(), Log: zap.New(repeats.Wrap(core)), Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for i := range 2 {
		s.Stop()
		eventually(t, "says that the connection is lost", func() bool { return logged(logs, "connection lost") == i+1 })
		s.Restart()
		eventually(t, "says that it is back", func() bool { return logged(logs, "nats connected") == i+2 })
	}
}

func TestTheSameTroubleIsSaidRarely(t *testing.T) {
	t.Parallel()
	log, logs := watchLog()
	now := time.Now()
	unreachable := broker.LogUnreachable(log, func() time.Time { return now })
	for _, step := range []struct {
		later time.Duration
		err   error
		want  int
	}{
		{0, nats.ErrNoServers, 1},
		{time.Minute, errors.New("read tcp 127.0.0.1:53422: reset"), 1},
		{time.Second, nats.ErrAuthorization, 2},
		{time.Second, nats.ErrNoServers, 2},
		{5 * time.Minute, nats.ErrNoServers, 3},
	} {
		now = now.Add(step.later)
		unreachable(step.err)
		if logs.Len() != step.want {
			t.Fatalf("after %v: %d messages, want %d", step.err, logs.Len(), step.want)
		}
	}
}

func TestConnectEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t)
	url := s.URL()
	s.Stop()
	ctx, cancel := context.WithCancelCause(t.Context())
	log, logs := watchLog()
	done := make(chan error, 1)
	go func() { _, _, err := broker.Connect(ctx, broker.Options{URL: url, Log: log}); done <- err }()
	eventually(t, "tries", func() bool { return logged(logs, "not reachable") == 1 })
	stop := errors.New("stop")
	cancel(stop)
	if err := <-done; !errors.Is(err, stop) {
		t.Errorf("error %v, want the context's cause", err)
	}
}

// A password that is wrong for a while, at the start and later, closes nothing for ever, and is never shown.
func TestRefusedCredentialsAreRetriedAndReadAgain(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t, brokertest.WithConfig(passwordConfig))
	var secret atomic.Value
	secret.Store("wrong-secret")
	log, logs := watchLog()
	var reads atomic.Int32
	o := broker.Options{URL: s.URL(), User: "w", Log: log, Password: func() (string, error) {
		reads.Add(1)
		if v := secret.Load().(string); v != "" {
			return v, nil
		}
		return "", errors.New("file is away")
	}}
	connected := make(chan *nats.Conn, 1)
	go func() {
		nc, _, err := broker.Connect(t.Context(), o)
		if err != nil {
			t.Error(err)
		}
		connected <- nc
	}()
	eventually(t, "says why", func() bool { return logged(logs, "refuses our credentials") == 1 })
	secret.Store("right-secret")
	nc := <-connected
	defer nc.Close()

	for i, wrong := range []string{"wrong-secret", ""} {
		secret.Store(wrong)
		before := reads.Load()
		s.Restart()
		eventually(t, "is refused again", func() bool { return logged(logs, "refuses our credentials") == i+2 })
		if wrong == "" {
			eventually(t, "says that it cannot read them", func() bool { return logged(logs, "cannot be read") == 1 })
		}
		// By default the client gives up after the second refusal.
		eventually(t, "tries once more", func() bool { return reads.Load() >= before+3 })
		secret.Store("right-secret")
		eventually(t, "connects again", nc.IsConnected)
	}
	for _, e := range logs.All() {
		text := e.Message
		for _, f := range e.Context {
			text += f.String
			if err, ok := f.Interface.(error); ok {
				text += err.Error()
			}
		}
		if strings.Contains(text, "-secret") {
			t.Errorf("a password is in the log: %s", text)
		}
	}
}

func TestConnectOnceSaysWhatToDo(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t, brokertest.WithConfig(passwordConfig))
	address := strings.TrimPrefix(s.URL(), "nats://")
	_, _, err := broker.ConnectOnce(t.Context(), broker.Options{URL: "nats://w:wrong-secret@" + address})
	wantError(t, err, "refuses us", address, "NATS_CREDS")
	if strings.Contains(err.Error(), "-secret") {
		t.Errorf("a password is in the error: %v", err)
	}
	nc, js, err := broker.ConnectOnce(t.Context(), broker.Options{URL: address, User: "w", Password: fixed("right-secret")})
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	ensure(t, js, layout())
	s.Stop()
	_, _, err = broker.ConnectOnce(t.Context(), broker.Options{URL: "nats://w:right-secret@" + address})
	wantError(t, err, "no NATS server answers at "+address, "NATS_URL", "worker run")
}

func TestTokenAndNKey(t *testing.T) {
	t.Parallel()
	user, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, _ := user.PublicKey()
	seed, _ := user.Seed()
	file := write(t, "user.nk", string(seed))
	for name, c := range map[string]struct {
		config  string
		options broker.Options
	}{
		"token": {`authorization { token: tok }`, broker.Options{Token: fixed("tok")}},
		"nkey":  {`authorization { users: [{nkey: ` + public + `}] }`, broker.Options{NKey: file}},
		"inbox": {
			`authorization { users: [{user: w, password: w, permissions: {publish: ">", subscribe: "_MINE.>"}}] }`,
			broker.Options{User: "w", Password: fixed("w"), InboxPrefix: "_MINE"},
		},
		"domain": {`jetstream { domain: hub }`, broker.Options{JSDomain: "hub"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := c.options
			o.URL = brokertest.Start(t, brokertest.WithConfig(c.config)).URL()
			nc, js, err := broker.ConnectOnce(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			ensure(t, js, layout())
		})
	}
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestFaultySettingsAreNamedAtOnce(t *testing.T) {
	t.Parallel()
	garbage := write(t, "garbage", "secret-garbage")
	unreadable := func() (string, error) { return "", errors.New("open /run/secret: no such file") }
	for name, c := range map[string]struct {
		options broker.Options
		says    string
	}{
		"no address":         {broker.Options{URL: ""}, "NATS_URL: entry 1"},
		"bad address":        {broker.Options{URL: "nats://ok:4222, http://u:secret-p@h"}, "NATS_URL: entry 2"},
		"unparsable address": {broker.Options{URL: "nats://u:secret-p@h:port"}, "NATS_URL: entry 1"},
		"creds missing":      {broker.Options{Creds: "/nowhere/x.creds"}, "NATS_CREDS: open /nowhere/x.creds"},
		"creds garbage":      {broker.Options{Creds: garbage}, "NATS_CREDS: "},
		"nkey missing":       {broker.Options{NKey: "/nowhere/x.nk"}, "NATS_NKEY: "},
		"nkey garbage":       {broker.Options{NKey: garbage}, "NATS_NKEY: "},
		"ca missing":         {broker.Options{CA: "/nowhere/ca.pem"}, "NATS_CA: "},
		"ca garbage":         {broker.Options{CA: garbage}, "NATS_CA: "},
		"cert alone":         {broker.Options{Cert: garbage}, "NATS_CERT: wants NATS_KEY"},
		"key alone":          {broker.Options{Key: garbage}, "NATS_KEY: wants NATS_CERT"},
		"cert garbage":       {broker.Options{Cert: garbage, Key: garbage}, "NATS_CERT, NATS_KEY: "},
		"password alone":     {broker.Options{Password: fixed("x")}, "NATS_PASSWORD: wants NATS_USER"},
		"password unread":    {broker.Options{User: "u", Password: unreadable}, "NATS_PASSWORD: open /run/secret"},
		"token unread":       {broker.Options{Token: unreadable}, "NATS_TOKEN: open /run/secret"},
		"two identities":     {broker.Options{User: "u", Token: fixed("t")}, "NATS_USER, NATS_TOKEN: only one"},
		"inbox":              {broker.Options{InboxPrefix: "a.*"}, "NATS_INBOX_PREFIX: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := c.options
			if !strings.Contains(name, "address") {
				o.URL = "nats://127.0.0.1:1"
			}
			_, _, err := broker.Connect(t.Context(), o)
			wantError(t, err, c.says)
			if strings.Contains(err.Error(), "secret-") {
				t.Errorf("a secret is in the error: %v", err)
			}
		})
	}
}

// A server that says it is 2.11 is refused, whatever it can do.
func TestOldServerIsRefused(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); oldServer(l) }()
	t.Cleanup(func() { l.Close(); <-done })
	nc, js, err := broker.ConnectOnce(t.Context(), broker.Options{URL: l.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	err = broker.Ensure(t.Context(), js, layout())
	if _, ok := errors.AsType[*broker.VersionError](err); !ok {
		t.Fatalf("error %v, want a VersionError", err)
	}
}

// oldServer greets one client, answers its first ping, and waits until it leaves.
func oldServer(l net.Listener) {
	conn, err := l.Accept()
	if err != nil {
		return
	}
	defer conn.Close()
	greeting := `INFO {"server_id":"X","version":"2.11.4","headers":true,"max_payload":1048576,"proto":1}` + "\r\n"
	if _, err := conn.Write([]byte(greeting)); err != nil {
		return
	}
	buffer, seen := make([]byte, 4096), ""
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		if seen += string(buffer[:n]); strings.Contains(seen, "PING\r\n") {
			seen = ""
			if _, err := conn.Write([]byte("PONG\r\n")); err != nil {
				return
			}
		}
	}
}
