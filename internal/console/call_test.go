package console_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"activation-worker/internal/console"
)

func TestParameters(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	midnight := time.Now().Truncate(24 * time.Hour).Unix()
	many := strings.Repeat("id=5&", 200)
	for query, want := range map[string]any{ // what is asked, or the error
		"activations": spanAsked{console.SpanHour, midnight},
		fmt.Sprint("activations?span=7d&midnight=", midnight+3600): spanAsked{console.SpanWeek, midnight + 3600},
		"activations?span=24h":                         spanAsked{console.SpanDay, midnight},
		"activations?span=2h":                          "span=\"2h\" is not known; wanted 1h, 24h, 7d",
		"activations?span=1h&span=1h":                  "span",
		"activations?midnight=x":                       "midnight=\"x\" is no number that fits; wanted one from ",
		"activations?midnight=1":                       "midnight",
		"activations?midnight=1e9":                     "midnight",
		"activations?midnight=99999999999999999999":    "midnight",
		fmt.Sprint("activations?midnight=+", midnight): "midnight",
		"activations?limit=5":                          "there is no parameter \"limit\"; wanted span, midnight",

		"customers": console.Filter{Limit: 50},
		"customers?state=deferred&state=failed&reason=refused&id=47&limit=200&since=2026-11-01T09:00:00%2B09:00": console.Filter{
			States: []string{"deferred", "failed"}, Reasons: []string{"refused"}, IDPrefix: "47", Limit: 200, Since: at,
		},
		"customers?before=1772442000.9223372036854775807":    console.Filter{Limit: 50, Before: &console.Cursor{Time: 1772442000, DomainID: 1<<63 - 1}},
		"customers?after=0.1":                                console.Filter{Limit: 50, After: &console.Cursor{DomainID: 1}},
		"customers?state=&reason=&id=&since=&before=&limit=": console.Filter{Limit: 50}, // as forms send it
		"customers?state=activ":                              "state=\"activ\" is not known; wanted deferred, failed",
		"customers?state=deferred,failed":                    "state",
		"customers?state=deferred&state=x":                   "state",
		"customers?state=failed&state=failed&state=failed":   "state is there 3 times; wanted at most 2",
		"customers?reason=Refused":                           "wanted dns_unverified, refused",
		"customers?State=failed":                             "there is no parameter \"State\"; wanted state, reason, since, until, id, before, after, limit",
		"customers?x":                                        "there is no parameter \"x\"",
		"customers?=5":                                       "there is no parameter \"\"",
		"customers?a=1;b=2":                                  "cannot be understood",
		"customers?id=%zz":                                   "cannot be understood",
		"customers?id=5&id=6":                                "id is there 2 times; wanted at most 1",
		"customers?id=&id=6":                                 "id is there 2 times",
		"customers?id=a":                                     "id=\"a\" begins no domain id; wanted digits",
		"customers?id=05":                                    "id",
		"customers?id=-5":                                    "id",
		"customers?id=9223372036854775808":                   "id",
		"customers?id=%D9%A3":                                "id",
		"customers?limit=0":                                  "limit=\"0\" is no number that fits; wanted one from 1 to 200",
		"customers?limit=201":                                "limit",
		"customers?limit=05":                                 "limit",
		"customers?limit=5.0":                                "limit",
		"customers?since=yesterday":                          "since=\"yesterday\" is no time; wanted RFC 3339",
		"customers?since=2026-11-01":                         "since",
		"customers?since=-5m":                                "since",
		"customers?since=0s":                                 "since",
		"customers?until=5":                                  "until",
		"customers?since=1h&until=2h":                        "since is not before until",
		"customers?since=2026-11-01T00:00:00Z&until=2026-11-01T00:00:00Z": "since is not before until",
		"customers?before=1.1&after=2.2":                                  "before and after are both there",
		"customers?before=1":                                              "before=\"1\" is no row's cursor",
		"customers?before=1.":                                             "before",
		"customers?before=.1":                                             "before",
		"customers?before=1.0":                                            "before",
		"customers?before=-1.1":                                           "before",
		"customers?before=1.1.1":                                          "before",
		"customers?before=01.1":                                           "before",
		"customers?after=1.9223372036854775808":                           "after",
		"customers?" + strings.Repeat("&", 9000):                          "too long; wanted at most 8192 bytes",

		"customers/4711":    int64(4711),
		"customers/4711?x=": "there is no parameter \"x\"; wanted none",
		"live?x=1":          "there is no parameter \"x\"; wanted none",

		"replay?" + strings.TrimSuffix(many, "&"): console.Selection{IDs: strings.Fields(strings.Repeat("5 ", 200))},
		"replay?reason=refused&code=A&since=24h&until=x&rate=30/m&all-failed=true&rejected=false": console.Selection{
			Reason: "refused", Code: "A", Since: "24h", Until: "x", Rate: "30/m", AllFailed: true,
		},
		"replay":                                  console.Selection{}, // which the source has an answer to
		"replay?" + many + "id=5":                 "id is there 201 times; wanted at most 200",
		"replay?all-failed=1":                     "all-failed=\"1\" is neither; wanted true or false",
		"replay?rejected=TRUE":                    "rejected",
		"replay?rejected=true&rejected=true":      "rejected",
		"replay?reason=a&reason=b":                "reason is there 2 times",
		"replay?why=x":                            "there is no parameter \"why\"",
		"replay?code=" + strings.Repeat("x", 101): "wanted at most 100 bytes",
		"replay?id=5%0Arm":                        "holds what cannot be printed",
		"replay?id=%ff":                           "holds what cannot be printed",
		"replay?code=%E2%80%AE":                   "holds what cannot be printed",
	} {
		t.Run(query[:min(len(query), 60)], func(t *testing.T) {
			t.Parallel()
			from := &source{}
			answer := raw(t, openPage(t, from), http.MethodGet, "/api/"+query)
			asked := from.last()
			if says, refused := want.(string); refused {
				wantError(t, query[:min(len(query), 60)], answer, 400, says)
				if asked != nil {
					t.Errorf("asked for %+v", asked)
				}
				if len(answer.body) > 400 {
					t.Errorf("the error has %d bytes", len(answer.body))
				}
				return
			}
			if f, ok := asked.(console.Filter); ok {
				f.Since = f.Since.UTC()
				asked = f
			}
			if answer.status != 200 || !equal(asked, want) {
				t.Errorf("%d %s\nasked for %+v\n     want %+v", answer.status, answer.body, asked, want)
			}
		})
	}
}

