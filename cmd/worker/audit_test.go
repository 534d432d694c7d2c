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
