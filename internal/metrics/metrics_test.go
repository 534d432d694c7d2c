package metrics

import (
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"go.uber.org/goleak"

	"activation-worker/internal/consumer"
	"activation-worker/internal/events"
	"activation-worker/internal/partnerapi"
	"activation-worker/internal/quota"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Metrics are what the parts want to tell somebody.
var (
	_ consumer.Observer   = (*Metrics)(nil)
	_ partnerapi.Observer = (*Metrics)(nil)
)

// everything is a worker of which all is known, and something of each kind has happened.
func everything() *Metrics {
	now := time.Now()
	m := New("1.2.3", "abc", State{
		Ready: func(context.Context) map[string]bool { return map[string]bool{"nats": true} },
		Pause: func() (string, time.Time) { return "partner_down", now },
		Customers: func() (map[[2]string]int, uint64, bool) {
			return map[[2]string]int{{"activated", ""}: 3, {"deferred", "dns_unverified"}: 2}, 7, true
		},
		TokenExpiry: func() time.Time { return now },
		Quota: func() (Quota, bool) {
			peak := Window{Name: "peak", Per: time.Minute, Used: map[string]int{"activate": 5}, Limit: map[string]int{"activate": 240}}
			return Quota{Windows: []Window{peak}, Places: 3, PlacesUsed: 1, PausedUntil: now}, true
		},
		Waiting:        func() map[string]int { return map[string]int{"fresh": 4} },
		Lanes:          func() []Lane { return []Lane{{Name: "intake", Slots: 6, Busy: 2, Pulling: true}} },
		RecordsUnknown: func() int { return 1 },
	})
	m.Recorded("activated", "activate", "", time.Second, time.Hour)
	m.Recorded("deferred", "", "dns_unverified", time.Second, -1)
	m.Rejected()
	m.UnknownCode("activate", http.StatusConflict)
	m.Probed(true)
	m.Woken("due", time.Second)
	m.Swept(now, 2, true)
	m.Looked("missing")
	m.Requested("activate", http.StatusOK, "ok", time.Second)
	m.TokenFetched("ok")
	m.Waited("fresh", time.Second)
	m.Stream("ledger", 1, 2, 3)
	m.Consumer("due", 1, 2)
	return m
}

// scrape is what a client gets that asks for a form, plain text unless said.
func scrape(t testing.TB, m *Metrics, header ...string) string {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	body := io.Reader(w.Body)
	if w.Header().Get("Content-Encoding") == "gzip" {
		var err error
		if body, err = gzip.NewReader(body); err != nil {
			t.Fatal(err)
		}
	}
	text, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// lines checks that the text has each of these.
func lines(t *testing.T, text string, want ...string) {
	t.Helper()
	all := strings.Split(text, "\n")
	for _, line := range want {
		if !slices.Contains(all, line) {
			t.Errorf("no line %q in:\n%s", line, text)
		}
	}
}

func TestMetricsKeepTheConventions(t *testing.T) {
	t.Parallel()
	m := everything()
	families, err := m.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	ours := 0
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), namespace+"_") {
			ours++
		}
	}
	if ours < 35 {
		t.Errorf("only %d families were looked at", ours)
	}
}

func TestScrape(t *testing.T) {
	t.Parallel()
	m := everything()
	lines(t, scrape(t, m),
		`activation_ready{check="nats"} 1`, `activation_ready{check="partner"} 0`,
		`activation_paused{reason="partner_down"} 1`, `activation_paused{reason="no_credentials"} 0`,
		`activation_customers{reason="dns_unverified",state="deferred"} 2`, `activation_census_lag_messages 7`,
		`activation_outcomes_total{outcome="activated",reason="",via="activate"} 1`,
		`activation_outcomes_total{outcome="failed",reason="refused",via=""} 0`,
		`activation_time_to_activate_seconds_count{via="activate"} 1`, `activation_time_to_activate_seconds_sum{via="activate"} 3600`,
		`activation_time_to_activate_seconds_count{via="lookup"} 0`, `activation_attempt_duration_seconds_count 2`,
		`activation_quota_used_requests{operation="activate",window="peak"} 5`, `activation_quota_used_requests{operation="list",window="peak"} 0`,
		`activation_lane_pulling{lane="intake"} 1`, `activation_lane_pulling{lane="due"} 0`,
		`activation_sweep_runs_total{result="ok"} 1`, `activation_sweep_rearmed_total 2`,
		`activation_unknown_codes_total{operation="activate",status="409"} 1`,
	)
	if open := scrape(t, m, "Accept", "application/openmetrics-text;version=1.0.0", "Accept-Encoding", "gzip"); !strings.HasSuffix(open, "# EOF\n") {
		t.Error("no OpenMetrics for who asks for it")
	}
}

