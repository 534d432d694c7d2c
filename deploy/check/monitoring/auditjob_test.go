package monitoring

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"sigs.k8s.io/yaml"

	"activation-worker/deploy/check/deploytest"
)

// auditJobSeries are what kube-state-metrics tells of three nights: the first audit fails, the second does well; the job that failed is kept.
const auditJobSeries = `
rule_files: [rules.yaml]
evaluation_interval: 1h
tests:
  - interval: 1h
    input_series:
      - {series: 'kube_cronjob_info{namespace="activation",cronjob="activation-audit"}', values: '1x72'}
      - {series: 'kube_cronjob_status_last_successful_time{namespace="activation",cronjob="activation-audit"}', values: '0x27 100800x72'}
      - {series: 'kube_job_created{namespace="activation",job_name="activation-audit-1"}', values: '_x4 14400x68'}
      - {series: 'kube_job_status_failed{namespace="activation",job_name="activation-audit-1",reason="BackoffLimitExceeded"}', values: '_x4 1x68'}
      - {series: 'kube_job_status_failed{namespace="activation",job_name="activation-audit-1",reason="Evicted"}', values: '_x4 0x68'}
      - {series: 'kube_job_created{namespace="activation",job_name="activation-audit-2"}', values: '_x28 100800x44'}
      - {series: 'kube_job_status_failed{namespace="activation",job_name="activation-audit-2"}', values: '_x28 0x44'}
      - {series: 'kube_job_status_failed{namespace="activation",job_name="other"}', values: '1x72'}
    promql_expr_test:
      - {expr: 'count(ALERTS{alertname="ActivationAuditBreach",alertstate="firing"}) or vector(0)', eval_time: 3h, exp_samples: [{labels: '{}', value: 0}]}
      - {expr: 'count(ALERTS{alertname="ActivationAuditBreach",alertstate="firing",job_name="activation-audit-1",namespace="activation"})', eval_time: 20h, exp_samples: [{labels: '{}', value: 1}]}
      - {expr: 'count(ALERTS{alertname="ActivationAuditBreach",alertstate="firing"}) or vector(0)', eval_time: 30h, exp_samples: [{labels: '{}', value: 0}]}
  - interval: 1h
    input_series: # it has never done well
      - {series: 'kube_job_created{namespace="activation",job_name="activation-audit-1"}', values: '14400x72'}
      - {series: 'kube_job_status_failed{namespace="activation",job_name="activation-audit-1",reason="DeadlineExceeded"}', values: '1x72'}
    promql_expr_test:
      - {expr: 'count(ALERTS{alertname="ActivationAuditBreach",alertstate="firing"})', eval_time: 70h, exp_samples: [{labels: '{}', value: 1}]}
`

// TestTheAuditsJobIsToldUntilTheNextDoesWell: in Kubernetes a job that has failed is kept for a while, and is no breach any more when the
// next has found none.
func TestTheAuditsJobIsToldUntilTheNextDoesWell(t *testing.T) {
	t.Parallel()
	var object struct {
		Spec any `json:"spec"`
	}
	if err := yaml.Unmarshal(read(t, deploytest.Shipped("kubernetes", "monitoring", "audit.yaml")), &object); err != nil {
		t.Fatal(err)
	}
	rules, err := yaml.Marshal(object.Spec)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string][]byte{"rules.yaml": rules, "tests.yaml": []byte(auditJobSeries)} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if said, err := exec.CommandContext(t.Context(), "promtool", "test", "rules", filepath.Join(dir, "tests.yaml")).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, said)
	}
}
