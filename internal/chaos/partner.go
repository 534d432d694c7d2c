package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"activation-worker/internal/partnerapi/simulator"
)

const (
	apiPath   = simulator.APIPath
	tokenPath = simulator.TokenPath
)

// partner is the simulator, at an address for each worker's proxy, and the customers' DNS.
type partner struct {
	*simulator.Simulator
	names     *simulator.DNSServer
	listeners []net.Listener
}

// hopeless are faults that refuse a customer for good (the partner says no, and nothing explains it), or that make everybody
// wait for minutes (a 429 that names no time).
var hopeless = []simulator.Fault{simulator.DNSGone, simulator.TermsGone, "400:old", "429:bare", "429:reset=-5", "429:reset=soon"}

// mix are the faults of a run: all that the simulator knows, save the hopeless.
func mix() []simulator.Fault {
	return slices.DeleteFunc(simulator.WickedMix(), func(f simulator.Fault) bool { return slices.Contains(hopeless, f) })
}

// newPartner opens the addresses.
func newPartner(ctx context.Context, o options, addresses []string) (*partner, error) {
	sim, err := simulator.New(simulator.Options{
		Seed: o.seed, Latency: 100 * ms, // so that a request is often under way
		Leeway: 2 * clockSpread, // the workers' clocks are off
	})
	if err != nil {
		return nil, err
	}
	sim.SetMix(o.faults, mix()...)
	p := &partner{Simulator: sim}
	if p.names, err = sim.ListenDNS(ctx, "127.0.0.1:0"); err != nil {
		return nil, err
	}
	var config net.ListenConfig
	for _, address := range addresses {
		listener, err := config.Listen(ctx, "tcp", address)
		if err != nil {
			return nil, fmt.Errorf("listen for the partner: %w", err)
		}
		p.listeners = append(p.listeners, listener)
	}
	return p, nil
}

// serve answers until ctx ends.
func (p *partner) serve(ctx context.Context) error {
	serving, ctx := errgroup.WithContext(ctx)
	serving.Go(func() error { return p.names.Serve(ctx) })
	for _, listener := range p.listeners {
		server := &http.Server{ReadHeaderTimeout: 30 * time.Second, Handler: p}
		serving.Go(func() error {
			if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serve the partner: %w", err)
			}
			return nil
		})
		serving.Go(func() error {
			<-ctx.Done()
			p.Close()
			return server.Close()
		})
	}
	return serving.Wait()
}

// env are the settings with which a worker finds the partner, without its addresses.
func (p *partner) env() []string {
	c := p.Credentials()
	return []string{
		"LINEWORKS_CLIENT_ID=" + c.ClientID,
		"LINEWORKS_CLIENT_SECRET=" + c.ClientSecret,
		"LINEWORKS_SERVICE_ACCOUNT=" + c.ServiceAccount,
		"LINEWORKS_PRIVATE_KEY=" + c.PrivateKeyPEM,
		"WORKER_DNS_RESOLVERS=" + p.names.Addr(),
	}
}
