package powercut_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"go.uber.org/goleak"

	"activation-worker/internal/broker"
)

// serverEnv makes the test's program a NATS server of one kind, see servers; filesEnv one that writes a few files.
const serverEnv, filesEnv = "POWERCUT_SERVER", "POWERCUT_FILES"

// servers are the ways in which a single server is run.
var servers = map[string]func(dir string) (url string, err error){
	"embedded": func(dir string) (string, error) {
		e, err := broker.StartEmbedded(context.Background(), broker.EmbeddedOptions{Dir: dir, Listen: "127.0.0.1:0"})
		if err != nil {
			return "", err
		}
		return e.URL(), nil
	},
	// As deploy/nats says, on a free port.
	"deploy": func(dir string) (string, error) {
		o := &server.Options{}
		if err := o.ProcessConfigFile(os.Getenv("POWERCUT_CONFIG")); err != nil {
			return "", err
		}
		o.StoreDir = dir
		return plain(o)
	},
	// As embedded, and tidies up all the time, which is done every two minutes otherwise.
	"tidying": func(dir string) (string, error) {
		return plain(&server.Options{JetStream: true, StoreDir: dir, SyncAlways: true, SyncInterval: 50 * time.Millisecond})
	},
	// As a server is that nobody told to sync.
	"unsynced": func(dir string) (string, error) {
		return plain(&server.Options{JetStream: true, StoreDir: dir})
	},
}

func plain(o *server.Options) (string, error) {
	o.Host, o.Port, o.HTTPPort, o.NoSigs, o.NoLog = "127.0.0.1", server.RANDOM_PORT, 0, true, true
	s, err := server.NewServer(o)
	if err != nil {
		return "", err
	}
	s.Start()
	if !s.ReadyForConnections(30 * time.Second) {
		return "", fmt.Errorf("the server is not ready")
	}
	return s.ClientURL(), nil
}

func TestMain(m *testing.M) {
	if os.Getenv(filesEnv) != "" {
		if err := writeFiles(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if kind := os.Getenv(serverEnv); kind != "" {
		url, err := servers[kind](os.Args[1])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		if err := os.WriteFile(os.Args[2], []byte(url), 0o600); err != nil {
			os.Exit(1)
		}
		select {} // until killed
	}
	goleak.VerifyTestMain(m)
}

func serverCommand(t *testing.T, kind, dir, urlFile string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	config, err := filepath.Abs("../../../deploy/nats/nats-server.conf")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, dir, urlFile)
	cmd.Env = append(os.Environ(), serverEnv+"="+kind, "POWERCUT_CONFIG="+config, "ACTIVATION_NATS_PASSWORD=pw")
	cmd.Stderr = os.Stderr
	return cmd
}
