package main

import (
	"fmt"
	"strings"

	"activation-worker/internal/audit"
	"activation-worker/internal/partnerapi/simulator"
)

// report is the table at the end.
func (g *game) report(journal simulator.Journal, a *audit.Report) string {
	var b strings.Builder
	section := func(title string, lines []string) {
		if len(lines) > 0 {
			fmt.Fprintf(&b, "\n%s\n  %s\n", title, strings.Join(lines, "\n  "))
		}
	}
	section("blows", g.notes.table())
	section("customers", g.view.outcomes())
	c := countCalls(journal)
	section("calls", []string{
		sum("activate", a.Partner.Activates),
		sum("look-up", a.Partner.LookUps),
		sum("others", a.Partner.Calls-a.Partner.Activates-a.Partner.LookUps),
		sum("met a fault", c.faulty),
		sum("took effect, and the answer was lost", c.lost),
		sum("for a customer active already", c.again),
		sum("frozen on the way", a.Partner.Frozen),
		sum("most of all workers at once", a.Partner.AtOnce),
	})
	section("ledger", []string{
		sum("records", a.Ledger.Records),
		sum("takeovers", a.Ledger.Takeovers),
		sum("of these before the server's clock", a.Ledger.EarlyTakeovers),
		sum("activated, as a look-up found", a.Ledger.ByLookUp),
		sum("announcements read", a.Intake.Read),
		sum("duplicates among them", a.Intake.Repeated),
		sum("rejected among them", a.Intake.Rejected),
	})
	section("the auditor's notes", a.Notes)
	section("odd", g.notes.odd)
	section("BREACHES", g.notes.breaches)
	if len(g.notes.breaches) == 0 {
		b.WriteString("\nno breach\n")
	}
	return b.String()
}

func sum(what string, n int) string { return fmt.Sprintf("%-36s %7d", what, n) }

// calls are sums of the partner's journal.
type calls struct {
	faulty int // met a fault
	lost   int // took effect, and the answer was lost
	again  int // activate for a customer active already
}

func countCalls(journal simulator.Journal) (c calls) {
	active := map[int64]bool{}
	for _, call := range journal.Calls {
		if call.Fault != "" {
			c.faulty++
		}
		if call.Op != simulator.OpActivate {
			continue
		}
		if active[call.DomainID] {
			c.again++
		}
		if call.Applied {
			active[call.DomainID] = true
			if call.Lost {
				c.lost++
			}
		}
	}
	return c
}
