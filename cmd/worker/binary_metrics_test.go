package main

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"activation-worker/internal/events"
	"activation-worker/internal/partnerapi/simulator"
)

// metricsFirstID is that of customers whose ids are found in no other number.
const metricsFirstID = 61_460_001

// TestBinaryMetricsAgreeWithEvents leads customers to all ends, and holds what /metrics says against the ledger, the partner's own
// journal and NATS, to the last one.
func TestBinaryMetricsAgreeWithEvents(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	view := viewLedger(t, s.js)
	w := startWorker(t, s.env("LINEWORKS_RATE=600/m", "LINEWORKS_SUSTAINED_RATE=600/m", "WORKER_SWEEP_INTERVAL=2s",
		"WORKER_DNS_SCHEDULE=watch=1s/2s,call=1h,visible=1s/2s",
		"WORKER_BACKOFF=transient=1s,unknown_outcome=1s,customer_not_found=1s")...)
	w.AwaitReady(startTimeout)
	const plain, lost, hidden = 12, 3, 4
	next := int64(metricsFirstID)
	customer := func(add bool, dns bool, faults ...simulator.Fault) int64 {
		id := next
		next++
		if add {
			s.partner.Add(simulator.Customer{DomainID: id, Domain: fmt.Sprintf("shop-%d.example", id), Terms: true, DNS: dns})
		}
		s.partner.Script(id, simulator.OpActivate, faults...)
		s.announce(fmt.Sprintf(`{"domainId":%d}`, id))
		return id
	}
	for range plain {
		customer(true, true)
	}
	for range lost {
		customer(true, true, simulator.Lost)
	}
	for range hidden {
		customer(true, false)
	}
	gone := customer(false, false)             // 404: given up after a while
	strange := customer(true, true, "409:ODD") // a code that no table knows, and nothing explains
	limited := customer(true, true, "429:reset=1")
	before := next
	next++
	s.partner.Add(simulator.Customer{DomainID: before, Terms: true, DNS: true, Active: true})
	s.announce(fmt.Sprintf(`{"domainId":%d}`, before))
	s.announce(`{"domainId":"none"}`)
	s.announce(`{}`)

	s.await(gone, events.Failed, w)
	s.await(strange, events.Failed, w)
	s.await(limited, events.Activated, w)
	view.awaitIn(time.Minute, plain+lost+2, events.Activated, "")
	view.awaitIn(time.Minute, hidden, events.Deferred, events.DNSUnverified)
	s.awaitAllRead(w)
	view.catchUp(t.Context())

	// The counts of a customer follow the record by a moment, and what is asked of the server by 15 s, or 30 where one was not answered.
	attempts := endsOf(view)
	var got scraped
	if !eventually(t, time.Minute, func() bool {
		got = w.scrape()
		return got.sum("activation_outcomes_total") == float64(attempts.all) && got.values[`activation_stream_messages{stream="rejected"}`] == 2 &&
			got.values[`activation_stream_messages{stream="ledger"}`] == float64(s.lastSequence("ACTIVATION"))
	}) {
		t.Fatalf("/metrics does not come to %d outcomes and %d messages but says:\n%s", attempts.all, s.lastSequence("ACTIVATION"), got.text)
	}

	for series, n := range attempts.outcomes {
		got.want("activation_outcomes_total"+series, n)
	}
	if attempts.outcomes[`{outcome="failed",reason="customer_not_found",via=""}`] != 1 || attempts.outcomes[`{outcome="activated",reason="",via="lookup"}`] < lost {
		t.Errorf("the test has not brought about what it should: %v", attempts.outcomes)
	}
	got.want("activation_attempt_duration_seconds_count", float64(attempts.all))
	for via, waits := range attempts.waits {
		got.want(fmt.Sprintf("activation_time_to_activate_seconds_count{via=%q}", via), float64(len(waits)))
		sum := 0.0
		for _, d := range waits {
			sum += d.Seconds()
		}
		if told := got.values[fmt.Sprintf("activation_time_to_activate_seconds_sum{via=%q}", via)]; math.Abs(told-sum) > 0.001 {
			t.Errorf("%s: the events add up to %.6f s from acceptance to activation, the metrics to %.6f s", via, sum, told)
		}
	}
	got.want("activation_rejected_total", 2)
	got.want(`activation_unknown_codes_total{operation="activate",status="409"}`, 1)
	if n := got.sum("activation_unknown_codes_total"); n != 1 {
		t.Errorf("%v codes are counted as unknown, one is", n)
	}
	got.want(`activation_stream_messages{stream="rejected"}`, 2)
	got.want(`activation_stream_max_bytes{stream="ledger"}`, 1<<30)
	got.want(`activation_consumer_pending_messages{consumer="activator"}`, 0)

	requestsAgree(t, s.partner.Journal(), got)
	got.want(`activation_paused{reason="partner_unavailable"}`, 0)
	got.want(`activation_records_unknown`, 0)
	for _, check := range []string{"nats", "streams", "intake", "credentials", "partner", "records"} {
		got.want(fmt.Sprintf("activation_ready{check=%q}", check), 1)
	}
	for _, lane := range []string{"intake", "due", "redo"} {
		got.want(fmt.Sprintf("activation_lane_pulling{lane=%q}", lane), 1)
	}
	if got.values[`activation_dns_looks_total{result="missing"}`] < hidden || got.values[`activation_sweep_runs_total{result="ok"}`] < 1 {
		t.Errorf("looks or sweeps are not counted:\n%s", got.text)
	}
	woken, late := got.values[`activation_timer_lateness_seconds_count{lane="due"}`], got.values[`activation_timer_lateness_seconds_sum{lane="due"}`]
	if woken < hidden || late/woken > 5 {
		t.Errorf("%v wake-ups, together %v s late", woken, late)
	}
	if ends := got.values["activation_token_expiry_timestamp_seconds"] - float64(time.Now().Unix()); ends < 60 || ends > 25*3600 {
		t.Errorf("the token ends in %v s", ends)
	}
	labelsAreFew(t, got)
	w.stop()
}

