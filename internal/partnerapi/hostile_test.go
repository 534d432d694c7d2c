package partnerapi

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestABaseURLWithoutPathMakesWholeRequests(t *testing.T) {
	t.Parallel()
	c, _ := answering(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/partners/customers/51200931/activate" {
			t.Errorf("path %q", r.URL.Path)
		}
		_, _ = w.Write([]byte(activeObject))
	}, readyMade("ready"), func(cfg *Config) { cfg.APIURL = strings.TrimSuffix(cfg.APIURL, "/v1.0") })
	if _, err := c.Activate(t.Context(), ourID, Call{}); err != nil {
		t.Error(err)
	}
}

// An object goes into an event, a few levels down; encoding/json reads no more than 10,000 levels.
func TestAnObjectTooDeepForAnEventIsOmitted(t *testing.T) {
	t.Parallel()
	for depth, kept := range map[int]bool{9000: true, 9999: false, 10000: false, 20000: false} {
		object := fmt.Sprintf(`{"domainId":%d,"enableActiveDomain":true,"x":%s%s}`, ourID, strings.Repeat("[", depth-1), strings.Repeat("]", depth-1))
		c, _ := answering(t, reply(http.StatusOK, object), readyMade("ready"))
		got, err := c.Activate(t.Context(), ourID, Call{})
		if err != nil || !got.Active || (got.Object != nil) != kept || (got.Omitted == 0) != kept {
			t.Errorf("depth %d: active %v, %d bytes kept, %d omitted, %v", depth, got.Active, len(got.Object), got.Omitted, err)
		}
	}
}

// A gateway that closes a kept connection on its second request: net/http would send a GET anew by itself.
func TestAWrittenGetIsNotRepeatedWithoutLeave(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	var arrived atomic.Int32
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go serveOnce(conn, &arrived)
		}
	}()
	base := "http://" + l.Addr().String()
	c := clientAt(t, base)
	if _, err := c.Customer(t.Context(), ourID, Call{}); err != nil {
		t.Fatal(err)
	}
	started := 0
	_, err = c.Customer(t.Context(), ourID, Call{Starting: func() bool { started++; return true }})
	if e := failed(t, err, Unclear); e.Sent != 1 || started != 1 {
		t.Errorf("sent %d, started %d, wanted one each", e.Sent, started)
	}
	if n := arrived.Load(); n != 2 {
		t.Errorf("%d requests arrived, wanted two", n)
	}
}

// serveOnce answers the first request of a connection and closes it upon the second.
func serveOnce(conn net.Conn, arrived *atomic.Int32) {
	defer func() { _ = conn.Close() }()
	r := bufio.NewReader(conn)
	for i := range 2 {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, req.Body)
		arrived.Add(1)
		if i == 0 {
			_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(activeObject), activeObject)
		}
	}
}

// clientAt makes a client with a ready-made token of whatever listens there.
func clientAt(t *testing.T, base string) *Client {
	t.Helper()
	cfg := Config{APIURL: base + "/v1.0", TokenURL: base + "/token", Timeout: 5 * time.Second, MaxPayload: 64 << 10}
	readyMade("ready")(&cfg)
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}
