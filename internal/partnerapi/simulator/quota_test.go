package simulator_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"activation-worker/internal/partnerapi/simulator"
)

func limited(clock *clock) func(*simulator.Options) {
	return func(o *simulator.Options) { o.RatePerMinute, o.Now, o.Leeway = 3, clock.now, time.Hour }
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	clock := newClock()
	p := start(t, limited(clock))
	clock.pass(12*time.Second + time.Millisecond)
	for i, remaining := range []string{"2", "1", "0"} {
		h := p.lookup().header
		got := [4]string{h.Get("rateLimit-limit"), h.Get("rateLimit-remaining"), h.Get("rateLimit-reset"), h.Get("rateLimit-used")}
		if want := [4]string{"3", remaining, "48", string(rune('1' + i))}; got != want {
			t.Errorf("limit, remaining, reset, used are %v, want %v", got, want)
		}
	}
	p.lookup().has(t, 429, `{"code":"TOO_MANY_REQUESTS","description":"API rate limit exceeded"}`)
	p.activate().has(t, 200) // each operation by itself
	clock.pass(48*time.Second - 2*time.Millisecond)
	p.lookup().has(t, 429)
	clock.pass(time.Millisecond)
	p.lookup().has(t, 200)
}

func TestRateSwitches(t *testing.T) {
	t.Parallel()
	clock := newClock()
	p := start(t, limited(clock), func(o *simulator.Options) {
		o.Unknown = simulator.Switches{UsedHeader: "rateLimit-ssed", RefusedUncounted: true, BareErrors: true}
	})
	for range 5 {
		p.lookup()
	}
	got := p.lookup()
	if got.has(t, 429); got.header.Get("rateLimit-reset") != "" {
		t.Error("a bare error has headers")
	}
	p.SetRate(5)
	if got := p.lookup(); got.header.Get("rateLimit-ssed") != "4" || got.header.Get("rateLimit-used") != "" {
		t.Errorf("refused requests were counted, or the header's name is another: %v", got.header)
	}
}

func TestHeadersAsSpelledOnTheWire(t *testing.T) {
	t.Parallel()
	p := start(t, func(o *simulator.Options) { o.RatePerMinute = 10 })
	p.lookup().has(t, 200)
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1.0/partners/customers/7", nil)
	r.Header.Set("Authorization", "Bearer "+p.token)
	p.ServeHTTP(w, r)
	if h := map[string][]string(w.Header()); h["rateLimit-limit"] == nil || h["Ratelimit-Limit"] != nil {
		t.Errorf("headers are %v", h)
	}
}

func TestQuotaFaults(t *testing.T) {
	t.Parallel()
	clock := newClock()
	p := start(t, limited(clock))
	p.Script(7, simulator.OpCustomer, "eaten=3", "limit=9", "eaten=1")
	p.lookup().has(t, 429)
	p.lookup().has(t, 200)
	if got := p.lookup().header.Get("rateLimit-remaining"); got != "2" {
		t.Errorf("%s remain, want 2", got)
	}
	p.Script(7, simulator.OpCustomer, "limit=1")
	p.lookup().has(t, 429)
}

func TestAtOnce(t *testing.T) {
	t.Parallel()
	p := start(t, func(o *simulator.Options) { o.MaxConcurrent, o.RatePerMinute = 2, 100 })
	p.lookup().has(t, 200)
	p.Script(7, simulator.OpActivate, "slow=10s*2")
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { p.within(500*time.Millisecond, "POST", "/customers/7/activate") })
	}
	p.until("the slow requests", func() bool { return len(p.Journal().Of(7, simulator.OpActivate)) == 2 })
	got := p.lookup()
	if got.has(t, 429, "TOO_MANY_REQUESTS"); got.header.Get("rateLimit-limit") != "" {
		t.Error("too many at once is answered with rate limit headers")
	}
	wg.Wait()
	p.until("the places of the callers that have gone", func() bool { return p.lookup().status == 200 })
}

func TestRefusalTexts(t *testing.T) {
	t.Parallel()
	var w simulator.Switches
	if err := w.Set("dns-missing=409:empty"); err != nil || w.DNSMissing != (simulator.Refusal{Status: 409, Form: simulator.FormEmpty}) {
		t.Errorf("set %+v, %v", w.DNSMissing, err)
	}
	for _, bad := range []string{"dns=400", "dns-missing", "dns-missing=300", "dns-missing=x:Y"} {
		if err := w.Set(bad); err == nil || !strings.HasPrefix(err.Error(), "switch ") {
			t.Errorf("%q: got error %v", bad, err)
		}
	}
}

// TestTheDocumentedLimits: 240 in a fixed minute for each operation and five at once over all, and what may become of them.
func TestTheDocumentedLimits(t *testing.T) {
	t.Parallel()
	clock := newClock()
	p := start(t, limited(clock), func(o *simulator.Options) {
		o.RatePerMinute, o.MaxConcurrent = simulator.DefaultRatePerMinute, simulator.DefaultMaxConcurrent
	})
	expect := func(what string, status int, limit, remaining, used string) {
		t.Helper()
		got := p.lookup()
		if h := got.header; got.status != status || h.Get("rateLimit-limit") != limit || h.Get("rateLimit-remaining") != remaining || h.Get("rateLimit-used") != used {
			t.Fatalf("%s: %d with %v", what, got.status, h)
		}
	}
	for range 238 {
		p.lookup().has(t, 200)
	}
	expect("the last but one", 200, "240", "1", "239")
	expect("the last of a minute", 200, "240", "0", "240")
	expect("one more", 429, "240", "0", "241")
	p.activate().has(t, 200)

	clock.pass(time.Minute)
	expect("the next minute", 200, "240", "239", "1")
	p.Script(7, simulator.OpCustomer, "eaten=100", "more-remaining", "no-rate-headers")
	expect("another client has eaten 100", 200, "240", "138", "102")
	expect("more seem to remain than before", 200, "240", "240", "103")
	expect("no headers", 200, "", "", "")
	expect("afterwards", 200, "240", "135", "105")
	p.Script(0, "", "limit=60")
	expect("the limit drops below what is used", 429, "60", "0", "106")
	clock.pass(time.Minute)
	expect("and stays there", 200, "60", "59", "1")

	p.Script(7, simulator.OpActivate, "mute*5")
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() { p.within(500*time.Millisecond, "POST", "/customers/7/activate") })
	}
	p.until("five requests", func() bool { return p.Journal().MaxConcurrent == 5 })
	expect("a sixth at once", 429, "", "", "")
	wg.Wait()
	p.until("room again", func() bool { return p.lookup().status == 200 })
}
