package partnerapi

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
)

// TestNotSent: without a connection, or cancelled first, nothing was written.
func TestNotSent(t *testing.T) {
	t.Parallel()
	strange := httptest.NewUnstartedServer(reply(200, activeObject))
	strange.Config.ErrorLog = zap.NewStdLog(zap.NewNop())
	strange.StartTLS()
	t.Cleanup(strange.Close)
	plain := httptest.NewServer(reply(200, activeObject))
	t.Cleanup(plain.Close)
	for name, api := range map[string]string{
		"connection refused": refusing, "certificate not trusted": strange.URL, "no TLS there": "https" + plain.URL[len("http"):],
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPartner(t, nil, nil)
			c := p.client(t, readyMade("ready"), func(c *Config) { c.APIURL = api })
			_, err := c.Activate(t.Context(), ourID, Call{Starting: func() bool { t.Error("started"); return true }})
			if e := failed(t, err, NotSent); e.Sent != 0 || e.MaybeApplied() || e.Unwrap() == nil {
				t.Errorf("%+v", e)
			}
		})
	}
	t.Run("cancelled first", func(t *testing.T) {
		t.Parallel()
		c, p := answering(t, reply(200, activeObject), readyMade("ready"))
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errors.New("stopping"))
		_, err := c.Activate(ctx, ourID, Call{})
		failed(t, err, NotSent)
		if !errors.Is(err, context.Canceled) || p.requests.Load() != 0 {
			t.Errorf("%v, %d arrived", err, p.requests.Load())
		}
	})
}

func TestCancelledUnderWayIsUnclear(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	c, _ := answering(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}, readyMade("ready"))
	_, err := c.Activate(ctx, ourID, Call{})
	if e := failed(t, err, Unclear); !e.MaybeApplied() || !errors.Is(err, context.Canceled) || e.Sent != 1 {
		t.Errorf("%+v", e)
	}
}

// TestBefore: a request is written only if it can end in time.
func TestBefore(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		left time.Duration
		ok   bool
	}{
		"just enough":     {5 * time.Second, true},
		"a tick too late": {5*time.Second - 1, false},
		"long past":       {-time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clk := newClock()
			c, p := answering(t, reply(200, activeObject), readyMade("ready"), clk.use)
			_, err := c.Activate(t.Context(), ourID, Call{Before: clk.Now().Add(tc.left)})
			if tc.ok && err == nil {
				return
			}
			if e := failed(t, err, TooLate); tc.ok || e.Sent != 0 || p.requests.Load() != 0 {
				t.Errorf("%+v, %d arrived", e, p.requests.Load())
			}
		})
	}
}

// slowDialling makes the clock jump after the connection stands and before the
// write, as a machine that sleeps does.
func slowDialling(c *Client, clk *clock, d time.Duration) {
	dial := c.transport.DialContext
	c.transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		clk.add(d)
		return conn, err
	}
}

func TestTooLateAtTheLastMomentWritesNothing(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	read := make(chan int, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			read <- -1
			return
		}
		n, _ := io.Copy(io.Discard, conn)
		_ = conn.Close()
		read <- int(n)
	}()
	t.Cleanup(func() { _ = listener.Close() })
	clk := newClock()
	p := newPartner(t, nil, nil)
	c := p.client(t, clk.use, readyMade("ready"), func(c *Config) { c.APIURL = "http://" + listener.Addr().String() })
	slowDialling(c, clk, 5*time.Second)
	_, err = c.Activate(t.Context(), ourID, Call{
		Before: clk.Now().Add(5 * time.Second), Starting: func() bool { t.Error("started"); return true },
	})
	if e := failed(t, err, TooLate); e.Sent != 0 || e.MaybeApplied() {
		t.Errorf("%+v", e)
	}
	if n := <-read; n != 0 {
		t.Errorf("%d bytes were written", n)
	}
}

func TestTooLateOnAConnectionInUse(t *testing.T) {
	t.Parallel()
	clk := newClock()
	c, p := answering(t, reply(200, activeObject), readyMade("ready"))
	if _, err := c.Activate(t.Context(), ourID, Call{}); err != nil {
		t.Fatal(err)
	}
	// From here on each look at the clock takes three seconds: the second one, at
	// the write, is in time; the one after it is not.
	c.cfg.Now = func() time.Time {
		clk.add(3 * time.Second)
		return clk.Now()
	}
	if _, err := c.Activate(t.Context(), ourID, Call{}); err != nil {
		t.Fatal(err)
	}
	c.cfg.Now = func() time.Time {
		clk.add(5 * time.Second)
		return clk.Now()
	}
	c.transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
		t.Error("another connection was tried")
		return nil, net.ErrClosed
	}
	_, err := c.Activate(t.Context(), ourID, Call{})
	if e := failed(t, err, TooLate); e.Sent != 0 || p.requests.Load() != 2 {
		t.Errorf("%+v, %d arrived", e, p.requests.Load())
	}
}

func TestCancelledAtTheLastMomentWritesNothing(t *testing.T) {
	t.Parallel()
	c, p := answering(t, reply(200, activeObject), readyMade("ready"))
	ctx, cancel := context.WithCancel(t.Context())
	looks := 0
	c.cfg.Now = func() time.Time {
		if looks++; looks == 2 { // the first is before dialling, the second at the write
			cancel()
		}
		return time.Now()
	}
	_, err := c.Activate(ctx, ourID, Call{Starting: func() bool { t.Error("started"); return true }})
	if e := failed(t, err, NotSent); !errors.Is(err, context.Canceled) || e.Sent != 0 || p.requests.Load() != 0 {
		t.Errorf("%+v, %d arrived", e, p.requests.Load())
	}
}

