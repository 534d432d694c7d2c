package audit_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/audit"
	"activation-worker/internal/broker"
	"activation-worker/internal/events"
)

// TestAStuckAnnouncementHidesNoOther: one is in hand and never acknowledged. What was acknowledged after it is asked for all the same.
func TestAStuckAnnouncementHidesNoOther(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		others func(*world)
		want   map[audit.Rule]int
		notes  int
	}{
		"all acted on":   {func(w *world) { w.customer().announce().succeed() }, nil, 1},
		"one lost":       {func(w *world) { w.customer().announce(); w.customer().announce().succeed() }, map[audit.Rule]int{audit.RuleLost: 1}, 0},
		"one left alone": {func(w *world) { w.customer().announce().claim(time.Minute) }, map[audit.Rule]int{audit.RuleOverdue: 1}, 1},
	} {
		t.Run(strings.ReplaceAll(what, " ", "-"), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.customer().announce().succeed()
			w.acknowledge()
			w.customer().announce() // stuck
			w.take(func(jetstream.Msg) {})
			c.others(w)
			w.acknowledge()
			w.customer().announce() // not delivered
			w.calls = nil
			r := w.audit(tomorrow)
			wantBreaches(t, r, c.want)
			if len(r.Notes) != c.notes {
				t.Errorf("notes %q", r.Notes)
			}
			if want := 2 + r.ByRule[audit.RuleLost]; r.Intake.Unread != want {
				t.Errorf("%d announcements are not acknowledged, want %d", r.Intake.Unread, want)
			}
		})
	}
}

// TestAClaimInHandIsNotOverdue: its announcement comes again when whoever took it does not acknowledge.
func TestAClaimInHandIsNotOverdue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.customer().announce().claim(time.Minute)
	w.take(func(jetstream.Msg) {})
	w.customer().announce().claim(time.Minute) // to be delivered
	w.calls = nil
	wantBreaches(t, w.audit(tomorrow), nil)
}

// TestAClaimThatNothingDelivers is overdue: the intake, or its consumer, is gone, or was made anew.
func TestAClaimThatNothingDelivers(t *testing.T) {
	t.Parallel()
	for what, tamper := range map[string]func(*world){
		"no consumer": func(w *world) { w.must(w.js.DeleteConsumer(w.ctx(), intake, events.ConsumerActivator)) },
		"no stream":   func(w *world) { w.must(w.js.DeleteStream(w.ctx(), intake)) },
		"another stream": func(w *world) {
			w.must(w.js.DeleteStream(w.ctx(), intake))
			w.must(broker.Ensure(w.ctx(), w.js, w.layout))
		},
	} {
		t.Run(strings.ReplaceAll(what, " ", "-"), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.customer().announce().claim(time.Minute)
			w.calls = nil
			wantBreaches(t, w.audit(tomorrow), nil)
			tamper(w)
			wantBreaches(t, w.audit(tomorrow), map[audit.Rule]int{audit.RuleOverdue: 1})
		})
	}
}
