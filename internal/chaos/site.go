package main

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"time"
)

// site is where everything runs: directories, addresses and the proxies between. Only the audit and the announcements
// go to the nodes directly.
type site struct {
	dir   string // logs, stores, the binaries
	tools string // toxiproxy-server and nats-server
	proxy *toxiproxy

	process *proc // toxiproxy's

	clients, routes, monitors [nodeCount]string              // addresses of each node
	probes                    [workerCount]string            // of each worker
	partner                   [workerCount]string            // the simulator's, one for each worker's proxy
	toNode                    [workerCount][nodeCount]string // what a worker takes a node for
	toPartner                 [workerCount]string
	toPeer                    [nodeCount][nodeCount]string
}

func (s *site) logFile(name string) string { return filepath.Join(s.dir, "logs", name+".log") }

// The names of proxies; all numbers count from 1.
func nodeLink(worker, node int) string { return fmt.Sprintf("worker-%d-node-%d", worker, node) }
func partnerLink(worker int) string    { return fmt.Sprintf("worker-%d-partner", worker) }
func peerLink(from, to int) string     { return fmt.Sprintf("node-%d-node-%d", from, to) }

// settle gives everything an address.
func (s *site) settle(ctx context.Context) error {
	ports, err := freePorts(ctx, 3*nodeCount+3*workerCount+workerCount*nodeCount+nodeCount*nodeCount+1)
	if err != nil {
		return err
	}
	take := func(places ...*string) {
		for _, p := range places {
			*p, ports = ports[0], ports[1:]
		}
	}
	for n := range nodeCount {
		take(&s.clients[n], &s.routes[n], &s.monitors[n])
		for other := range nodeCount {
			take(&s.toPeer[n][other])
		}
	}
	for w := range workerCount {
		take(&s.probes[w], &s.partner[w], &s.toPartner[w])
		for n := range nodeCount {
			take(&s.toNode[w][n])
		}
	}
	s.proxy = newToxiproxy(ports[0])
	return nil
}

// between starts toxiproxy with a proxy for every pair.
func (s *site) between(ctx context.Context) (*proc, error) {
	host, port, err := net.SplitHostPort(strings.TrimPrefix(s.proxy.api, "http://"))
	if err != nil {
		return nil, err
	}
	p, err := launch("toxiproxy", s.logFile("toxiproxy"), []string{"LOG_LEVEL=warn"}, filepath.Join(s.tools, "toxiproxy-server"),
		"-host", host, "-port", port)
	if err != nil {
		return nil, err
	}
	if err := eventually(ctx, 10*time.Second, func() error { return s.proxy.ready(ctx) }); err != nil {
		p.kill()
		return nil, err
	}
	for _, l := range s.links() {
		if err := s.proxy.create(ctx, l); err != nil {
			p.kill()
			return nil, err
		}
	}
	return p, nil
}

func (s *site) links() []link {
	var all []link
	for w := range workerCount {
		all = append(all, link{partnerLink(w + 1), s.toPartner[w], s.partner[w], true})
		for n := range nodeCount {
			all = append(all, link{nodeLink(w+1, n+1), s.toNode[w][n], s.clients[n], true})
		}
	}
	for n := range nodeCount {
		for other := range nodeCount {
			if n != other {
				all = append(all, link{peerLink(n+1, other+1), s.toPeer[n][other], s.routes[other], true})
			}
		}
	}
	return all
}

// around are the proxies between a node and the others, both ways: either side may have opened a route.
func around(node int) []string {
	var all []string
	for other := 1; other <= nodeCount; other++ {
		if other != node {
			all = append(all, peerLink(node, other), peerLink(other, node))
		}
	}
	return all
}
