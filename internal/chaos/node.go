package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// node is one nats-server of the cluster. Its store outlives its processes.
type node struct {
	site   *site
	number int // from 1
	config string

	mu   sync.Mutex
	proc *proc
}

// nodeConfig makes routes only by way of the proxies: addresses that servers would tell one another, or clients, are not
// told, and where a server tells its own for routes all the same, nobody answers.
const nodeConfig = `server_name: %[1]s
listen: "%[2]s"
http: "%[3]s"
jetstream { store_dir: "%[4]s", max_memory_store: 64MB, max_file_store: 16GB }
cluster {
  name: chaos
  listen: "%[5]s"
  advertise: "127.0.0.1:1"
  no_advertise: true
  routes: [%[6]s]
}
`

func nodeName(number int) string { return fmt.Sprintf("node-%d", number) }

func newNode(s *site, number int) (*node, error) {
	var routes []string
	for other := range nodeCount {
		if other+1 != number {
			routes = append(routes, fmt.Sprintf("%q", "nats-route://"+s.toPeer[number-1][other]))
		}
	}
	name := nodeName(number)
	n := &node{site: s, number: number, config: filepath.Join(s.dir, name+".conf")}
	text := fmt.Sprintf(nodeConfig, name, s.clients[number-1], s.monitors[number-1], filepath.Join(s.dir, name), s.routes[number-1], strings.Join(routes, ", "))
	if err := os.WriteFile(n.config, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("configure %s: %w", name, err)
	}
	return n, nil
}

// start starts it, if it is down.
func (n *node) start() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.proc != nil && !n.proc.over() {
		return nil
	}
	name := nodeName(n.number)
	p, err := launch(name, n.site.logFile(name), nil, filepath.Join(n.site.tools, "nats-server"), "-c", n.config)
	if err == nil {
		n.proc = p
	}
	return err
}

func (n *node) kill() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.proc != nil {
		n.proc.kill()
	}
}

func (n *node) signal(s syscall.Signal) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.proc == nil {
		return nil
	}
	return n.proc.signal(s)
}

// endedByItself says how, where nobody had a hand in it.
func (n *node) endedByItself() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.proc == nil || !n.proc.over() || n.proc.expected.Load() {
		return ""
	}
	return n.proc.how()
}
