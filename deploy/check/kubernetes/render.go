// Package kubernetes holds deploy/kubernetes against kustomize and the types of Kubernetes, and against the worker: what the
// manifests say of it must be so.
package kubernetes

import (
	"bytes"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// manifests are the objects that a folder renders to, strictly decoded: no field that Kubernetes does not know.
type manifests struct {
	deployments     []*appsv1.Deployment
	jobs            []*batchv1.Job
	cronJobs        []*batchv1.CronJob
	services        []*corev1.Service
	configMaps      []*corev1.ConfigMap
	serviceAccounts []*corev1.ServiceAccount
	budgets         []*policyv1.PodDisruptionBudget
	policies        []*networkingv1.NetworkPolicy
	monitors        []*serviceMonitor
	rules           []*prometheusRule
}

// pod is a pod's template, whatever makes pods of it.
type pod struct {
	name string
	spec corev1.PodSpec
}

// pods are all templates.
func (m *manifests) pods() []pod {
	var all []pod
	for _, d := range m.deployments {
		all = append(all, pod{"Deployment " + d.Name, d.Spec.Template.Spec})
	}
	for _, j := range m.jobs {
		all = append(all, pod{"Job " + j.Name, j.Spec.Template.Spec})
	}
	for _, c := range m.cronJobs {
		all = append(all, pod{"CronJob " + c.Name, c.Spec.JobTemplate.Spec.Template.Spec})
	}
	return all
}

// configMap is what a config map holds, by the name that a pod refers to.
func (m *manifests) configMap(name string) (*corev1.ConfigMap, bool) {
	i := slices.IndexFunc(m.configMaps, func(c *corev1.ConfigMap) bool { return c.Name == name })
	if i < 0 {
		return nil, false
	}
	return m.configMaps[i], true
}

// Worker is the worker's pod in a folder, its container, and the container's environment as far as the manifests say it.
func Worker(dir string) (corev1.PodSpec, corev1.Container, map[string]string, error) {
	m, err := render(dir)
	if err != nil {
		return corev1.PodSpec{}, corev1.Container{}, nil, err
	}
	if len(m.deployments) != 1 {
		return corev1.PodSpec{}, corev1.Container{}, nil, fmt.Errorf("%s has %d deployments", dir, len(m.deployments))
	}
	spec := m.deployments[0].Spec.Template.Spec
	return spec, spec.Containers[0], environment(m, spec.Containers[0]), nil
}

// render builds a folder as kubectl apply -k does, and decodes what comes out.
func render(dir string) (*manifests, error) {
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		return nil, fmt.Errorf("kustomize build %s: %w", dir, err)
	}
	text, err := built.AsYaml()
	if err != nil {
		return nil, fmt.Errorf("kustomize build %s: %w", dir, err)
	}
	return decode(text)
}

// decode reads the documents of a stream of YAML.
func decode(text []byte) (*manifests, error) {
	m := &manifests{}
	for document := range bytes.SplitSeq(text, []byte("\n---\n")) {
		var head struct {
			Kind       string `json:"kind"`
			APIVersion string `json:"apiVersion"`
		}
		if err := yaml.Unmarshal(document, &head); err != nil {
			return nil, err
		}
		var err error
		switch head.APIVersion + " " + head.Kind {
		case "apps/v1 Deployment":
			m.deployments, err = into(m.deployments, document)
		case "batch/v1 Job":
			m.jobs, err = into(m.jobs, document)
		case "batch/v1 CronJob":
			m.cronJobs, err = into(m.cronJobs, document)
		case "v1 Service":
			m.services, err = into(m.services, document)
		case "v1 ConfigMap":
			m.configMaps, err = into(m.configMaps, document)
		case "v1 ServiceAccount":
			m.serviceAccounts, err = into(m.serviceAccounts, document)
		case "policy/v1 PodDisruptionBudget":
			m.budgets, err = into(m.budgets, document)
		case "networking.k8s.io/v1 NetworkPolicy":
			m.policies, err = into(m.policies, document)
		case "monitoring.coreos.com/v1 ServiceMonitor":
			m.monitors, err = into(m.monitors, document)
		case "monitoring.coreos.com/v1 PrometheusRule":
			m.rules, err = into(m.rules, document)
		default:
			err = fmt.Errorf("nothing of ours: %s %s", head.APIVersion, head.Kind)
		}
		if err != nil {
			return nil, fmt.Errorf("%w, in:\n%s", err, document)
		}
	}
	return m, nil
}

func into[T any](list []*T, document []byte) ([]*T, error) {
	object := new(T)
	err := yaml.UnmarshalStrict(document, object)
	return append(list, object), err
}

// environment is a container's environment as far as the manifests say it; what comes from elsewhere has no value.
func environment(m *manifests, c corev1.Container) map[string]string {
	env := map[string]string{}
	for _, from := range c.EnvFrom {
		if from.ConfigMapRef != nil {
			if data, found := m.configMap(from.ConfigMapRef.Name); found {
				for key, value := range data.Data {
					env[key] = value
				}
			}
		}
	}
	for _, e := range c.Env {
		env[e.Name] = e.Value
	}
	return env
}
