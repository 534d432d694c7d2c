package deploytest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Cluster are three NATS servers that run deploy/nats/cluster.conf as it is shipped, with the certificates and keys of the
// scripts beside it. What differs between the nodes is in their environment.
type Cluster struct {
	t     testing.TB
	Nodes []*Node
	dir   string
}

// Node is one of the servers.
type Node struct {
	Name    string
	Process *Process
	URL     string // for clients
	Monitor string // http://address
	command Command
}

// Dir is where the node was started.
func (n *Node) Dir() string { return n.command.Dir }

// StartCluster starts the servers, and waits until each is healthy.
func StartCluster(t testing.TB) *Cluster {
	t.Helper()
	c := &Cluster{t: t, dir: t.TempDir()}
	path := Path(t)
	Must(t, Command{Path: Shipped("nats", "keys.sh"), Args: []string{filepath.Join(c.dir, "keys")}, Env: []string{path, "HOME=" + c.dir}})
	Must(t, Command{Path: Shipped("nats", "certificates.sh"), Args: []string{filepath.Join(c.dir, "tls"), "localhost", "127.0.0.1"}, Env: []string{path}})
	keys, err := os.ReadFile(filepath.Join(c.dir, "keys", "keys.env"))
	if err != nil {
		t.Fatal(err)
	}
	const nodes = 3
	ports := FreePorts(t, 3*nodes)
	var peers []string
	for i := range nodes {
		peers = append(peers, fmt.Sprintf(`"tls://127.0.0.1:%d"`, ports[3*i+1]))
	}
	for i := range nodes {
		n := &Node{
			Name: fmt.Sprintf("nats-%d", i+1), URL: fmt.Sprintf("tls://127.0.0.1:%d", ports[3*i]), Monitor: fmt.Sprintf("http://127.0.0.1:%d", ports[3*i+2]),
		}
		home := filepath.Join(c.dir, n.Name)
		if err := os.Mkdir(home, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join(c.dir, "tls"), filepath.Join(home, "tls")); err != nil {
			t.Fatal(err)
		}
		n.command = Command{
			Path: Tool(t, "nats-server"), Args: []string{"-c", Shipped("nats", "cluster.conf")}, Dir: home,
			Env: append(strings.Fields(string(keys)),
				"ACTIVATION_NATS_NODE="+n.Name,
				fmt.Sprintf(`ACTIVATION_NATS_CLIENTS="127.0.0.1:%d"`, ports[3*i]),
				fmt.Sprintf(`ACTIVATION_NATS_ROUTES="127.0.0.1:%d"`, ports[3*i+1]),
				fmt.Sprintf(`ACTIVATION_NATS_MONITOR="127.0.0.1:%d"`, ports[3*i+2]),
				"ACTIVATION_NATS_PEERS=["+strings.Join(peers, ", ")+"]"),
		}
		n.Process = Start(t, n.command)
		c.Nodes = append(c.Nodes, n)
	}
	for _, n := range c.Nodes {
		c.AwaitHealthy(n)
	}
	return c
}

// AwaitHealthy waits until a node has caught up with the others.
func (c *Cluster) AwaitHealthy(n *Node) {
	c.t.Helper()
	AwaitStatus(c.t, n.Monitor+"/healthz", 200, n.Process)
}

// Restart starts a node again that has ended, with what it had stored.
func (c *Cluster) Restart(n *Node) {
	c.t.Helper()
	n.Process = Start(c.t, n.command)
	c.AwaitHealthy(n)
}

// URL lists all nodes.
func (c *Cluster) URL() string {
	var urls []string
	for _, n := range c.Nodes {
		urls = append(urls, n.URL)
	}
	return strings.Join(urls, ",")
}

// CA is the file that clients trust, Seed the file of a user's key.
func (c *Cluster) CA() string { return filepath.Join(c.dir, "tls", "ca.pem") }

// Seed is the file of a user's key.
func (c *Cluster) Seed(who string) string { return filepath.Join(c.dir, "keys", who+".nk") }

// Env are the settings with which the worker's commands connect as somebody.
func (c *Cluster) Env(who string) []string {
	return []string{"NATS_URL=" + c.URL(), "NATS_CA=" + c.CA(), "NATS_NKEY=" + c.Seed(who), "NATS_INBOX_PREFIX=_INBOX_" + who}
}

// Setup makes the streams, as the user who may, with a partner's settings.
func (c *Cluster) Setup(partner []string) {
	c.t.Helper()
	Must(c.t, Command{Path: Worker(c.t), Args: []string{"setup", "--with-intake"}, Env: append(c.Env("setup"), partner...)})
}

// Submit announces a customer as the pipeline does: again, as long as the stream has no leader.
func (c *Cluster) Submit(id string) {
	c.t.Helper()
	var stderr string
	if !Eventually(c.t, func() bool {
		var status int
		_, stderr, status = Run(c.t, Command{Path: Worker(c.t), Args: []string{"submit", id}, Env: c.Env("pipeline")})
		return status == 0
	}) {
		c.t.Fatalf("%s cannot be announced:\n%s", id, stderr)
	}
}

// askAgain is when a question is asked anew: one that a node took with it when it was lost gets no answer.
const askAgain = 10 * time.Second

// AwaitState waits until a customer's newest record has this state, as an operator sees it who may only look.
func (c *Cluster) AwaitState(id, want string, worker *Process) {
	c.t.Helper()
	var stdout, stderr string
	if !Eventually(c.t, func() bool {
		stdout, stderr, _ = Run(c.t, Command{Path: Worker(c.t), Args: []string{"status", id, "-o", "json"}, Env: c.Env("dave"), Within: askAgain})
		var customer struct{ State string }
		return json.NewDecoder(strings.NewReader(stdout)).Decode(&customer) == nil && customer.State == want
	}) {
		c.t.Fatalf("%s is not %s but:\n%s%s\nthe worker said:\n%s", id, want, stdout, stderr, worker.Said())
	}
}

// StartPartner starts worker simulate and returns the settings with which a worker uses it, and the folder with its files.
func StartPartner(t testing.TB, args ...string) (env []string, dir string) {
	t.Helper()
	dir = t.TempDir()
	p := Start(t, Command{Path: Worker(t), Args: append([]string{"simulate", "--listen", "127.0.0.1:0", "--dir", dir}, args...)})
	if !Eventually(t, func() bool {
		text, err := os.ReadFile(filepath.Join(dir, "simulator.env"))
		env = strings.Split(strings.TrimSpace(string(text)), "\n")
		return err == nil && len(env) > 4
	}) {
		t.Fatalf("the simulator has not started; it said:\n%s", p.Said())
	}
	return env, dir
}
