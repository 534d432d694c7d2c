package audit_test

import (
	"strings"
	"testing"
	"time"

	"activation-worker/internal/activation"
	"activation-worker/internal/audit"
	"activation-worker/internal/events"
)

// by lets a worker activate a customer with a call that begins and ends at these times from now.
func (w *world) by(worker string, from, to time.Duration) {
	w.t.Helper()
	c := w.customer().announce().claim(2*time.Minute, func(r *events.Record) { r.Worker = worker })
	c.asked(activation.Activate, activation.Active, 200)
	call := &w.calls[len(w.calls)-1]
	now := time.Now()
	call.At, call.EndedAt, call.AppliedAt = now.Add(from), now.Add(to), now.Add(from)
}

// TestCapsOfAFleet: what each worker keeps to and all together do not is seen where the caps are of the fleet, and only there.
func TestCapsOfAFleet(t *testing.T) {
	t.Parallel()
	const s, ms = time.Second, time.Millisecond
	none := audit.Rule("")
	for name, c := range map[string]struct {
		fleet, each audit.Rule // what is broken by caps of all, and by those of each; "": nothing
		caps        audit.Caps
		calls       func(*world)
	}{
		"two workers with too many at once together": {audit.RuleConcurrency, none, audit.Caps{Concurrency: 3}, func(w *world) {
			for _, worker := range []string{"w1", "w1", "w2", "w2"} {
				w.by(worker, s, 3*s)
			}
		}},
		"two workers, one after the other": {none, none, audit.Caps{Concurrency: 3}, func(w *world) {
			for range 2 {
				w.by("w1", s, 2*s)
				w.by("w2", 3*s, 4*s)
			}
		}},
		"two workers with too many in a window together": {audit.RuleRate, none, audit.Caps{Windows: []audit.Window{{Calls: 3, Per: time.Minute}}}, func(w *world) {
			w.by("w1", s, 2*s)
			w.by("w1", 20*s, 21*s)
			w.by("w2", 40*s, 41*s)
			w.by("w2", 59*s, 60*s)
		}},
		"the last one in the next window": {none, none, audit.Caps{Windows: []audit.Window{{Calls: 3, Per: time.Minute}}}, func(w *world) {
			w.by("w1", s, 2*s)
			w.by("w1", 20*s, 21*s)
			w.by("w2", 40*s, 41*s)
			w.by("w2", 62*s, 63*s)
		}},
		"a window's worth at the end of one and as much at the beginning of the next": {audit.RuleRate, none, audit.Caps{Windows: []audit.Window{{Calls: 2, Per: s}}}, func(w *world) {
			w.by("w1", 900*ms, 910*ms)
			w.by("w2", 950*ms, 960*ms)
			w.by("w1", 1050*ms, 1060*ms)
			w.by("w2", 1100*ms, 1110*ms)
		}},
		"closer together than they were sent": {none, none, audit.Caps{Windows: []audit.Window{{Calls: 3, Per: time.Minute}}, Jitter: 3 * s}, func(w *world) {
			w.by("w1", s, 2*s)
			w.by("w1", 20*s, 21*s)
			w.by("w2", 40*s, 41*s)
			w.by("w2", 59*s, 60*s)
		}},
		"one worker alone": {audit.RuleRate, audit.RuleRate, audit.Caps{Windows: []audit.Window{{Calls: 1, Per: time.Minute}}}, func(w *world) {
			w.by("w1", s, 2*s)
			w.by("w1", 3*s, 4*s)
		}},
		"questions about nobody count for all": {audit.RuleConcurrency, none, audit.Caps{Concurrency: 2}, func(w *world) {
			w.by("w1", s, 3*s)
			w.by("w2", s, 3*s)
			at := time.Now().Add(2 * s)
			w.calls = append(w.calls, audit.Call{At: at, EndedAt: at.Add(s), Op: "list"})
		}},
		"look-ups and activates are at once, and in windows of their own": {audit.RuleConcurrency, none, audit.Caps{Concurrency: 1, Windows: []audit.Window{{Calls: 1, Per: time.Minute}}}, func(w *world) {
			w.by("w1", s, 3*s)
			w.by("w2", s, 3*s)
			last := &w.calls[len(w.calls)-1]
			last.Op, last.Applied, last.AppliedAt, last.Told = audit.LookUp, false, time.Time{}, audit.ToldInactive
		}},
		"one that was frozen on its way": {none, none, audit.Caps{Concurrency: 1, Windows: []audit.Window{{Calls: 1, Per: time.Minute}}}, func(w *world) {
			w.by("w1", s, 3*s)
			late := time.Now().Add(2 * s)
			w.customer().announce().claim(time.Millisecond).call(late)
			w.calls[len(w.calls)-1].EndedAt = late.Add(s)
		}},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.calls(w)
			w.acknowledge()
			for fleet, rule := range map[bool]audit.Rule{true: c.fleet, false: c.each} {
				r := w.audit(func(o *audit.Options) {
					o.Caps, o.Hold = c.caps, time.Minute
					o.Caps.Fleet = fleet
				})
				if broken := r.ByRule[audit.RuleConcurrency] + r.ByRule[audit.RuleRate]; rule == none && broken > 0 || rule != none && (broken != 1 || r.ByRule[rule] != 1) {
					t.Errorf("caps of all %t: breaches %v, want %q alone", fleet, r.Breaches, rule)
				}
			}
		})
	}
}
