package console_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"activation-worker/internal/console"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// listen serves checks on a free port until the test ends.
func listen(t *testing.T, checks func(context.Context) []console.Check) *console.Server {
	t.Helper()
	s, err := console.Listen(t.Context(), "WORKER_HTTP_ADDR", "127.0.0.1:0", console.Handler(checks, nil), zaptest.NewLogger(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func always(checks ...console.Check) func(context.Context) []console.Check {
	return func(context.Context) []console.Check { return checks }
}

// reply is an answer that was read to its end.
type reply struct {
	status int
	header http.Header
	body   string
}

// ask sends one request on a connection of its own.
func ask(t *testing.T, s *console.Server, method, path string) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.Addr()+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{answer.StatusCode, answer.Header, string(body)}
}

var someChecks = []console.Check{
	{Name: "credentials", Detail: `set <LINEWORKS_CLIENT_ID> & "more"`},
	{Name: "partner", Detail: "away"},
	{Name: "nats", OK: true, Detail: "connected"},
}

// What fails for another check alone is no failure where that one is left out.
func TestReadyWithoutWhatACheckFailsFor(t *testing.T) {
	t.Parallel()
	s := listen(t, always(console.Check{Name: "intake", Detail: "paused", For: "partner"}, console.Check{Name: "partner", Detail: "away"}))
	for query, status := range map[string]int{"": 503, "?exclude=credentials": 503, "?exclude=partner": 200, "?exclude=partner,credentials": 200, "?exclude=intake": 503} {
		answer := ask(t, s, http.MethodGet, "/readyz"+query)
		if answer.status != status || strings.Contains(answer.body, `"For"`) {
			t.Errorf("%s: %d %s, want %d", query, answer.status, answer.body, status)
		}
	}
}

// A probe that leaves out what there is not would do its work until the partner is away.
func TestReadyWithoutACheckThatThereIsNot(t *testing.T) {
	t.Parallel()
	s := listen(t, always(console.Check{Name: "nats", OK: true}))
	for query, name := range map[string]string{
		"?exclude=typo": "typo", "?exclude=PARTNER,CREDENTIALS": "PARTNER", "?exclude=nats&exclude=partner,parner": "parner", "?exclude=partner%20": "partner ", "?exclude=%3Cb%3E": "<b>",
	} {
		var body struct{ Error string }
		answer := ask(t, s, http.MethodGet, "/readyz"+query)
		if err := json.Unmarshal([]byte(answer.body), &body); err != nil || answer.status != 400 || !strings.Contains(body.Error, strconv.Quote(name)) {
			t.Errorf("%s: %d %s, %v", query, answer.status, answer.body, err)
		}
		for _, known := range []string{"nats", "streams", "intake", "credentials", "partner", "records"} {
			if !strings.Contains(body.Error, known) {
				t.Errorf("%s: the answer does not name %s: %s", query, known, body.Error)
			}
			if answer := ask(t, s, http.MethodGet, "/readyz?exclude="+known); answer.status != 200 {
				t.Errorf("%s: %d %s", known, answer.status, answer.body)
			}
		}
	}
	if answer := ask(t, s, http.MethodGet, "/readyz?exclude="+strings.Repeat("x", 5000)); answer.status != 400 || len(answer.body) > 300 {
		t.Errorf("a long name: %d, %d bytes", answer.status, len(answer.body))
	}
}

func TestReady(t *testing.T) {
	t.Parallel()
	s := listen(t, always(someChecks...))
	const all = "credentials partner nats"
	for query, want := range map[string]struct {
		status int
		names  string
	}{
		"":                                        {503, all},
		"?exclude=":                               {503, all},
		"?exclude=partner":                        {503, "credentials nats"},
		"?exclude=nats":                           {503, "credentials partner"},
		"?exclude=partner,credentials":            {200, "nats"},
		"?exclude=partner&exclude=credentials":    {200, "nats"},
		"?exclude=partner%2Ccredentials":          {200, "nats"},
		"?exclude=nats,partner,credentials":       {200, ""},
		"?exclude=partner,credentials&other=nats": {200, "nats"},
	} {
		t.Run(query, func(t *testing.T) {
			t.Parallel()
			answer := ask(t, s, http.MethodGet, "/readyz"+query)
			if answer.status != want.status {
				t.Errorf("status %d, want %d", answer.status, want.status)
			}
			var body struct {
				Ready  *bool
				Checks []console.Check
			}
			if err := json.Unmarshal([]byte(answer.body), &body); err != nil || body.Ready == nil || body.Checks == nil {
				t.Fatalf("body %q: %v", answer.body, err)
			}
			if *body.Ready != (want.status == 200) {
				t.Errorf("ready %v with status %d", *body.Ready, want.status)
			}
			var names []string
			for _, c := range body.Checks {
				names = append(names, c.Name)
				if !slices.Contains(someChecks, c) {
					t.Errorf("check %+v is none of those made", c)
				}
			}
			if got := strings.Join(names, " "); got != want.names {
				t.Errorf("checks %q, want %q", got, want.names)
			}
			wantHeaders(t, answer)
		})
	}
}

func wantHeaders(t *testing.T, answer reply) {
	t.Helper()
	for name, want := range map[string]string{"Content-Type": "application/json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"} {
		if got := answer.header.Get(name); got != want {
			t.Errorf("header %s is %q, want %q", name, got, want)
		}
	}
}

// The body is an interface: its exact form is read by probes and people's scripts.
func TestReadyBody(t *testing.T) {
	t.Parallel()
	s := listen(t, always(someChecks[0]))
	body := ask(t, s, http.MethodGet, "/readyz").body
	const want = `{"ready":false,"checks":[{"name":"credentials","ok":false,"detail":"set <LINEWORKS_CLIENT_ID> & \"more\""}]}` + "\n"
	if body != want {
		t.Errorf("body is\n%s want\n%s", body, want)
	}
	body = ask(t, listen(t, always()), http.MethodGet, "/readyz").body
	if body != `{"ready":true,"checks":[]}`+"\n" {
		t.Errorf("without checks the body is %s", body)
	}
}

func TestLive(t *testing.T) {
	t.Parallel()
	s := listen(t, func(context.Context) []console.Check {
		t.Error("liveness asked for checks")
		return nil
	})
	answer := ask(t, s, http.MethodGet, "/livez")
	if answer.status != 200 || answer.body != `{"alive":true}`+"\n" {
		t.Errorf("status %d, body %s", answer.status, answer.body)
	}
	wantHeaders(t, answer)
}

func TestMethodsAndPaths(t *testing.T) {
	t.Parallel()
	s := listen(t, always())
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{http.MethodHead, "/livez", 200},
		{http.MethodHead, "/readyz", 200},
		{http.MethodPost, "/livez", 405},
		{http.MethodPost, "/readyz", 405},
		{http.MethodDelete, "/readyz", 405},
		{http.MethodOptions, "/readyz", 405},
		{http.MethodGet, "/", 404},
		{http.MethodGet, "/metrics", 404},
		{http.MethodGet, "/livez/", 404},
		{http.MethodGet, "/debug/pprof/", 404},
	} {
		answer := ask(t, s, c.method, c.path)
		if answer.status != c.status {
			t.Errorf("%s %s answers %d, want %d", c.method, c.path, answer.status, c.status)
		}
		if c.status == 405 && answer.header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s %s allows %q", c.method, c.path, answer.header.Get("Allow"))
		}
	}
}

