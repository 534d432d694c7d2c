package simulator_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"activation-worker/internal/partnerapi/simulator"
)

// TestAnswers runs every fault of a whole answer through one activate.
func TestAnswers(t *testing.T) {
	t.Parallel()
	tests := map[simulator.Fault]struct {
		status  int
		has     string
		lacks   string
		applied bool
	}{
		"500":                          {status: 500, has: `"code":"INTERNAL_SERVER_ERROR"`},
		"500-applied":                  {status: 500, applied: true},
		"502html":                      {status: 502, has: "<html>"},
		"503":                          {status: 503, lacks: "{"},
		"504-applied":                  {status: 504, applied: true},
		"202":                          {status: 202, applied: true, lacks: "{"},
		"204":                          {status: 204, applied: true, lacks: "{"},
		"404:api":                      {status: 404, has: "Api not exists"},
		"409:ALREADY":                  {status: 409, has: `"code":"ALREADY"`},
		"400:number-code":              {status: 400, has: `"code":400,`},
		"400:old":                      {status: 400, has: `"errorCode":"024"`},
		"400:message":                  {status: 400, has: `"message":`},
		"400:japanese":                 {status: 400, has: `\u001b`},
		"400:codeless":                 {status: 400, has: `description`, lacks: "code"},
		"400:empty":                    {status: 400, lacks: "{"},
		"half-json":                    {status: 200, lacks: "}}", applied: true},
		"not-json":                     {status: 200, has: "OK", applied: true},
		"array":                        {status: 200, has: "[{", applied: true},
		"html":                         {status: 200, has: "<html>", applied: true},
		"no-body":                      {status: 200, lacks: "{", applied: true},
		"bom":                          {status: 200, has: "\ufeff{", applied: true},
		"trailing":                     {status: 200, has: "}}\n<!--", applied: true},
		"null-fields":                  {status: 200, has: `"firstName":null`, applied: true},
		"null-objects":                 {status: 200, has: `"administrator":null,"partnership":null`, applied: true},
		"missing-objects":              {status: 200, lacks: "administrator", applied: true},
		"unknown-fields":               {status: 200, has: `"level199":{"level198"`, applied: true},
		"unknown-enums":                {status: 200, has: `"REVIEW_READY"`, applied: true},
		"big-numbers":                  {status: 200, has: `:9007199254740993,`, applied: true},
		"invalid-utf8":                 {status: 200, has: "\xff\xe3\x81 works", applied: true},
		"string-id":                    {status: 200, has: `"domainId":"7"`, applied: true},
		"float-id":                     {status: 200, has: `"domainId":7.0`, applied: true},
		"no-id":                        {status: 200, lacks: "domainId", applied: true},
		"nested-only":                  {status: 200, has: `{"customer":{`, applied: true},
		"duplicate-fields":             {status: 200, has: `"enableActiveDomain":false,"tenantId"`, applied: true},
		"other-customer":               {status: 200, has: `"domainId":77`, applied: true},
		"inactive-200":                 {status: 200, has: `"enableActiveDomain":false`, applied: true},
		"dns-gone":                     {status: 400},
		"terms-gone":                   {status: 400},
		"deleted":                      {status: 403},
		"beaten":                       {status: 200, has: `"enableActiveDomain":true`},
		"revoked":                      {status: 401},
		"crowded":                      {status: 429},
		"slow=1ms-2ms+text-plain":      {status: 200, has: `"domainId":7`, applied: true},
		"activate@null-fields+bom":     {status: 200, has: "\ufeff{", applied: true},
		"late=1ms":                     {status: 200, applied: true},
		"null-objects+missing-objects": {status: 200, lacks: "administrator", applied: true},
	}
	for fault, want := range tests {
		t.Run(string(fault), func(t *testing.T) {
			t.Parallel()
			p := start(t)
			p.Script(7, simulator.OpActivate, fault)
			got := p.activate()
			got.has(t, want.status, want.has)
			if want.lacks != "" && strings.Contains(got.body, want.lacks) {
				t.Errorf("body %.300q has %q", got.body, want.lacks)
			}
			call := p.Journal().Of(7, simulator.OpActivate)[0]
			if call.Applied != want.applied || call.Fault != string(fault) || call.Lost || call.Status != want.status {
				t.Errorf("noted %+v", call)
			}
			if fault == "revoked" {
				p.token = ""
			}
			if fault != "deleted" { // the fault is over
				p.activate().has(t, 200, `"enableActiveDomain":true`)
			}
		})
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	p := start(t, func(o *simulator.Options) { o.RatePerMinute = 10_000 })
	header := func(fault simulator.Fault, name string) string {
		p.Script(7, simulator.OpActivate, fault)
		return p.activate().header.Get(name)
	}
	for fault, want := range map[simulator.Fault][2]string{
		"429:reset=2":         {"rateLimit-reset", "2"},
		"429:reset=soon":      {"rateLimit-reset", "soon"},
		"429:reset=-5":        {"rateLimit-reset", "-5"},
		"429:bare":            {"rateLimit-limit", ""},
		"429:retry-after=5":   {"Retry-After", "5"},
		"429":                 {"rateLimit-limit", "10000"},
		"more-remaining":      {"rateLimit-remaining", "10000"},
		"no-rate-headers":     {"rateLimit-limit", ""},
		"text-plain":          {"Content-Type", "text/plain"},
		"307-none":            {"Location", ""},
		"307-self":            {"Location", p.base + "/v1.0/partners/customers/7/activate"},
		"308-relative":        {"Location", "/v1.0/partners/customers/7/activate"},
		"302-strange":         {"Location", "https://redirect.example/v1.0/partners/customers/7/activate"},
		"307-host=http://a:1": {"Location", "http://a:1/v1.0/partners/customers/7/activate"},
	} {
		if got := header(fault, want[0]); got != want[1] {
			t.Errorf("%s: %s is %q, want %q", fault, want[0], got, want[1])
		}
	}
	p.Script(7, simulator.OpActivate, "307-self")
	if got := p.activate(); got.status != 307 || got.header.Get("rateLimit-limit") != "" {
		t.Errorf("a redirect with status %d has rate limit headers %v", got.status, got.header)
	}
	p.Script(7, simulator.OpActivate, "gzip")
	unpacked, err := gzip.NewReader(bytes.NewReader([]byte(p.activate().body)))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := io.ReadAll(unpacked); err != nil || !json.Valid(plain) {
		t.Errorf("unpacked %q, %v", plain, err)
	}
	p.Script(7, simulator.OpActivate, "huge=1MiB")
	if n := len(p.activate().body); n < 1<<20 {
		t.Errorf("a huge body has %d bytes", n)
	}
}

// TestConnection checks the faults that leave the caller without a whole answer, over http and https.
func TestConnection(t *testing.T) {
	t.Parallel()
	tests := map[simulator.Fault]struct {
		applied bool
		fails   func(error) bool
	}{
		"reset-before":    {false, isReset},
		"lost":            {true, isReset},
		"reset-mid":       {true, isReset},
		"cut":             {true, func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		"cut+not-json":    {true, func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		"silence":         {true, isTimeout},
		"mute":            {true, isTimeout},
		"slow=1h":         {true, isTimeout},
		"500-applied+cut": {true, func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
	}
	for _, secure := range []bool{false, true} {
		for fault, want := range tests {
			t.Run(string(fault), func(t *testing.T) {
				t.Parallel()
				p := start(t)
				if secure {
					server := httptest.NewTLSServer(p.Simulator)
					t.Cleanup(server.Close)
					p.base, p.client = server.URL, server.Client()
				}
				p.lookup().has(t, 200)
				p.Script(7, simulator.OpActivate, fault)
				got := p.within(300*time.Millisecond, "POST", "/customers/7/activate")
				if !want.fails(got.err) {
					t.Errorf("got status %d, error %v", got.status, got.err)
				}
				p.lookup().has(t, 200)
				if calls := p.Journal().Of(7, simulator.OpActivate); len(calls) != 1 || calls[0].Applied != want.applied || calls[0].Told != "" {
					t.Errorf("noted %+v", calls)
				}
				p.Close() // what waits is given up
				p.until("the answer to be noted as lost", func() bool { return p.Journal().Of(7, simulator.OpActivate)[0].Lost })
			})
		}
	}
}

// isReset accepts a reset that reached us as such, and one seen as the end of the connection where TLS is between.
func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.EPIPE)
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return ok && timeout.Timeout()
}

// TestLate shows that the partner carries on when the caller has gone.
func TestLate(t *testing.T) {
	t.Parallel()
	p := start(t)
	p.lookup().has(t, 200)
	p.Script(7, simulator.OpActivate, "late=300ms")
	if got := p.within(50*time.Millisecond, "POST", "/customers/7/activate"); !isTimeout(got.err) {
		t.Fatalf("got %+v", got)
	}
	p.lookup().has(t, 200, `"enableActiveDomain":false`)
	p.until("the late activation", func() bool { return p.Journal().Customers[7].Applied == 1 })
	p.lookup().has(t, 200, `"enableActiveDomain":true`)
}

func TestLag(t *testing.T) {
	t.Parallel()
	clock := newClock()
	p := start(t, func(o *simulator.Options) { o.Now, o.Leeway = clock.now, time.Hour })
	p.Script(7, simulator.OpActivate, "lag=30s")
	p.activate().has(t, 200, `"enableActiveDomain":true`)
	p.lookup().has(t, 200, `"enableActiveDomain":false`)
	clock.pass(30*time.Second - 1)
	p.lookup().has(t, 200, `"enableActiveDomain":false`)
	clock.pass(1)
	p.lookup().has(t, 200, `"enableActiveDomain":true`)
}

func TestFaultTexts(t *testing.T) {
	t.Parallel()
	good, err := simulator.ParseFaults("lost, 429:reset=2 ,activate@slow=1s+bom*3,307-host=https://a.example,503*,huge=10")
	if err != nil || len(good) != 6 {
		t.Errorf("got %q, %v", good, err)
	}
	for _, f := range simulator.WickedMix() {
		if _, err := simulator.ParseFault(string(f)); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{
		"", "lots", "lost=1", "slow", "slow=x", "slow=2s-1s", "200", "99", "600", "50", "500x", "429:colour=2", "307", "307-", "307-host=", "307-away",
		"lost*0", "lost*x", "nobody@lost", "lost+", "huge=-1", "huge=65MiB", "expires-number=x", "eaten=many", "lag=-1s",
	} {
		if _, err := simulator.ParseFault(bad); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("%q: got error %v, want one that names it", bad, err)
		}
	}
	if help := simulator.FaultHelp(); !strings.Contains(help, "slow=2s") || !strings.Contains(help, "expires=86400") {
		t.Errorf("the help lacks names:\n%s", help)
	}
	defer func() {
		if recover() == nil {
			t.Error("a script with a fault that does not exist did not panic")
		}
	}()
	start(t).Script(7, simulator.OpActivate, "lots")
}

func TestRecorderSeesAbort(t *testing.T) {
	t.Parallel()
	p := start(t)
	p.lookup().has(t, 200)
	p.Script(7, simulator.OpActivate, simulator.Lost)
	defer func() {
		if got, _ := recover().(error); !errors.Is(got, http.ErrAbortHandler) {
			t.Errorf("recovered %v, want http.ErrAbortHandler", got)
		}
	}()
	r := httptest.NewRequest(http.MethodPost, "/v1.0/partners/customers/7/activate", nil)
	r.Header.Set("Authorization", "Bearer "+p.token)
	p.ServeHTTP(httptest.NewRecorder(), r)
}
