package activation_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"activation-worker/internal/activation"
	"activation-worker/internal/events"
)

// clock of the worker 3 s ahead of the server's: an announcement stored 1 s after the customer was forgotten is dropped.
func TestTheServersClockTellsWhatCameAfterACustomerWasForgotten(t *testing.T) {
	t.Parallel()
	r := record(events.Forgotten, func(r *events.Record) {
		r.Time, r.StoredAt = at(3*time.Second), at(0)
		r.Event = announced(0).Event.Hashed()
		r.Event.StoredAt = at(-time.Hour)
	})
	fresh := announced(7)
	fresh.Event.StoredAt = at(time.Second) // one true second after forgetting, by the server's clock
	if got := activation.Next(r, cueOf(fresh), at(5*time.Second)).Step; got != activation.Anew {
		t.Errorf("a new announcement of a forgotten customer: %v (acked and lost), want anew", got)
	}
}

// A replay after the customer has set the records: fails at once as refused, the record knew that they had been missed.
func TestAReplayKnowsThatTheRecordsWereMissed(t *testing.T) {
	t.Parallel()
	p := activation.DefaultPolicy()
	failed := record(events.Failed, func(r *events.Record) {
		r.Reason, r.Visibility = events.DNSUnverified, &events.Visibility{Missed: at(-30 * day)}
		r.DNS = &events.DNS{Wanted: []events.DNSRecord{proof}}
	})
	queued := activation.Queued(failed, nil, domainID, events.Replay, events.Trigger{Kind: events.TriggerReplay, ID: "x"}, at(0))
	claim := activation.Start(activation.Attempt, queued, nil, domainID, activation.Claimant{Worker: "w", LeaseExpiresAt: at(time.Minute)}, at(0))
	_, v := activation.Plan(claim, []activation.Answer{no(400), notActive(), shown(), looked(visible)}, p)
	if v.State == events.Failed {
		t.Errorf("the records became visible under 24 h ago, and yet: %s(%s)", v.State, v.Reason)
	}
}

func TestAFaultOfOursInTheQuestionForRecordsBlamesNobody(t *testing.T) {
	t.Parallel()
	p := activation.DefaultPolicy()
	for _, code := range []int{405, 413, 415} {
		_, v := activation.Plan(claimed(), []activation.Answer{no(400), notActive(), refused(activation.DNSData, code, at(3*time.Second))}, p)
		if v.State == events.Failed || v.Reason != events.PartnerUnavailable {
			t.Errorf("upgrade-domain %d: %s(%s), want deferred(partner_unavailable)", code, v.State, v.Reason)
		}
	}
}

// A resolver that answers TXT with other near misses each time, and leaves CNAME open, is silent and seen at once.
func TestWhatWasSeenDoesNotGrow(t *testing.T) {
	t.Parallel()
	p := activation.DefaultPolicy()
	r := unproven(func(r *events.Record) { r.NextAttemptAt = at(30 * day) })
	now := at(time.Minute)
	looks := 0
	for now.Before(at(2 * day)) {
		s := activation.Sight{Silent: []string{"system"}}
		for i := range 6 {
			s.Seen = append(s.Seen, events.DNSRecord{Type: "TXT", Name: "hinode-foods.example", Value: fmt.Sprintf("works-verify=%0240d", looks*6+i), Resolver: "system"})
		}
		if next := activation.Watched(r, s, p, now); next != nil {
			next.Time = now
			r = next
		}
		looks++
		now = activation.WakeAt(r, p, now, 0)
	}
	text, _ := json.Marshal(r)
	if len(r.DNS.Seen) > 12 || len(text) > 16<<10 {
		t.Errorf("after %d looks: %d records seen, the record is %d bytes", looks, len(r.DNS.Seen), len(text))
	}
}

func TestOneSilentCustomerIsNobodyElses(t *testing.T) {
	t.Parallel()
	var s activation.Streak
	p := activation.DefaultPolicy()
	v := activation.Verdict{State: events.Deferred, Reason: events.UnknownOutcome, Cause: answer(activation.LookUp, activation.Unclear, at(0))}
	for range 9 {
		s.Note(1, v, nil, p)
		// look-ups of others are answered meanwhile
		s.Note(2, activation.Verdict{State: events.Deferred, Reason: events.UnknownOutcome, Cause: answer(activation.LookUp, activation.Inactive, at(0))}, nil, p)
	}
	if _, common := s.Note(1, v, nil, p); common != 0 {
		t.Errorf("ten unclear look-ups of ONE customer, others answered between: %v", common)
	}
}
