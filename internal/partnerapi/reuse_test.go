package partnerapi

import (
	"bytes"
	"compress/gzip"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/zap"
)

// counted is a partner that counts the connections it gets.
type counted struct {
	url   string
	roots *x509.CertPool // nil: no TLS
	conns atomic.Int32
}

// counting serves h; protocol is "HTTP/1.1", "HTTP/1.1 and TLS" or "HTTP/2".
func counting(t *testing.T, protocol string, h http.HandlerFunc) *counted {
	t.Helper()
	p := &counted{}
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = zap.NewStdLog(zap.NewNop())
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			p.conns.Add(1)
		}
	}
	if protocol == "HTTP/1.1" {
		server.Start()
	} else {
		server.EnableHTTP2 = protocol == "HTTP/2"
		server.StartTLS()
		p.roots = x509.NewCertPool()
		p.roots.AddCert(server.Certificate())
	}
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

func (p *counted) client(t *testing.T, mods ...func(*Config)) *Client {
	return newPartner(t, nil, nil).client(t, append([]func(*Config){readyMade("ready"), func(c *Config) {
		c.APIURL, c.Roots = p.url, p.roots
	}}, mods...)...)
}

var protocols = []string{"HTTP/1.1", "HTTP/1.1 and TLS", "HTTP/2"}

// TestConnectionsServeAgain: as many calls at once need at most as many connections, and later ones none more; with HTTP/2
// one is enough for all once it stands.
func TestConnectionsServeAgain(t *testing.T) {
	t.Parallel()
	for _, protocol := range protocols {
		for _, atOnce := range []int{1, 3, 64} {
			t.Run(fmt.Sprintf("%s, %d at once", protocol, atOnce), func(t *testing.T) {
				t.Parallel()
				gathered := make(chan chan struct{}, atOnce)
				p := counting(t, protocol, func(w http.ResponseWriter, r *http.Request) {
					if (r.ProtoMajor == 2) != (protocol == "HTTP/2") {
						t.Errorf("spoken is %s", r.Proto)
					}
					if r.Method == http.MethodPost { // all are under way before one of them is answered
						mine := make(chan struct{})
						gathered <- mine
						<-mine
					}
					_, _ = w.Write([]byte(activeObject))
				})
				c := p.client(t)
				if _, err := c.Customer(t.Context(), ourID, Call{}); err != nil {
					t.Fatal(err)
				}
				for range 5 {
					var calls sync.WaitGroup
					for range atOnce {
						calls.Go(func() {
							if _, err := c.Activate(t.Context(), ourID, Call{}); err != nil {
								t.Error(err)
							}
						})
					}
					waiting := make([]chan struct{}, atOnce)
					for i := range waiting {
						waiting[i] = <-gathered
					}
					for _, one := range waiting {
						close(one)
					}
					calls.Wait()
				}
				for range 50 {
					if _, err := c.Customer(t.Context(), ourID, Call{}); err != nil {
						t.Fatal(err)
					}
				}
				want := int32(atOnce)
				if protocol == "HTTP/2" {
					want = 1
				}
				if n := p.conns.Load(); n != want {
					t.Errorf("%d connections, wanted %d", n, want)
				}
			})
		}
	}
}

// TestConnectionsServeAgainAfterErrors: whatever was answered was read to its end.
func TestConnectionsServeAgainAfterErrors(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	zipped := gzip.NewWriter(&packed)
	_, _ = io.WriteString(zipped, `{"code":"NOT_FOUND"}`)
	_ = zipped.Close()
	answers := map[string]http.HandlerFunc{
		"400":           reply(400, `{"code":"INVALID_PARAMETER"}`),
		"401 and again": reply(401, `{"code":"UNAUTHORIZED"}`),
		"404 in gzip":   reply(404, packed.String()),
		"not gzip":      reply(404, "\x1f\x8bnothing of the kind"),
		"429":           reply(429, `{"code":"TOO_MANY_REQUESTS"}`),
		"500 long":      reply(500, strings.Repeat("<p>", maxErrorBody/3)),
		"503 empty":     reply(503, ""),
		"204":           reply(204, ""),
		"half of it":    reply(200, activeObject[:40]),
		"another's":     reply(200, `{"domainId":7,"enableActiveDomain":true}`),
		"chunked": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(activeObject[:40]))
			_ = http.NewResponseController(w).Flush()
			_, _ = w.Write([]byte(activeObject[40:]))
		},
		"redirect to itself": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", r.URL.Path)
			w.WriteHeader(307)
			_, _ = io.WriteString(w, "elsewhere")
		},
	}
	for _, protocol := range protocols {
		for name, answer := range answers {
			t.Run(protocol+", "+name, func(t *testing.T) {
				t.Parallel()
				p := counting(t, protocol, answer)
				auth := newPartner(t, nil, nil)
				c := auth.client(t, func(c *Config) { c.APIURL, c.Roots = p.url, p.roots })
				for range 4 {
					_, _ = c.Activate(t.Context(), ourID, Call{})
					_, _ = c.UpgradeDomain(t.Context(), ourID, Call{})
				}
				if n := p.conns.Load(); n != 1 {
					t.Errorf("%d connections", n)
				}
			})
		}
	}
}
