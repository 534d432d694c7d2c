package main

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"activation-worker/internal/partnerapi/simulator"
)

// stage is where the commands of one document are typed: a directory, the shells, and what the document says runs beside.
type stage struct {
	t         *testing.T
	dir       string
	env       []string // of every shell
	mapped    [][2]string
	terminals map[string]*terminal
}

// shown are the addresses that documents show, the defaults, each of which becomes a free one. Where a simulator runs beside, its
// own two are taken.
var shown = []string{natsAddress, probesAddress, consoleAddress, partnerAddress, dnsAddress, "127.0.0.1:8222"}

const (
	natsAddress    = "127.0.0.1:4222"
	probesAddress  = "127.0.0.1:8080"
	consoleAddress = "127.0.0.1:8081"
	partnerAddress = "127.0.0.1:8090"
	dnsAddress     = "127.0.0.1:8053"

	// secretsDir is where documents put the credentials.
	secretsDir = "/etc/activation-worker"
)

var (
	beside = regexp.MustCompile(`(?m)^<!-- beside: (worker|partner) -->$`)
	empty  = regexp.MustCompile(`(?m)^<!-- in an empty directory -->$`)
)

// newStage makes what a document says it wants.
func newStage(t *testing.T, doc, text string) *stage {
	t.Helper()
	s := &stage{t: t, dir: t.TempDir(), terminals: map[string]*terminal{}}
	addresses := map[string]string{}
	for _, address := range shown {
		addresses[address] = freePortFrom(t, 12000) // they are taken late, and others must not
	}
	secrets := filepath.Join(t.TempDir(), "activation-worker")
	if m := beside.FindStringSubmatch(text); m != nil {
		// The account is that of the documents.
		p := newPartner(t, simulator.Options{Admin: true, Auto: true, ClientID: "Xq7PkT2mVb", ServiceAccount: "k3x9q.serviceaccount@kawase-it"})
		addresses[partnerAddress], addresses[dnsAddress] = strings.TrimPrefix(p.url, "http://"), p.dns
		s.keepSecrets(secrets, p.Credentials())
		s.env = append(s.env, "WORKER_DNS_RESOLVERS="+p.dns)
		defer s.startBeside(m[1], p)
	}
	for from, to := range addresses {
		s.mapped = append(s.mapped, [2]string{from, to})
	}
	// It says where it listens on the command line alone; of a flag given twice the last counts.
	s.mapped = append(s.mapped, [2]string{secretsDir, secrets}, [2]string{"localhost:4222", addresses[natsAddress]},
		[2]string{"worker simulate ", "worker simulate --listen " + addresses[partnerAddress] + " "})
	if !empty.MatchString(text) {
		s.copyDeploy()
	}
	s.bareEnvironment(addresses)
	if strings.HasPrefix(doc, "deploy/") {
		s.dir = filepath.Join(s.dir, filepath.FromSlash(strings.TrimSuffix(doc, "/README.md")))
	}
	return s
}

// bareEnvironment is all that a shell of the document knows. No document can reach the real partner.
func (s *stage) bareEnvironment(addresses map[string]string) {
	s.t.Helper()
	bin, home := s.t.TempDir(), s.t.TempDir()
	api, token := simulator.URLs("http://" + addresses[partnerAddress])
	goTool, err := exec.LookPath("go")
	if err != nil {
		s.t.Fatal(err)
	}
	s.env = append(s.env,
		"HOME="+home, "PATH="+strings.Join([]string{bin, "/usr/bin", "/bin", filepath.Dir(goTool)}, ":"),
		"WORKER_NATS_LISTEN="+addresses[natsAddress], "WORKER_HTTP_ADDR="+addresses[probesAddress], "WORKER_CONSOLE_ADDR="+addresses[consoleAddress],
		"LINEWORKS_API_URL="+api, "LINEWORKS_TOKEN_URL="+token,
		"GOCACHE="+goEnv(s.t, "GOCACHE"), "GOMODCACHE="+goEnv(s.t, "GOMODCACHE"), "GOFLAGS="+goEnv(s.t, "GOFLAGS"),
	)
	for name, path := range map[string]string{"worker": buildWorker(s.t), "nats-server": buildNATSServer(s.t)} {
		if err := os.Symlink(path, filepath.Join(bin, name)); err != nil {
			s.t.Fatal(err)
		}
	}
	nats := "#!/bin/sh\nNATS_URL=${NATS_URL:-" + addresses[natsAddress] + "} exec " + newNATSCLI(s.t, "").path + ` "$@"` + "\n"
	if err := os.WriteFile(filepath.Join(bin, "nats"), []byte(nats), 0o700); err != nil {
		s.t.Fatal(err)
	}
}

