package systemd

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"activation-worker/deploy/check/deploytest"
)

// TestAuditRuns: the audit's command line, with its environment and credentials, leaves what Prometheus is to read.
func TestAuditRuns(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	audit := s.command("activation-audit.service")
	const flag = "/var/lib/prometheus/node-exporter/activation_audit.prom"
	at := slices.Index(audit.Args, flag)
	if at < 0 {
		t.Fatalf("the audit leaves no %s: %s", flag, audit)
	}
	audit.Args[at] = filepath.Join(t.TempDir(), "activation_audit.prom")
	deploytest.Must(t, audit)
	text, err := os.ReadFile(audit.Args[at])
	for _, want := range []string{`activation_audit_breaches{rule="chain"} 0`, "activation_audit_last_run_timestamp_seconds "} {
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("the audit left no %s (%v) but:\n%s", want, err, text)
		}
	}
}
