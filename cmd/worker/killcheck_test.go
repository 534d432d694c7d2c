package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/events"
	"activation-worker/internal/partnerapi/simulator"
)

// drainLimit is how long leftover deliveries and timers may take: a lease, its timer, a few negative acks.
const drainLimit = 45 * time.Second

func sortedIDs[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// drained waits until no delivery is pending, in hand or scheduled.
func drained(ctx context.Context, t *testing.T, js jetstream.JetStream) {
	t.Helper()
	streams := events.StreamsOf(events.DefaultStream)
	var left string
	if eventually(t, drainLimit, func() bool {
		left = ""
		for stream, name := range map[string]string{events.DefaultIntakeStream: events.ConsumerActivator, streams.Work: events.ConsumerDue} {
			cons, err := js.Consumer(ctx, stream, name)
			if err != nil {
				left = err.Error()
				return false
			}
			if info := cons.CachedInfo(); info.NumPending > 0 || info.NumAckPending > 0 {
				left += fmt.Sprintf("consumer %s has %d pending and %d without ack; ", name, info.NumPending, info.NumAckPending)
			}
		}
		work, err := js.Stream(ctx, streams.Work)
		if err != nil {
			left = err.Error()
			return false
		}
		if n := work.CachedInfo().State.Msgs; n > 0 {
			left += fmt.Sprintf("stream %s holds %d timers and wake-ups", streams.Work, n)
		}
		return left == ""
	}) {
		return
	}
	t.Errorf("%s after everybody was activated: %s", drainLimit, left)
}

// laggards names some customers that are not activated, with their newest state.
func (v *ledgerView) laggards(customers int) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var names []string
	for id := int64(killFirstID); id < killFirstID+int64(customers) && len(names) < 10; id++ {
		family := v.families[id]
		switch {
		case v.activated[id]:
		case len(family) == 0:
			names = append(names, fmt.Sprintf("%d never claimed", id))
		default:
			r := family[len(family)-1]
			names = append(names, fmt.Sprintf("%d %s (attempt %d, %s, unsettled %t, by %s, next %s)",
				id, r.State, r.Attempt, r.Reason, r.Unsettled, r.Worker, r.NextAttemptAt.Format(time.TimeOnly)))
		}
	}
	return fmt.Sprintf("%d of %d; %s", len(v.activated), customers, strings.Join(names, "; "))
}

// checkFamilies reads every customer's records as a chain.
func checkFamilies(t *testing.T, v *ledgerView, customers int) {
	t.Helper()
	for _, broken := range v.broken {
		t.Errorf("a record that cannot be read: %s", broken)
	}
	activated, takeovers, byLookup, deferred := 0, 0, 0, map[events.Reason]int{}
	for id, family := range v.families {
		for i, r := range family {
			if wrong := misfit(family[:i], r); wrong != "" {
				t.Errorf("customer %d: record %d of %d, %s: %s", id, i+1, len(family), r.State, wrong)
			}
			switch {
			case r.State == events.Activated:
				activated++
				if r.Via == events.ViaLookup {
					byLookup++
				}
			case r.State == events.Deferred:
				deferred[r.Reason]++
			case r.Trigger.Kind == events.TriggerRecovery:
				takeovers++
			}
		}
	}
	if len(v.families) != customers || len(v.activated) != customers || activated != customers {
		t.Errorf("%d customers have records, %d an activated one, and there are %d of these; want %d each",
			len(v.families), len(v.activated), activated, customers)
	}
	if takeovers == 0 || byLookup == 0 {
		t.Errorf("%d takeovers, %d found active by a look-up: the kills tested nothing", takeovers, byLookup)
	}
	t.Logf("%d activated, %d of them found active by a look-up; %d takeovers, deferred %v", activated, byLookup, takeovers, deferred)
}

