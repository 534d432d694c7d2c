package activation

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"activation-worker/internal/events"
)

// Sight is one look at DNS. The zero value saw nothing.
type Sight struct {
	Visible bool               // one of the records wanted is there as wanted
	Seen    []events.DNSRecord // at the wanted names, near misses too
	Silent  []string           // resolvers that gave no answer: what they saw before still counts
}

// mostSeen bounds what is written down of what was seen.
const mostSeen = 12

// watchShare is the part of the time waited so far after which is looked again.
const watchShare = 10

// WakeAt is when a deferred record's timer is to fire: for its next attempt, or for the next
// look at DNS before that. Looks stand in no record. jitter, in [0, 1), brings a look forward,
// so that a change is never seen later than a whole interval after it.
func WakeAt(r *events.Record, p Policy, now time.Time, jitter float64) time.Time {
	if r.Reason != events.DNSUnverified || p.DNS.WatchFirst <= 0 {
		return r.NextAttemptAt
	}
	since := r.Time
	if seen, ok := r.Seen[events.DNSUnverified]; ok {
		since = seen.First
	}
	wait := min(max(now.Sub(since)/watchShare, p.DNS.WatchFirst), p.DNS.WatchLast)
	wait -= time.Duration(float64(wait) * jitterShare * jitter)
	if look := now.Add(wait); look.Before(r.NextAttemptAt) {
		return look
	}
	return r.NextAttemptAt
}

// Watched is the record that follows from a look at DNS between two calls; nil where it
// has shown nothing new, or no record is wanted. Records that have become visible are worth a call at once, if none
// has said no since they could first be seen.
func Watched(r *events.Record, s Sight, p Policy, now time.Time) *events.Record {
	dns := events.DNS{}
	if r.DNS != nil {
		dns = *r.DNS
	}
	if len(dns.Wanted) == 0 {
		return nil
	}
	before := dns.Seen
	dns.Seen = append([]events.DNSRecord{}, s.Seen...)
	for _, old := range before {
		// A resolver that said something this time is believed in that, also where it left another question open.
		heard := slices.ContainsFunc(s.Seen, func(seen events.DNSRecord) bool { return seen.Resolver == old.Resolver && seen.Type == old.Type })
		if slices.Contains(s.Silent, old.Resolver) && !heard && len(dns.Seen) < mostSeen {
			dns.Seen = append(dns.Seen, old)
		}
	}
	visible := s.Visible || slices.ContainsFunc(dns.Seen, func(seen events.DNSRecord) bool { return wanted(dns, seen) })
	was := r.Visibility != nil && !r.Visibility.Since.IsZero()
	if visible == was && sameRecords(dns.Seen, before) {
		return nil
	}
	next := carry(r, r.DomainID)
	next.State, next.Reason, next.Cause, next.DNS = events.Deferred, r.Reason, r.Cause, &dns
	next.NextAttemptAt, next.Queued = r.NextAttemptAt, r.Queued
	next.sighted(visible, now)
	if visible && !was {
		call := latest(now, r.NotBefore)
		if nos := next.Visibility.Nos; nos > 0 && len(p.DNS.Visible) > 0 {
			call = latest(call, r.LastCallAt.Add(p.DNS.Visible[min(nos, len(p.DNS.Visible))-1]))
		}
		if call.Before(r.NextAttemptAt) { // a forced call, or the last one, is not put off
			next.NextAttemptAt = call
		}
	}
	return &next.Record
}

// wanted reports whether a record that was seen is one of those wanted.
func wanted(dns events.DNS, seen events.DNSRecord) bool {
	return slices.ContainsFunc(dns.Wanted, func(w events.DNSRecord) bool {
		if w.Type != seen.Type {
			return false
		}
		if w.Type == "CNAME" { // a name: without case and final dot
			return strings.EqualFold(strings.TrimSuffix(w.Value, "."), strings.TrimSuffix(seen.Value, "."))
		}
		return w.Value == seen.Value
	})
}

// sameRecords compares what was seen, whoever saw it.
func sameRecords(a, b []events.DNSRecord) bool {
	return slices.Equal(distinct(a), distinct(b))
}

func distinct(records []events.DNSRecord) []events.DNSRecord {
	all := make([]events.DNSRecord, 0, len(records))
	for _, r := range records {
		all = append(all, events.DNSRecord{Type: r.Type, Name: r.Name, Value: r.Value})
	}
	slices.SortFunc(all, func(a, b events.DNSRecord) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Value, b.Value))
	})
	return slices.Compact(all)
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// sighted notes whether the ownership records could be seen.
func (d *draft) sighted(visible bool, now time.Time) {
	if d.Visibility == nil {
		d.Visibility = &events.Visibility{}
	}
	switch v := d.Visibility; {
	case !visible:
		v.Since = time.Time{}
		if v.Missed.IsZero() {
			v.Missed = now
		}
	case v.Since.IsZero():
		v.Since = now
	}
}

// sight takes over what an attempt has learned of the ownership records.
func (d *draft) sight(answers []Answer) {
	data, ok := lastOf(answers, DNSData)
	if !ok {
		return
	}
	if d.Reason == events.DNSUnverified {
		d.DNS = &events.DNS{Domain: cmp.Or(data.Domain, d.Domain), Wanted: []events.DNSRecord{}, Seen: []events.DNSRecord{}}
		if !data.lacksNothing() {
			d.DNS.Wanted = append(d.DNS.Wanted, data.Wanted...)
		}
	}
	look, ok := lastOf(answers, LookDNS)
	switch {
	case !ok && data.lacksNothing():
		d.sighted(true, data.At) // as far as the partner is concerned
	case !ok:
		return
	case look.Kind == Looked:
		d.sighted(look.Visible, look.At)
		if d.DNS != nil && len(look.Seen) > 0 {
			d.DNS.Seen = look.Seen
		}
	case d.Visibility == nil || d.Visibility.Since.IsZero():
		d.sighted(false, look.At) // who cannot look has not seen them
	}
	if !d.Visibility.Since.IsZero() {
		d.Visibility.Nos++ // a yes would not have led here
	}
}

// nextCall is how long to wait for the next call about ownership records: soon after they
// became visible, for the partner's resolver may still remember that they were not; else
// when a call is forced, counted from the first no, whatever the watch says.
func (d *draft) nextCall(s DNSSchedule, now time.Time) time.Duration {
	if v := d.Visibility; v != nil && !v.Since.IsZero() && v.Nos > 0 && v.Nos <= len(s.Visible) {
		return s.Visible[v.Nos-1]
	}
	if len(s.Call) == 0 {
		return time.Hour
	}
	waited := now.Sub(d.Seen[events.DNSUnverified].First)
	for _, after := range s.Call {
		if after > waited {
			return after - waited
		}
	}
	every := s.Call[len(s.Call)-1]
	return every - (waited-every)%every
}
