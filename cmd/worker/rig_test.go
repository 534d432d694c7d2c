package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/broker/brokertest"
	"activation-worker/internal/events/eventstest"
	"activation-worker/internal/partnerapi/simulator"
)

// newNATS starts a NATS server with JetStream on the disk, over TCP, and connects to it.
func newNATS(t testing.TB) (url string, js jetstream.JetStream) {
	t.Helper()
	url = brokertest.Start(t).URL()
	_, js = brokertest.Connect(t, url)
	eventstest.AtEnd(t, js)
	return url, js
}

// partner is the simulated LINE WORKS partner, served over HTTP.
type partner struct {
	*simulator.Simulator
	url       string
	dns       string       // address of the customers' DNS
	answering atomic.Int64 // see answerAfter, in nanoseconds

	holding sync.Mutex
	holds   map[string]hold // by path
	held    chan int64      // ids of customers whose call is held now
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
	p := &partner{Simulator: sim, dns: names.Addr(), holds: map[string]hold{}, held: make(chan int64, 1000)}
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

// hold is a moment of an activate call at which the partner keeps it until its caller has gone.
type hold struct {
	id   int64
	when string
}

// The moments of a hold.
const (
	heldUndone = "before its effect, which never comes"
	heldEarly  = "before its effect, which comes after the caller has gone"
	heldDone   = "after its effect"
)

// heldFor is how long after its arrival a call takes effect that is held before it.
const heldFor = 3 * time.Second

// hold keeps the next activate call of a customer until its caller has gone, and says so on held when it is at that moment.
func (p *partner) hold(id int64, when string) {
	p.holding.Lock()
	defer p.holding.Unlock()
	p.holds[simulator.APIPath+"/partners/customers/"+strconv.FormatInt(id, 10)+"/activate"] = hold{id, when}
	if when == heldEarly {
		p.Script(id, simulator.OpActivate, simulator.Fault("late="+heldFor.String()))
	}
}

// holdOf takes out what is to be done with a request.
func (p *partner) holdOf(r *http.Request) hold {
	p.holding.Lock()
	defer p.holding.Unlock()
	h := p.holds[r.URL.Path]
	delete(p.holds, r.URL.Path)
	return h
}

func (p *partner) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch h := p.holdOf(r); h.when {
	case heldUndone:
		p.held <- h.id
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	case heldEarly:
		p.held <- h.id
	case heldDone:
		w = &slowWriter{ResponseWriter: w, request: r, before: time.Minute, reached: func() { p.held <- h.id }}
	}
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
	reached func() // told when that begins; may be nil
}

func (w *slowWriter) WriteHeader(status int) {
	if w.reached != nil {
		w.reached()
	}
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
