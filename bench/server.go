package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// serverConfig is the same for whatever is measured.
const serverConfig = `server_name: n%[1]d
listen: "%[2]s"
jetstream { store_dir: "%[3]s", max_memory_store: 64MB, max_file_store: 16GB, sync_interval: %[4]s }
`

const clusterConfig = `cluster { name: bench, listen: "%s", routes: [%s] }
`

// servers are the nats-servers of one run.
type servers struct {
	procs []*proc
	url   string // of the first: clients know no other
}

// startServers starts nats-servers with empty stores below dir; where there are several, they are a cluster.
func startServers(ctx context.Context, o options, dir string, count int) (*servers, error) {
	addresses, err := freeAddresses(ctx, 2*count)
	if err != nil {
		return nil, err
	}
	s := &servers{url: "nats://" + addresses[0]}
	var routes []string
	for _, address := range addresses[count:] {
		routes = append(routes, fmt.Sprintf("%q", "nats-route://"+address))
	}
	for i := range count {
		text := fmt.Sprintf(serverConfig, i+1, addresses[i], filepath.Join(dir, fmt.Sprintf("store%d", i+1)), o.sync)
		if count > 1 {
			text += fmt.Sprintf(clusterConfig, addresses[count+i], strings.Join(routes, ", "))
		}
		path := filepath.Join(dir, fmt.Sprintf("n%d.conf", i+1))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return s, err
		}
		p, err := start("nats-server", nil, o.server, "-c", path, "-l", filepath.Join(dir, fmt.Sprintf("n%d.log", i+1)))
		if err != nil {
			return s, err
		}
		s.procs = append(s.procs, p)
	}
	return s, nil
}

// connect waits for the first server to have JetStream.
func (s *servers) connect(ctx context.Context) (*nats.Conn, error) {
	var nc *nats.Conn
	err := eventually(ctx, time.Minute, 20*time.Millisecond, func(ctx context.Context) error {
		for _, p := range s.procs {
			if p.over() {
				return p.early()
			}
		}
		if nc == nil {
			var err error
			if nc, err = nats.Connect(s.url, nats.IgnoreDiscoveredServers(), nats.MaxReconnects(0)); err != nil {
				return fmt.Errorf("connect to nats-server: %w", err)
			}
		}
		asking, cancel := context.WithTimeout(ctx, 500*time.Millisecond) // one asked too early is not answered at all
		defer cancel()
		answer, err := nc.RequestWithContext(asking, "$JS.API.INFO", nil)
		if err != nil {
			return fmt.Errorf("ask for JetStream: %w", err)
		}
		if strings.Contains(string(answer.Data), `"error"`) {
			return errors.New("JetStream is not ready")
		}
		return nil
	})
	return nc, err
}

// cpu is what all servers have used so far.
func (s *servers) cpu() (sum time.Duration) {
	for _, p := range s.procs {
		sum += p.cpu()
	}
	return sum
}

func (s *servers) stop() {
	for _, p := range s.procs {
		p.stop()
	}
}

// freeAddresses are addresses on loopback where nobody listens, all different.
func freeAddresses(ctx context.Context, count int) ([]string, error) {
	var config net.ListenConfig
	var listeners []net.Listener
	defer func() {
		for _, l := range listeners {
			_ = l.Close() // the next to listen says so
		}
	}()
	var all []string
	for range count {
		l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		listeners, all = append(listeners, l), append(all, l.Addr().String())
	}
	return all, nil
}