func TestTimesAgo(t *testing.T) {
	t.Parallel()
	from := &source{}
	before := time.Now()
	raw(t, openPage(t, from), http.MethodGet, "/api/customers?since=24h&until=1h30m")
	f, ok := from.last().(console.Filter)
	if since, until := before.Sub(f.Since), before.Sub(f.Until); !ok || (since-24*time.Hour).Abs() > 20*time.Second || (until-90*time.Minute).Abs() > 20*time.Second {
		t.Errorf("%v and %v ago", since, until)
	}
}

// What the source cannot say, by whom it concerns.
func TestAnswersThatAreNone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err    error
		status int
		says   string
		logged int
	}{
		"wrong":     {fmt.Errorf("asked: %w", console.InputError{Err: errors.New("rate: wanted N/m")}), 400, "wanted N/m", 0},
		"away":      {fmt.Errorf("%w: NATS is away", console.ErrAway), 503, "NATS is away", 0},
		"too slow":  {fmt.Errorf("reading: %w", context.DeadlineExceeded), 503, "too long", 0},
		"something": {errors.New("hunter2 of the customer"), 500, "the worker's log says why", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log, logs := observer.New(zap.InfoLevel)
			from := &source{err: c.err}
			o := options(t, from)
			o.Log = zap.New(log)
			s := open(t, console.Page(o))
			for _, path := range []string{"/api/customers", "/api/customers", "/api/customers"} {
				answer := raw(t, s, http.MethodGet, path)
				wantError(t, path, answer, c.status, c.says)
				if got := answer.header.Get("Retry-After"); (got == "1") != (c.status == 503) || strings.Contains(answer.body, "hunter2") {
					t.Errorf("retry after %q: %s", got, answer.body)
				}
			}
			if logs.Len() != c.logged { // three times the same
				t.Errorf("logged %v", logs.All())
			}
		})
	}
}

// What went away and comes back is worth another line.
func TestTroubleThatComesBack(t *testing.T) {
	t.Parallel()
	log, logs := observer.New(zap.InfoLevel)
	from := &source{}
	o := options(t, from)
	o.Log = zap.New(log)
	s := open(t, console.Page(o))
	for _, err := range []error{errors.New("a"), errors.New("a"), nil, errors.New("a"), errors.New("b")} {
		from.fails(err)
		raw(t, s, http.MethodGet, "/api/customers")
	}
	if logs.Len() != 3 {
		t.Errorf("logged %v", logs.All())
	}
}

// Who leaves before there is an answer is no trouble.
func TestAnswerThatNobodyWaitsFor(t *testing.T) {
	t.Parallel()
	log, logs := observer.New(zap.InfoLevel)
	begun, served := make(chan struct{}), make(chan struct{})
	from := &source{err: context.Canceled, wait: func(ctx context.Context) {
		close(begun)
		<-ctx.Done()
	}}
	o := options(t, from)
	o.Log = zap.New(log)
	page := console.Page(o)
	s := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(served)
		page.ServeHTTP(w, r)
	}))
	conn := dial(t, s)
	fmt.Fprint(conn, "GET /api/customers HTTP/1.1\r\nHost: localhost\r\n\r\n")
	<-begun
	before := time.Now()
	_ = conn.Close()
	<-served
	if took := time.Since(before); logs.Len() > 0 || took > 4*time.Second {
		t.Errorf("after %v, logged %v", took, logs.All())
	}
}

