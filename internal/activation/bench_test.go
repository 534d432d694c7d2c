package activation_test

import (
	"testing"
	"time"

	"activation-worker/internal/activation"
	"activation-worker/internal/events"
)

// BenchmarkDecide is all that is decided for a fresh customer whom the partner activates at once: what to do, the claim, what to ask,
// what the answer means, and the record of it.
func BenchmarkDecide(b *testing.B) {
	accepted, policy := announced(0), activation.DefaultPolicy()
	yes := []activation.Answer{answer(activation.Activate, activation.Active, at(2*time.Second))}
	b.ReportAllocs()
	for b.Loop() {
		decision := activation.Next(nil, activation.CueOf(accepted, at(time.Second)), at(time.Second))
		claim := activation.Start(decision.Step, nil, accepted, domainID, activation.Claimant{Worker: "w1", LeaseExpiresAt: at(time.Minute)}, at(time.Second))
		if question, _ := activation.Plan(claim, nil, policy); question != activation.Activate {
			b.Fatal(question)
		}
		_, verdict := activation.Plan(claim, yes, policy)
		if r := activation.Conclude(claim, yes, verdict, policy, at(3*time.Second), 0.5); r.State != events.Activated {
			b.Fatal(r.State)
		}
	}
}