// ends are the ends of attempts as the events tell them.
type ends struct {
	all      int
	outcomes map[string]float64 // by labels
	waits    map[string][]time.Duration
}

// endsOf are the records that follow a claim.
func endsOf(view *ledgerView) ends {
	view.mu.Lock()
	defer view.mu.Unlock()
	e := ends{outcomes: map[string]float64{}, waits: map[string][]time.Duration{"activate": nil, "lookup": nil}}
	for _, family := range view.families {
		for i, r := range family[1:] {
			if family[i].State != events.Started || r.State == events.Started {
				continue
			}
			e.all++
			e.outcomes[fmt.Sprintf("{outcome=%q,reason=%q,via=%q}", r.State, r.Reason, r.Via)]++
			if r.State == events.Activated && r.Calls > 0 {
				e.waits[string(r.Via)] = append(e.waits[string(r.Via)], r.ActivatedAt.Sub(r.AcceptedAt))
			}
		}
	}
	return e
}

// requestsAgree holds the requests counted against those that the partner has seen.
func requestsAgree(t *testing.T, j simulator.Journal, got scraped) {
	t.Helper()
	const name = "activation_partner_request_duration_seconds_count"
	calls, perOperation := map[string]float64{}, map[string]float64{}
	for _, c := range j.Calls {
		status, result := strconv.Itoa(c.Status), "ok"
		switch {
		case c.Lost:
			status, result = "none", "unclear"
		case c.Status == 429:
			result = "limited"
		case c.Status >= 400:
			result = "refused"
		}
		operation := map[simulator.Operation]string{
			simulator.OpActivate: "activate", simulator.OpCustomer: "customer", simulator.OpUpgradeDomain: "upgrade_domain", simulator.OpList: "list",
		}[c.Op]
		calls[fmt.Sprintf("%s{operation=%q,result=%q,status=%q}", name, operation, result, status)]++
		perOperation[operation]++
	}
	for series, n := range calls {
		got.want(series, n)
	}
	if told := got.sum(name) - got.sum(name, `operation="token"`); told != float64(len(j.Calls)) {
		t.Errorf("%v requests are counted, the partner saw %d", told, len(j.Calls))
	}
	got.want(name+`{operation="token",result="ok",status="200"}`, float64(j.TokenRequests))
	got.want(`activation_token_fetches_total{result="ok"}`, float64(j.Tokens))
	for operation, n := range perOperation {
		got.want(fmt.Sprintf(`activation_quota_used_requests{operation=%q,window="sustained"}`, operation), n)
	}
	got.want(`activation_quota_limit_requests{operation="list",window="sustained"}`, 18_000)
	got.want(`activation_quota_window_seconds{window="peak"}`, 60)
	got.want(`activation_quota_places_limit`, 3)
}

// labelsAreFew looks for customers in the labels, and for anything that no list of values has.
func labelsAreFew(t *testing.T, got scraped) {
	t.Helper()
	without(t, "the labels of /metrics", got.series(), []string{strconv.Itoa(metricsFirstID)[:5], "shop", "127.0.0.1"})
	word := regexp.MustCompile(`^([a-z_]*|[1-5][0-9][0-9])$`)
	for series := range got.values {
		if !ours(series) || strings.HasPrefix(series, "activation_build_info") {
			continue
		}
		for _, m := range labelValue.FindAllStringSubmatch(series, -1) {
			if m[1] != "le" && !word.MatchString(m[2]) {
				t.Errorf("%s has the value %q", series, m[2])
			}
		}
	}
}

