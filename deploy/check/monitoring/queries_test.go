package monitoring

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"activation-worker/deploy/check/deploytest"
)

// mayBeEmpty are the queries of the dashboard, by panel, that have nothing to show on a worker that is well.
var mayBeEmpty = map[string]string{
	"Paused for, A":             "no replica is paused",
	"Held back for, A":          "the partner has not answered 429",
	"annotation Worker started": "no worker was restarted",
}

// dashboardIsFilled drives customers of every kind through a worker, then asks every query of the dashboard and of the rules.
func dashboardIsFilled(s *scene) {
	s.start("WORKER_BACKOFF=transient=1s", "LINEWORKS_RATE=240/m", "LINEWORKS_SUSTAINED_RATE=120/m")
	s.well()
	s.partner.tell(s.t, "script", `{"domainId":501,"operation":"activate","faults":["429*1"]}`) // waits, and is woken
	s.partner.tell(s.t, "customers", `{"domainId":502,"domain":"kogane.by-works.com","terms":true}`)
	s.partner.tell(s.t, "script", `{"domainId":502,"operation":"activate","faults":["400:NOBODY_KNOWS"]}`)
	s.partner.tell(s.t, "script", `{"domainId":503,"operation":"activate","faults":["404:NOT_FOUND"]}`)
	s.submit(500, 12)
	s.holds(`sum(activation_outcomes_total{job="$job",outcome="activated"}) >= 10`)
	s.holds(`activation_timer_lateness_seconds_count{job="$job",lane="due"} >= 1`)
	s.holds(`activation_stream_messages{job="$job",stream="ledger"} >= 20`)
	began := time.Now()
	s.submit(520, 5)
	s.holds(`sum(activation_outcomes_total{job="$job",outcome="activated"}) >= 15`)
	s.holds(`count(activation_customers{job="$job"})`)

	s.isTakenByPromtool()
	d := shippedDashboard(s.t)
	since := began.Add(-30 * time.Second)
	for _, q := range d.queries() {
		expr := strings.NewReplacer("$job", s.job, "$__rate_interval", "20s").Replace(q.expr)
		found, err := s.prometheus.over(s.t.Context(), since, expr)
		if err != nil {
			s.t.Errorf("dashboard, %s: %v", q.where, err)
			continue
		}
		if why, may := mayBeEmpty[q.where]; !shows(found) && !may {
			s.t.Errorf("dashboard, %s: nothing to show for %s", q.where, expr)
		} else if may && why == "" {
			s.t.Errorf("dashboard, %s: may be empty without a reason", q.where)
		}
	}
	for _, r := range rulesIn(s.t, []byte(shrink(string(read(s.t, rulesFile()))))) {
		found, err := s.prometheus.ask(s.t.Context(), r.Expr)
		if err != nil {
			s.t.Errorf("rule %s: %v", r.name(), err)
		}
		if r.Record != "" && !shows(found) {
			s.t.Errorf("rule %s: nothing to record", r.name())
		}
	}
}

// isTakenByPromtool holds what the worker serves against Prometheus' own conventions.
func (s *scene) isTakenByPromtool() {
	s.t.Helper()
	status, served := deploytest.Get(s.t, "http://"+s.http[0]+"/metrics")
	if status != 200 || !strings.Contains(served, "\nactivation_build_info{") {
		s.t.Fatalf("/metrics answers %d:\n%s", status, served)
	}
	check := exec.CommandContext(s.t.Context(), deploytest.Tool(s.t, "promtool"), "check", "metrics")
	check.Stdin = strings.NewReader(served)
	if said, err := check.CombinedOutput(); err != nil || len(said) > 0 {
		s.t.Errorf("promtool check metrics: %v\n%s", err, said)
	}
}

// shows reports whether there is a number among the samples.
func shows(found []sample) bool {
	for _, f := range found {
		if _, ok := f.latest(); ok {
			return true
		}
	}
	return false
}

// TestExceptionsAreQueries: what may be empty is in the dashboard.
func TestExceptionsAreQueries(t *testing.T) {
	t.Parallel()
	there := map[string]bool{}
	for _, q := range shippedDashboard(t).queries() {
		there[q.where] = true
	}
	for where := range mayBeEmpty {
		if !there[where] {
			t.Errorf("the dashboard has no query %q", where)
		}
	}
}
