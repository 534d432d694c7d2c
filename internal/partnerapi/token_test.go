package partnerapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// tokenClient returns a client whose token endpoint answers with auth.
func tokenClient(t *testing.T, auth http.HandlerFunc, mods ...func(*Config)) (*Client, *partner) {
	t.Helper()
	p := newPartner(t, reply(200, activeObject), auth)
	return p.client(t, mods...), p
}

func TestOneFetchForAll(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	arrived := make(chan struct{}, 200)
	c, p := tokenClient(t, func(w http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		<-release
		fmt.Fprint(w, `{"access_token":"abc","expires_in":"3600"}`)
	})
	// The first to ask gives up; the others must not notice.
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() { first <- c.EnsureToken(ctx) }()
	<-arrived
	var wg sync.WaitGroup
	errs := make(chan error, 100)
	for range 100 {
		wg.Go(func() { errs <- c.EnsureToken(t.Context()) })
	}
	cancel()
	e := failed(t, <-first, NotSent)
	if !errors.Is(e, context.Canceled) || e.Op != OpToken {
		t.Errorf("%+v", e)
	}
	close(release)
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	if n := p.fetches.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

// TestRefusedTokenIsReplacedOnce: many calls meet 401 with the same token.
func TestRefusedTokenIsReplacedOnce(t *testing.T) {
	t.Parallel()
	const calls = 20
	var gather sync.WaitGroup
	gather.Add(calls)
	p := newPartner(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer "+issued(1) {
			gather.Done()
			gather.Wait() // all hold the first token before one of them learns that it is dead
			w.WriteHeader(401)
			return
		}
		_, _ = w.Write([]byte(activeObject))
	}, nil)
	c := p.client(t)
	if err := c.EnsureToken(t.Context()); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range calls {
		wg.Go(func() {
			if _, err := c.Activate(t.Context(), ourID, Call{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := p.fetches.Load(); n != 2 {
		t.Errorf("%d fetches", n)
	}
}

func TestDropForgetsThatTokenAlone(t *testing.T) {
	t.Parallel()
	c, p := tokenClient(t, nil)
	for i, drop := range []string{"", "another", issued(1)} {
		c.tokens.drop(token{value: drop})
		if err := c.EnsureToken(t.Context()); err != nil {
			t.Fatal(err)
		}
		if want := int32(1 + i/2); p.fetches.Load() != want {
			t.Errorf("after %q: %d fetches, wanted %d", drop, p.fetches.Load(), want)
		}
	}
}

// TestTokenLife: how long each form of expires_in lets a token serve.
func TestTokenLife(t *testing.T) {
	t.Parallel()
	for form, want := range map[string]time.Duration{
		`"86400"`: 24 * time.Hour, `"3600"`: time.Hour, `3600`: time.Hour, `7200`: 2 * time.Hour,
		`"3600.0"`: time.Hour, `3600.5`: time.Hour, `" 60 "`: time.Minute, `10`: 10 * time.Second,
		`null`: time.Hour, `"0"`: time.Hour, `0`: time.Hour, `-5`: time.Hour, `""`: time.Hour, `"soon"`: time.Hour,
		`{}`: time.Hour, `"999999999999"`: 24 * time.Hour, `99999999999999999999`: time.Hour, `1e9`: time.Hour,
	} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			clk := newClock()
			c, p := tokenClient(t, func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprintf(w, `{"access_token":"abc","expires_in":%s}`, form)
			}, clk.use)
			use := func(fetches int32) {
				t.Helper()
				if _, err := c.Activate(t.Context(), ourID, Call{}); err != nil {
					t.Fatal(err)
				}
				if n := p.fetches.Load(); n != fetches {
					t.Fatalf("%d fetches, wanted %d", n, fetches)
				}
			}
			use(1)
			clk.add(want - 1)
			use(1)
			clk.add(1) // its end: nobody can use it
			use(2)
		})
	}
	t.Run("missing", func(t *testing.T) {
		t.Parallel()
		if lifeOf(nil) != time.Hour {
			t.Error(lifeOf(nil))
		}
	})
}

