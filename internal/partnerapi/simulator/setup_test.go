package simulator_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"

	"activation-worker/internal/partnerapi/simulator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// partner is a simulator behind a real server, with a client and a token.
type partner struct {
	*simulator.Simulator
	t      *testing.T
	base   string
	client *http.Client
	token  string
}

// start serves a simulator with one customer, 7, that is ready to be activated.
func start(t *testing.T, mods ...func(*simulator.Options)) *partner {
	t.Helper()
	key, err := simulator.TestKey()
	if err != nil {
		t.Fatal(err)
	}
	o := simulator.Options{Key: key}
	for _, mod := range mods {
		mod(&o)
	}
	sim, err := simulator.New(o)
	if err != nil {
		t.Fatal(err)
	}
	sim.Add(simulator.Customer{DomainID: 7, Terms: true, DNS: true})
	server := httptest.NewServer(sim)
	p := &partner{Simulator: sim, t: t, base: server.URL, client: &http.Client{
		Timeout:       10 * time.Second,
		Transport:     &http.Transport{DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	t.Cleanup(func() {
		p.client.CloseIdleConnections()
		sim.Close()
		server.Close()
	})
	return p
}

// reply is an answer read whole, or the error of reading it.
type reply struct {
	status int
	header http.Header
	body   string
	err    error
}

func (r reply) has(t *testing.T, status int, parts ...string) {
	t.Helper()
	if r.err != nil || r.status != status {
		t.Fatalf("got status %d, error %v, body %.300q; want status %d", r.status, r.err, r.body, status)
	}
	for _, part := range parts {
		if !strings.Contains(r.body, part) {
			t.Fatalf("body %.600q lacks %q", r.body, part)
		}
	}
}

func (p *partner) do(req *http.Request) reply {
	resp, err := p.client.Do(req)
	if err != nil {
		return reply{err: err}
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	return reply{resp.StatusCode, resp.Header, string(body), err}
}

// call makes an API request, with a token fetched at the first one.
func (p *partner) call(method, path, body string) reply {
	p.t.Helper()
	if p.token == "" {
		p.token = p.fetch(p.form(p.claims(), "partner")).token(p.t)
	}
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.base+"/v1.0/partners"+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	return p.do(req)
}

func (p *partner) activate() reply { p.t.Helper(); return p.call("POST", "/customers/7/activate", "") }
func (p *partner) lookup() reply   { p.t.Helper(); return p.call("GET", "/customers/7", "") }

// claims are those of a good assertion.
func (p *partner) claims() jwt.MapClaims {
	now := time.Now().Unix()
	c := p.Credentials()
	return jwt.MapClaims{"iss": c.ClientID, "sub": c.ServiceAccount, "iat": now - 60, "exp": now + 840}
}

func (p *partner) sign(claims jwt.MapClaims) string {
	p.t.Helper()
	key, err := jwt.ParseRSAPrivateKeyFromPEM([]byte(p.Credentials().PrivateKeyPEM))
	if err != nil {
		p.t.Fatal(err)
	}
	text, err := jwt.NewWithClaims(jwt.SigningMethodRS256, claims).SignedString(key)
	if err != nil {
		p.t.Fatal(err)
	}
	return text
}

func (p *partner) form(claims jwt.MapClaims, scope string) url.Values {
	p.t.Helper()
	c := p.Credentials()
	return url.Values{
		"assertion": {p.sign(claims)}, "grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"},
		"client_id": {c.ClientID}, "client_secret": {c.ClientSecret}, "scope": {scope},
	}
}

func (p *partner) fetch(form url.Values) reply {
	p.t.Helper()
	return p.post("/oauth2/v2.0/token", "application/x-www-form-urlencoded", form.Encode())
}

func (p *partner) post(path, contentType, body string) reply {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.base+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	return p.do(req)
}

// token reads the access token of a good answer.
func (r reply) token(t *testing.T) string {
	t.Helper()
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	r.has(t, 200)
	if err := json.Unmarshal([]byte(r.body), &answer); err != nil || answer.AccessToken == "" {
		t.Fatalf("no access token: %v", err)
	}
	return answer.AccessToken
}

// within runs the test's part with a deadline, for answers that may never come.
func (p *partner) within(d time.Duration, method, path string) reply {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), d)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, p.base+"/v1.0/partners"+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	return p.do(req)
}

// until waits for something that the server does in its own time.
func (p *partner) until(what string, done func() bool) {
	p.t.Helper()
	tick, limit := time.NewTicker(2*time.Millisecond), time.NewTimer(5*time.Second)
	defer tick.Stop()
	defer limit.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-limit.C:
			p.t.Fatalf("waited in vain for %s", what)
		}
	}
}
