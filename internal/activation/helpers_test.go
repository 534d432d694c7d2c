package activation_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"activation-worker/internal/activation"
	"activation-worker/internal/events"
)

const (
	domainID = 51200931
	tick     = time.Nanosecond
)

// at is a moment, a duration after the tests' first one.
func at(d time.Duration) time.Time {
	return time.Date(2026, time.March, 2, 9, 0, 0, 0, time.UTC).Add(d)
}

// announced is the n-th terms-accepted event, stored n minutes after the first moment.
func announced(n int) *events.Accepted {
	stored := at(time.Duration(n) * time.Minute)
	return &events.Accepted{
		DomainID: domainID, Domain: "hinode-foods.example", Reference: fmt.Sprintf("order %d", n), AcceptedAt: stored.Add(-time.Minute),
		Event: events.EventRef{ID: fmt.Sprintf("/signup A-%d", n), Stream: "SIGNUP", StreamCreated: at(-time.Hour), Sequence: uint64(n + 1), StoredAt: stored},
	}
}

// cueOf is a fresh event, or a wake-up for none.
func cueOf(accepted *events.Accepted) activation.Cue {
	if accepted == nil {
		return activation.Cue{}
	}
	return activation.Cue{Event: &accepted.Event}
}

// record is a stored record in a state, of the event 0, in its first attempt; mods change it.
func record(state events.State, mods ...func(*events.Record)) *events.Record {
	e := announced(0)
	r := &events.Record{
		State: state, Sequence: 3, ID: events.RecordID(domainID, 2, state), Time: at(0),
		DomainID: domainID, Domain: e.Domain, Reference: e.Reference,
		Round: 1, Attempt: 1, Event: e.Event, AcceptedAt: e.AcceptedAt, FirstAttemptAt: at(0),
		Trigger: events.Trigger{Kind: events.TriggerAccepted, ID: e.Event.ID},
	}
	for _, mod := range mods {
		mod(r)
	}
	return r
}

// claimed is a started record with a lease of a minute.
func claimed(mods ...func(*events.Record)) *events.Record {
	return record(events.Started, append([]func(*events.Record){func(r *events.Record) {
		r.Worker, r.LeaseExpiresAt = "w1", at(time.Minute)
	}}, mods...)...)
}

// waiting is a deferred record whose next attempt is after ten minutes.
func waiting(mods ...func(*events.Record)) *events.Record {
	return record(events.Deferred, append([]func(*events.Record){func(r *events.Record) {
		r.Reason, r.NextAttemptAt = events.Transient, at(10*time.Minute)
	}}, mods...)...)
}

// unsettled marks an outcome as unknown since a moment, with so many spaced look-ups answered no.
func unsettled(since time.Time, noes int) func(*events.Record) {
	return func(r *events.Record) {
		r.Unsettled, r.Settling = true, &events.Settling{Since: since, Noes: noes}
	}
}

// answer is an answer of a kind that was there at a moment, a second after its only request; mods change it.
func answer(op activation.Operation, kind activation.Kind, when time.Time, mods ...func(*activation.Answer)) activation.Answer {
	a := activation.Answer{Operation: op, Kind: kind, RetryAfter: -1, Sent: 1, StartedAt: when.Add(-time.Second), At: when}
	switch kind {
	case activation.Active:
		a.Status, a.Domain, a.Object = 200, "hinode-foods.example", json.RawMessage(`{"domainId":51200931,"enableActiveDomain":true}`)
	case activation.Inactive, activation.Listed:
		a.Status = 200
	case activation.Shown:
		a.Status, a.Domain, a.Wanted = 200, "hinode-foods.example", []events.DNSRecord{proof, alias}
	case activation.Looked, activation.Blind:
		a.Sent, a.StartedAt = 0, time.Time{}
	case activation.NotSent, activation.NotAsked, activation.NoToken:
		a.Sent, a.StartedAt = 0, time.Time{}
	case activation.Redirect:
		a.Status = 307
	}
	for _, mod := range mods {
		mod(&a)
	}
	return a
}

// proof and alias are the ownership records wanted; one of them is enough.
var (
	proof = events.DNSRecord{Type: "TXT", Host: "@", Name: "hinode-foods.example", Value: "works-verify=7Qm2"}
	alias = events.DNSRecord{Type: "CNAME", Host: "wm4f1c", Name: "wm4f1c.hinode-foods.example", Value: "verify.works.example"}
)

// visible says that one of the records wanted was seen.
func visible(a *activation.Answer) {
	a.Visible, a.Seen = true, []events.DNSRecord{by(proof, "system")}
}

// by is a record as a resolver shows it.
func by(r events.DNSRecord, resolver string) events.DNSRecord {
	r.Host, r.Resolver = "", resolver
	return r
}

// status sets the HTTP status.
func status(code int) func(*activation.Answer) {
	return func(a *activation.Answer) { a.Status = code }
}

// retryAfter sets the wait that the partner asks for.
func retryAfter(d time.Duration) func(*activation.Answer) {
	return func(a *activation.Answer) { a.RetryAfter = d }
}

// refused is an HTTP 4xx.
func refused(op activation.Operation, code int, when time.Time, mods ...func(*activation.Answer)) activation.Answer {
	return answer(op, activation.Refusal, when, append([]func(*activation.Answer){status(code)}, mods...)...)
}

// wantTime fails unless two moments are the same.
func wantTime(t *testing.T, what string, got, want time.Time) {
	t.Helper()
	if !got.Equal(want) {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}
