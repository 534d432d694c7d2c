package main

import (
	"testing"

	"activation-worker/internal/audit"
	"activation-worker/internal/partnerapi/simulator"
)

// A run whose blows hit nothing does not pass.
func TestARunWithoutEffectFails(t *testing.T) {
	t.Parallel()
	lost := simulator.Call{Op: simulator.OpActivate, DomainID: 1, Applied: true, Lost: true, Fault: string(simulator.Lost)}
	whole := func() (simulator.Journal, *audit.Report) {
		a := &audit.Report{}
		a.Ledger.Takeovers, a.Intake.Repeated = 1, 1
		return simulator.Journal{Calls: []simulator.Call{lost}}, a
	}
	for name, c := range map[string]struct {
		change func(*options, *simulator.Journal, *audit.Report)
		fails  bool
	}{
		"all is there":    {func(*options, *simulator.Journal, *audit.Report) {}, false},
		"no takeover":     {func(_ *options, _ *simulator.Journal, a *audit.Report) { a.Ledger.Takeovers = 0 }, true},
		"no duplicate":    {func(_ *options, _ *simulator.Journal, a *audit.Report) { a.Intake.Repeated = 0 }, true},
		"no lost answer":  {func(_ *options, j *simulator.Journal, _ *audit.Report) { j.Calls[0].Lost = false }, true},
		"no effect of it": {func(_ *options, j *simulator.Journal, _ *audit.Report) { j.Calls[0].Applied = false }, true},
		"a larger run":    {func(o *options, _ *simulator.Journal, _ *audit.Report) { o.customers = 10_000 }, true},
		"hardly a kill":   {func(o *options, _ *simulator.Journal, a *audit.Report) { o.kills, a.Ledger.Takeovers = 1, 0 }, false},
		"faults unwanted": {func(o *options, j *simulator.Journal, _ *audit.Report) { o.faults, j.Calls = 0, nil }, false},
		"a tiny run": {func(o *options, j *simulator.Journal, a *audit.Report) {
			o.customers, j.Calls = 20, nil
			a.Ledger.Takeovers, a.Intake.Repeated = 0, 0
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := small()
			o.faults = 0.25
			journal, a := whole()
			c.change(&o, &journal, a)
			if err := toothless(o.effects(journal, a)); (err != nil) != c.fails {
				t.Errorf("said %v", err)
			}
		})
	}
}
