package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

// Ports are taken from below those that the system gives out by itself: one that belongs to a process which is down for
// a moment must not become somebody else's.
const (
	firstPort = 12_000
	lastPort  = 28_000
)

// freePorts finds so many addresses on the loopback, next to one another.
func freePorts(ctx context.Context, n int) ([]string, error) {
	var config net.ListenConfig
	var failed error
	for range 50 {
		first := firstPort + rand.IntN(lastPort-firstPort-n)
		var addresses []string
		var open []net.Listener
		failed = nil
		for port := first; port < first+n && failed == nil; port++ {
			address := fmt.Sprintf("127.0.0.1:%d", port)
			listener, err := config.Listen(ctx, "tcp", address)
			if failed = err; err == nil {
				addresses, open = append(addresses, address), append(open, listener)
			}
		}
		for _, listener := range open {
			failed = errors.Join(failed, listener.Close())
		}
		if failed == nil {
			return addresses, nil
		}
	}
	return nil, fmt.Errorf("find %d free ports: %w", n, failed)
}
