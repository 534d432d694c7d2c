package kubernetes

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"activation-worker/deploy/check/deploytest"
)

func TestMain(m *testing.M) { os.Exit(deploytest.Main(m)) }

// folders are what people build: the base by itself, and the overlay with all that there is.
var folders = []string{"base", "example"}

func rendered(t *testing.T, folder string) *manifests {
	t.Helper()
	m, err := render(deploytest.Shipped("kubernetes", folder))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestManifests: each folder renders to objects that Kubernetes knows, and they keep what README.md says of them.
func TestManifests(t *testing.T) {
	t.Parallel()
	known := deploytest.Settings(t)
	for _, folder := range folders {
		m := rendered(t, folder)
		for _, fault := range faults(t, m, known) {
			t.Errorf("%s: %s", folder, fault)
		}
	}
}

// faults is what is wrong with manifests.
func faults(t *testing.T, m *manifests, known deploytest.Known) []string {
	t.Helper()
	var all []string
	add := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if len(m.deployments) != 1 || len(m.jobs) != 1 || len(m.cronJobs) != 1 || len(m.services) != 1 || len(m.budgets) != 1 || len(m.policies) != 1 {
		add("not one deployment, job, cron job, service, budget and network policy")
		return all
	}
	for _, p := range m.pods() {
		for _, fault := range slices.Concat(podFaults(p), settingFaults(m, p, known)) {
			add("%s: %s", p.name, fault)
		}
	}

	d := m.deployments[0]
	if *d.Spec.Replicas != 2 {
		add("%d replicas", *d.Spec.Replicas)
	}
	timeout, err := time.ParseDuration(environment(m, d.Spec.Template.Spec.Containers[0])["LINEWORKS_TIMEOUT"])
	if err != nil {
		t.Fatal(err)
	}
	if grace := *d.Spec.Template.Spec.TerminationGracePeriodSeconds; grace <= int64((timeout + 10*time.Second).Seconds()) {
		add("terminationGracePeriodSeconds is %d, a stop takes up to %s", grace, timeout+10*time.Second)
	}
	c := d.Spec.Template.Spec.Containers[0]
	for name, probe := range map[string]*corev1.Probe{"liveness": c.LivenessProbe, "readiness": c.ReadinessProbe, "startup": c.StartupProbe} {
		if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Port.String() != "http" {
			add("no %s probe at the port http", name)
		}
	}
	labels := d.Spec.Template.Labels
	for name, selector := range map[string]map[string]string{
		"deployment": d.Spec.Selector.MatchLabels, "service": m.services[0].Spec.Selector, "budget": m.budgets[0].Spec.Selector.MatchLabels,
		"network policy": m.policies[0].Spec.PodSelector.MatchLabels,
	} {
		if !selects(selector, labels) {
			add("the selector of the %s does not select the worker's pods", name)
		}
	}
	for _, monitor := range m.monitors {
		if !selects(monitor.Spec.Selector.MatchLabels, m.services[0].Labels) || monitor.Spec.Endpoints[0].Port != m.services[0].Spec.Ports[0].Name {
			add("the service monitor does not find the service's port")
		}
		if job := m.services[0].Labels[monitor.Spec.JobLabel]; !strings.HasPrefix(job, "activation-worker") {
			add("the rules are for jobs called activation-worker…, this one is called %q", job)
		}
	}
	return all
}

func selects(selector, labels map[string]string) bool {
	for key, value := range selector {
		if labels[key] != value {
			return false
		}
	}
	return len(selector) > 0
}

// podFaults is what a pod is allowed too much.
func podFaults(p pod) []string {
	var all []string
	wrong := func(is bool, what string) {
		if is {
			all = append(all, what)
		}
	}
	s := p.spec.SecurityContext
	wrong(s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || s.RunAsUser == nil || *s.RunAsUser != 65532 || s.RunAsGroup == nil || *s.RunAsGroup != 65532, "not run as 65532")
	wrong(s == nil || s.SeccompProfile == nil || s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault, "no seccomp profile")
	wrong(s == nil || s.FSGroup == nil || *s.FSGroup != 65532, "the secrets' files are not readable")
	wrong(p.spec.AutomountServiceAccountToken == nil || *p.spec.AutomountServiceAccountToken, "has a token for Kubernetes")
	wrong(p.spec.HostNetwork || p.spec.HostPID || p.spec.HostIPC, "is in the host's namespaces")
	for _, c := range p.spec.Containers {
		s := c.SecurityContext
		wrong(s == nil || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation, "may gain privileges")
		wrong(s == nil || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem, "may write its root")
		wrong(s == nil || s.Capabilities == nil || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) || len(s.Capabilities.Add) > 0, "has capabilities")
		wrong(s != nil && s.Privileged != nil && *s.Privileged, "is privileged")
		wrong(c.Resources.Requests.Cpu().IsZero() || c.Resources.Requests.Memory().IsZero() || c.Resources.Limits.Memory().IsZero(), "requests or limits are missing")
	}
	for _, v := range p.spec.Volumes {
		wrong(v.HostPath != nil, "mounts the host's files")
		wrong(v.Secret != nil && (v.Secret.DefaultMode == nil || *v.Secret.DefaultMode != 0o440), "others may read a secret")
	}
	return all
}

