package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"activation-worker/internal/partnerapi/simulator"
)

// everybody are the users of deploy/nats/accounts.conf who have to do with customers; system has an account of its own.
var everybody = []string{"setup", "worker", "pipeline", "greeter", "alice", "bob", "carol", "dave", "monitor"}

// guarded is a server started with deploy/nats/least-privilege.conf as it is, and keys for all its users.
type guarded struct {
	t       *testing.T
	url, ca string
	seeds   map[string]string // file of each user's seed
	partner *partner
}

// natsServer is the server of the pinned tools, built at most once in a test run.
var natsServer struct {
	once sync.Once
	err  error
}

func buildNATSServer(t *testing.T) string {
	t.Helper()
	path := filepath.Join(binary.dir, "nats-server")
	natsServer.once.Do(func() {
		// Without the first caller's context: the others need it too.
		build := exec.Command("go", "build", "-C", filepath.Join("..", "..", "tools"), "-o", path, "github.com/nats-io/nats-server/v2")
		if out, err := build.CombinedOutput(); err != nil {
			natsServer.err = fmt.Errorf("go build of nats-server: %w\n%s", err, out)
		}
	})
	if natsServer.err != nil {
		t.Fatal(natsServer.err)
	}
	return path
}

// newGuarded starts the server and lets setup make the streams, and the greeter's consumer.
func newGuarded(t *testing.T, edits ...string) *guarded {
	t.Helper()
	dir := t.TempDir()
	g := &guarded{t: t, seeds: map[string]string{}, ca: filepath.Join(dir, "tls", "ca.pem"), partner: newPartner(t, simulator.Options{})}
	var env []string
	for _, who := range append([]string{"system", "keeper"}, everybody...) {
		env = append(env, "ACTIVATION_NKEY_"+strings.ToUpper(who)+"="+g.makeKey(dir, who))
	}
	makeCertificates(t, filepath.Join(dir, "tls"))
	g.url = startServer(t, dir, env, edits)
	invoke(t, "", g.env("setup"), "setup", "--with-intake").want(t, exitDone)
	_, js := g.connect("setup")
	if _, err := js.CreateConsumer(t.Context(), "ACTIVATION", jetstream.ConsumerConfig{
		Durable: "greeter", FilterSubject: "activation.customer.*.activated", AckPolicy: jetstream.AckExplicitPolicy,
	}); err != nil {
		t.Fatalf("setup cannot make a reader's consumer: %v", err)
	}
	return g
}

// makeKey writes a user's seed and returns the public key.
func (g *guarded) makeKey(dir, who string) string {
	g.t.Helper()
	pair, err := nkeys.CreateUser()
	if err != nil {
		g.t.Fatal(err)
	}
	seed, err := pair.Seed()
	if err != nil {
		g.t.Fatal(err)
	}
	public, err := pair.PublicKey()
	if err != nil {
		g.t.Fatal(err)
	}
	g.seeds[who] = filepath.Join(dir, who+".nk")
	writeFile(g.t, g.seeds[who], seed)
	return public
}

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// makeCertificates makes what least-privilege.conf looks for, signed by an authority of its own.
func makeCertificates(t *testing.T, dir string) {
	t.Helper()
	key := newECKey(t)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	writeFile(t, filepath.Join(dir, "ca.pem"), certificate(t, ca, ca, key, key))
	serverKey := newECKey(t)
	server := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "nats"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	writeFile(t, filepath.Join(dir, "server.pem"), certificate(t, server, ca, serverKey, key))
	der, err := x509.MarshalECPrivateKey(serverKey)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "server-key.pem"), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
}

func newECKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func certificate(t *testing.T, c, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, parentKey)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// startServer starts nats-server on the shipped files, on free ports, and returns its address. Edits, each a text and
// what it becomes, make a copy of accounts.conf: they show that a test can fail, or what a user lacks.
func startServer(t *testing.T, dir string, env, edits []string) string {
	t.Helper()
	shipped, err := filepath.Abs(filepath.Join(root, "deploy", "nats"))
	if err != nil {
		t.Fatal(err)
	}
	if len(edits) > 0 {
		shipped = editedConfig(t, shipped, edits)
	}
	said := newText()
	cmd := exec.Command(buildNATSServer(t), "-c", filepath.Join(shipped, "least-privilege.conf"), "-a", "127.0.0.1", "-p", "-1", "-m", "-1", "--ports_file_dir", dir)
	cmd.Dir, cmd.Env, cmd.Stderr = dir, env, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
	})
	var ports struct{ NATS []string }
	if !eventually(t, startTimeout, func() bool {
		found, _ := filepath.Glob(filepath.Join(dir, "*.ports"))
		if len(found) == 0 {
			return false
		}
		text, err := os.ReadFile(found[0])
		return err == nil && json.Unmarshal(text, &ports) == nil && len(ports.NATS) > 0
	}) {
		t.Fatalf("nats-server has not started; it said:\n%s", said.tail())
	}
	_, port, err := net.SplitHostPort(strings.TrimPrefix(strings.TrimPrefix(ports.NATS[0], "nats://"), "tls://"))
	if err != nil {
		t.Fatal(err)
	}
	return "nats://127.0.0.1:" + port
}

func editedConfig(t *testing.T, shipped string, edits []string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"common.conf", "least-privilege.conf", "accounts.conf"} {
		text, err := os.ReadFile(filepath.Join(shipped, name))
		if err != nil {
			t.Fatal(err)
		}
		if name == "accounts.conf" {
			for from, to := range pairs(edits) {
				if !strings.Contains(string(text), from) {
					t.Fatalf("accounts.conf has no %q", from)
				}
				text = []byte(strings.ReplaceAll(string(text), from, to))
			}
		}
		writeFile(t, filepath.Join(dir, name), text)
	}
	return dir
}

// pairs yields a list two by two.
func pairs(list []string) func(func(string, string) bool) {
	return func(yield func(string, string) bool) {
		for pair := range slices.Chunk(list, 2) {
			if !yield(pair[0], pair[1]) {
				return
			}
		}
	}
}

// env are the settings with which the command connects as somebody; a worker's has the partner's too.
func (g *guarded) env(who string, more ...string) []string {
	env := []string{
		"NATS_URL=" + g.url, "NATS_CA=" + g.ca, "NATS_NKEY=" + g.seeds[who], "NATS_INBOX_PREFIX=_INBOX_" + who,
		noWatch, "WORKER_HTTP_ADDR=127.0.0.1:0", "WORKER_CONSOLE_ADDR=127.0.0.1:0", "WORKER_LOG_LEVEL=debug", "LINEWORKS_TIMEOUT=2s", "LINEWORKS_RATE=0",
		"LINEWORKS_SUSTAINED_RATE=0", "WORKER_LEASE=12s", "WORKER_STREAM_MAX_BYTES=1GiB",
	}
	if who == "setup" || who == "worker" {
		env = settings(g.partner.env(), env)
	}
	return settings(env, more)
}

// options are those of a client that is somebody.
func (g *guarded) options(who string) []nats.Option {
	g.t.Helper()
	key, err := nats.NkeyOptionFromSeed(g.seeds[who])
	if err != nil {
		g.t.Fatal(err)
	}
	return []nats.Option{
		key, nats.RootCAs(g.ca), nats.CustomInboxPrefix("_INBOX_" + who), nats.Timeout(5 * time.Second),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}), // asked for by LastError
	}
}

// connect connects as somebody, until the test ends.
func (g *guarded) connect(who string) (*nats.Conn, jetstream.JetStream) {
	g.t.Helper()
	nc, err := nats.Connect(g.url, g.options(who)...)
	if err != nil {
		g.t.Fatalf("connecting as %s: %v", who, err)
	}
	g.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		g.t.Fatal(err)
	}
	return nc, js
}

// site are the means of other tests: the monitor reads the ledger.
func (g *guarded) site() *site {
	g.t.Helper()
	_, js := g.connect("monitor")
	return &site{t: g.t, js: js, partner: g.partner}
}
