package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	minute = 60.0
	hour   = 60 * minute
	day    = 24 * hour
)

// Bounds of the classic buckets, in seconds.
var (
	activateBuckets = []float64{1, 2, 5, 10, 30, minute, 5 * minute, 15 * minute, hour, 4 * hour, 12 * hour, day, 3 * day, 7 * day, 14 * day, 30 * day}
	attemptBuckets  = []float64{0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, minute, 2 * minute}
	waitBuckets     = []float64{0.001, 0.01, 0.1, 0.5, 1, 5, 15, minute, 5 * minute, 30 * minute}
	lateBuckets     = []float64{0.1, 0.25, 0.5, 1, 2.5, 5, 15, minute, 5 * minute, 30 * minute, hour}
)

// make makes what is counted as it happens. What Prometheus is to see the first of has its 0 from the start.
func (m *Metrics) make() {
	r := m.registry
	m.requests.make(r)
	m.outcomes = counter(r, "outcomes_total", "Records that this worker wrote after an attempt.", "outcome", "via", "reason")
	m.activated = histogram(r, "time_to_activate_seconds", "From the acceptance of the terms to the activation, of those recorded by this worker that were not active before.", activateBuckets, "via")
	for _, via := range vias {
		m.outcomes.WithLabelValues("activated", via, "")
		m.activated.WithLabelValues(via)
	}
	for _, reason := range attemptEnds {
		m.outcomes.WithLabelValues("deferred", "", reason)
		m.outcomes.WithLabelValues("failed", "", reason)
	}
	m.attempts = histogram(r, "attempt_duration_seconds", "From the claim of a customer to the record of what came of it.", attemptBuckets).WithLabelValues()
	m.rejected = counter(r, "rejected_total", "Announcements that this worker rejected since nobody can act on them.").WithLabelValues()
	m.unknown = counter(r, "unknown_codes_total", "Attempts that ended with a refusal of the partner which no table has a meaning for and nothing else explains.", "operation", "status")
	m.probes = counter(r, "probes_total", "Attempts to find out whether a pause is over.", "result")
	preset(m.probes, probeResults)
	m.tokens = counter(r, "token_fetches_total", "Access tokens asked for.", "result")
	preset(m.tokens, tokenResults)
	m.waited = each(histogram(r, "quota_wait_seconds", "How long those who got leave for a customer's first request had waited for it.", waitBuckets, "lane"), waitLanes)
	m.late = each(histogram(r, "timer_lateness_seconds", "From the time that a wake-up was set for to its arrival here.", lateBuckets, "lane"), wakeLanes)
	m.sweeps = counter(r, "sweep_runs_total", "Sweeps for lost timers.", "result")
	preset(m.sweeps, sweepResults)
	m.rearmed = counter(r, "sweep_rearmed_total", "Timers that were lost and that a sweep of this worker set again.").WithLabelValues()
	m.swept = gauge(r, "sweep_last_success_timestamp_seconds", "When a sweep of this worker last ended well; 0: none yet.").WithLabelValues()
	m.looks = counter(r, "dns_looks_total", "Looks at customers' ownership records in DNS.", "result")
	preset(m.looks, lookResults)
}

func preset(c *prometheus.CounterVec, values []string) {
	for _, value := range values {
		c.WithLabelValues(value)
	}
}

func each(h *prometheus.HistogramVec, values []string) map[string]prometheus.Observer {
	by := map[string]prometheus.Observer{}
	for _, value := range values {
		by[value] = h.WithLabelValues(value)
	}
	return by
}

// Recorded is told of each record after an attempt: its state, how an activation was learned of or why there is none, and
// how long the attempt took. waited is from the acceptance of the terms to the activation; negative: not known, or not ours.
func (m *Metrics) Recorded(state, via, reason string, took, waited time.Duration) {
	m.outcomes.WithLabelValues(state, via, reason).Inc()
	m.attempts.Observe(took.Seconds())
	if via != "" && waited >= 0 {
		m.activated.WithLabelValues(via).Observe(waited.Seconds())
	}
}

// Rejected is told of each announcement rejected.
func (m *Metrics) Rejected() { m.rejected.Inc() }

// UnknownCode is told of each attempt that ended with a definite refusal which nobody understands.
func (m *Metrics) UnknownCode(operation string, code int) {
	m.unknown.WithLabelValues(operation, status(code)).Inc()
}

// Probed is told of each probe of a shut gate that found something out.
func (m *Metrics) Probed(passed bool) { m.probes.WithLabelValues(one(passed, probeResults)).Inc() }

// TokenFetched is told of each access token asked for: ok, refused or unclear.
func (m *Metrics) TokenFetched(result string) { m.tokens.WithLabelValues(result).Inc() }

// Waited is told of each leave given, and how long it was waited for. Other lanes than fresh, waiting and replay are passed over.
func (m *Metrics) Waited(lane string, d time.Duration) {
	if h := m.waited[lane]; h != nil {
		h.Observe(d.Seconds())
	}
}

// Woken is told of each wake-up that has come, and how late. Clocks differ: what is early counts as in time.
func (m *Metrics) Woken(lane string, late time.Duration) {
	if h := m.late[lane]; h != nil {
		h.Observe(max(0, late).Seconds())
	}
}

// Swept is told of each sweep: when it ended, how many lost timers it has set again, and whether it ended well.
func (m *Metrics) Swept(at time.Time, rearmed int, ok bool) {
	m.sweeps.WithLabelValues(one(ok, sweepResults)).Inc()
	m.rearmed.Add(float64(rearmed))
	if ok {
		m.swept.Set(seconds(at))
	}
}

// Looked is told of each look at DNS: visible, missing or unknown.
func (m *Metrics) Looked(result string) { m.looks.WithLabelValues(result).Inc() }

// one of two values: the first where it is so.
func one(so bool, values []string) string {
	if so {
		return values[0]
	}
	return values[1]
}

// seconds is a time as Prometheus has it.
func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
