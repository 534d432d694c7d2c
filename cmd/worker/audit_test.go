package main

import (
	"strings"
	"testing"

	"activation-worker/internal/audit"
)

// TestAuditPromisesNoMoreThanItHasChecked: where something was left out, that nothing was found is not said of everything.
func TestAuditPromisesNoMoreThanItHasChecked(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		report audit.Report
		want   string
	}{
		"everything":        {audit.Report{}, "none: every record that is kept is as promised"},
		"records left out":  {audit.Report{Notes: []string{"2 records are of a newer worker"}}, "none among what could be checked"},
		"announcements not": {audit.Report{Intake: audit.IntakeCounts{Unchecked: 1}}, "none among what could be checked"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			if text := auditText(&c.report); !strings.Contains(text, c.want) {
				t.Errorf("it says %q, want %q", text, c.want)
			}
		})
	}
}

// TestAuditMetricsListEveryRule: what an audit can find broken is in the file, whichever rule it is.
func TestAuditMetricsListEveryRule(t *testing.T) {
	t.Parallel()
	text := auditMetrics(&audit.Report{ByRule: map[audit.Rule]int{audit.RuleLost: 3}})
	for _, rule := range audit.LedgerRules() {
		if audit.MeaningOf(rule).Means == "" {
			t.Errorf("%s means nothing", rule)
		}
		if !strings.Contains(text, `{rule="`+string(rule)+`"}`) {
			t.Errorf("%s is not in the file", rule)
		}
	}
	if !strings.Contains(text, `{rule="lost"} 3`) {
		t.Errorf("it says\n%s", text)
	}
}
