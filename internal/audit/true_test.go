package audit_test

import (
	"errors"
	"testing"
	"time"

	"activation-worker/internal/activation"
	"activation-worker/internal/broker"
	"activation-worker/internal/events"
)

// TestATrueLedgerHasNoBreach goes through everything that customers can go through.
func TestATrueLedgerHasNoBreach(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := broker.Publish(w.ctx(), w.js, w.layout, "CUSTOMER"); err != nil {
		t.Fatal(err)
	}
	w.customer().announce().succeed().announce()         // announced again
	w.customer().announce().loseSight().lookAndSucceed() // unknown, then known not to have been applied
	w.customer().announce().loseSight().find()           // unknown, then found applied
	w.customer().announce().claim(-time.Millisecond).claim(-time.Millisecond).find()
	w.customer().announce().claim(-time.Millisecond).claim(time.Minute).settle().lookAndSucceed()
	w.customer().announce().fail().replay().succeed()
	w.customer().announce().fail().replay().cancel().announce().slowDown()
	w.customer().announce().fail().announce().fail().announce().succeed()
	w.customer().announce().claim(time.Minute)                              // under way
	w.customer().announce().loseSight().cancel().replay()                   // unknown all along
	w.customer().announce().succeed().forget(true)                          // gone
	w.customer().announce().fail().forget(true).announce().lookAndSucceed() // come back
	w.customer().announce().loseSight().forget(true).announce().lookAndSucceed()
	w.customer().announce().claim(-time.Millisecond).forget(true)
	w.customer().announce().slowDown().announce().slowDown()

	long := w.customer().announce()
	for range 20 {
		long.slowDown()
	}
	long.fail().replay()
	for range 25 {
		long.slowDown()
	}
	long.succeed()

	old := w.customer().announce()
	old.store(activation.Queued(nil, old.accepted, old.id, events.Backlog, events.Trigger{Kind: events.TriggerAccepted, ID: old.accepted.Event.ID}, time.Now().Add(time.Hour)))
	old.find() // was active before us

	hurried := w.customer().announce().slowDown()
	hurried.store(activation.Hastened(hurried.r, events.Trigger{Kind: events.TriggerReplay, ID: "r2"}, time.Now()))
	hurried.announce()
	hurried.store(activation.PutOffUntil(hurried.r, hurried.accepted, time.Now().Add(time.Hour), time.Now()))
	hurried.succeed()

	for _, back := range []bool{false, true} { // from an operator's list, after a restore
		listed := w.customer()
		listed.store(activation.Forgotten(activation.Unknown(listed.id), "tester", "forgotten before the restore"))
		if back {
			listed.announce().lookAndSucceed()
		}
	}

	out := w.customer().announce()
	out.claim(time.Minute).conclude([]activation.Answer{{Operation: activation.Activate, Kind: activation.NoToken, RetryAfter: -1, At: time.Now()}})
	out.succeed()

	bad := w.publish(`{"domainId": "x"}`)
	_, err := events.Decoder{}.Decode(bad)
	why, ok := errors.AsType[*events.Undecodable](err)
	if !ok {
		t.Fatalf("it can be decoded: %v", err)
	}
	w.must(w.ledger.Reject(w.ctx(), bad, why))
	w.acknowledge()
	w.customer().announce() // not read yet

	ids := w.ids
	r := w.audit()
	wantBreaches(t, r, nil)
	for what, is := range map[string][2]int{
		"customers": {r.Ledger.Customers, int(ids) - 1}, "activated": {r.Ledger.States[events.Activated], 14}, "forgotten": {r.Ledger.States[events.Forgotten], 3},
		"takeovers": {r.Ledger.Takeovers, 3}, "shortened": {r.Ledger.Shortened, 1}, "active before": {r.Ledger.ActiveBefore, 1}, "foreign": {r.Ledger.Foreign, 0},
		"unread": {r.Intake.Unread, 1}, "rejected": {r.Intake.Rejected, 1}, "rejections": {r.Intake.Rejections, 1},
		"calls": {r.Partner.Calls, len(w.calls)}, "frozen": {r.Partner.Frozen, 0}, "read again": {r.Ledger.Read, 0},
	} {
		if is[0] != is[1] {
			t.Errorf("%s: %d, want %d", what, is[0], is[1])
		}
	}
	if r.Ledger.Claims < 40 || r.Partner.Unchecked == 0 {
		t.Errorf("claims %d, unchecked calls %d", r.Ledger.Claims, r.Partner.Unchecked)
	}
}