// A page that is wrong in itself stops nobody's work.
func TestPanics(t *testing.T) {
	t.Parallel()
	log, logs := observer.New(zap.InfoLevel)
	from := &source{wait: func(context.Context) { panic("hunter2") }}
	o := options(t, panicking{from})
	o.Log = zap.New(log)
	s := open(t, console.Page(o))
	for range 3 {
		wantError(t, "a panic", raw(t, s, http.MethodGet, "/api/customers"), 500, "the worker's log says why")
	}
	for range 3 {
		if answer := raw(t, s, http.MethodGet, "/api/live"); answer.status != 200 || strings.Contains(answer.body, "event:") {
			t.Errorf("live: %d %s", answer.status, answer.body)
		}
	}
	if logs.Len() != 2 || len(logs.FilterField(zap.String("call", "live")).All()) != 1 || !strings.Contains(fmt.Sprint(logs.All()[0].ContextMap()["stack"]), "call_test.go") {
		t.Errorf("logged %v", logs.All())
	}
	if answer := raw(t, s, http.MethodGet, "/"); answer.status != 200 {
		t.Errorf("the page: %d", answer.status)
	}
}

type panicking struct{ *source }

func (panicking) Now(context.Context) console.Now { panic("of now") }

// Whoever asks for much waits for a moment, and is sent away; what others do meanwhile goes on.
func TestOnlySoMuchAtOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		path   string
		most   int
		others string
	}{
		"reads":   {"/api/customers", 4, "/api/replay?rejected=true"},
		"one":     {"/api/customers/5", 4, "/api/replay?rejected=true"},
		"graph":   {"/api/activations", 4, "/api/replay?rejected=true"},
		"preview": {"/api/replay?rejected=true", 1, "/api/customers"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begun, carryOn := make(chan struct{}, 10), make(chan struct{})
			busy := true
			var mu sync.Mutex
			from := &source{wait: func(context.Context) {
				mu.Lock()
				waits := busy
				mu.Unlock()
				if waits {
					begun <- struct{}{}
					<-carryOn
				}
			}}
			s := open(t, console.PageAt(options(t, from), console.Pace{Wait: 20 * time.Millisecond}))
			var all sync.WaitGroup
			for range c.most {
				all.Go(func() {
					if answer := raw(t, s, http.MethodGet, c.path); answer.status != 200 {
						t.Errorf("%d %s", answer.status, answer.body)
					}
				})
				<-begun
			}
			mu.Lock()
			busy = false
			mu.Unlock()
			answer := raw(t, s, http.MethodGet, c.path)
			wantError(t, "one too many", answer, 503, "too much")
			if answer.header.Get("Retry-After") != "1" {
				t.Error("nobody says when to come back")
			}
			for _, path := range []string{c.others, "/"} {
				if answer := raw(t, s, http.MethodGet, path); answer.status != 200 {
					t.Errorf("%s: %d", path, answer.status)
				}
			}
			close(carryOn)
			all.Wait()
			if answer := raw(t, s, http.MethodGet, c.path); answer.status != 200 {
				t.Errorf("afterwards: %d %s", answer.status, answer.body)
			}
		})
	}
}

// A turn that is free soon is waited for.
func TestATurnIsWaitedFor(t *testing.T) {
	t.Parallel()
	begun, first := make(chan struct{}), sync.Once{}
	from := &source{wait: func(ctx context.Context) {
		first.Do(func() {
			close(begun)
			<-ctx.Done()
		})
	}}
	s := open(t, console.PageAt(options(t, from), console.Pace{Replay: 100 * time.Millisecond, Wait: 10 * time.Second}))
	var all sync.WaitGroup
	all.Go(func() { raw(t, s, http.MethodGet, "/api/replay") })
	<-begun
	if answer := raw(t, s, http.MethodGet, "/api/replay"); answer.status != 200 {
		t.Errorf("%d %s", answer.status, answer.body)
	}
	all.Wait()
}

// An answer has its own time, and the server's is not what ends it.
func TestAnswersHaveATime(t *testing.T) {
	t.Parallel()
	const server, own = 100 * time.Millisecond, 500 * time.Millisecond
	cause := make(chan error, 10)
	from := &source{wait: func(ctx context.Context) {
		<-ctx.Done()
		cause <- context.Cause(ctx)
	}}
	s, err := console.ListenBriefly(t.Context(), console.PageAt(options(t, from), console.Pace{Read: own, Replay: own}), server, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	for _, path := range []string{"/api/customers", "/api/customers/5", "/api/replay"} {
		before := time.Now()
		if answer := raw(t, s, http.MethodGet, path); answer.status != 200 || time.Since(before) < own {
			t.Errorf("%s: %d %s after %v", path, answer.status, answer.body, time.Since(before))
		}
		if err := <-cause; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s ended with %v", path, err)
		}
	}
}