// TestBinaryMetricsWithoutAnybody: /metrics answers at once before there is a connection to NATS, while NATS is away, and
// while the partner is down.
func TestBinaryMetricsWithoutAnybody(t *testing.T) {
	t.Parallel()
	address := freePort(t)
	s := newSite(t)
	s.url = "nats://" + address
	there := s.nats
	s.nats = nil
	w := startWorker(t, s.env("LINEWORKS_API_URL=http://127.0.0.1:1", "LINEWORKS_TOKEN_URL=http://127.0.0.1:1")...)
	began := time.Now()
	got := w.scrape()
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("without NATS /metrics took %s", took)
	}
	got.want(`activation_ready{check="nats"}`, 0)
	got.want(`activation_lane_pulling{lane="intake"}`, 0)
	got.want(`activation_rejected_total`, 0)
	for series := range got.values {
		for _, absent := range []string{"activation_stream_", "activation_consumer_", "activation_quota_used", "activation_customers", "activation_paused_since", "activation_token_expiry"} {
			if strings.HasPrefix(series, absent) {
				t.Errorf("%s is told though nobody can know", series)
			}
		}
	}
	w.stop()

	s.nats, s.url = there, ""
	invoke(t, "", s.env(), "setup", "--with-intake").want(t, exitDone)
	w = startWorker(t, s.env("LINEWORKS_API_URL=http://127.0.0.1:1", "LINEWORKS_TOKEN_URL=http://127.0.0.1:1")...)
	w.awaitCheck("credentials", false)
	if !eventually(t, workTimeout, func() bool {
		got = w.scrape()
		return got.values[`activation_paused{reason="partner_unavailable"}`] == 1 && got.values[`activation_probes_total{result="failed"}`] > 0
	}) {
		t.Fatalf("/metrics does not say that the partner is down:\n%s", got.text)
	}
	got.want(`activation_lane_pulling{lane="intake"}`, 0)
	got.want(`activation_lane_pulling{lane="due"}`, 1)
	if since := got.values["activation_paused_since_timestamp_seconds"]; math.Abs(float64(time.Now().Unix())-since) > 60 {
		t.Errorf("paused since %v", since)
	}
	s.nats.Stop()
	if !eventually(t, workTimeout, func() bool {
		began = time.Now()
		got = w.scrape()
		return got.values[`activation_ready{check="nats"}`] == 0
	}) {
		t.Fatal("/metrics does not say that NATS is away")
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("with NATS away /metrics took %s", took)
	}
	got.want(`activation_lane_pulling{lane="due"}`, 0)
	w.Kill()
}

var metricRow = regexp.MustCompile("(?m)^\\| `(activation_[a-z_]+)` \\| (counter|gauge|histogram) \\|([^|]*)\\|")

// TestDocumentsNameMetrics holds docs/metrics.md against the metrics of a worker that runs.
func TestDocumentsNameMetrics(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	w := startWorker(t, s.env("LINEWORKS_RATE=600/m")...)
	w.AwaitReady(startTimeout)
	s.partner.Add(simulator.Customer{DomainID: metricsFirstID, Terms: true, DNS: true})
	s.partner.Script(metricsFirstID, simulator.OpActivate, "409:ODD")
	s.announce(fmt.Sprintf(`{"domainId":%d}`, metricsFirstID))
	documented := map[string]string{}
	labels := map[string]map[string]bool{}
	quoted := regexp.MustCompile("`([a-z_]+)`")
	for _, m := range metricRow.FindAllStringSubmatch(document(t, "docs/metrics.md"), -1) {
		documented[m[1]] = m[2]
		labels[m[1]] = map[string]bool{}
		for _, l := range quoted.FindAllStringSubmatch(m[3], -1) {
			labels[m[1]][l[1]] = true
		}
	}
	// These are there at some times only.
	for _, rare := range []string{"activation_paused_since_timestamp_seconds", "activation_quota_paused_until_timestamp_seconds", "activation_customers", "activation_census_lag_messages"} {
		if _, there := documented[rare]; !there {
			t.Errorf("docs/metrics.md does not name %s", rare)
		}
		delete(documented, rare)
	}
	var got scraped
	served := map[string]string{}
	if !eventually(t, workTimeout, func() bool {
		got = w.scrape()
		served = maps.Collect(func(yield func(string, string) bool) {
			for name, kind := range got.types {
				if ours(name) && !strings.HasPrefix(name, "activation_customers") && !strings.HasPrefix(name, "activation_census") && !yield(name, kind) {
					return
				}
			}
		})
		return len(served) >= len(documented)
	}) {
		t.Errorf("%d metrics are served, %d documented", len(served), len(documented))
	}
	for name, kind := range documented {
		if served[name] != kind {
			t.Errorf("docs/metrics.md has a %s %s; the worker serves it as %q", kind, name, served[name])
		}
	}
	for name := range served {
		if documented[name] == "" {
			t.Errorf("docs/metrics.md does not name %s", name)
		}
	}
	for name, of := range got.labels() {
		if documented[name] != "" && !maps.Equal(of, labels[name]) {
			t.Errorf("docs/metrics.md has the labels %v of %s, the worker %v", labels[name], name, of)
		}
	}
	w.stop()
}
