package console_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"activation-worker/internal/console"
)

// A browser that was led here under a name that is not ours has somebody else's page open.
func TestHosts(t *testing.T) {
	t.Parallel()
	s := openPage(t, &source{})
	for host, ok := range map[string]bool{
		"localhost": true, "LOCALHOST:8081": true, "localhost.": true, "localhost:": true, "127.0.0.1": true, "127.0.0.1:1": true, "127.1.2.3": true,
		"[::1]": true, "[::1]:8081": true, "[::ffff:127.0.0.1]": true, s.Addr(): true,
		"console.example": true, "CONSOLE.example.:443": true, "[2001:db8::7]": true, "[2001:DB8:0::7]:80": true,
		"": false, ":8081": false, "x": false, "evil.example": false, "localhost.evil.example": false, "evil.localhost": false, "127.0.0.1.evil.example": false,
		"a.console.example": false, "console.example.evil": false, "xconsole.example": false, "*": false, "*.example": false,
		"0.0.0.0": false, "[::]": false, "10.0.0.1": false, "[2001:db8::8]": false, "127.1": false, "0x7f000001": false, "2130706433": false,
		"localhost:evil": false, "localhost:80:80": false, "evil@localhost": false, "localhost..": false, "localhost,evil": false, "[localhost": false, "128.0.0.1": false,
	} {
		for _, path := range []string{"/", "/index.html", "/api/activations", "/api/nothing", "/nothing.js", "/prefix"} {
			answer := raw(t, s, http.MethodGet, path, "Host: "+host)
			if ok && answer.status == 421 {
				t.Errorf("%q is not served", host)
			}
			if !ok && answer.status != 400 { // which is the server's own for what is no host at all
				wantError(t, host+" for "+path, answer, 421, "WORKER_CONSOLE_HOSTS")
			}
		}
		if answer := raw(t, s, http.MethodPost, "/", "Host: "+host); !ok && answer.status != 400 && answer.status != 421 {
			t.Errorf("something is written under %q: %d", host, answer.status)
		}
	}
	if answer := raw(t, s, http.MethodGet, "http://evil.example/", "Host: localhost"); answer.status != 421 {
		t.Errorf("a whole URL of another host: %d", answer.status)
	}
	if answer := raw(t, s, http.MethodGet, "/", "Host: evil.example", "X-Forwarded-Host: localhost", "Forwarded: host=localhost"); answer.status != 421 {
		t.Errorf("what a proxy says of the host is taken: %d", answer.status)
	}
}

// The address of the setting is no name that others can give themselves.
func TestHostOfTheSetting(t *testing.T) {
	t.Parallel()
	for addr, hosts := range map[string]map[string]bool{
		"worker-1.internal:8081": {"worker-1.internal": true, "WORKER-1.internal:9": true, "worker-2.internal": false},
		"10.0.0.1:8081":          {"10.0.0.1:8081": true, "10.0.0.2": false},
		":8081":                  {"": false, "x": false},
	} {
		o := options(t, &source{})
		o.Addr = addr
		s := open(t, console.Page(o))
		for host, ok := range hosts {
			if got := raw(t, s, http.MethodGet, "/", "Host: "+host).status; ok != (got == 200) {
				t.Errorf("%q at %s: %d", host, addr, got)
			}
		}
	}
}

// The address at which a request has arrived is one of ours, and no other is.
func TestHostOfTheConnection(t *testing.T) {
	t.Parallel()
	page := console.Page(options(t, &source{}))
	for _, c := range []struct {
		reached net.Addr
		host    string
		status  int
	}{
		{&net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 8081}, "10.0.0.1:8081", 200},
		{&net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 8081}, "10.0.0.2:8081", 421},
		{&net.TCPAddr{IP: net.ParseIP("2001:db8::1"), Port: 8081}, "[2001:DB8:0::1]", 200},
		{&net.TCPAddr{IP: net.ParseIP("fe80::1"), Zone: "eth0", Port: 8081}, "[fe80::1]:8081", 200},
		{&net.TCPAddr{IP: net.ParseIP("fe80::1"), Zone: "eth0", Port: 8081}, "[fe80::2]:8081", 421},
		{&net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 8081}, "[::ffff:10.0.0.1]", 200},
		{nil, "10.0.0.1", 421},
		{nil, "", 421},
		{&net.UnixAddr{Name: "evil", Net: "unix"}, "other", 421},
	} {
		ctx := t.Context()
		if c.reached != nil {
			ctx = context.WithValue(ctx, http.LocalAddrContextKey, c.reached)
		}
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", http.NoBody)
		r.Host = c.host
		w := httptest.NewRecorder()
		page.ServeHTTP(w, r)
		if w.Code != c.status {
			t.Errorf("%q at %v: %d", c.host, c.reached, w.Code)
		}
	}
}
