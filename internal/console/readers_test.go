package console_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"activation-worker/internal/console"
)

// Who does not read is let go, though the connection stands.
func TestLiveReaderThatDoesNotRead(t *testing.T) {
	t.Parallel()
	from := &source{}
	from.becomes(console.Now{Trouble: strings.Repeat("x", 1<<20)})
	served := make(chan struct{})
	page := console.PageAt(options(t, from), console.Pace{Look: time.Millisecond, Beat: time.Millisecond, Send: 100 * time.Millisecond})
	s := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(served)
		page.ServeHTTP(w, r)
	}))
	conn := dial(t, s)
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(4096)
	}
	fmt.Fprint(conn, "GET /api/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
	select {
	case <-served:
	case <-time.After(10 * time.Second):
		t.Error("the reader is still waited for")
	}
}

// A reader that leaves is noticed, and nobody looks for nobody.
func TestNobodyLooksForNobody(t *testing.T) {
	t.Parallel()
	from := &source{}
	served := make(chan struct{})
	page := console.PageAt(options(t, from), console.Pace{Look: time.Hour, Beat: time.Hour})
	s := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(served)
		page.ServeHTTP(w, r)
	}))
	conn := dial(t, s)
	fmt.Fprint(conn, "GET /api/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if _, err := bufio.NewReader(conn).ReadString('{'); err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	select {
	case <-served:
	case <-time.After(10 * time.Second):
		t.Fatal("the reader's leaving is not noticed")
	}
	if answer := raw(t, open(t, page), http.MethodHead, "/api/live"); answer.status != 200 || answer.header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("headers alone: %d %v", answer.status, answer.header)
	}
}

// Who leaves while we look does not spoil it for those who stay.
func TestALookIsForAll(t *testing.T) {
	t.Parallel()
	begun, spoilt := make(chan context.Context, 10), make(chan error, 10)
	carryOn := make(chan struct{})
	from := &source{look: func(ctx context.Context) {
		<-carryOn
		spoilt <- ctx.Err()
	}}
	page := console.Page(options(t, from))
	s := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun <- r.Context()
		page.ServeHTTP(w, r)
	}))
	leaves := dial(t, s)
	fmt.Fprint(leaves, "GET /api/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
	request := <-begun
	if _, err := io.ReadFull(leaves, make([]byte, 12)); err != nil {
		t.Fatal(err)
	}
	stays := listenTo(t, s.Addr())
	<-begun
	_ = leaves.Close()
	<-request.Done()
	close(carryOn)
	if err := <-spoilt; err != nil {
		t.Errorf("the look ended with its reader: %v", err)
	}
	next(t, stays)
}

// TestAThousandReaders cost one look for all, and all see a change.
func TestAThousandReaders(t *testing.T) {
	t.Parallel()
	from := &source{}
	s := httptest.NewServer(console.Page(options(t, from))) // which lets in more than ours
	defer s.Close()
	defer s.CloseClientConnections()
	const readers = 1000
	began := time.Now()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all sync.WaitGroup
	defer all.Wait()
	saw := make(chan error, readers)
	for range readers {
		all.Go(func() {
			conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.Listener.Addr().String())
			if err != nil {
				saw <- err
				return
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
			fmt.Fprint(conn, "GET /api/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
			lines := bufio.NewReader(conn)
			for line, err := "", error(nil); !strings.Contains(line, `"sequence":7,`); line, err = lines.ReadString('\n') {
				if err != nil {
					saw <- err
					return
				}
				if strings.Contains(line, `"sequence":0,`) {
					from.becomes(console.Now{Sequence: 7})
				}
			}
			saw <- nil
		})
	}
	for range readers {
		if err := <-saw; err != nil {
			t.Fatal(err)
		}
	}
	if looks, most := from.looked(), int(time.Since(began)/(500*time.Millisecond))+1; looks > most {
		t.Errorf("looked %d times in %v, want at most %d", looks, time.Since(began), most)
	}
}

// More readers than connections: a new one is let in, and whoever has to go for it hears of the end.
func TestLiveReadersInACrowd(t *testing.T) {
	t.Parallel()
	s := openPage(t, &source{})
	oldest := listenTo(t, s.Addr())
	next(t, oldest)
	for range 100 {
		conn := dial(t, s)
		fmt.Fprint(conn, "GET /api/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if _, err := io.ReadFull(conn, make([]byte, 12)); err != nil {
			t.Fatal(err)
		}
	}
	timeout := time.After(10 * time.Second)
	for {
		select {
		case _, open := <-oldest:
			if !open {
				return
			}
		case <-timeout:
			t.Fatal("the oldest reader stays")
		}
	}
}