// settingFaults is what a pod tells the worker and the worker would not understand, and files that it names and does not have.
func settingFaults(m *manifests, p pod, known deploytest.Known) []string {
	var all []string
	for _, c := range p.spec.Containers {
		for _, from := range c.EnvFrom {
			if from.ConfigMapRef == nil {
				all = append(all, "settings from somewhere else than a config map")
			} else if _, found := m.configMap(from.ConfigMapRef.Name); !found {
				all = append(all, "no config map "+from.ConfigMapRef.Name)
			}
		}
		env := environment(m, c)
		if env["WORKER_EMBEDDED_NATS"] != "never" {
			all = append(all, "may start a NATS server of its own")
		}
		for name, value := range env {
			if err := known.Check(name, value); err != nil {
				all = append(all, err.Error())
			}
			if strings.HasPrefix(value, "/") && !strings.Contains(name, "URL") && !hasFile(p.spec, c, value) {
				all = append(all, fmt.Sprintf("%s names %s, which nothing mounts", name, value))
			}
		}
		for _, e := range c.Env {
			if ref := e.ValueFrom; ref != nil && ref.SecretKeyRef != nil {
				if _, secret := known[e.Name+"_FILE"]; secret {
					all = append(all, e.Name+" is a secret in the environment: name a file")
				}
			}
		}
	}
	return all
}

// hasFile tells whether a file is in one of a container's mounts.
func hasFile(spec corev1.PodSpec, c corev1.Container, file string) bool {
	for _, mount := range c.VolumeMounts {
		if mount.MountPath != path.Dir(file) || !mount.ReadOnly {
			continue
		}
		for _, v := range spec.Volumes {
			if v.Name != mount.Name {
				continue
			}
			if v.Secret == nil {
				return v.ConfigMap != nil
			}
			return slices.ContainsFunc(v.Secret.Items, func(i corev1.KeyToPath) bool { return i.Path == path.Base(file) })
		}
	}
	return false
}

// TestBrokenManifestsAreSeen: each fault that these checks are for is found in manifests that have it.
func TestBrokenManifestsAreSeen(t *testing.T) {
	t.Parallel()
	known := deploytest.Settings(t)
	worker := func(m *manifests) *corev1.PodSpec { return &m.deployments[0].Spec.Template.Spec }
	no := false
	for want, spoil := range map[string]func(*manifests){
		"a stop takes up to": func(m *manifests) { *worker(m).TerminationGracePeriodSeconds = 40 },
		"LINEWORKS_TIMEOOT is no setting": func(m *manifests) {
			worker(m).Containers[0].Env = append(worker(m).Containers[0].Env, corev1.EnvVar{Name: "LINEWORKS_TIMEOOT"})
		},
		"LINEWORKS_CLIENT_SECRET is a secret": func(m *manifests) {
			worker(m).Containers[0].Env = append(worker(m).Containers[0].Env, corev1.EnvVar{Name: "LINEWORKS_CLIENT_SECRET", Value: "x"})
		},
		"LINEWORKS_PRIVATE_KEY is a secret in the environment": func(m *manifests) {
			worker(m).Containers[0].Env = append(worker(m).Containers[0].Env, corev1.EnvVar{
				Name: "LINEWORKS_PRIVATE_KEY", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{Key: "k"}},
			})
		},
		"which nothing mounts": func(m *manifests) { worker(m).Containers[0].VolumeMounts = nil },
		"not run as 65532": func(m *manifests) {
			m.cronJobs[0].Spec.JobTemplate.Spec.Template.Spec.SecurityContext.RunAsNonRoot = &no
		},
		"may write its root": func(m *manifests) { worker(m).Containers[0].SecurityContext.ReadOnlyRootFilesystem = &no },
		"has capabilities":   func(m *manifests) { worker(m).Containers[0].SecurityContext.Capabilities.Drop = nil },
		"no seccomp profile": func(m *manifests) { m.jobs[0].Spec.Template.Spec.SecurityContext.SeccompProfile = nil },
		"no readiness probe": func(m *manifests) { worker(m).Containers[0].ReadinessProbe = nil },
		"selector of the":    func(m *manifests) { m.services[0].Spec.Selector["app.kubernetes.io/component"] = "other" },
		"requests or limits": func(m *manifests) { worker(m).Containers[0].Resources = corev1.ResourceRequirements{} },
		"no config map":      func(m *manifests) { m.configMaps = nil },
		"may start a NATS":   func(m *manifests) { worker(m).Containers[0].EnvFrom = nil },
		"others may read":    func(m *manifests) { *worker(m).Volumes[0].Secret.DefaultMode = 0o444 },
		"not one deployment": func(m *manifests) { m.policies = nil },
		"has a token":        func(m *manifests) { worker(m).AutomountServiceAccountToken = nil },
		"replicas":           func(m *manifests) { *m.deployments[0].Spec.Replicas = 10 },
	} {
		m := rendered(t, "base")
		spoil(m)
		if want == "no config map" {
			m.deployments[0].Spec.Template.Spec.Containers[0].Env = append(m.deployments[0].Spec.Template.Spec.Containers[0].Env, corev1.EnvVar{Name: "LINEWORKS_TIMEOUT", Value: "30s"})
		}
		if want == "may start a NATS" {
			m.deployments[0].Spec.Template.Spec.Containers[0].Env = append(m.deployments[0].Spec.Template.Spec.Containers[0].Env, corev1.EnvVar{Name: "LINEWORKS_TIMEOUT", Value: "30s"})
		}
		if found := strings.Join(faults(t, m, known), "\n"); !strings.Contains(found, want) {
			t.Errorf("manifests with the fault %q are said to have: %s", want, found)
		}
	}
	if _, err := decode([]byte("apiVersion: apps/v1\nkind: Deployment\nspec:\n  replicaz: 2\n")); err == nil {
		t.Error("a field that Kubernetes does not know is taken")
	}
}

