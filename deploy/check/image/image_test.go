// Package image starts the image that .ci/image has built, with runc, as the manifests of deploy/kubernetes ask for it: read-only, as
// 65532, without capabilities, its settings and secrets as mounted files. The system calls are those that the unit of deploy/systemd allows.
//
//	.ci/image    builds it and runs this test
package image

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"activation-worker/deploy/check/deploytest"
	"activation-worker/deploy/check/kubernetes"
)

var rootfs = flag.String("rootfs", "", "the image's file system")

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(deploytest.Main(m))
}

// TestContainerWorks: the container activates a customer, and stops as asked.
func TestContainerWorks(t *testing.T) {
	if *rootfs == "" {
		t.Fatal("no image is given with -rootfs: run .ci/image, which builds one")
	}
	cluster := deploytest.StartCluster(t)
	partner, dir := deploytest.StartPartner(t, "--tls")
	cluster.Setup(partner)

	spec, c, env, err := kubernetes.Worker(deploytest.Shipped("kubernetes", "base"))
	if err != nil {
		t.Fatal(err)
	}
	ports := deploytest.FreePorts(t, 2)
	address := fmt.Sprintf("127.0.0.1:%d", ports[0])
	env["NATS_URL"], env["WORKER_HTTP_ADDR"], env["WORKER_ID"] = cluster.URL(), address, "activation-worker-0"
	env["WORKER_CONSOLE_ADDR"] = fmt.Sprintf("127.0.0.1:%d", ports[1])
	files := map[string]string{
		"worker.nk": cluster.Seed("worker"), "ca.pem": cluster.CA(),
		"client-secret": filepath.Join(dir, "client-secret"), "private-key.pem": filepath.Join(dir, "private-key.pem"),
	}
	env["LINEWORKS_CA"] = "/etc/activation-worker/lineworks/partner-ca.pem" // the simulator's; LINE WORKS needs none
	for _, line := range partner {
		key, value, _ := strings.Cut(line, "=")
		if _, file := env[key+"_FILE"]; !file && key != "LINEWORKS_CA" && !strings.HasSuffix(key, "_FILE") {
			env[key] = value
		}
	}
	bundle := newBundle(t, spec, c, env)
	bundle.mount(t, c, env, files, spec.SecurityContext)
	bundle.add(t, "/etc/activation-worker/lineworks/partner-ca.pem", filepath.Join(dir, "ca.pem"), spec.SecurityContext)
	bundle.write(t)

	name := "activation-worker-" + filepath.Base(t.TempDir()) + fmt.Sprint(os.Getpid())
	state := filepath.Join(bundle.dir, "state")
	worker := deploytest.Start(t, deploytest.Command{
		Path: deploytest.Tool(t, "runc"), Dir: bundle.dir, Env: []string{deploytest.Path(t)},
		Args: []string{"--root", state, "run", name},
	})
	defer deploytest.Run(t, deploytest.Command{Path: deploytest.Tool(t, "runc"), Args: []string{"--root", state, "delete", "--force", name}})
	deploytest.AwaitStatus(t, "http://"+address+c.ReadinessProbe.HTTPGet.Path, 200, worker)
	confined(t, state, name)
	cluster.Submit("52000001")
	cluster.AwaitState("52000001", "activated", worker)
	if strings.Contains(worker.Said(), `"level":"warn"`) {
		t.Errorf("the worker warns:\n%s", worker.Said())
	}
	if status := worker.Stop(); status != 0 { // runc hands the signal on
		t.Errorf("the worker ended with %d; it said:\n%s", status, worker.Said())
	}
}

// TestLicencesOfEmbeddedFiles: what others wrote and the worker embeds has its licence in the image, as modules have theirs.
func TestLicencesOfEmbeddedFiles(t *testing.T) {
	found := 0
	err := filepath.WalkDir(filepath.Join(deploytest.Root(), "internal"), func(file string, entry os.DirEntry, err error) error {
		if name := entry.Name(); err != nil || entry.IsDir() || name != "LICENSE" && name != "LICENSE.txt" {
			return err
		}
		found++
		want, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		got, err := os.ReadFile(filepath.Join(*rootfs, "licenses", filepath.Base(filepath.Dir(file)), entry.Name()))
		if err != nil || string(got) != string(want) {
			t.Errorf("the licence at %s is not in the image as it is (%v)", file, err)
		}
		return nil
	})
	if err != nil || found == 0 {
		t.Errorf("%d licences of embedded files were found (%v)", found, err)
	}
}

