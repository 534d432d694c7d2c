package partnerapi

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// The frames of HTTP/2 (RFC 9113) that the tests' own server knows.
const (
	frameData     = 0
	frameHeaders  = 1
	frameReset    = 3
	frameSettings = 4
	framePing     = 6
	frameGoAway   = 7

	flagEndStream  = 1
	flagAck        = 1
	flagEndHeaders = 4

	codeProtocol = 1
	codeNone     = 0
	codeRefused  = 7
)

func frame(kind, flags byte, stream uint32, payload ...byte) []byte {
	f := append([]byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), kind, flags}, uint32Bytes(stream)...)
	return append(f, payload...)
}

func uint32Bytes(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// okFrames answer a request with 200 and the customer, active.
func okFrames(stream uint32) []byte {
	const status200 = 0x88 // in the static table of HPACK
	return append(frame(frameHeaders, flagEndHeaders, stream, status200), frame(frameData, flagEndStream, stream, []byte(activeObject)...)...)
}

// speakHTTP2 serves one connection: upon each request it writes what on says, and after the last of it closes. Pings are
// answered while pong says so. A pipe keeps nothing, so that reading and writing must not wait for one another.
func speakHTTP2(conn net.Conn, on func(stream uint32) (answer []byte, last bool), pong func() bool) {
	out := make(chan []byte, 100)
	go func() {
		for b := range out {
			_, _ = conn.Write(b)
		}
		_ = conn.Close()
	}()
	ended := false
	end := func() {
		if !ended {
			ended = true
			close(out)
		}
	}
	defer end()
	preface := make([]byte, len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
	if _, err := io.ReadFull(conn, preface); err != nil {
		return
	}
	out <- frame(frameSettings, 0, 0)
	for {
		head := make([]byte, 9)
		if _, err := io.ReadFull(conn, head); err != nil {
			return
		}
		payload := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
		if _, err := io.ReadFull(conn, payload); err != nil {
			return
		}
		switch kind, asks := head[3], head[4]&flagAck == 0; {
		case ended:
		case kind == framePing && asks && pong():
			out <- frame(framePing, flagAck, 0, payload...)
		case kind == frameSettings && asks:
			out <- frame(frameSettings, flagAck, 0)
		case kind == frameHeaders:
			answer, last := on(binary.BigEndian.Uint32(head[5:]))
			if out <- answer; last {
				end()
			}
		}
	}
}

// onHTTP2 is a client whose connections are made in memory, with TLS, to a server that does this.
func onHTTP2(t *testing.T, dialled *atomic.Int32, on func(stream uint32) ([]byte, bool), pong func() bool) *Client {
	t.Helper()
	ca := newAuthority(t)
	config := &tls.Config{Certificates: []tls.Certificate{ca.sign(t, nil)}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"}}
	cfg := Config{
		APIURL: "https://127.0.0.1:9/v1.0", TokenURL: "https://127.0.0.1:9/token", Timeout: 30 * time.Second, MaxPayload: 64 << 10, Roots: ca.pool(),
	}
	readyMade("ready")(&cfg)
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c.transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
		dialled.Add(1)
		ours, theirs := net.Pipe()
		go speakHTTP2(tls.Server(theirs, config), on, pong)
		return ours, nil
	}
	t.Cleanup(func() {
		synctest.Wait() // a connection is idle when its last stream has been cleared away
		c.Close()
	})
	return c
}

func always() bool { return true }

// TestHTTP2RepeatsNothing: net/http takes a request that has no body to be safe to repeat where the server refuses its stream.
func TestHTTP2RepeatsNothing(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(stream uint32) ([]byte, bool){
		"stream refused": func(n uint32) ([]byte, bool) { return frame(frameReset, 0, n, uint32Bytes(codeRefused)...), false },
		"protocol error": func(n uint32) ([]byte, bool) { return frame(frameReset, 0, n, uint32Bytes(codeProtocol)...), false },
		"going away without it": func(uint32) ([]byte, bool) {
			return frame(frameGoAway, 0, 0, append(uint32Bytes(0), uint32Bytes(codeNone)...)...), false
		},
		"going away without it, and closed": func(uint32) ([]byte, bool) {
			return frame(frameGoAway, 0, 0, append(uint32Bytes(0), uint32Bytes(codeNone)...)...), true
		},
		"going away with it, and closed": func(n uint32) ([]byte, bool) {
			return frame(frameGoAway, 0, 0, append(uint32Bytes(n), uint32Bytes(codeNone)...)...), true
		},
		"closed":       func(uint32) ([]byte, bool) { return nil, true },
		"head, closed": func(n uint32) ([]byte, bool) { return frame(frameHeaders, flagEndHeaders, n, 0x88), true },
		"not a frame":  func(uint32) ([]byte, bool) { return []byte("HTTP/1.1 400 Bad Request\r\n\r\n"), true },
		"ended at once": func(n uint32) ([]byte, bool) {
			return frame(frameHeaders, flagEndHeaders|flagEndStream, n, 0x88), false
		},
	} {
		for method, call := range map[string]func(*Client, Call) error{
			"POST": func(c *Client, call Call) error { _, err := c.Activate(context.Background(), ourID, call); return err },
			"GET":  func(c *Client, call Call) error { _, err := c.Customer(context.Background(), ourID, call); return err },
		} {
			t.Run(name+", "+method, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					var dialled, asked, begun atomic.Int32
					c := onHTTP2(t, &dialled, func(stream uint32) ([]byte, bool) {
						if n := asked.Add(1); n == 1 || n > 9 { // the next one is on a connection in use, and all ends if it is repeated
							return okFrames(stream), false
						}
						return answer(stream)
					}, always)
					if err := call(c, Call{}); err != nil {
						t.Fatal(err)
					}
					err := call(c, Call{Starting: func() bool { begun.Add(1); return true }})
					if e := failed(t, err, Unclear); e.Sent != 1 || e.Trouble == "" || errors.Is(err, context.Canceled) {
						t.Errorf("%+v", e)
					}
					if asked.Load() != 2 || begun.Load() != 1 {
						t.Errorf("%d requests came, %d were announced, wanted 2 and 1", asked.Load(), begun.Load())
					}
				})
			})
		}
	}
}

