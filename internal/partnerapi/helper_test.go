package partnerapi

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"
)

const (
	refusing     = "http://127.0.0.1:1" // nobody listens: a port of a server that was closed may soon be another test's
	ourID        = 51200931
	ourPath      = "/v1.0/partners/customers/51200931"
	clientID     = "client-Kq7Zt"
	clientSecret = "s3cr3tXyzA"
	account      = "k3x9q.serviceaccount@kawase-it"
	activeObject = `{"domainId":51200931,"domain":"hinode-foods.example","enableActiveDomain":true,"partnership":{"status":"TRANSFER_READY"}}`
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var signingKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func pemPKCS8(t testing.TB) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(signingKey())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// partner is a stand-in with its API and token endpoint on loopback.
type partner struct {
	api, auth *httptest.Server
	requests  atomic.Int32 // that reached the API
	fetches   atomic.Int32 // that reached the token endpoint
}

// issued is the n-th token that the default token endpoint gives out.
func issued(n int32) string { return fmt.Sprintf("jp1AAABq7xZfresh+/%dw==", n) }

func newPartner(t testing.TB, api, auth http.HandlerFunc) *partner {
	t.Helper()
	p := &partner{}
	if auth == nil {
		auth = func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"access_token":%q,"token_type":"Bearer","expires_in":"86400","scope":"partner"}`, issued(p.fetches.Load()))
		}
	}
	p.api = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.requests.Add(1)
		api(w, r)
	}))
	p.auth = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.fetches.Add(1)
		auth(w, r)
	}))
	t.Cleanup(p.api.Close)
	t.Cleanup(p.auth.Close)
	return p
}

// client makes a client of p with a ready-made configuration, changed by mods.
func (p *partner) client(t testing.TB, mods ...func(*Config)) *Client {
	t.Helper()
	cfg := Config{
		APIURL: p.api.URL + "/v1.0", TokenURL: p.auth.URL + "/oauth2/v2.0/token",
		ClientID: clientID, ServiceAccount: account, Scope: "partner",
		Secrets: func() (Secrets, error) {
			return Secrets{ClientSecret: clientSecret, PrivateKey: pemPKCS8(t)}, nil
		},
		Timeout: 5 * time.Second, MaxPayload: 64 << 10, Log: zaptest.NewLogger(t),
	}
	for _, mod := range mods {
		mod(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(c.Close)
	return c
}

// answering returns a client whose API answers everything with api.
func answering(t testing.TB, api http.HandlerFunc, mods ...func(*Config)) (*Client, *partner) {
	t.Helper()
	p := newPartner(t, api, nil)
	return p.client(t, mods...), p
}

func readyMade(value string) func(*Config) {
	return func(c *Config) {
		c.Secrets = func() (Secrets, error) { return Secrets{AccessToken: value}, nil }
	}
}

func within(d time.Duration) func(*Config) { return func(c *Config) { c.Timeout = d } }

func reply(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

// failed returns err as an *Error of the wanted kind.
func failed(t testing.TB, err error, kind Kind) *Error {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("error %v is no *Error, wanted kind %s", err, kind)
	}
	if e.Kind != kind {
		t.Fatalf("kind %s (%v), wanted %s", e.Kind, e, kind)
	}
	return e
}

// clock is a wall clock that tests set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func (c *clock) use(cfg *Config) { cfg.Now = c.Now }