// misfit says what is wrong with a record after the earlier ones of its family, or nothing.
func misfit(before []stored, r stored) string {
	var newest stored
	var expected uint64
	if len(before) > 0 {
		newest = before[len(before)-1]
		expected = newest.Sequence
	}
	switch {
	case r.ID != events.RecordID(r.DomainID, expected, r.State):
		return fmt.Sprintf("its id %s does not name the record before it, %d", r.ID, expected)
	case r.Round != 1:
		return fmt.Sprintf("it is of round %d", r.Round)
	case r.State == events.Failed:
		return fmt.Sprintf("given up: %s", r.Reason)
	case len(before) == 0 && r.State != events.Started:
		return "it is the first"
	case len(before) == 0:
		return ""
	case newest.State == events.Activated:
		return "it follows an activated one"
	case newest.State == events.Deferred && r.State != events.Started:
		return "it follows a deferred one"
	case newest.State == events.Started && r.State == events.Started && r.Time.Before(newest.LeaseExpiresAt):
		return fmt.Sprintf("it takes over from %s before the lease has ended", newest.Worker)
	case newest.State == events.Started && r.State == events.Started && (r.Trigger.Kind != events.TriggerRecovery || !r.Unsettled):
		return fmt.Sprintf("it takes over with trigger %s, unsettled %t", r.Trigger.Kind, r.Unsettled)
	}
	return ""
}

// checkCalls compares what the partner saw with what the ledger says.
func checkCalls(t *testing.T, v *ledgerView, j simulator.Journal) {
	t.Helper()
	for _, breach := range j.Check() {
		t.Errorf("the partner saw: %s", breach)
	}
	activates, lookups, faulty, unauthorized, lost := 0, 0, 0, 0, 0
	for _, c := range j.Calls {
		switch {
		case c.Fault != "":
			faulty++
		case c.Status == http.StatusUnauthorized:
			unauthorized++ // with a token that a fault had revoked; such a request meets no fault of its own
		}
		switch c.Op {
		case simulator.OpCustomer:
			lookups++
		case simulator.OpActivate:
			activates++
			if c.Applied && c.Lost {
				lost++
			}
			if wrong := unlicensed(v.families[c.DomainID], c); wrong != "" {
				t.Errorf("customer %d: activate (call %d) at %s %s", c.DomainID, c.Seq, c.At.Format(time.StampMicro), wrong)
			}
		}
	}
	for id, n := range j.Customers {
		if n.Applied != 1 || n.ActivatesAtOnce > 1 {
			t.Errorf("customer %d: %d activate calls took effect, want 1; %d were under way at once", id, n.Applied, n.ActivatesAtOnce)
		}
	}
	share := float64(faulty) / float64(len(j.Calls)-unauthorized)
	if share < killFaults/2 || lost == 0 {
		t.Errorf("%.1f%% of the calls met a fault, want about %.0f%%; %d answers of activations were lost", 100*share, 100*killFaults, lost)
	}
	t.Logf("%d activates, %d of which took effect and were not answered whole, and %d look-ups; %.1f%% met a fault, not counting %d with a revoked token; %d tokens",
		activates, lost, lookups, 100*share, unauthorized, j.Tokens)
}

// unlicensed says why an activate call was not allowed to begin when it did, or nothing. Ledger, partner and
// workers share the machine's clock.
func unlicensed(family []stored, c simulator.Call) string {
	var claim *stored
	for i, r := range family {
		if r.at.After(c.At) {
			break
		}
		if r.State == events.Activated {
			return "began after the activated record of " + r.at.Format(time.StampMicro)
		}
		claim = &family[i]
	}
	switch {
	case claim == nil || claim.State != events.Started:
		return "began without a claim"
	case c.At.After(claim.LeaseExpiresAt):
		return "began after the end of the lease"
	}
	return ""
}

// checkOutput looks through what all workers said.
func checkOutput(t *testing.T, f *fleet, j simulator.Journal) {
	t.Helper()
	secrets := slices.DeleteFunc(j.Secrets(), func(s string) bool { return s == "" })
	slices.SortFunc(secrets, cmp.Compare[string])
	secrets = slices.Compact(secrets)
	for i, p := range f.all {
		said := p.stdout.String() + p.stderr.String()
		if at := strings.Index(said, "panic:"); at >= 0 {
			t.Errorf("worker %d panicked: %.2000s", i+1, said[at:])
		}
		for _, secret := range secrets {
			if strings.Contains(said, secret) {
				t.Errorf("worker %d wrote a secret", i+1)
			}
		}
	}
}
