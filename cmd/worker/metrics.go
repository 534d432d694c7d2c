package main

import (
	"context"
	"runtime/debug"
	"time"

	"activation-worker/internal/metrics"
	"activation-worker/internal/quota"
)

// metrics are those of the service, which ask its parts at each scrape as far as they are there.
func (p *parts) metrics() *metrics.Metrics {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return metrics.New(buildVersion(), buildCommit(info), metrics.State{
		Ready: p.readiness, Pause: p.pause, Customers: p.customers, TokenExpiry: p.tokenExpiry,
		Quota: p.quota, Waiting: p.waiting, Lanes: p.lanes, RecordsUnknown: p.strangers,
	})
}

func (p *parts) readiness(ctx context.Context) map[string]bool {
	holds := map[string]bool{}
	for _, c := range p.checks(ctx) {
		holds[c.Name] = c.OK
	}
	return holds
}

func (p *parts) pause() (reason string, since time.Time) {
	if w := p.worker.Load(); w != nil {
		if why, since := w.Pause(); why != nil {
			return why.Reason, since
		}
	}
	return "", time.Time{}
}

// customers are those of the whole ledger, as counted by each worker for itself.
func (p *parts) customers() (counts map[[2]string]int, lag uint64, known bool) {
	c := p.census.Load()
	if c == nil {
		return nil, 0, false
	}
	keys, lag, known := c.Counts()
	counts = make(map[[2]string]int, len(keys))
	for key, n := range keys {
		counts[[2]string{string(key.State), string(key.Reason)}] = n
	}
	return counts, lag, known
}

func (p *parts) tokenExpiry() time.Time {
	if client := p.client.Load(); client != nil {
		return client.TokenExpiry()
	}
	return time.Time{}
}

func (p *parts) waiting() map[string]int {
	waiting := map[string]int{}
	if w := p.worker.Load(); w != nil {
		for lane, n := range w.Pacer.Queued() {
			waiting[lane.String()] = n
		}
	}
	return waiting
}

func (p *parts) lanes() (lanes []metrics.Lane) {
	if w := p.worker.Load(); w != nil {
		for _, l := range w.Lanes() {
			lanes = append(lanes, metrics.Lane(l))
		}
	}
	return lanes
}

func (p *parts) strangers() int {
	if w := p.worker.Load(); w != nil {
		return w.Strangers()
	}
	return 0
}

// sharedQuota is the record of the quota as it was read at a time.
type sharedQuota struct {
	quota.Outlook
	at time.Time
}

// quota is what is used of the partner's quota: as the pacer knows it, or where others have written since, as last read.
func (p *parts) quota() (metrics.Quota, bool) {
	w := p.worker.Load()
	if w == nil {
		return metrics.Quota{}, false
	}
	outlook, as := w.Pacer.Outlook()
	if read := p.shared.Load(); read != nil && read.at.After(as) && time.Since(read.at) < sharedFor {
		outlook, as = read.After(time.Since(read.at)), read.at
	}
	if as.IsZero() {
		return metrics.Quota{}, false
	}
	return quotaOf(outlook, time.Now()), true
}

// operationsPaced are those that have a quota.
var operationsPaced = []string{"activate", "customer", "upgrade_domain", "list"}

func quotaOf(o quota.Outlook, now time.Time) metrics.Quota {
	held, _ := o.Places()
	q := metrics.Quota{Places: o.Concurrency, PlacesUsed: held}
	peak := metrics.Window{Name: "peak", Per: o.Peak.Per, Used: map[string]int{}, Limit: map[string]int{}}
	sustained := metrics.Window{Name: "sustained", Per: quota.SustainedOver, Used: map[string]int{}, Limit: map[string]int{}}
	for _, op := range operationsPaced {
		peak.Limit[op], sustained.Limit[op] = o.Peak.N, o.InHalfAnHour()
	}
	for _, use := range o.Uses() {
		peak.Used[use.Operation], sustained.Used[use.Operation] = use.Peak, use.Sustained
		if use.Left >= 0 { // within a minute, as the partner counts: of half an hour that says nothing
			peak.Limit[use.Operation] = min(o.Peak.N, use.Peak+use.Left)
		}
		if until := now.Add(use.Paused); use.Paused > 0 && until.After(q.PausedUntil) {
			q.PausedUntil = until
		}
	}
	if o.Peak.N > 0 {
		q.Windows = append(q.Windows, peak)
	}
	if o.Sustained.N > 0 {
		q.Windows = append(q.Windows, sustained)
	}
	return q
}

// sharedFor is for how long the quota as it was read counts.
const sharedFor = 4 * askEvery
