package brokertest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Cluster is several NATS servers in one process, joined by routes over TCP.
type Cluster struct {
	Nodes []*Server
}

// StartCluster starts n servers and waits until they have a leader and see one another. It ends with the test.
func StartCluster(t testing.TB, n int, options ...Option) *Cluster {
	t.Helper()
	ports := freePorts(t, n)
	routes := make([]*url.URL, n)
	for i, port := range ports {
		routes[i] = &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", port)}
	}
	c := &Cluster{}
	for i := range n {
		node := newServer(t, t.TempDir(), options...)
		node.options.ServerName = fmt.Sprintf("node%d", i+1)
		node.options.Cluster = server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: ports[i]}
		node.options.Routes = routes
		c.Nodes = append(c.Nodes, node)
		node.launch()
	}
	c.wait(t)
	return c
}

// URL lists all servers.
func (c *Cluster) URL() string {
	urls := make([]string, len(c.Nodes))
	for i, node := range c.Nodes {
		urls[i] = node.URL()
	}
	return strings.Join(urls, ",")
}

// wait returns when one server leads and knows as many peers as there are servers.
func (c *Cluster) wait(t testing.TB) {
	t.Helper()
	limit := time.After(readyTimeout)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !c.ready() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("the cluster of %d has no leader after %s", len(c.Nodes), readyTimeout)
		}
	}
}

func (c *Cluster) ready() bool {
	led := false
	for _, node := range c.Nodes {
		if !node.server.JetStreamIsCurrent() {
			return false
		}
		led = led || node.server.JetStreamIsLeader() && len(node.server.JetStreamClusterPeers()) == len(c.Nodes)
	}
	return led
}

// The ports of routes lie below those that systems give out by themselves: else somebody else's connection may
// take one between its being found free and its use.
const (
	firstRoutePort = 20000
	routePorts     = 12000
)

// freePorts finds n ports that nobody listens on. Routes must be known before the servers start.
func freePorts(t testing.TB, n int) []int {
	t.Helper()
	listeners := make([]net.Listener, n) // all held at once, so that all ports differ
	ports := make([]int, n)
	for i, tries := 0, 0; i < n; tries++ {
		port := firstRoutePort + rand.IntN(routePorts)
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		switch {
		case err == nil:
			listeners[i], ports[i] = l, port
			i++
		case tries == routePorts:
			t.Fatalf("finding a free port: %v", err)
		}
	}
	for _, l := range listeners {
		if err := l.Close(); err != nil {
			t.Fatalf("freeing a port: %v", err)
		}
	}
	return ports
}

func tcpPort(t testing.TB, a net.Addr) int {
	t.Helper()
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		t.Fatalf("%v is not a TCP address", a)
	}
	return tcp.Port
}