// TestProbesAnswer: a worker with the environment of the deployment answers its probes, paths and all; with the partner away
// it stays ready.
func TestProbesAnswer(t *testing.T) {
	t.Parallel()
	m := rendered(t, "base")
	c := m.deployments[0].Spec.Template.Spec.Containers[0]
	cluster := deploytest.StartCluster(t)
	partner, dir := deploytest.StartPartner(t)
	cluster.Setup(partner)

	ports := deploytest.FreePorts(t, 2)
	address, page := fmt.Sprintf("127.0.0.1:%d", ports[0]), fmt.Sprintf("127.0.0.1:%d", ports[1])
	env := environment(m, c)
	if value, set := env["WORKER_CONSOLE_ADDR"]; set {
		t.Errorf("the deployment has WORKER_CONSOLE_ADDR=%s; the page belongs on the pod's loopback, where it is by itself", value)
	}
	env["WORKER_CONSOLE_ADDR"] = page // a pod has a loopback of its own
	for key, value := range map[string]string{
		"NATS_URL": cluster.URL(), "NATS_CA": cluster.CA(), "NATS_NKEY": cluster.Seed("worker"),
		"LINEWORKS_CLIENT_SECRET_FILE": dir + "/client-secret", "LINEWORKS_PRIVATE_KEY_FILE": dir + "/private-key.pem",
		"WORKER_ID": "activation-worker-6d5f9c7b8-x2k4q", "WORKER_HTTP_ADDR": strings.Replace(env["WORKER_HTTP_ADDR"], "0.0.0.0:8080", address, 1),
	} {
		if _, set := env[key]; !set {
			t.Fatalf("the deployment does not set %s", key)
		}
		env[key] = value
	}
	for _, line := range partner {
		if key, value, _ := strings.Cut(line, "="); key != "LINEWORKS_CLIENT_SECRET" {
			env[key] = value
		}
	}
	var list []string
	for key, value := range env {
		list = append(list, key+"="+value)
	}
	worker := deploytest.Start(t, deploytest.Command{Path: deploytest.Worker(t), Args: c.Args, Env: list})
	for _, probe := range []*corev1.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
		deploytest.AwaitStatus(t, "http://"+address+probe.HTTPGet.Path, 200, worker)
	}
	if status, body := deploytest.Get(t, "http://"+address+c.ReadinessProbe.HTTPGet.Path); strings.Contains(body, `"partner"`) || !strings.Contains(body, `"nats"`) {
		t.Errorf("the readiness probe asks for more, or less, than it should: %d %s", status, body)
	}
	forwarded := strings.Replace(page, "127.0.0.1", "localhost", 1) // as kubectl port-forward says
	if status, body := deploytest.Get(t, "http://"+forwarded+"/"); status != 200 {
		t.Errorf("the page answers %d %s", status, body)
	}
	cluster.Submit("51800001")
	cluster.AwaitState("51800001", "activated", worker)
	if strings.Contains(worker.Said(), `"level":"warn"`) {
		t.Errorf("the worker warns:\n%s", worker.Said())
	}
	if status := worker.Stop(); status != 0 {
		t.Errorf("the worker ended with %d; it said:\n%s", status, worker.Said())
	}
}
