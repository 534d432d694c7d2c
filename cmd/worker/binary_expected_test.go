package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"activation-worker/internal/events"
	"activation-worker/internal/operator"
)

// TestBinaryEstimates: whoever asks is told about when, from the pace and who waits; and that nobody knows where that is so.
func TestBinaryEstimates(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	const first, customers, old = int64(51200001), 20, int64(51200201)
	for id := int64(51200101); id <= 51200105; id++ {
		s.store(&events.Record{State: events.Failed, DomainID: id, Round: 1, Reason: events.Refused})
	}
	env := s.env(noWatch, "LINEWORKS_RATE=3/m", "LINEWORKS_SUSTAINED_RATE=0")
	replay := []string{"replay", "--all-failed", "--dry-run", "--rate", "60/m"}
	w := startWorker(t, env...)
	w.AwaitReady(startTimeout)
	for id := first; id < first+customers; id++ {
		s.customer(id)
	}
	invoke(t, "", env, "submit", "--backfill", fmt.Sprint(old)).want(t, exitDone)
	viewLedger(t, s.js).awaitIn(workTimeout, 3, events.Activated, "")

	// Those behind the first three wait for the next minutes.
	last := fmt.Sprint(first + customers - 1)
	invoke(t, "", env, "status", last).want(t, exitDone, "waits to be read", "expected     about", "before it at the partner's pace, 3 a minute")
	if asJSON := invoke(t, "", env, "status", last, "-o", "json").want(t, exitDone); strings.Contains(asJSON.stdout, "expected") {
		t.Errorf("the JSON has an estimate: %s", asJSON.stdout)
	}
	checks := examined(t, invoke(t, "", env, "doctor", "-o", "json"))
	wantCheck(t, checks, "quota", operator.OK, "activate 3 of 3 in a minute", "of 3 places held by", "wait, the last of them for a turn about")
	invoke(t, "", env, replay...).want(t, exitDone, "5 to be replayed", "the last would be attempted about", "before it at the partner's pace, 3 a minute")
	s.store(&events.Record{State: events.Deferred, DomainID: old + 1, Round: 1, Reason: events.Transient, NextAttemptAt: time.Now().Add(-time.Minute)})
	invoke(t, "", env, "status", fmt.Sprint(old+1)).want(t, exitDone, "expected     about", "before it at the partner's pace")
	s.store(&events.Record{State: events.Deferred, DomainID: old + 2, Round: 1, Reason: events.Transient, NextAttemptAt: time.Now().Add(time.Hour)})
	if r := invoke(t, "", env, "status", fmt.Sprint(old+2)).want(t, exitDone); strings.Contains(r.stdout, "expected") {
		t.Errorf("who waits for a time of their own has an estimate:\n%s", r.stdout)
	}
	w.stop()

	const nobody = "nobody knows when: no worker is taking work"
	invoke(t, "", env, "status", last).want(t, exitDone, nobody)
	invoke(t, "", env, "status", fmt.Sprint(old+1)).want(t, exitDone, nobody)
	invoke(t, "", env, replay...).want(t, exitDone, "5 to be replayed", nobody)
	if _, err := s.js.Publish(t.Context(), pace, []byte(`{"version":99}`)); err != nil {
		t.Fatal(err)
	}
	checks = examined(t, invoke(t, "", env, "doctor", "-o", "json"))
	wantCheck(t, checks, "quota", operator.Warn, "newer worker", "newest version")
}

// TestBinaryEstimatesOfWhoMayNot: without the right to read the bucket all is told but when; an operator of the accounts
// that are delivered has it.
func TestBinaryEstimatesOfWhoMayNot(t *testing.T) {
	t.Parallel()
	crowd := func(g *guarded) {
		_, js := g.connect("worker")
		s := &site{t: t, js: js, partner: g.partner}
		s.store(&events.Record{State: events.Deferred, DomainID: 51200001, Round: 1, Reason: events.Transient, NextAttemptAt: time.Now().Add(-time.Minute)})
		s.store(&events.Record{State: events.Failed, DomainID: 51200002, Round: 1, Reason: events.Refused})
	}
	replay := []string{"replay", "51200002", "--dry-run"}
	g := newGuarded(t)
	crowd(g)
	w := startWorker(t, g.env("worker")...)
	w.AwaitReady(startTimeout)
	invoke(t, "", g.env("dave"), "status", "51200001").want(t, exitDone, "expected     at once")
	invoke(t, "", g.env("dave"), replay...).want(t, exitDone, "1 to be replayed", "the last would be attempted at once")
	w.stop()

	blind := newGuarded(t, `{service: "$JS.API.STREAM.MSG.GET.*", accounts: [OPERATORS, MONITORS]}`, `{service: "$JS.API.STREAM.MSG.GET.ACTIVATION", accounts: [OPERATORS, MONITORS]}`,
		`{service: {account: ACTIVATION, subject: "$JS.API.STREAM.MSG.GET.*"}}`, `{service: {account: ACTIVATION, subject: "$JS.API.STREAM.MSG.GET.ACTIVATION"}}`)
	crowd(blind)
	invoke(t, "", blind.env("dave"), "status", "51200001").want(t, exitDone, "deferred (transient)", "expected     not known: ")
	invoke(t, "", blind.env("dave"), replay...).want(t, exitDone, "1 to be replayed", "not known: ")
	checks := examined(t, invoke(t, "", blind.env("dave"), "doctor", "-o", "json").want(t, exitDrift))
	wantCheck(t, checks, "quota", operator.Warn, "peak without limit", "not known: ", "deploy/nats/README.md")
}
