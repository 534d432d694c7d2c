package console_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"activation-worker/internal/console"
)

// dial opens a connection that ends with the test.
func dial(t *testing.T, s *console.Server) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// connections is more than the server keeps.
const connections = 300

// TestLiveUnderAttack: whatever others do on their connections, a probe is answered, and soon.
func TestLiveUnderAttack(t *testing.T) {
	t.Parallel()
	for name, attack := range map[string]func(net.Conn){
		"nothing is sent": func(net.Conn) {},
		"a header without end, byte by byte": func(c net.Conn) {
			for _, b := range "GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: " + strings.Repeat("x", 500) {
				if _, err := c.Write([]byte{byte(b)}); err != nil {
					return
				}
			}
		},
		"a body that does not come": func(c net.Conn) {
			_, _ = io.WriteString(c, "GET /readyz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{")
		},
		"answers that nobody reads": func(c net.Conn) {
			if tcp, ok := c.(*net.TCPConn); ok {
				_ = tcp.SetReadBuffer(1024)
			}
			for range 30 {
				if _, err := io.WriteString(c, "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
					return
				}
			}
		},
		"kept alive": func(c net.Conn) {
			_, _ = io.WriteString(c, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
		},
		"noise": func(c net.Conn) {
			_, _ = io.WriteString(c, strings.Repeat("\x00\xff\x16\x03\x01", 1000))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := listen(t, always(console.Check{Name: "nats", OK: true, Detail: strings.Repeat("x", 10_000)}))
			var attacks sync.WaitGroup
			defer attacks.Wait()
			for i := range connections {
				conn := dial(t, s)
				attacks.Go(func() { attack(conn) })
				if i%50 == 0 {
					wantLive(t, s)
				}
			}
			wantLive(t, s)
			if open := s.Open(); open > 100 {
				t.Errorf("%d connections are open, want at most 100", open)
			}
		})
	}
}

// wantLive asks for /livez and wants it at once.
func wantLive(t *testing.T, s *console.Server) {
	t.Helper()
	before := time.Now()
	answer := ask(t, s, http.MethodGet, "/livez")
	if took := time.Since(before); answer.status != 200 || took > 5*time.Second {
		t.Errorf("/livez answers %d after %s", answer.status, took)
	}
}

// TestTooMuchIsRefused, and the connection ended.
func TestTooMuchIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		head   string
		more   int // bytes sent after the head
		status int
	}{
		"a header":             {"GET /livez HTTP/1.1\r\nHost: x\r\nX-Long: ", 64 << 10, 431},
		"many headers":         {"GET /livez HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X-A: b\r\n", 8<<10), 0, 431},
		"a URL":                {"GET /livez?" + strings.Repeat("x", 64<<10) + " HTTP/1.1\r\nHost: x\r\n\r\n", 0, 431},
		"a body with length":   {"GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n", 64 << 20, 200},
		"a body without":       {"GET /livez HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n40000000\r\n", 64 << 20, 200},
		"a body to be written": {"POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n", 64 << 20, 405},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := listen(t, always())
			conn := dial(t, s)
			sent := make(chan int, 1)
			go func() {
				n := 0
				if _, err := io.WriteString(conn, c.head); err == nil {
					for piece := strings.Repeat("x", 64<<10); n < c.more; n += len(piece) {
						if _, err := io.WriteString(conn, piece); err != nil {
							break
						}
					}
				}
				sent <- n
			}()
			answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			if answer.StatusCode != c.status || !answer.Close {
				t.Errorf("status %d, connection closed: %t; want %d and closed", answer.StatusCode, answer.Close, c.status)
			}
			if n := <-sent; n > 16<<20 {
				t.Errorf("the server has taken %d MiB of it", n>>20)
			}
			wantLive(t, s)
		})
	}
}

// TestEveryAnswerIsGuarded, errors too.
func TestEveryAnswerIsGuarded(t *testing.T) {
	t.Parallel()
	s := listen(t, always(someChecks...))
	for _, c := range []struct{ method, path string }{
		{http.MethodGet, "/livez"},
		{http.MethodHead, "/livez"},
		{http.MethodGet, "/readyz"},
		{http.MethodGet, "/nothing"},
		{http.MethodPost, "/livez"},
		{http.MethodPut, "/nothing"},
		{http.MethodOptions, "/readyz"},
		{http.MethodTrace, "/readyz"},
		{http.MethodConnect, "/readyz"},
		{"PROPFIND", "/"},
	} {
		answer := ask(t, s, c.method, c.path)
		for name, want := range map[string]string{
			"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY",
			"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Cross-Origin-Resource-Policy": "same-origin",
			"Server": "", "Access-Control-Allow-Origin": "", "Set-Cookie": "",
		} {
			if got := answer.header.Get(name); got != want {
				t.Errorf("%s %s: header %s is %q, want %q", c.method, c.path, name, got, want)
			}
		}
		if read := c.method == http.MethodGet || c.method == http.MethodHead; !read && (answer.status != 405 || answer.header.Get("Allow") != "GET, HEAD") {
			t.Errorf("%s %s: %d, allowed: %s", c.method, c.path, answer.status, answer.header.Get("Allow"))
		}
	}
	if conn := dial(t, s); true { // the one request without a path
		fmt.Fprint(conn, "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(line, " 405 ") {
			t.Errorf("OPTIONS * is answered %q, %v", line, err)
		}
	}
}

// TestReadinessUnderAttack: checks that hang hold no more connections than there may be.
func TestReadinessUnderAttack(t *testing.T) {
	t.Parallel()
	s := listen(t, func(ctx context.Context) []console.Check {
		<-ctx.Done()
		return nil
	})
	for range connections {
		fmt.Fprint(dial(t, s), "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	wantLive(t, s)
	if open := s.Open(); open > 100 {
		t.Errorf("%d connections are open, want at most 100", open)
	}
}
