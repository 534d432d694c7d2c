package partnerapi

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// hearsay is all that an observer is told.
type hearsay struct {
	mu    sync.Mutex
	lines []string
}

func (h *hearsay) add(line string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines = append(h.lines, line)
}

func (h *hearsay) Requested(operation string, status int, result string, took time.Duration) {
	if took < 0 || took > time.Minute {
		result = fmt.Sprintf("took %s", took)
	}
	h.add(fmt.Sprintf("%s %d %s", operation, status, result))
}

func (h *hearsay) TokenFetched(result string) { h.add("fetched " + result) }

func (h *hearsay) all() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.lines)
}

// TestRequestsAreObserved: each request is told of once, with what it came to; and each token asked for.
func TestRequestsAreObserved(t *testing.T) {
	t.Parallel()
	const token = "token 200 ok, fetched ok, "
	for name, c := range map[string]struct {
		api, auth http.HandlerFunc
		want      string
	}{
		"yes":                  {api: reply(200, activeObject), want: token + "activate 200 ok"},
		"no":                   {api: reply(400, `{"code":"ODD"}`), want: token + "activate 400 refused"},
		"too fast":             {api: reply(429, ""), want: token + "activate 429 limited"},
		"failing":              {api: reply(503, ""), want: token + "activate 503 unclear"},
		"elsewhere":            {api: reply(302, ""), want: token + "activate 302 redirect"},
		"refused, repeated":    {api: reply(401, ""), want: token + "activate 401 token, " + token + "activate 401 token"},
		"shows something else": {api: reply(200, `{}`), want: token + "activate 200 ok"},
		"broken off": {api: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte(activeObject))
		}, want: token + "activate 200 unclear"},
		"silent":              {api: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, want: token + "activate 0 unclear"},
		"credentials":         {auth: reply(401, `{"error":"invalid_client"}`), want: "token 401 refused, fetched refused"},
		"token comes to pass": {auth: reply(503, ""), want: "token 503 unclear, fetched unclear"},
		"no token":            {auth: reply(200, `{}`), want: "token 200 unclear, fetched unclear"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var told hearsay
			p := newPartner(t, c.api, c.auth)
			client := p.client(t, func(cfg *Config) { cfg.Observer = &told })
			_, _ = client.Activate(t.Context(), ourID, Call{})
			if got := strings.Join(told.all(), ", "); got != c.want {
				t.Errorf("told of %q, want %q", got, c.want)
			}
		})
	}
}

// Nobody there: nothing is written, and that is told. A call that has no time left is no request.
func TestRequestsThatAreNotMade(t *testing.T) {
	t.Parallel()
	var told hearsay
	client, p := answering(t, reply(200, activeObject), func(cfg *Config) { cfg.Observer = &told })
	if _, err := client.Activate(t.Context(), ourID, Call{Starting: func() bool { return false }}); err == nil {
		t.Error("a request was made without leave")
	}
	p.api.Close()
	_, err := client.Activate(t.Context(), ourID, Call{})
	failed(t, err, NotSent)
	if got, want := strings.Join(told.all(), ", "), "token 200 ok, fetched ok, activate 0 not_sent"; got != want {
		t.Errorf("told of %q, want %q", got, want)
	}
	if left := time.Until(client.TokenExpiry()); left < 23*time.Hour || left > 24*time.Hour {
		t.Errorf("the token ends in %s", left)
	}
}

// Nor is a request for a token one that reached anybody where nobody is there.
func TestTokenRequestsThatAreNotMade(t *testing.T) {
	t.Parallel()
	var told hearsay
	client, p := answering(t, reply(200, activeObject), func(cfg *Config) { cfg.Observer = &told })
	p.auth.Close()
	_, _ = client.Activate(t.Context(), ourID, Call{})
	if got, want := strings.Join(told.all(), ", "), "token 0 not_sent, fetched unclear"; got != want {
		t.Errorf("told of %q, want %q", got, want)
	}
}
