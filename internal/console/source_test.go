package console_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"activation-worker/internal/console"
)

// source answers as its test says, and keeps what was asked.
type source struct {
	mu    sync.Mutex
	now   console.Now
	looks int
	asked []any
	err   error

	wait func(context.Context) // before an answer
	look func(context.Context) // before how things stand
}

func (s *source) Now(ctx context.Context) console.Now {
	if s.look != nil {
		s.look(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looks++
	return s.now
}

// becomes lets the next who looks see something else.
func (s *source) becomes(now console.Now) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = now
}

func (s *source) looked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.looks
}

func (s *source) fails(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *source) ask(ctx context.Context, what any) error {
	if s.wait != nil {
		s.wait(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, what)
	return s.err
}

// last is what was asked for last; nil: nothing since.
func (s *source) last() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.asked) == 0 {
		return nil
	}
	last := s.asked[len(s.asked)-1]
	s.asked = nil
	return last
}

type spanAsked struct {
	span     console.Span
	midnight int64
}

func (s *source) Activations(span console.Span, midnight time.Time) console.Activations {
	_ = s.ask(context.Background(), spanAsked{span, midnight.Unix()})
	return console.Activations{Median: []*float64{nil}}
}

func (s *source) Customers(ctx context.Context, f console.Filter) (console.Customers, error) {
	return console.Customers{}, s.ask(ctx, f)
}

func (s *source) Customer(ctx context.Context, domainID int64) (console.Customer, error) {
	return console.Customer{DNS: &console.DNS{}}, s.ask(ctx, domainID)
}

func (s *source) Replay(ctx context.Context, selection console.Selection) (console.Replay, error) {
	return console.Replay{}, s.ask(ctx, selection)
}

func options(t *testing.T, from console.Source) console.PageOptions {
	t.Helper()
	return console.PageOptions{
		Source: from, Addr: "127.0.0.1:0", Hosts: []string{"Console.Example.", "[2001:db8::7]:443"},
		States: []string{"deferred", "failed"}, Reasons: []string{"dns_unverified", "refused"}, Log: zaptest.NewLogger(t),
	}
}

// open serves a handler as the page is served, until the test ends.
func open(t *testing.T, h http.Handler) *console.Server {
	t.Helper()
	s, err := console.Listen(t.Context(), "WORKER_CONSOLE_ADDR", "127.0.0.1:0", h, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func openPage(t *testing.T, from console.Source) *console.Server {
	t.Helper()
	return open(t, console.Page(options(t, from)))
}

// raw sends a request as it is written: a client would mend it. A header named Host takes the place of the usual one.
func raw(t *testing.T, s *console.Server, method, target string, headers ...string) reply {
	t.Helper()
	if !strings.HasPrefix(strings.Join(headers, "\n"), "Host:") {
		headers = append([]string{"Host: localhost"}, headers...)
	}
	conn := dial(t, s)
	defer conn.Close()
	if _, err := io.WriteString(conn, method+" "+target+" HTTP/1.1\r\n"+strings.Join(headers, "\r\n")+"\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	r := &http.Request{Method: method}
	answer, err := http.ReadResponse(bufio.NewReader(conn), r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	return reply{answer.StatusCode, answer.Header, string(body)}
}
