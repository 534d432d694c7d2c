package main

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/audit"
	"activation-worker/internal/events"
	"activation-worker/internal/partnerapi/simulator"
)

// partnerCalls is what the partner saw, as the auditor reads it.
func partnerCalls(j simulator.Journal) []audit.Call {
	calls := make([]audit.Call, 0, len(j.Calls))
	for _, c := range j.Calls {
		op := audit.Op(c.Op)
		if c.Op == simulator.OpCustomer {
			op = audit.LookUp
		}
		calls = append(calls, audit.Call{
			At: c.At, EndedAt: c.EndedAt, AppliedAt: c.AppliedAt, Op: op, DomainID: c.DomainID, Applied: c.Applied, Lost: c.Lost, Told: string(c.Told),
		})
	}
	return calls
}

// audited holds the whole ledger and what the partner saw against the promises, and fails at each breach. Ledger, partner and workers
// share the machine's clock, and nothing between them holds requests: one that arrives late was sent late.
func audited(t *testing.T, js jetstream.JetStream, j simulator.Journal, caps audit.Caps) *audit.Report {
	t.Helper()
	r, err := audit.Run(t.Context(), js, audit.Options{
		Streams: events.StreamsOf(events.DefaultStream), Intake: events.DefaultIntakeStream, Calls: partnerCalls(j), Caps: caps,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range r.Breaches {
		t.Errorf("breach of %s: customer %d, sequence %d: %s", b.Rule, b.DomainID, b.Sequence, b.Text)
	}
	for _, note := range r.Notes {
		t.Log("audit: " + note)
	}
	return r
}