// TestBeforeHoldsForRepeatsAndRedirects: the time passes while the partner
// answers with 401 or 307.
func TestBeforeHoldsForRepeatsAndRedirects(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]int{"repeat": 401, "redirect": 307} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clk := newClock()
			c, p := answering(t, func(w http.ResponseWriter, _ *http.Request) {
				clk.add(6 * time.Second)
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(status)
			}, clk.use)
			started := 0
			_, err := c.Activate(t.Context(), ourID, Call{
				Before: clk.Now().Add(10 * time.Second), Starting: func() bool { started++; return true },
			})
			if e := failed(t, err, TooLate); e.Sent != 1 || started != 1 || p.requests.Load() != 1 {
				t.Errorf("%+v, started %d, %d arrived", e, started, p.requests.Load())
			}
		})
	}
}

// TestTokenRefused: one new token, one repeat, not more.
func TestTokenRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status          int
		body            string
		goodAfter       int32 // requests from which on the partner says yes
		requests, fetch int32
		kind            Kind
	}{
		"401 once":                   {401, `{"code":"UNAUTHORIZED"}`, 1, 2, 2, ""},
		"401 without a code once":    {401, ``, 1, 2, 2, ""},
		"403 UNAUTHORIZED once":      {403, `{"code":"UNAUTHORIZED"}`, 1, 2, 2, ""},
		"401 for good":               {401, `{"code":"UNAUTHORIZED"}`, 9, 2, 2, Refused},
		"403 UNAUTHORIZED for good":  {403, `{"code":"UNAUTHORIZED"}`, 9, 2, 2, Refused},
		"403 otherwise is no repeat": {403, `{"code":"ACCESS_DENIED"}`, 9, 1, 1, Refused},
		"401 of the older gateway":   {401, `{"errorCode":"024","code":"UNAUTHORIZED"}`, 1, 2, 2, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var p *partner
			var tokens sync.Map
			p = newPartner(t, func(w http.ResponseWriter, r *http.Request) {
				if _, twice := tokens.LoadOrStore(r.Header.Get("Authorization"), true); twice {
					t.Error("a refused token was sent again")
				}
				if p.requests.Load() > tc.goodAfter {
					_, _ = w.Write([]byte(activeObject))
					return
				}
				w.WriteHeader(tc.status)
				_, _ = w.Write([]byte(tc.body))
			}, nil)
			c := p.client(t)
			started := int32(0)
			got, err := c.Activate(t.Context(), ourID, Call{Starting: func() bool { started++; return true }})
			sent := got.Sent
			if tc.kind != "" {
				e := failed(t, err, tc.kind)
				if sent = e.Sent; e.Status != tc.status {
					t.Errorf("%+v", e)
				}
			} else if err != nil {
				t.Fatal(err)
			}
			if p.requests.Load() != tc.requests || p.fetches.Load() != tc.fetch || started != tc.requests || sent != int(tc.requests) {
				t.Errorf("%d requests, %d fetches, %d started, %d sent", p.requests.Load(), p.fetches.Load(), started, sent)
			}
		})
	}
}

// TestNoNewTokenAfterARefusal: what was sent stays counted.
func TestNoNewTokenAfterARefusal(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var p *partner
	p = newPartner(t, reply(401, ""), func(w http.ResponseWriter, r *http.Request) {
		switch p.fetches.Load() {
		case 1, 3:
			_, _ = io.WriteString(w, `{"access_token":"abc"}`)
		case 2:
			w.WriteHeader(503)
		default:
			_, _ = io.Copy(io.Discard, r.Body)
			cancel()
			<-r.Context().Done()
		}
	})
	c := p.client(t)
	_, err := c.Activate(ctx, ourID, Call{})
	if e := failed(t, err, Token); e.Sent != 1 || e.Credentials || e.Status != 503 {
		t.Errorf("%+v", e)
	}
	_, err = c.Activate(ctx, ourID, Call{})
	if e := failed(t, err, NotSent); e.Sent != 1 || !errors.Is(err, context.Canceled) || e.Op != OpActivate {
		t.Errorf("%+v", e)
	}
}

func TestReadyMadeTokenCannotBeRenewed(t *testing.T) {
	t.Parallel()
	c, p := answering(t, reply(401, `{"code":"UNAUTHORIZED"}`), readyMade("ready"))
	_, err := c.Activate(t.Context(), ourID, Call{})
	e := failed(t, err, Token)
	if !e.Credentials || e.Status != 401 || e.Sent != 1 || p.requests.Load() != 1 || p.fetches.Load() != 0 {
		t.Errorf("%+v, %d arrived", e, p.requests.Load())
	}
	// A rotated file is seen, and then there is a repeat.
	value := make(chan string, 2)
	value <- "first"
	value <- "second"
	c, p = answering(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer second" {
			_, _ = w.Write([]byte(activeObject))
			return
		}
		w.WriteHeader(401)
	}, func(c *Config) {
		c.Secrets = func() (Secrets, error) { return Secrets{AccessToken: <-value + "\n"}, nil }
	})
	if _, err := c.Activate(t.Context(), ourID, Call{}); err != nil || p.requests.Load() != 2 {
		t.Errorf("%v, %d arrived", err, p.requests.Load())
	}
}

// Who has no leave any more at the last moment writes nothing.
func TestStartingSaysNo(t *testing.T) {
	t.Parallel()
	c, p := answering(t, reply(200, activeObject), readyMade("ready"))
	_, err := c.Activate(t.Context(), ourID, Call{Starting: func() bool { return false }})
	if e := failed(t, err, TooLate); e.Sent != 0 || p.requests.Load() != 0 {
		t.Errorf("%+v, %d arrived", e, p.requests.Load())
	}
}
