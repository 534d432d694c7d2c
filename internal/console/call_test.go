package console_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"activation-worker/internal/console"
)

// What the source cannot say, by whom it concerns.
func TestAnswersThatAreNone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err    error
		status int
		says   string
		logged int
	}{
		"wrong":     {fmt.Errorf("asked: %w", console.InputError{Err: errors.New("rate: wanted N/m")}), 400, "wanted N/m", 0},
		"away":      {fmt.Errorf("%w: NATS is away", console.ErrAway), 503, "NATS is away", 0},
		"too slow":  {fmt.Errorf("reading: %w", context.DeadlineExceeded), 503, "too long", 0},
		"something": {errors.New("hunter2 of the customer"), 500, "the worker's log says why", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log, logs := observer.New(zap.InfoLevel)
			from := &source{err: c.err}
			o := options(t, from)
			o.Log = zap.New(log)
			s := open(t, console.Page(o))
			for _, path := range []string{"/api/customers", "/api/customers", "/api/customers"} {
				answer := raw(t, s, http.MethodGet, path)
				wantError(t, path, answer, c.status, c.says)
				if got := answer.header.Get("Retry-After"); (got == "1") != (c.status == 503) || strings.Contains(answer.body, "hunter2") {
					t.Errorf("retry after %q: %s", got, answer.body)
				}
			}
			if logs.Len() != c.logged { // three times the same
				t.Errorf("logged %v", logs.All())
			}
		})
	}
}

// What went away and comes back is worth another line.
func TestTroubleThatComesBack(t *testing.T) {
	t.Parallel()
	log, logs := observer.New(zap.InfoLevel)
	from := &source{}
	o := options(t, from)
	o.Log = zap.New(log)
	s := open(t, console.Page(o))
	for _, err := range []error{errors.New("a"), errors.New("a"), nil, errors.New("a"), errors.New("b")} {
		from.fails(err)
		raw(t, s, http.MethodGet, "/api/customers")
	}
	if logs.Len() != 3 {
		t.Errorf("logged %v", logs.All())
	}
}

// Who leaves before there is an answer is no trouble.
func TestAnswerThatNobodyWaitsFor(t *testing.T) {
	t.Parallel()
	log, logs := observer.New(zap.InfoLevel)
	begun, served := make(chan struct{}), make(chan struct{})
	from := &source{err: context.Canceled, wait: func(ctx context.Context) {
		close(begun)
		<-ctx.Done()
	}}
	o := options(t, from)
	o.Log = zap.New(log)
	page := console.Page(o)
	s := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(served)
		page.ServeHTTP(w, r)
	}))
	conn := dial(t, s)
	fmt.Fprint(conn, "GET /api/customers HTTP/1.1\r\nHost: localhost\r\n\r\n")
	<-begun
	before := time.Now()
	_ = conn.Close()
	<-served
	if took := time.Since(before); logs.Len() > 0 || took > 4*time.Second {
		t.Errorf("after %v, logged %v", took, logs.All())
	}
}

// A page that is wrong in itself stops nobody's work.
func TestPanics(t *testing.T) {
	t.Parallel()
	log, logs := observer.New(zap.InfoLevel)
	from := &source{wait: func(context.Context) { panic("hunter2") }}
	o := options(t, panicking{from})
	o.Log = zap.New(log)
	s := open(t, console.Page(o))
	for range 3 {
		wantError(t, "a panic", raw(t, s, http.MethodGet, "/api/customers"), 500, "the worker's log says why")
	}
	for range 3 {
		if answer := raw(t, s, http.MethodGet, "/api/live"); answer.status != 200 || strings.Contains(answer.body, "event:") {
			t.Errorf("live: %d %s", answer.status, answer.body)
		}
	}
	if logs.Len() != 2 || len(logs.FilterField(zap.String("call", "live")).All()) != 1 || !strings.Contains(fmt.Sprint(logs.All()[0].ContextMap()["stack"]), "call_test.go") {
		t.Errorf("logged %v", logs.All())
	}
	if answer := raw(t, s, http.MethodGet, "/"); answer.status != 200 {
		t.Errorf("the page: %d", answer.status)
	}
}

