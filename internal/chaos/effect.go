package main

import (
	"errors"
	"fmt"

	"activation-worker/internal/audit"
	"activation-worker/internal/partnerapi/simulator"
)

// effect is something that the blows are there to bring about. A run without it has shown nothing of the promise that depends on it.
type effect struct {
	what        string
	seen, least int
}

const (
	// perEffect is how many customers a run has for each time that an effect has to be seen at least. Seen are ten times as many; a run
	// of fewer customers may see none.
	perEffect = 250
	// perTakeover is the same of kills: who kills next to nobody sees few takeovers.
	perTakeover = 4
)

func (o options) effects(journal simulator.Journal, a *audit.Report) []effect {
	least := o.customers / perEffect
	all := []effect{
		{"takeovers of a dead worker's claim", a.Ledger.Takeovers, min(least, o.kills/perTakeover)},
		{"duplicates among the announcements", a.Intake.Repeated, least},
	}
	if o.faults > 0 {
		c := countCalls(journal)
		all = append(all, effect{"faults of the partner", c.faulty, least}, effect{"activations whose answer was lost", c.lost, least})
	}
	return all
}

// toothless says which effects are wanting.
func toothless(all []effect) error {
	var wanting []error
	for _, e := range all {
		if e.seen < e.least {
			wanting = append(wanting, fmt.Errorf("the blows tested nothing: %d %s, want at least %d", e.seen, e.what, e.least))
		}
	}
	return errors.Join(wanting...)
}