// Before there is anything to ask, everything that is counted has its first value.
func TestScrapeOfNothing(t *testing.T) {
	t.Parallel()
	text := scrape(t, New("", "", State{}))
	lines(t, text, `activation_rejected_total 0`, `activation_outcomes_total{outcome="activated",reason="",via="lookup"} 0`)
	for _, absent := range []string{"activation_customers", "activation_stream_bytes", "activation_unknown_codes_total"} {
		if strings.Contains(text, absent) {
			t.Errorf("%s is there, though nothing is known of it", absent)
		}
	}
}

// A check that never ends holds up a scrape for a second.
func TestScrapeIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := New("", "", State{Ready: func(ctx context.Context) map[string]bool {
			<-ctx.Done()
			return nil
		}})
		began := time.Now()
		lines(t, scrape(t, m), `activation_ready{check="nats"} 0`)
		if took := time.Since(began); took != readyTime {
			t.Errorf("it took %s, want %s", took, readyTime)
		}
	})
}

// What the server once said is told for a minute.
func TestWhatWasAskedGrowsOld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := New("", "", State{})
		m.Stream("ledger", 10, 2000, -1)
		m.Consumer("due", 4, 5)
		timer := time.NewTimer(keptFor)
		<-timer.C
		text := scrape(t, m)
		lines(t, text, `activation_stream_messages{stream="ledger"} 10`, `activation_stream_bytes{stream="ledger"} 2000`, `activation_consumer_ack_pending_messages{consumer="due"} 5`)
		if strings.Contains(text, "activation_stream_max_bytes") {
			t.Error("a stream without a limit has one")
		}
		m.Consumer("due", 6, 0)
		timer.Reset(time.Second)
		<-timer.C
		text = scrape(t, m)
		lines(t, text, `activation_consumer_pending_messages{consumer="due"} 6`)
		if strings.Contains(text, "activation_stream_messages") {
			t.Errorf("what was said more than %s ago is still told", keptFor)
		}
	})
}

// The words are those of the packages that they come from.
func TestLabelsAreTheCodesWords(t *testing.T) {
	t.Parallel()
	var reasons []string
	for _, r := range events.Reasons() {
		if r != events.Replay && r != events.Backlog && r != events.Cancelled { // no attempt ends so
			reasons = append(reasons, string(r))
		}
	}
	for what, pair := range map[string][2][]string{
		"reasons":      {attemptEnds, reasons},
		"vias":         {vias, {string(events.ViaActivate), string(events.ViaLookup)}},
		"pauses":       {pauseReasons, {consumer.NoCredentials, consumer.CredentialsRefused, consumer.PartnerTrouble, consumer.PartnerSilent, consumer.EverybodyRefused}},
		"operations":   {operations, {string(partnerapi.OpActivate), string(partnerapi.OpCustomer), string(partnerapi.OpUpgradeDomain), string(partnerapi.OpList)}},
		"leave":        {waitLanes, {quota.Fresh.String(), quota.Waiting.String(), quota.Replay.String()}},
		"token":        {tokenResults, {partnerapi.ResultOK, string(partnerapi.Refused), string(partnerapi.Unclear)}},
		"wakers' lane": {wakeLanes, {events.ConsumerDue, events.ConsumerRedo}},
	} {
		here, there := slices.Sorted(slices.Values(pair[0])), slices.Sorted(slices.Values(pair[1]))
		if !slices.Equal(here, there) {
			t.Errorf("%s are %v here and %v there", what, here, there)
		}
	}
}

// Whatever statuses come, they are few.
func TestStatusesAreFew(t *testing.T) {
	t.Parallel()
	m := New("", "", State{})
	for code := range 1000 {
		m.Requested("activate", code, "unclear", time.Second)
		m.UnknownCode("activate", code)
	}
	families, err := m.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if n := len(f.GetMetric()); n > 70 {
			t.Errorf("%s has %d series", f.GetName(), n)
		}
	}
	lines(t, scrape(t, m), `activation_partner_request_duration_seconds_count{operation="activate",result="unclear",status="none"} 1`)
}