var goSettings sync.Map

func goEnv(t *testing.T, name string) string {
	t.Helper()
	ask := sync.OnceValues(func() (string, error) {
		out, err := exec.Command("go", "env", name).Output()
		return strings.TrimSpace(string(out)), err
	})
	once, _ := goSettings.LoadOrStore(name, ask)
	value, err := once.(func() (string, error))()
	if err != nil {
		t.Fatalf("go env %s: %v", name, err)
	}
	return value
}

func (s *stage) keepSecrets(dir string, c simulator.Credentials) {
	s.t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		s.t.Fatal(err)
	}
	for name, secret := range map[string]string{"client-secret": c.ClientSecret + "\n", "private-key.pem": c.PrivateKeyPEM} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(secret), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
}

// copyDeploy copies what is deployed, with free addresses.
func (s *stage) copyDeploy() {
	s.t.Helper()
	from := filepath.Join(root, "deploy")
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		to := filepath.Join(s.dir, "deploy", rel)
		if entry.IsDir() {
			return os.MkdirAll(to, 0o700)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		return os.WriteFile(to, []byte(s.real(string(text))), info.Mode().Perm()|0o600)
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// real is a text of a document with this stage's addresses and files, and back is the contrary.
func (s *stage) real(text string) string {
	for _, m := range s.mapped {
		text = strings.ReplaceAll(text, m[0], m[1])
	}
	return text
}

func (s *stage) back(text string) string {
	for _, m := range s.mapped {
		text = strings.ReplaceAll(text, m[1], m[0])
	}
	return text
}

// The customers of a document beside which a worker runs.
const (
	waitingCustomer, failedCustomer, activeCustomer = 51200931, 51200932, 51200933
)

// startBeside starts what the document says runs beside it. The partner runs already.
func (s *stage) startBeside(what string, p *partner) {
	s.t.Helper()
	if what != "worker" {
		return
	}
	p.Add(simulator.Customer{DomainID: waitingCustomer, Domain: "hinode-foods.example", Terms: true})
	p.Add(simulator.Customer{DomainID: failedCustomer, Domain: "aoba-print.example", Terms: true, DNS: true})
	p.Add(simulator.Customer{DomainID: activeCustomer, Domain: "mikan-shoji.example", Terms: true, DNS: true})
	p.Script(failedCustomer, simulator.OpActivate, "400:CONTRACT_ENDED")
	env := settings(s.env, p.env(), []string{"WORKER_DATA_DIR=" + s.t.TempDir()})
	startWorker(s.t, env...).AwaitReady(startTimeout)
	for _, c := range []struct {
		id     int
		domain string
	}{{waitingCustomer, "hinode-foods.example"}, {failedCustomer, "aoba-print.example"}, {activeCustomer, "mikan-shoji.example"}} {
		invoke(s.t, "", s.env, "submit", fmt.Sprint(c.id), "--domain", c.domain).want(s.t, exitDone)
	}
	if !eventually(s.t, time.Minute, func() bool {
		list := invoke(s.t, "", s.env, "list", "-o", "json").stdout
		return strings.Contains(list, "dns_unverified") && strings.Contains(list, "CONTRACT_ENDED") && strings.Contains(list, `"activated"`)
	}) {
		s.t.Fatal("the customers beside the document have not come to the states that it is promised")
	}
}

// terminal is one of the document's, opened when it is first needed.
func (s *stage) terminal(name string) *terminal {
	s.t.Helper()
	x := s.terminals[name]
	if x == nil {
		x = openTerminal(s.t, s.dir, s.env)
		s.terminals[name] = x
	}
	return x
}
