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

	"activation-worker/internal/audit"
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

// checkEnd looks at what the audit of the whole has counted: everybody was activated in the first round, and the kills were felt.
func checkEnd(t *testing.T, r *audit.Report, customers int) {
	t.Helper()
	l := r.Ledger
	if l.Customers != customers || l.States[events.Activated] != customers || l.Rounds != customers {
		t.Errorf("%d customers have records, %d are activated, in %d rounds; want %d each", l.Customers, l.States[events.Activated], l.Rounds, customers)
	}
	if r.Intake.Read != customers || r.Intake.Unread != 0 {
		t.Errorf("%d announcements are acknowledged and %d are not, want %d and none", r.Intake.Read, r.Intake.Unread, customers)
	}
	if l.Takeovers == 0 || l.ByLookUp == 0 {
		t.Errorf("%d takeovers, %d found active by a look-up: the kills tested nothing", l.Takeovers, l.ByLookUp)
	}
	t.Logf("%d records, %d activated, %d of them found active by a look-up; %d claims, %d of them takeovers; audited in %s",
		l.Records, l.States[events.Activated], l.ByLookUp, l.Claims, l.Takeovers, r.Took)
}

// checkCalls looks at what the partner saw, beyond what the audit does.
func checkCalls(t *testing.T, j simulator.Journal) {
	t.Helper()
	faulty, unauthorized, lost := 0, 0, 0
	for _, c := range j.Calls {
		switch {
		case c.Fault != "":
			faulty++
		case c.Status == http.StatusUnauthorized:
			unauthorized++ // with a token that a fault had revoked; such a request meets no fault of its own
		}
		if c.Op == simulator.OpActivate && c.Applied && c.Lost {
			lost++
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
		len(j.Of(0, simulator.OpActivate)), lost, len(j.Of(0, simulator.OpCustomer)), 100*share, unauthorized, j.Tokens)
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
