package compose

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"activation-worker/deploy/check/deploytest"
)

func TestMain(m *testing.M) { os.Exit(deploytest.Main(m)) }

// shipped is compose.yaml, with texts replaced, two by two.
func shipped(t *testing.T, edits ...string) (*types.Project, error) {
	t.Helper()
	file := deploytest.Shipped("compose", "compose.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	edited := strings.NewReplacer(edits...).Replace(string(text))
	if len(edits) > 0 && edited == string(text) {
		t.Fatalf("compose.yaml has no %q", edits[0])
	}
	return load(t.Context(), file, []byte(edited))
}

// TestProject: Compose takes the file, each setting is one, and nothing is open to others.
func TestProject(t *testing.T) {
	t.Parallel()
	p, err := shipped(t)
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range faults(p, deploytest.Settings(t)) {
		t.Error(fault)
	}
	worker := p.Services["worker"]
	if grace := time.Duration(*worker.StopGracePeriod); grace <= 40*time.Second {
		t.Errorf("the worker is killed after %s, a stop may take 40 s", grace)
	}
	// Nothing starts before what it needs.
	for service, needs := range map[string][]string{
		"nats-1": {"certificates", "keys"}, "nats-2": {"certificates", "keys"}, "nats-3": {"certificates", "keys"}, "simulator": {"keys"},
		"setup": {"nats-1", "nats-2", "nats-3", "simulator-ready"}, "worker": {"setup"}, "prometheus": {"worker-ready"}, "grafana": {"prometheus"},
	} {
		for _, need := range needs {
			if d, there := p.Services[service].DependsOn[need]; !there || d.Condition == types.ServiceConditionStarted {
				t.Errorf("%s does not wait until %s is done or healthy", service, need)
			}
		}
	}
}

// TestBrokenProjectsAreSeen: each fault that these checks are for is found.
func TestBrokenProjectsAreSeen(t *testing.T) {
	t.Parallel()
	known := deploytest.Settings(t)
	for want, edits := range map[string][]string{
		"restarts":                          {"restart: on-failure", "restarts: on-failure"},
		"undefined service":                 {"setup: {condition", "setups: {condition"},
		"undefined volume":                  {"\n  keys:\n  partner:\n  nats-1:", "\n  partner:\n  nats-1:"},
		"is open to other machines":         {"127.0.0.1:8080:8080", "8080:8080"},
		"to other machines at port 8081":    {"127.0.0.1:8081:8081", "8081:8081"},
		"may do more than it needs":         {"cap_drop: [ALL]", "cap_drop: [CHOWN]"},
		"LINEWORKS_SECRET is no setting":    {"LINEWORKS_CLIENT_SECRET_FILE", "LINEWORKS_SECRET"},
		"LINEWORKS_CLIENT_SECRET is a secr": {"LINEWORKS_CLIENT_SECRET_FILE: /partner/client-secret", "LINEWORKS_CLIENT_SECRET: hush"},
		"which nothing mounts":              {"NATS_CA: /tls/ca.pem", "NATS_CA: /certificates/ca.pem"},
	} {
		p, err := shipped(t, edits...)
		var found string
		if err != nil {
			found = err.Error()
		} else {
			found = strings.Join(faults(p, known), "\n")
		}
		if !strings.Contains(found, want) {
			t.Errorf("a project with the fault %q is said to have: %s", want, found)
		}
	}
}

// TestServicesRun: the services' command lines, with their environments and files, make keys and certificates, form a cluster,
// and activate a customer of the simulator's over TLS.
func TestServicesRun(t *testing.T) {
	t.Parallel()
	p, err := shipped(t)
	if err != nil {
		t.Fatal(err)
	}
	m := newMachine(t, p)
	deploytest.Must(t, m.command("certificates"))
	deploytest.Must(t, m.command("keys"))
	nodes := map[string]*deploytest.Process{}
	for _, node := range []string{"nats-1", "nats-2", "nats-3"} {
		nodes[node] = deploytest.Start(t, m.command(node))
	}
	deploytest.Start(t, m.command("simulator"))
	for node, process := range nodes {
		deploytest.AwaitStatus(t, "http://"+m.address(node)+":8222/healthz", 200, process)
	}
	deploytest.Must(t, m.command("simulator-ready"))
	deploytest.Must(t, m.command("setup"))
	worker := deploytest.Start(t, m.command("worker"))
	deploytest.AwaitStatus(t, "http://"+m.address("worker")+":8080/readyz", 200, worker)

	deploytest.AwaitStatus(t, "http://"+m.address("worker")+":8081/", 200, worker)
	deploytest.Must(t, m.command("pipeline", "submit", "51900001"))
	var said string
	if !deploytest.Eventually(t, func() bool {
		said, _, _ = deploytest.Run(t, m.command("dave", "status", "51900001"))
		return strings.Contains(said, "The customer is active")
	}) {
		t.Errorf("the customer is not active: %s\nthe worker said:\n%s", said, worker.Said())
	}
	if said := deploytest.Must(t, m.command("dave", "list")); !strings.Contains(said, "51900001") {
		t.Errorf("dave sees no customer: %s", said)
	}
	deploytest.Must(t, m.command("dave", "doctor", "--audit"))
	// A second `docker compose up` runs once more what has ended, beside what runs.
	for _, ended := range []string{"certificates", "keys", "simulator-ready", "setup"} {
		again := m.command(ended)
		again.Within = 10 * time.Second
		deploytest.Must(t, again)
	}
	if status := worker.Stop(); status != 0 {
		t.Errorf("the worker ended with %d; it said:\n%s", status, worker.Said())
	}
}
