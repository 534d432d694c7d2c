package audit_test

import (
	"strings"
	"testing"

	"activation-worker/internal/audit"
	"activation-worker/internal/broker"
	"activation-worker/internal/events"
)

// TestWhatAFormerLedgerKnewIsNoBreach: the ledger was lost, and another accepted as the one to go on with. It knows nothing of
// what the former one did; what came since is held against it.
func TestWhatAFormerLedgerKnewIsNoBreach(t *testing.T) {
	t.Parallel()
	const name = "CUSTOMER"
	w := newWorld(t)
	publish := func() {
		_, err := broker.Publish(w.ctx(), w.js, w.layout, name)
		w.must(err)
	}
	publish()
	stream, err := w.js.Stream(w.ctx(), name)
	w.must(err)
	w.customer().announce().succeed()
	w.customer().announce().succeed().published(stream, 2)
	w.publish("{") // and rejected, which is lost too
	w.acknowledge()
	waiting := w.customer().announce()
	w.must(w.js.DeleteStream(w.ctx(), events.DefaultStream))
	_, err = broker.Accept(w.ctx(), w.js, w.layout)
	w.must(err)
	publish()
	w.open()
	again := w.customer()
	*again = *waiting
	again.slowDown().announce() // of which only the newest is from after it
	w.acknowledge()
	w.customer().announce() // lost since
	w.acknowledge()
	w.calls = nil
	r := w.audit()
	wantBreaches(t, r, map[audit.Rule]int{audit.RuleLost: 2})
	if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "2 announcements and 2 entries of the publish stream") {
		t.Errorf("notes %q", r.Notes)
	}
	if r.Intake.Unchecked != 1 {
		t.Errorf("%d announcements were not checked, want the one rejected before", r.Intake.Unchecked)
	}
}
