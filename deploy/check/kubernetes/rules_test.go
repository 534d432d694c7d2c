package kubernetes

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"activation-worker/deploy/check/deploytest"
)

var update = flag.Bool("update", false, "write the PrometheusRule anew")

// TestRules: the PrometheusRule is made of Prometheus' rules as they are.
func TestRules(t *testing.T) {
	t.Parallel()
	file := deploytest.Shipped("kubernetes", "monitoring", "prometheusrule.yaml")
	want, err := ruleObject(deploytest.Shipped("prometheus", "activation.rules.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not current (%v): run this test with -update", file, err)
	}
}
