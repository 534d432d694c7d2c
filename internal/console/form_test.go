package console_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

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
