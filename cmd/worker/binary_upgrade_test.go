package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"activation-worker/internal/events"
	"activation-worker/internal/partnerapi/simulator"
)

// TestUpgradeAndRollback: a worker whose records have a higher version runs beside one of before, alone, is taken back,
// and comes again. Whoever has a newer record waits for a worker that can read it.
func TestUpgradeAndRollback(t *testing.T) {
	t.Parallel()
	binary := buildFaulty(t)
	s := newSetUpSite(t)
	of := func(version string) []string {
		return s.env(restoreEnv("FAULTS_RECORD_VERSION="+version, "WORKER_ID=version-"+version)...)
	}
	start := func(version string) *proc { return startProcess(t, binary, of(version), "run") }
	announce := func(first, last int64, visible bool) (ids []int64) {
		for id := first; id <= last; id++ {
			s.partner.Add(simulator.Customer{DomainID: id, Domain: fmt.Sprintf("team-%d.example", id), Terms: true, DNS: visible})
			s.announce(fmt.Sprintf(`{"domainId":%d}`, id))
			ids = append(ids, id)
		}
		return ids
	}
	// are waits until customers are in a state as the newer worker lists them.
	are := func(state events.State, ids ...int64) {
		t.Helper()
		states := map[int64]events.State{}
		if !eventually(t, workTimeout, func() bool {
			for line := range strings.Lines(execute(t, binary, "", of("2"), "list", "-o", "json").want(t, exitDone).stdout) {
				var c customerLine
				if err := json.Unmarshal([]byte(line), &c); err != nil {
					t.Fatal(err)
				}
				states[c.DomainID] = c.State
			}
			for _, id := range ids {
				if states[id] != state {
					return false
				}
			}
			return true
		}) {
			t.Fatalf("want %s of %v: %v", state, ids, states)
		}
	}
	see := func(ids ...int64) {
		for _, id := range ids {
			s.partner.SetDNS(id, true)
		}
	}

	before := start("1")
	done, waiting := announce(51720001, 51720008, true), announce(51720009, 51720010, false)
	are(events.Activated, done...)
	are(events.Deferred, waiting...)

	// Side by side, as while replicas are replaced one by one.
	execute(t, binary, "", of("2"), "setup").want(t, exitDone, "as declared")
	newer := start("2")
	newer.AwaitReady(startTimeout)
	done, waiting = append(done, announce(51720011, 51720025, true)...), append(waiting, announce(51720026, 51720031, false)...)
	are(events.Activated, done...)
	are(events.Deferred, waiting...)
	next := int64(51720100) // one more at a time, until the older one meets a record of the newer one
	if !eventually(t, workTimeout, func() bool {
		waiting = append(waiting, announce(next, next, false)...)
		next++
		said, err := before.Readyz("")
		for _, c := range said.Checks {
			if err == nil && c.Name == "records" && !c.OK && strings.Contains(c.Detail, "a newer worker is needed") {
				return true
			}
		}
		return false
	}) {
		t.Fatalf("no newer record was met; the worker said:\n%s", before.stderr.tail())
	}
	are(events.Deferred, waiting...) // whoever is in hand while a worker stops is deferred as transient, here for an hour
	before.stop()
	see(waiting...)
	are(events.Activated, waiting...)
	newer.awaitCheck("records", true)

	// Back to the one before: it serves everybody but those who have newer records, and says who they are.
	waiting = announce(51720041, 51720042, false)
	are(events.Deferred, waiting...)
	newer.stop()
	back := start("1")
	done = append(done, announce(51720051, 51720055, true)...)
	are(events.Activated, done...)
	back.awaitCheck("records", false, "a newer worker is needed", "5172004")
	execute(t, binary, "", of("1"), "list").want(t, exitDone, "of a newer worker left out")
	for _, id := range waiting {
		if n := s.calls(id); n != 1 {
			t.Errorf("%d has a newer record, and was called %d times", id, n)
		}
	}
	are(events.Deferred, waiting...)
	back.stop()

	newer = start("2")
	see(waiting...)
	are(events.Activated, waiting...)
	newer.stop()
	s.calledOnce()
	execute(t, binary, "", of("2"), "doctor", "--audit").want(t, exitDone, "none")
}
