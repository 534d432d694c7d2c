package audit_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"activation-worker/internal/activation"
	"activation-worker/internal/audit"
	"activation-worker/internal/events"
)

// TestEachRuleSeesWhatBreaksIt tampers with one thing in a ledger that is true otherwise, and expects one breach, of that rule.
func TestEachRuleSeesWhatBreaksIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rule   audit.Rule
		tamper func(*customer)
		mods   []func(*audit.Options)
	}{
		"a message that is no event": {audit.RuleReadable, func(c *customer) {
			c.rawData(events.CustomerSubject(c.id, events.Started), []byte("claimed"), &events.Record{})
		}, nil},
		"a claim without a worker": {audit.RuleReadable, func(c *customer) {
			c.announce().claim(time.Minute, func(r *events.Record) { r.Worker = "" })
		}, nil},
		"another customer's record": {audit.RuleSubject, func(c *customer) {
			other := *c.announce().succeed().r
			data, _ := events.EncodeRecord(&other, source, 0, time.Now())
			c.rawData(events.CustomerSubject(c.id+1000, events.Activated), data, &other)
		}, nil},
		"a state under another's subject": {audit.RuleSubject, func(c *customer) {
			c.announce().slowDown()
			data, _ := events.EncodeRecord(activation.Cancelled(c.r, c.r.Trigger, "so", time.Now()), source, c.r.Sequence, time.Now())
			c.rawData(events.CustomerSubject(c.id, events.Started), data, c.r)
		}, nil},
		"nobody's subject": {audit.RuleSubject, func(c *customer) {
			c.rawData("activation.customer.0042.started", []byte("{}"), &events.Record{})
		}, nil},
		"a record written over an older one": {audit.RuleChain, func(c *customer) {
			c.announce().slowDown().slowDown()
			c.raw(activation.Start(activation.Attempt, c.r, nil, c.id, activation.Claimant{Worker: "w2", LeaseExpiresAt: time.Now().Add(time.Minute)}, time.Now()), c.r.Sequence-1)
		}, nil},
		"a record written as the first": {audit.RuleChain, func(c *customer) {
			c.announce().succeed()
			c.raw(activation.Start(activation.Claim, nil, c.accepted, c.id, activation.Claimant{Worker: "w2", LeaseExpiresAt: time.Now().Add(time.Minute)}, time.Now()), 0)
		}, nil},
		"a record missing in the middle": {audit.RuleChain, func(c *customer) {
			c.announce().slowDown()
			c.must(c.purge(events.CustomerSubject(c.id, events.Started)))
			c.succeed()
			c.must(c.purge(events.CustomerSubject(c.id, events.Started)))
		}, nil},
		"the first record missing": {audit.RuleChain, func(c *customer) {
			c.announce().succeed()
			c.must(c.purge(events.CustomerSubject(c.id, events.Started)))
		}, nil},
		"an outcome missing long ago": {audit.RuleChain, func(c *customer) {
			c.announce().fail().replay()
			c.must(c.purge(events.CustomerSubject(c.id, events.Failed)))
			for range 17 {
				c.slowDown()
			}
		}, nil},
		"a second success": {audit.RuleOutcome, func(c *customer) {
			c.announce().succeed()
			c.store(&events.Record{State: events.Activated, DomainID: c.id, Round: 1, Attempt: 1, Event: c.r.Event, Calls: 2, Via: events.ViaLookup, Customer: json.RawMessage("null")})
		}, nil},
		"a second outcome long after the first": {audit.RuleOutcome, func(c *customer) {
			c.announce().fail().replay()
			for range 17 {
				c.slowDown()
			}
			c.cancel(func(r *events.Record) { r.Round = 1 })
		}, nil},
		"life after success": {audit.RuleTransition, func(c *customer) {
			c.announce().succeed()
			c.store(activation.Start(activation.Attempt, c.r, nil, c.id, activation.Claimant{Worker: "w1", LeaseExpiresAt: time.Now().Add(time.Minute)}, time.Now()))
		}, nil},
		"a failure without an attempt": {audit.RuleTransition, func(c *customer) {
			c.announce().slowDown()
			c.cancel(func(r *events.Record) { r.Reason = events.Refused })
		}, nil},
		"a reason that changes by itself": {audit.RuleTransition, func(c *customer) {
			c.announce().slowDown()
			r := activation.Hastened(c.r, events.Trigger{Kind: events.TriggerReplay, ID: "r"}, time.Now())
			r.Reason = events.TermsPending
			c.store(r)
		}, nil},
		"a round skipped": {audit.RuleRound, func(c *customer) {
			c.announce().fail().replay(func(r *events.Record) { r.Round++ })
		}, nil},
		"a round within a round": {audit.RuleRound, func(c *customer) {
			c.announce().slowDown().claim(time.Minute, func(r *events.Record) { r.Round++ })
		}, nil},
		"a round that nobody asked for": {audit.RuleRound, func(c *customer) {
			c.announce().fail().claim(time.Minute)
		}, nil},
		"a forgotten customer comes back": {audit.RuleRound, func(c *customer) {
			c.announce().fail().forget(true).claim(time.Minute)
		}, nil},
		"a claim under a live lease": {audit.RuleLease, func(c *customer) {
			c.announce().claim(time.Minute).claim(time.Minute)
		}, nil},
		"a takeover that does not say so": {audit.RuleLease, func(c *customer) {
			c.announce().claim(-time.Second).claim(time.Minute, func(r *events.Record) { r.Trigger.Kind = events.TriggerDue })
		}, nil},
		"forgotten under a live lease": {audit.RuleLease, func(c *customer) { c.announce().claim(time.Minute).forget(false) }, nil},
		"a call begun after the lease": {audit.RuleLease, func(c *customer) {
			c.announce().succeed(func(r *events.Record) { r.LastCallAt = time.Now().Add(2 * time.Minute) })
		}, nil},
		"a takeover that takes the outcome as known": {audit.RuleUnsettled, func(c *customer) {
			c.announce().claim(-time.Second).claim(time.Minute, func(r *events.Record) { r.Unsettled, r.Settling = false, nil })
		}, nil},
		"an unknown outcome forgotten by a deferral": {audit.RuleUnsettled, func(c *customer) {
			c.announce().loseSight().claim(time.Minute, func(r *events.Record) { r.Unsettled, r.Settling = false, nil })
		}, nil},
		"an unknown outcome known after one look-up": {audit.RuleUnsettled, func(c *customer) {
			c.announce().claim(-time.Second).claim(time.Minute).settle(func(r *events.Record) { r.Unsettled, r.Settling = false, nil })
		}, nil},
		"a call while an outcome is unknown": {audit.RuleUnsettled, func(c *customer) {
			c.announce().claim(-time.Second).claim(time.Minute).settle(func(r *events.Record) { r.Calls++ })
		}, nil},
		"activated by a call that was not made": {audit.RuleUnsettled, func(c *customer) {
			c.announce().succeed(func(r *events.Record) { r.Calls = 0 })
		}, nil},
		"calls that fall": {audit.RuleCounts, func(c *customer) {
			c.announce().slowDown().slowDown(func(r *events.Record) { r.Calls = 0 })
		}, nil},
		"an attempt that is not counted": {audit.RuleCounts, func(c *customer) {
			c.announce().slowDown().claim(time.Minute, func(r *events.Record) { r.Attempt = 1 })
		}, nil},
		"tries that fall": {audit.RuleCounts, func(c *customer) {
			c.announce().slowDown().slowDown(func(r *events.Record) { r.Seen = nil })
		}, nil},
		"an older announcement": {audit.RuleCounts, func(c *customer) {
			c.announce().slowDown().claim(time.Minute, func(r *events.Record) { r.Event.StoredAt = r.Event.StoredAt.Add(-time.Second) })
		}, nil},
		"given up too early": {audit.RuleGiveUp, func(c *customer) {
			c.announce().slowDown(func(r *events.Record) { r.State, r.NextAttemptAt = events.Failed, time.Time{} })
		}, nil},
		"given up for an outage": {audit.RuleGiveUp, func(c *customer) {
			c.announce().slowDown(func(r *events.Record) {
				r.State, r.NextAttemptAt, r.Reason = events.Failed, time.Time{}, events.PartnerUnavailable
			})
		}, nil},
		"a deadline that moves back": {audit.RuleGiveUp, func(c *customer) {
			c.announce().slowDown().slowDown(func(r *events.Record) { r.GiveUpAt = r.GiveUpAt.Add(-time.Hour) })
		}, nil},
		"a deadline beyond the longest round": {audit.RuleGiveUp, func(c *customer) {
			c.announce().slowDown(func(r *events.Record) { r.GiveUpAt = r.FirstAttemptAt.Add(46 * 24 * time.Hour) })
		}, nil},
		"forgotten, and not erased": {audit.RuleErased, func(c *customer) { c.announce().succeed().forget(false) }, []func(*audit.Options){tomorrow}},
		"forgotten, not erased, and come back": {audit.RuleErased, func(c *customer) {
			c.announce().fail().forget(false).announce().lookAndSucceed()
		}, []func(*audit.Options){tomorrow}},
		"waiting for nothing":                   {audit.RuleOverdue, func(c *customer) { c.announce().slowDown() }, []func(*audit.Options){tomorrow}},
		"claimed by nobody":                     {audit.RuleOverdue, func(c *customer) { c.announce().claim(time.Minute) }, []func(*audit.Options){tomorrow}},
		"an announcement lost":                  {audit.RuleLost, func(c *customer) { c.announce() }, nil},
		"an announcement lost after a failure":  {audit.RuleLost, func(c *customer) { c.announce().fail().announce() }, nil},
		"an announcement lost while waiting":    {audit.RuleLost, func(c *customer) { c.announce().slowDown().announce() }, nil},
		"an announcement lost after forgetting": {audit.RuleLost, func(c *customer) { c.announce().fail().forget(true).announce() }, nil},
		"a rejection lost":                      {audit.RuleRejected, func(c *customer) { c.publish("{") }, nil},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.customer().announce().succeed() // somebody else, of whom nothing is wrong
			c.tamper(w.customer())
			w.acknowledge()
			w.calls = nil
			wantBreaches(t, w.audit(c.mods...), map[audit.Rule]int{c.rule: 1})
		})
	}
}
