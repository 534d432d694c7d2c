package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// State is who is asked at each scrape. Each func answers from memory, at once, before there is a worker too; only Ready may
// take as long as its context. A nil one is not asked.
type State struct {
	// Ready is whether each check of readiness holds.
	Ready func(context.Context) map[string]bool
	// Pause is why this worker takes no work, and since when; "" where it does.
	Pause func() (reason string, since time.Time)
	// Customers is how many are in each state for each reason ("" where a state has none), how many records are not counted
	// yet, and whether the ledger was read once: before it was, nothing is told.
	Customers func() (counts map[[2]string]int, lag uint64, known bool)
	// TokenExpiry is when the access token ends; zero: there is none, or its end is not known.
	TokenExpiry func() time.Time
	// Quota is what all replicas together use of the partner's quota; false: it is not known.
	Quota func() (Quota, bool)
	// Waiting is how many wait for leave in this process, by lane.
	Waiting func() map[string]int
	// Lanes are where work comes from.
	Lanes func() []Lane
	// RecordsUnknown is how many records of newer versions are left untouched.
	RecordsUnknown func() int
}

// Lane is where work comes from.
type Lane struct {
	Name        string
	Slots, Busy int
	Pulling     bool // it asks for messages, or all its slots are busy
}

// Quota is the partner's quota, and what is used of it.
type Quota struct {
	Windows     []Window
	Places      int // of simultaneous requests
	PlacesUsed  int
	PausedUntil time.Time // by this machine's clock; zero: nothing is held back
}

// Window is a time over which requests are counted, for each operation by itself.
type Window struct {
	Name  string // peak or sustained
	Per   time.Duration
	Used  map[string]int // by operation; one that is missing uses none
	Limit map[string]int // by operation
}

// readyTime bounds the checks: a server that is connected and does not answer must not hold up a scrape.
const readyTime = time.Second

// state is the collector of all that is asked at a scrape.
type state struct {
	State
	asked *asked
}

func newStateCollector(s State, a *asked) prometheus.Collector { return state{s, a} }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(namespace+"_"+name, help, labels, nil)
}

func sample(d *prometheus.Desc, value float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

var (
	ready          = desc("ready", "Whether a check of /readyz holds.", "check")
	paused         = desc("paused", "Whether this worker takes no work, and why.", "reason")
	pausedSince    = desc("paused_since_timestamp_seconds", "Since when this worker takes no work; absent while it does.")
	customers      = desc("customers", "Customers by their newest record, of the whole ledger.", "state", "reason")
	censusLag      = desc("census_lag_messages", "Records that are not counted yet in activation_customers.")
	tokenExpiry    = desc("token_expiry_timestamp_seconds", "When the access token ends; absent without one.")
	quotaLimit     = desc("quota_limit_requests", "Requests that an operation may make within a window, by setting or by the partner's own count.", "operation", "window")
	quotaUsed      = desc("quota_used_requests", "Requests that all workers together have made within a window, those under way included.", "operation", "window")
	quotaWindow    = desc("quota_window_seconds", "How long a window is.", "window")
	quotaWaiting   = desc("quota_waiting", "Who waits for leave in this worker.", "lane")
	quotaPlaces    = desc("quota_places_limit", "Simultaneous requests that all workers together may make.")
	quotaPlaceUsed = desc("quota_places_used", "Places among the simultaneous requests that all workers together hold.")
	quotaPaused    = desc("quota_paused_until_timestamp_seconds", "Until when the partner wants no requests of an operation; absent while it takes them.")
	laneSlots      = desc("lane_slots", "Deliveries that a lane handles at once, at most.", "lane")
	laneBusy       = desc("lane_busy", "Deliveries that a lane handles now.", "lane")
	lanePulling    = desc("lane_pulling", "Whether a lane asks for work, or has all its slots busy.", "lane")
	recordsUnknown = desc("records_unknown", "Records of newer workers that were met lately and left untouched.")
	described      = append([]*prometheus.Desc{
		ready, paused, pausedSince, customers, censusLag, tokenExpiry, quotaLimit, quotaUsed, quotaWindow, quotaWaiting,
		quotaPlaces, quotaPlaceUsed, quotaPaused, laneSlots, laneBusy, lanePulling, recordsUnknown,
	}, askedDescriptions...)
)

// Describe names what [state.Collect] may tell.
func (s state) Describe(out chan<- *prometheus.Desc) {
	for _, d := range described {
		out <- d
	}
}

// Collect asks everybody.
func (s state) Collect(out chan<- prometheus.Metric) {
	tell := func(d *prometheus.Desc, value float64, labels ...string) { out <- sample(d, value, labels...) }
	for _, part := range []func(teller){s.readiness, s.pause, s.customers, s.token, s.quota, s.lanes} {
		part(tell)
	}
	s.asked.collect(out)
}

// teller takes one sample.
type teller func(d *prometheus.Desc, value float64, labels ...string)

func (s state) readiness(tell teller) {
	if s.Ready != nil {
		ctx, cancel := context.WithTimeout(context.Background(), readyTime)
		defer cancel()
		holds := s.Ready(ctx)
		for _, check := range checks {
			tell(ready, truth(holds[check]), check)
		}
	}
	if s.RecordsUnknown != nil {
		tell(recordsUnknown, float64(s.RecordsUnknown()))
	}
}

func (s state) pause(tell teller) {
	if s.Pause == nil {
		return
	}
	why, since := s.Pause()
	for _, reason := range pauseReasons {
		tell(paused, truth(reason == why), reason)
	}
	if why != "" {
		tell(pausedSince, seconds(since))
	}
}

func (s state) customers(tell teller) {
	if s.Customers == nil {
		return
	}
	counts, lag, known := s.Customers()
	if !known {
		return
	}
	for of, n := range counts {
		tell(customers, float64(n), of[0], of[1])
	}
	tell(censusLag, float64(lag))
}

func (s state) token(tell teller) {
	if s.TokenExpiry == nil {
		return
	}
	if ends := s.TokenExpiry(); !ends.IsZero() {
		tell(tokenExpiry, seconds(ends))
	}
}

func (s state) quota(tell teller) {
	if s.Waiting != nil {
		waiting := s.Waiting()
		for _, lane := range waitLanes {
			tell(quotaWaiting, float64(waiting[lane]), lane)
		}
	}
	if s.Quota == nil {
		return
	}
	q, known := s.Quota()
	if !known {
		return
	}
	for _, w := range q.Windows {
		tell(quotaWindow, w.Per.Seconds(), w.Name)
		for _, op := range operations {
			tell(quotaUsed, float64(w.Used[op]), op, w.Name)
			tell(quotaLimit, float64(w.Limit[op]), op, w.Name)
		}
	}
	tell(quotaPlaces, float64(q.Places))
	tell(quotaPlaceUsed, float64(q.PlacesUsed))
	if !q.PausedUntil.IsZero() {
		tell(quotaPaused, seconds(q.PausedUntil))
	}
}

func (s state) lanes(tell teller) {
	if s.Lanes == nil {
		return
	}
	by := map[string]Lane{} // before there is a worker, none pulls
	for _, l := range s.Lanes() {
		by[l.Name] = l
	}
	for _, name := range lanes {
		tell(laneSlots, float64(by[name].Slots), name)
		tell(laneBusy, float64(by[name].Busy), name)
		tell(lanePulling, truth(by[name].Pulling), name)
	}
}

func truth(so bool) float64 {
	if so {
		return 1
	}
	return 0
}
