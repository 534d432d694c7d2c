package ledger_test

import (
	"bytes"
	"net"
	"strings"
	"sync"
	"testing"

	"activation-worker/internal/events"
)

// proxy stands between a client and a server and cuts the connection once, at a chosen moment.
type proxy struct {
	listener net.Listener
	backend  string
	tasks    sync.WaitGroup

	mu     sync.Mutex
	conns  map[net.Conn]bool
	lost   func(request []byte) bool // nil: nothing is cut; see arm
	answer string                    // cut when the server says this; empty: before the server reads
	then   func()
	cut    chan struct{}
}

// newProxy listens in front of the first server of a URL.
func newProxy(t *testing.T, url string) *proxy {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	first, _, _ := strings.Cut(url, ",")
	p := &proxy{listener: l, backend: strings.TrimPrefix(first, "nats://"), conns: map[net.Conn]bool{}, cut: make(chan struct{})}
	p.tasks.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

func (p *proxy) url() string { return "nats://" + p.listener.Addr().String() }

// arm cuts the connection at the next write of a customer's record: before the server reads it, or (after) once the
// server has answered it. then runs before the client notices.
func (p *proxy) arm(id int64, after bool, then func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer, p.then = "", then
	if after {
		p.answer = `"seq":`
	}
	p.lost = contains("HPUB " + strings.TrimSuffix(events.CustomerFamily(id), "*"))
}

// lose cuts the connection before the server reads a request that contains a text.
func (p *proxy) lose(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer, p.then, p.lost = "", nil, contains(text)
}

// loseAnswer cuts the connection once the server has answered such a request with a text.
func (p *proxy) loseAnswer(request, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer, p.then, p.lost = text, nil, contains(request)
}

func contains(text string) func([]byte) bool {
	return func(request []byte) bool { return bytes.Contains(request, []byte(text)) }
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := (&net.Dialer{}).Dial("tcp", p.backend)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.conns[client], p.conns[server] = true, true
		p.mu.Unlock()
		var sent bool // the write that is to be cut has gone to the server; guarded by mu
		end := func() { _, _ = client.Close(), server.Close() }
		p.tasks.Go(func() {
			defer end()
			pump(client, server, func(chunk []byte) bool {
				p.mu.Lock()
				hit := p.lost != nil && p.lost(chunk)
				sent = sent || hit
				now := hit && p.answer == ""
				p.mu.Unlock()
				return now && p.fire()
			})
		})
		p.tasks.Go(func() {
			defer end()
			pump(server, client, func(chunk []byte) bool {
				p.mu.Lock()
				now := sent && p.answer != "" && bytes.Contains(chunk, []byte(p.answer))
				p.mu.Unlock()
				return now && p.fire()
			})
		})
	}
}

// again is for another cut.
func (p *proxy) again() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = make(chan struct{})
}

// fire disarms the proxy and says that the connection is to be cut.
func (p *proxy) fire() bool {
	p.mu.Lock()
	then := p.then
	p.lost, p.answer, p.then = nil, "", nil
	p.mu.Unlock()
	if then != nil {
		then()
	}
	close(p.cut)
	return true
}

func (p *proxy) close() {
	_ = p.listener.Close()
	p.mu.Lock()
	for c := range p.conns {
		_ = c.Close()
	}
	p.mu.Unlock()
	p.tasks.Wait()
}

// pump copies until a side is gone or stop holds one chunk back.
func pump(from, to net.Conn, stop func([]byte) bool) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && stop(buf[:n]) {
			return
		}
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}
