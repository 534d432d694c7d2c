package main

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"activation-worker/internal/audit"
	"activation-worker/internal/events"
	"activation-worker/internal/partnerapi/simulator"
)

const (
	lostFirstID = 51_310_001
	lostShare   = 0.10
	crashBatch  = 5 // calls that one SIGKILL ends, of each hundred
)

// lostMix are answers to activate that do not tell whether it took effect: of the first half it did, of the others it did not.
func lostMix() []simulator.Fault {
	return []simulator.Fault{
		"activate@lost", "activate@reset-mid", "activate@500-applied", "activate@504-applied",
		"activate@reset-before", "activate@500", "activate@502", "activate@503",
	}
}

// TestLostAnswersAreLookedUp loses one answer in ten and kills the worker under one call in twenty, before its effect and
// after it, while look-ups meet 429 and 401: nobody is activated twice, and whoever was active all the same is found so by look-up.
func TestLostAnswersAreLookedUp(t *testing.T) {
	t.Parallel()
	customers := size(500, 100)
	s := newSetUpSite(t)
	s.partner.SetMix(lostShare, lostMix()...)
	var trouble []simulator.Fault
	for range customers / 33 {
		trouble = append(trouble, "429:reset=1", simulator.Revoked)
	}
	s.partner.Script(0, simulator.OpCustomer, trouble...)
	env := s.env("LINEWORKS_CONCURRENCY=8", "WORKER_SWEEP_INTERVAL=2s", "WORKER_LOG_LEVEL=info",
		"WORKER_BACKOFF=transient=500ms/1s,unknown_outcome=1s/2s,partner_unavailable=1s")
	view := viewLedger(t, s.js)
	w := startWorker(t, env...)
	w.AwaitReady(startTimeout)

	crashed := map[int64]string{}
	for i, id := 0, int64(lostFirstID); i < customers; i, id = i+1, id+1 {
		// The last of each hundred are those under whose calls the worker dies.
		crash := i%100 >= 100-crashBatch
		if crash {
			crashed[id] = []string{heldUndone, heldEarly, heldDone}[i%3]
			s.partner.hold(id, crashed[id])
		}
		s.customer(id)
		if i%100 == 99 {
			for range crashBatch {
				select {
				case <-s.partner.held:
				case <-time.After(workTimeout):
					t.Fatalf("the calls of the %dth hundred have not come; the worker said:\n%s", i/100+1, w.stderr.tail())
				}
			}
			w.Kill()
			w = startWorker(t, env...)
		}
	}
	view.awaitIn(2*time.Minute, customers, events.Activated, "")
	w.stop()
	view.catchUp(t.Context())
	if len(crashed) != customers/20 {
		t.Errorf("the worker died under %d calls, want %d", len(crashed), customers/20)
	}
	audited(t, s.js, s.partner.Journal(), audit.Caps{})
	checkLost(t, view, s.partner.Journal(), customers, crashed)
}

// checkLost compares what the partner saw with what the ledger says of customers whose answers were lost.
func checkLost(t *testing.T, v *ledgerView, j simulator.Journal, customers int, crashed map[int64]string) {
	t.Helper()
	again, found, unapplied := 0, 0, 0
	kinds := map[string]int{}
	calls := map[int64][]simulator.Call{}
	for _, c := range j.Of(0, simulator.OpActivate) {
		calls[c.DomainID] = append(calls[c.DomainID], c)
	}
	for id := int64(lostFirstID); id < lostFirstID+int64(customers); id++ {
		newest := v.families[id][len(v.families[id])-1]
		applied := slices.IndexFunc(calls[id], func(c simulator.Call) bool { return c.Applied })
		if applied < 0 {
			t.Errorf("customer %d is %s and no call has activated it", id, newest.State)
			continue
		}
		for _, c := range calls[id][applied+1:] {
			again++
			t.Errorf("customer %d: activate (call %d) although call %d had been applied", id, c.Seq, calls[id][applied].Seq)
		}
		unapplied += applied
		if calls[id][applied].Told != simulator.ToldActive {
			found++
			if newest.Via != events.ViaLookup {
				t.Errorf("customer %d: nobody was told that call %d took effect, but it is activated via %s", id, calls[id][applied].Seq, newest.Via)
			}
		}
		if when, ok := crashed[id]; ok {
			kinds[when]++
		}
	}
	statuses := map[int]int{}
	for _, c := range j.Of(0, simulator.OpCustomer) {
		statuses[c.Status]++
	}
	if found < customers/40 || unapplied < customers/100 || statuses[http.StatusTooManyRequests] == 0 || statuses[http.StatusUnauthorized] == 0 || len(kinds) != 3 {
		t.Error("too little was lost for this to say anything")
	}
	t.Logf("%d customers, %d activate calls, %d of them after an applied one; %d answers of applied calls did not arrive and were found by look-up, %d other calls had no effect; callers died %v; look-ups by status %s",
		customers, len(j.Of(0, simulator.OpActivate)), again, found, unapplied, kinds, fmt.Sprint(statuses))
}
