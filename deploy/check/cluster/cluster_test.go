// Package cluster holds deploy/nats/cluster.conf against real servers and a real worker.
package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"activation-worker/deploy/check/deploytest"
)

func TestMain(m *testing.M) { os.Exit(deploytest.Main(m)) }

// TestOneOfThreeNodesMayBeLost: a worker with no more rights than it needs goes on when a node is killed, stopped, or loses its
// disk, and each node catches up when it comes back.
func TestOneOfThreeNodesMayBeLost(t *testing.T) {
	t.Parallel()
	c := deploytest.StartCluster(t)
	partner, _ := deploytest.StartPartner(t, "--tls")
	c.Setup(partner)
	port := deploytest.FreePorts(t, 1)[0]
	worker := deploytest.Start(t, deploytest.Command{Path: deploytest.Worker(t), Args: []string{"run"}, Env: append(append(c.Env("worker"), partner...),
		"WORKER_EMBEDDED_NATS=never", "WORKER_CONSOLE_ADDR=off", fmt.Sprintf("WORKER_HTTP_ADDR=127.0.0.1:%d", port))})
	ready := fmt.Sprintf("http://127.0.0.1:%d/readyz", port)
	deploytest.AwaitStatus(t, ready, 200, worker)
	c.Submit("51600001")
	c.AwaitState("51600001", "activated", worker)

	for i, loss := range []func(*deploytest.Node){
		func(n *deploytest.Node) { n.Process.Kill() },
		func(n *deploytest.Node) { n.Process.Stop() }, // restarted one after the other
		func(n *deploytest.Node) { // replaced: the same name, an empty disk
			n.Process.Kill()
			if err := os.RemoveAll(filepath.Join(n.Dir(), "data")); err != nil {
				t.Fatal(err)
			}
		},
	} {
		id, n := fmt.Sprintf("5160001%d", i), c.Nodes[i]
		loss(n)
		c.Submit(id)
		c.AwaitState(id, "activated", worker)
		c.Restart(n)
	}
	deploytest.AwaitStatus(t, ready, 200, worker)

	// Three copies, seen by who runs the servers.
	env := []string{"NATS_URL=" + c.URL(), "NATS_CA=" + c.CA(), "NATS_NKEY=" + c.Seed("system"), "HOME=" + t.TempDir()}
	report := deploytest.Must(t, deploytest.Command{Path: deploytest.Tool(t, "nats"), Args: []string{"server", "report", "jetstream"}, Env: env})
	for _, n := range c.Nodes {
		if !strings.Contains(report, n.Name) {
			t.Errorf("nats server report jetstream does not know %s:\n%s", n.Name, report)
		}
	}
	info := deploytest.Must(t, deploytest.Command{
		Path: deploytest.Tool(t, "nats"), Args: []string{"--inbox-prefix", "_INBOX_monitor", "stream", "info", "ACTIVATION", "--json"},
		Env: []string{"NATS_URL=" + c.URL(), "NATS_CA=" + c.CA(), "NATS_NKEY=" + c.Seed("monitor"), "HOME=" + t.TempDir()},
	})
	if !strings.Contains(info, `"num_replicas": 3`) || strings.Contains(info, `"offline": true`) {
		t.Errorf("the ledger has not three copies:\n%s", info)
	}
	if status := worker.Stop(); status != 0 {
		t.Errorf("the worker ended with %d; it said:\n%s", status, worker.Said())
	}
}
