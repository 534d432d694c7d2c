package kubernetes

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// serviceMonitor is what we use of the Prometheus operator's object of that name.
type serviceMonitor struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Selector  metav1.LabelSelector `json:"selector"`
		JobLabel  string               `json:"jobLabel"`
		Endpoints []struct {
			Port          string `json:"port"`
			Path          string `json:"path"`
			Interval      string `json:"interval"`
			ScrapeTimeout string `json:"scrapeTimeout"`
		} `json:"endpoints"`
	} `json:"spec"`
}

// prometheusRule is the operator's object for rules: a rules file of Prometheus as its spec.
type prometheusRule struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              ruleFile `json:"spec"`
}

type ruleFile struct {
	Groups []ruleGroup `json:"groups"`
}

type ruleGroup struct {
	Name     string `json:"name"`
	Interval string `json:"interval,omitempty"`
	Rules    []rule `json:"rules"`
}

type rule struct {
	Record        string            `json:"record,omitempty"`
	Alert         string            `json:"alert,omitempty"`
	Expr          string            `json:"expr"`
	For           string            `json:"for,omitempty"`
	KeepFiringFor string            `json:"keep_firing_for,omitempty"`
	Labels        map[string]string `json:"labels,omitempty"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

// auditMetrics begins what worker doctor --audit --metrics leaves for a node's exporter. In Kubernetes the job's own end tells,
// by the rules in audit.yaml.
const auditMetrics = "activation_audit_"

// ruleObject is the PrometheusRule of a rules file: the same rules but those on a file that no pod writes.
func ruleObject(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	object := prometheusRule{TypeMeta: metav1.TypeMeta{APIVersion: "monitoring.coreos.com/v1", Kind: "PrometheusRule"}}
	object.Name = "activation-worker"
	if err := yaml.UnmarshalStrict(text, &object.Spec); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for i, group := range object.Spec.Groups {
		kept := group.Rules[:0]
		for _, r := range group.Rules {
			if !strings.Contains(r.Expr, auditMetrics) {
				kept = append(kept, r)
			}
		}
		object.Spec.Groups[i].Rules = kept
	}
	out, err := yaml.Marshal(struct {
		metav1.TypeMeta `json:",inline"`
		Metadata        map[string]string `json:"metadata"`
		Spec            ruleFile          `json:"spec"`
	}{object.TypeMeta, map[string]string{"name": object.Name}, object.Spec})
	head := "# Made of deploy/prometheus/activation.rules.yaml: go -C deploy/check test ./kubernetes -run TestRules -update\n"
	return bytes.Join([][]byte{[]byte(head), out}, nil), err
}