// confined looks whether the kernel holds the container to what was asked for.
func confined(t *testing.T, state, name string) {
	t.Helper()
	var container struct{ Pid int }
	said := deploytest.Must(t, deploytest.Command{Path: deploytest.Tool(t, "runc"), Args: []string{"--root", state, "state", name}})
	if err := json.Unmarshal([]byte(said), &container); err != nil {
		t.Fatalf("runc state says %s: %v", said, err)
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", container.Pid))
	if err != nil {
		t.Fatal(err)
	}
	status := strings.Join(strings.Fields(string(text)), " ")
	for _, want := range []string{"Uid: 65532 65532 65532 65532", "Gid: 65532 65532 65532 65532", "CapEff: 0000000000000000", "CapBnd: 0000000000000000", "NoNewPrivs: 1", "Seccomp: 2"} {
		if !strings.Contains(status, want) {
			t.Errorf("the worker has not %q: %s", want, text)
		}
	}
	mounts, err := os.ReadFile(fmt.Sprintf("/proc/%d/mounts", container.Pid))
	if root, _, _ := strings.Cut(string(mounts), "\n"); err != nil || !strings.Contains(root, " / ") || !strings.Contains(root, " ro") {
		t.Errorf("the root can be written: %s (%v)", root, err)
	}
}

// bundle is what runc starts: a folder with config.json beside the files to mount.
type bundle struct {
	dir    string
	config map[string]any
	mounts []map[string]any
}

func newBundle(t *testing.T, spec corev1.PodSpec, c corev1.Container, env map[string]string) *bundle {
	t.Helper()
	s := spec.SecurityContext
	list := []string{"ZONEINFO=/usr/share/zoneinfo.zip"}
	for key, value := range env {
		list = append(list, key+"="+value)
	}
	return &bundle{
		dir: t.TempDir(),
		config: map[string]any{
			"ociVersion": "1.0.2",
			"process": map[string]any{
				"user": map[string]any{"uid": *s.RunAsUser, "gid": *s.RunAsGroup, "additionalGids": []int64{*s.FSGroup}},
				"args": append([]string{"/worker"}, c.Args...), "env": list, "cwd": "/",
				"capabilities": map[string]any{}, "noNewPrivileges": !*c.SecurityContext.AllowPrivilegeEscalation,
			},
			"root": map[string]any{"path": *rootfs, "readonly": *c.SecurityContext.ReadOnlyRootFilesystem},
			"linux": map[string]any{
				"namespaces": []map[string]string{{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}}, // the network is the host's
				"seccomp": map[string]any{
					"defaultAction": "SCMP_ACT_ERRNO", "architectures": []string{"SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"},
					"syscalls": []map[string]any{{"names": allowed(t), "action": "SCMP_ACT_ALLOW"}},
				},
			},
		},
		mounts: []map[string]any{
			{"destination": "/proc", "type": "proc", "source": "proc"},
			{"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		},
	}
}

// mount puts the files into the folders that the container mounts, as the kubelet does: root's, for the pod's group to read.
func (b *bundle) mount(t *testing.T, c corev1.Container, env, files map[string]string, s *corev1.PodSecurityContext) {
	t.Helper()
	for _, at := range env {
		if file, found := files[path.Base(at)]; found {
			b.add(t, at, file, s)
		}
	}
	for _, m := range c.VolumeMounts {
		b.mounts = append(b.mounts, map[string]any{
			"destination": m.MountPath, "type": "bind", "source": filepath.Join(b.dir, m.MountPath), "options": []string{"rbind", "ro"},
		})
	}
}

func (b *bundle) add(t *testing.T, at, file string, s *corev1.PodSecurityContext) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	place := filepath.Join(b.dir, at)
	if err := os.MkdirAll(filepath.Dir(place), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(place, text, 0o440); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(place, 0, int(*s.FSGroup)); err != nil {
		t.Fatal(err)
	}
}

func (b *bundle) write(t *testing.T) {
	t.Helper()
	b.config["mounts"] = b.mounts
	text, err := json.Marshal(b.config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(b.dir, "config.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// allowed are the system calls that the unit's SystemCallFilter leaves, as systemd names them.
func allowed(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(deploytest.Shipped("systemd", "activation-worker.service"))
	if err != nil {
		t.Fatal(err)
	}
	calls := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		sets, is := strings.CutPrefix(strings.TrimSpace(line), "SystemCallFilter=")
		if !is {
			continue
		}
		sets, denied := strings.CutPrefix(sets, "~")
		for _, set := range strings.Fields(sets) {
			for _, call := range callsOf(t, set) {
				if denied {
					delete(calls, call)
				} else {
					calls[call] = true
				}
			}
		}
	}
	if len(calls) < 100 {
		t.Fatalf("the unit allows %d system calls only", len(calls))
	}
	return slices.Sorted(maps.Keys(calls))
}

// callsOf are the calls of a set of systemd's, and those of the sets in it.
func callsOf(t *testing.T, set string) []string {
	t.Helper()
	if !strings.HasPrefix(set, "@") {
		return []string{set}
	}
	var all []string
	for line := range strings.Lines(deploytest.Must(t, deploytest.Command{Path: deploytest.Tool(t, "systemd-analyze"), Args: []string{"syscall-filter", "--no-pager", set}})) {
		line = strings.TrimSpace(line)
		if line == "" || line == set || line[0] == '#' {
			continue
		}
		all = append(all, callsOf(t, line)...)
	}
	return all
}