type panicking struct{ *source }

func (panicking) Now(context.Context) console.Now { panic("of now") }

// Whoever asks for much waits for a moment, and is sent away; what others do meanwhile goes on.
func TestOnlySoMuchAtOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		path   string
		most   int
		others string
	}{
		"reads":   {"/api/customers", 4, "/api/replay?rejected=true"},
		"one":     {"/api/customers/5", 4, "/api/replay?rejected=true"},
		"graph":   {"/api/activations", 4, "/api/replay?rejected=true"},
		"preview": {"/api/replay?rejected=true", 1, "/api/customers"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begun, carryOn := make(chan struct{}, 10), make(chan struct{})
			busy := true
			var mu sync.Mutex
			from := &source{wait: func(context.Context) {
				mu.Lock()
				waits := busy
				mu.Unlock()
				if waits {
					begun <- struct{}{}
					<-carryOn
				}
			}}
			s := open(t, console.PageAt(options(t, from), console.Pace{Wait: 20 * time.Millisecond}))
			var all sync.WaitGroup
			for range c.most {
				all.Go(func() {
					if answer := raw(t, s, http.MethodGet, c.path); answer.status != 200 {
						t.Errorf("%d %s", answer.status, answer.body)
					}
				})
				<-begun
			}
			mu.Lock()
			busy = false
			mu.Unlock()
			answer := raw(t, s, http.MethodGet, c.path)
			wantError(t, "one too many", answer, 503, "too much")
			if answer.header.Get("Retry-After") != "1" {
				t.Error("nobody says when to come back")
			}
			for _, path := range []string{c.others, "/"} {
				if answer := raw(t, s, http.MethodGet, path); answer.status != 200 {
					t.Errorf("%s: %d", path, answer.status)
				}
			}
			close(carryOn)
			all.Wait()
			if answer := raw(t, s, http.MethodGet, c.path); answer.status != 200 {
				t.Errorf("afterwards: %d %s", answer.status, answer.body)
			}
		})
	}
}

// A turn that is free soon is waited for.
func TestATurnIsWaitedFor(t *testing.T) {
	t.Parallel()
	begun, first := make(chan struct{}), sync.Once{}
	from := &source{wait: func(ctx context.Context) {
		first.Do(func() {
			close(begun)
			<-ctx.Done()
		})
	}}
	s := open(t, console.PageAt(options(t, from), console.Pace{Replay: 100 * time.Millisecond, Wait: 10 * time.Second}))
	var all sync.WaitGroup
	all.Go(func() { raw(t, s, http.MethodGet, "/api/replay") })
	<-begun
	if answer := raw(t, s, http.MethodGet, "/api/replay"); answer.status != 200 {
		t.Errorf("%d %s", answer.status, answer.body)
	}
	all.Wait()
}

// An answer has its own time, and the server's is not what ends it.
func TestAnswersHaveATime(t *testing.T) {
	t.Parallel()
	const server, own = 100 * time.Millisecond, 500 * time.Millisecond
	cause := make(chan error, 10)
	from := &source{wait: func(ctx context.Context) {
		<-ctx.Done()
		cause <- context.Cause(ctx)
	}}
	s, err := console.ListenBriefly(t.Context(), console.PageAt(options(t, from), console.Pace{Read: own, Replay: own}), server, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	for _, path := range []string{"/api/customers", "/api/customers/5", "/api/replay"} {
		before := time.Now()
		if answer := raw(t, s, http.MethodGet, path); answer.status != 200 || time.Since(before) < own {
			t.Errorf("%s: %d %s after %v", path, answer.status, answer.body, time.Since(before))
		}
		if err := <-cause; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s ended with %v", path, err)
		}
	}
}
