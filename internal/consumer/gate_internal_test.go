package consumer

import (
	"context"
	"testing"
	"time"

	"go.uber.org/zap"

	"activation-worker/internal/activation"
	"activation-worker/internal/events"
	"activation-worker/internal/quota"
	"activation-worker/internal/quota/quotatest"
)

// A probe that has both proved the partner well and found out nothing of an activate offers its ticket again just before the gate
// opens. Whoever takes announcements then must not go on one by one.
func TestAnOpenGateEndsTheTakingOfProbes(t *testing.T) {
	t.Parallel()
	w := New(Options{Log: zap.NewNop(), Pacer: quota.New(quota.Options{Store: &quotatest.Memory{}, Log: zap.NewNop()})})
	g := w.gate
	shut := &Trouble{Reason: PartnerTrouble, probe: activation.LookUp}
	g.shut, g.ticket = shut, ticketTaken
	answers := []activation.Answer{{Operation: activation.LookUp, Kind: activation.Inactive, Status: 200}}
	g.judge(1, activation.Verdict{State: events.Deferred, Reason: events.UnknownOutcome, Cause: answers[0]}, answers, true)
	ctx, probing, closed := g.open(t.Context(), true)
	defer closed()
	if !probing || !g.passed {
		t.Fatalf("probing %v, passed %v", probing, g.passed)
	}
	g.resume(context.Background(), shut, time.Now())
	if g.isShut() {
		t.Fatal("the gate is shut")
	}
	select {
	case <-ctx.Done():
	case <-time.After(time.Second):
		t.Error("the gate is open, and announcements are still taken one by one, as probes")
	}
}

// probes counts what probes have found out.
type probes struct {
	nobody
	told int
}

func (p *probes) Probed(bool) { p.told++ }

// partnerWithToken has a token, and is asked nothing else.
type partnerWithToken struct{ Partner }

func (partnerWithToken) EnsureToken(context.Context) error { return nil }

// A probe that is not made, since the worker stops, has found out nothing.
func TestAProbeThatIsNotMadeIsNotCounted(t *testing.T) {
	t.Parallel()
	seen := &probes{}
	w := New(Options{
		Log: zap.NewNop(), Partner: partnerWithToken{}, Observer: seen, Timeout: time.Second, Lease: time.Minute,
		Pacer: quota.New(quota.Options{Store: &quotatest.Memory{}, Log: zap.NewNop()}),
	})
	w.stopNow()
	shut := &Trouble{Reason: PartnerTrouble, probe: activation.List}
	w.gate.shut, w.gate.told = shut, true
	w.gate.probe(t.Context(), shut)
	if seen.told > 0 || w.gate.passed {
		t.Errorf("%d probes are counted, passed %t", seen.told, w.gate.passed)
	}
}