// Checks are bounded in time and end with their caller.
func TestChecksHaveADeadline(t *testing.T) {
	t.Parallel()
	var left time.Duration
	h := console.Handler(func(ctx context.Context) []console.Check {
		if deadline, ok := ctx.Deadline(); ok {
			left = time.Until(deadline)
		}
		if context.Cause(ctx) == nil {
			t.Error("the checks' context does not end with the request")
		}
		return nil
	}, nil)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(gone, http.MethodGet, "/readyz", http.NoBody))
	if left <= 0 || left > 3*time.Second {
		t.Errorf("checks may take %s, want at most 3s", left)
	}
}

// The default bounds of a request are a megabyte; a probe needs no more than a few kilobytes.
func TestOversizedHeaderIsRefused(t *testing.T) {
	t.Parallel()
	s := listen(t, always())
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	request := fmt.Sprintf("GET /livez HTTP/1.1\r\nHost: x\r\nX-Long: %s\r\n\r\n", strings.Repeat("x", 64<<10))
	if _, err := io.WriteString(conn, request); err != nil {
		t.Logf("the server hung up while it was sent: %v", err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status %d, want 431", answer.StatusCode)
	}
}

func TestAddressInUse(t *testing.T) {
	t.Parallel()
	s := listen(t, always())
	_, err := console.Listen(t.Context(), "WORKER_HTTP_ADDR", s.Addr(), console.Handler(always(), nil), zap.NewNop())
	if err == nil || !strings.Contains(err.Error(), "WORKER_HTTP_ADDR") || !strings.Contains(err.Error(), s.Addr()) {
		t.Errorf("error is %v, want one that names the setting and the address", err)
	}
}

func TestCloseEndsARequestThatHangs(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{})
	s := listen(t, func(ctx context.Context) []console.Check {
		close(begun)
		<-ctx.Done()
		return nil
	})
	result := make(chan error, 1)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Addr()+"/readyz", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		answer, err := client.Do(r)
		if err == nil {
			_ = answer.Body.Close()
		}
		result <- err
	}()
	<-begun
	before := time.Now()
	s.Close()
	s.Close() // twice is harmless
	if took := time.Since(before); took > 3*time.Second {
		t.Errorf("closing took %s", took)
	}
	if err := <-result; err == nil {
		t.Error("the request that hung was answered")
	}
}

// A client that sends or reads slowly is cut off; the times are too long to be waited for.
func TestSlowClientsAreCutOff(t *testing.T) {
	t.Parallel()
	l := listen(t, always()).Limits()
	for name, c := range map[string]struct{ is, most time.Duration }{
		"reading the header": {l.ReadHeader, 5 * time.Second},
		"reading":            {l.Read, 10 * time.Second},
		"writing":            {l.Write, 10 * time.Second},
		"idle":               {l.Idle, time.Minute},
	} {
		if c.is <= 0 || c.is > c.most {
			t.Errorf("%s may take %s, want at most %s", name, c.is, c.most)
		}
	}
	if l.Write <= 3*time.Second {
		t.Errorf("writing ends after %s, before the checks may", l.Write)
	}
}