// TestHTTP2NoticesADeadConnection: nothing comes any more. What is under way is unclear long before its time-out, what comes
// later has a new connection, and nothing is repeated.
func TestHTTP2NoticesADeadConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var dialled, asked atomic.Int32
		var dead atomic.Bool
		c := onHTTP2(t, &dialled, func(stream uint32) ([]byte, bool) {
			asked.Add(1)
			if dead.Load() {
				return nil, false
			}
			return okFrames(stream), false
		}, func() bool { return !dead.Load() })
		if _, err := c.Activate(t.Context(), ourID, Call{}); err != nil {
			t.Fatal(err)
		}
		dead.Store(true)
		began := time.Now()
		_, err := c.Activate(t.Context(), ourID, Call{})
		if e := failed(t, err, Unclear); e.Sent != 1 {
			t.Errorf("%+v", e)
		}
		if took := time.Since(began); took > pingAfter+pingTimeout {
			t.Errorf("noticed after %v", took)
		}
		dead.Store(false)
		if _, err := c.Activate(t.Context(), ourID, Call{}); err != nil {
			t.Error(err)
		}
		if asked.Load() != 3 || dialled.Load() != 2 {
			t.Errorf("%d requests on %d connections, wanted 3 on 2", asked.Load(), dialled.Load())
		}
	})
}

// TestHTTP2KeepsAnIdleConnection, and no longer than it is likely to be good.
func TestHTTP2KeepsAnIdleConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var dialled atomic.Int32
		c := onHTTP2(t, &dialled, func(stream uint32) ([]byte, bool) { return okFrames(stream), false }, always)
		for _, idle := range []struct {
			time  time.Duration
			conns int32
		}{{0, 1}, {50 * time.Second, 1}, {50 * time.Second, 1}, {time.Minute, 2}} {
			<-time.After(idle.time)
			if _, err := c.Activate(t.Context(), ourID, Call{}); err != nil {
				t.Fatal(err)
			}
			if dialled.Load() != idle.conns {
				t.Errorf("%d connections after %v idle, wanted %d", dialled.Load(), idle.time, idle.conns)
			}
		}
	})
}

// TestHTTP2TooLateWritesNothing, and what others have under way on the same connection goes on.
func TestHTTP2TooLateWritesNothing(t *testing.T) {
	t.Parallel()
	release, arrived := make(chan struct{}), make(chan struct{}, 10)
	p := counting(t, "HTTP/2", func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		if r.Method == http.MethodGet {
			<-release
		}
		_, _ = w.Write([]byte(activeObject))
	})
	var clk clock
	clk.now = time.Now()
	var onLook atomic.Pointer[func()] // at the clock
	c := p.client(t, func(cfg *Config) {
		cfg.Now = func() time.Time {
			if on := onLook.Load(); on != nil {
				(*on)()
			}
			return clk.Now()
		}
	})
	if _, err := c.Activate(t.Context(), ourID, Call{}); err != nil {
		t.Fatal(err)
	}
	<-arrived
	other := make(chan error)
	go func() {
		_, err := c.Customer(t.Context(), ourID, Call{})
		other <- err
	}()
	<-arrived
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	looks := 0
	for _, tc := range []struct {
		onLook func()
		kind   Kind
	}{
		{func() { clk.add(5 * time.Second) }, TooLate},
		{func() {
			if looks++; looks == 2 { // the first is before there is a connection, the second at the write
				cancel()
			}
		}, NotSent},
	} {
		onLook.Store(&tc.onLook)
		_, err := c.Activate(ctx, ourID, Call{Starting: func() bool { t.Error("started"); return true }})
		onLook.Store(nil)
		if e := failed(t, err, tc.kind); e.Sent != 0 {
			t.Errorf("%+v", e)
		}
	}
	close(release)
	if err := <-other; err != nil {
		t.Errorf("the other call: %v", err)
	}
	if _, err := c.Activate(t.Context(), ourID, Call{}); err != nil || len(arrived) != 1 || p.conns.Load() != 1 {
		t.Errorf("%v, %d arrived, %d connections", err, len(arrived), p.conns.Load())
	}
}