// TestTokenAnswers: what each answer of the token endpoint means.
func TestTokenAnswers(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status      int
		body        string
		credentials bool
		fetches     int32
		trouble     string
		ok          bool
	}{
		"plain text":             {status: 200, body: `{"access_token":"abc","scope":"partner"}`, fetches: 1, ok: true},
		"scopes by comma":        {status: 200, body: `{"access_token":"abc","scope":"bot,partner"}`, fetches: 1, ok: true},
		"byte order mark":        {status: 200, body: "\xef\xbb\xbf" + `{"access_token":"abc"}`, fetches: 1, ok: true},
		"scope not granted":      {status: 200, body: `{"access_token":"abc","scope":"partner.read"}`, credentials: true, fetches: 1, trouble: "LINEWORKS_SCOPE"},
		"invalid_client":         {status: 401, body: `{"error":"invalid_client","error_description":"x"}`, credentials: true, fetches: 1, trouble: "LINEWORKS_CLIENT_SECRET"},
		"invalid_client as 200":  {status: 200, body: `{"error":"invalid_client"}`, credentials: true, fetches: 1, trouble: "LINEWORKS_CLIENT_ID"},
		"invalid_scope":          {status: 400, body: `{"error":"invalid_scope"}`, credentials: true, fetches: 1, trouble: "LINEWORKS_SCOPE"},
		"unauthorized_client":    {status: 400, body: `{"error":"unauthorized_client"}`, credentials: true, fetches: 1, trouble: "LINEWORKS_CLIENT_ID"},
		"unsupported_grant_type": {status: 400, body: `{"error":"unsupported_grant_type"}`, credentials: true, fetches: 1, trouble: "LINEWORKS_TOKEN_URL"},
		"invalid_grant":          {status: 400, body: `{"error":"invalid_grant"}`, credentials: true, fetches: 2, trouble: "LINEWORKS_PRIVATE_KEY"},
		"returnCode 99":          {status: 500, body: `{"returnCode":"99","returnMessage":"UnexpectedError"}`, credentials: true, fetches: 2, trouble: "assertion"},
		"400 with another code":  {status: 400, body: `{"error":"jwt_expired"}`, credentials: true, fetches: 2, trouble: "assertion"},
		"404":                    {status: 404, body: `Not found`, credentials: true, fetches: 1, trouble: "LINEWORKS_TOKEN_URL"},
		"429":                    {status: 429, body: `{"code":"TOO_MANY_REQUESTS"}`, fetches: 1, trouble: "no token"},
		"500":                    {status: 500, body: ``, fetches: 1, trouble: "no token"},
		"200 with HTML":          {status: 200, body: `<html>access_token=abc</html>`, fetches: 1, trouble: "no token"},
		"200 without a token":    {status: 200, body: `{"token_type":"Bearer"}`, fetches: 1, trouble: "no token"},
		"200 cut off":            {status: 200, body: `{"access_token":"abc","expir`, fetches: 1, trouble: "no token"},
		"200 empty":              {status: 200, body: ``, fetches: 1, trouble: "no token"},
		"token with a line end":  {status: 200, body: `{"access_token":"abc\r\nX-Evil: 1"}`, fetches: 1, trouble: "no token"},
		"token with a blank":     {status: 200, body: `{"access_token":"abc def"}`, fetches: 1, trouble: "no token"},
		"token not ASCII":        {status: 200, body: `{"access_token":"abcé"}`, fetches: 1, trouble: "no token"},
		"redirect":               {status: 307, body: ``, fetches: 1, trouble: "no token"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, p := tokenClient(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/plain")
				w.Header().Set("Location", "/again")
				w.Header().Set("rateLimit-limit", "60")
				w.WriteHeader(tc.status)
				_, _ = w.Write([]byte(tc.body))
			})
			_, err := c.Activate(t.Context(), ourID, Call{})
			if n := p.fetches.Load(); n != tc.fetches {
				t.Errorf("%d fetches", n)
			}
			if tc.ok {
				if err != nil {
					t.Error(err)
				}
				return
			}
			e := failed(t, err, Token)
			if e.Credentials != tc.credentials || e.Status != tc.status || e.Op != OpToken || !strings.Contains(e.Trouble, tc.trouble) || e.MaybeApplied() {
				t.Errorf("%+v", e)
			}
			if p.requests.Load() != 0 {
				t.Error("a request was sent without a token")
			}
		})
	}
}

func TestTokenEndpointAway(t *testing.T) {
	t.Parallel()
	c, _ := tokenClient(t, nil, func(c *Config) { c.TokenURL = refusing + "/token" })
	if e := failed(t, c.EnsureToken(t.Context()), Token); e.Credentials || e.Status != 0 || !strings.Contains(e.Trouble, "refused") {
		t.Errorf("%+v", e)
	}
	c, _ = tokenClient(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or the server does not notice that the client went
		<-r.Context().Done()
	}, within(100*time.Millisecond))
	if e := failed(t, c.EnsureToken(t.Context()), Token); e.Credentials || !strings.Contains(e.Trouble, "in time") {
		t.Errorf("%+v", e)
	}
	c.Close()
	if e := failed(t, c.EnsureToken(t.Context()), Token); !strings.Contains(e.Trouble, "closed") {
		t.Errorf("%+v", e)
	}
}

func TestFreshAssertionHelps(t *testing.T) {
	t.Parallel()
	var p *partner
	p = newPartner(t, nil, func(w http.ResponseWriter, _ *http.Request) {
		if p.fetches.Load() == 1 {
			w.WriteHeader(400)
			fmt.Fprint(w, `{"returnCode":"99","returnMessage":"UnexpectedError"}`)
			return
		}
		fmt.Fprint(w, `{"access_token":"abc"}`)
	})
	if err := p.client(t).EnsureToken(t.Context()); err != nil || p.fetches.Load() != 2 {
		t.Errorf("%v, %d fetches", err, p.fetches.Load())
	}
}

func TestClockDifferenceIsSaid(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		theirs time.Duration // ahead of ours
		want   string
	}{
		"ours behind": {10 * time.Minute, "clock is 10m0s behind the partner's"},
		"ours ahead":  {-2 * time.Hour, "clock is 2h0m0s ahead of the partner's"},
		"near enough": {20 * time.Second, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clk := newClock()
			c, _ := tokenClient(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Date", clk.Now().Add(tc.theirs).Format(http.TimeFormat))
				w.WriteHeader(401)
			}, clk.use)
			e := failed(t, c.EnsureToken(t.Context()), Token)
			if !strings.Contains(e.Trouble, tc.want) || (tc.want == "") == strings.Contains(e.Trouble, "this machine's clock") {
				t.Errorf("%q", e.Trouble)
			}
		})
	}
}
