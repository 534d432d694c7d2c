package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/broker/brokertest"
	"activation-worker/internal/partnerapi/simulator"
)

// newNATS starts a NATS server with JetStream on the disk, over TCP, and connects to it.
func newNATS(t testing.TB) (url string, js jetstream.JetStream) {
	t.Helper()
	url = brokertest.Start(t).URL()
	_, js = brokertest.Connect(t, url)
	return url, js
}

// partner is the simulated LINE WORKS partner, served over HTTP.
type partner struct {
	*simulator.Simulator
	url       string
	dns       string       // address of the customers' DNS
	answering atomic.Int64 // see answerAfter, in nanoseconds
}

// newPartner serves a simulator. Without a key of its own it gets the tests' one.
func newPartner(t testing.TB, o simulator.Options) *partner {
	t.Helper()
	if o.Key == nil {
		key, err := simulator.TestKey()
		if err != nil {
			t.Fatalf("the service account's key: %v", err)
		}
		o.Key = key
	}
	sim, err := simulator.New(o)
	if err != nil {
		t.Fatalf("the simulator: %v", err)
	}
	names, err := sim.ListenDNS(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatalf("the customers' DNS: %v", err)
	}
	p := &partner{Simulator: sim, dns: names.Addr()}
	serving, stop := context.WithCancel(context.Background())
	var served sync.WaitGroup
	served.Go(func() {
		if err := names.Serve(serving); err != nil {
			t.Errorf("the customers' DNS: %v", err)
		}
	})
	server := httptest.NewServer(p)
	p.url = server.URL
	t.Cleanup(func() {
		stop()
		served.Wait()
		sim.Close()
		server.Close()
	})
	return p
}

// answerAfter lets so much time pass after an operation was carried out, as [simulator.Options.Latency] does before
// it: a caller can be killed in either half.
func (p *partner) answerAfter(d time.Duration) { p.answering.Store(int64(d)) }

func (p *partner) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if d := time.Duration(p.answering.Load()); d > 0 && strings.HasPrefix(r.URL.Path, simulator.APIPath) {
		w = &slowWriter{ResponseWriter: w, request: r, before: d}
	}
	p.Simulator.ServeHTTP(w, r)
}

// slowWriter lets time pass before the head of an answer.
type slowWriter struct {
	http.ResponseWriter
	request *http.Request
	before  time.Duration
}

func (w *slowWriter) WriteHeader(status int) {
	pause(w.request.Context(), w.before)
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets faults on the connection through.
func (w *slowWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// env are the settings with which a worker finds the partner.
func (p *partner) env() []string {
	c := p.Credentials()
	return []string{
		"LINEWORKS_API_URL=" + p.url + simulator.APIPath,
		"LINEWORKS_TOKEN_URL=" + p.url + simulator.TokenPath,
		"LINEWORKS_CLIENT_ID=" + c.ClientID,
		"LINEWORKS_CLIENT_SECRET=" + c.ClientSecret,
		"LINEWORKS_SERVICE_ACCOUNT=" + c.ServiceAccount,
		"LINEWORKS_PRIVATE_KEY=" + c.PrivateKeyPEM,
		"WORKER_DNS_RESOLVERS=" + p.dns,
	}
}

// settings joins groups of settings, each NAME=value, for [startWorker]. Of a name given twice the last counts.
func settings(groups ...[]string) []string {
	var all []string
	for _, g := range groups {
		all = append(all, g...)
	}
	return all
}
