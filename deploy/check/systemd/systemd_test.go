package systemd

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"activation-worker/deploy/check/deploytest"
)

func TestMain(m *testing.M) { os.Exit(deploytest.Main(m)) }

// services are the units that run the worker's binary, each with the NATS user that it is.
var services = map[string]string{"activation-worker.service": "worker", "activation-audit.service": "dave"}

func shipped(t *testing.T, name string) unit {
	t.Helper()
	u, err := readUnit(deploytest.Shipped("systemd", name))
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestSystemdTakesTheUnits: systemd-analyze verify has nothing to say, once the binary is there.
func TestSystemdTakesTheUnits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var files []string
	for _, name := range append(slices.Sorted(maps.Keys(services)), "activation-audit.timer") {
		text, err := os.ReadFile(deploytest.Shipped("systemd", name))
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(strings.ReplaceAll(string(text), "/usr/local/bin/worker", deploytest.Worker(t))), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	stdout, stderr, status := deploytest.Run(t, deploytest.Command{Path: deploytest.Tool(t, "systemd-analyze"), Args: append([]string{"verify", "--man=no"}, files...), Env: os.Environ()})
	if status != 0 || strings.TrimSpace(stdout+stderr) != "" {
		t.Errorf("systemd-analyze verify: exit status %d\n%s%s", status, stdout, stderr)
	}
}

// TestUnitsAreHardened: the exposure that systemd counts, in tenths, stays where it is.
func TestUnitsAreHardened(t *testing.T) {
	t.Parallel()
	for name, tenths := range map[string]string{"activation-worker.service": "11", "activation-audit.service": "13"} {
		stdout, stderr, status := deploytest.Run(t, deploytest.Command{
			Path: deploytest.Tool(t, "systemd-analyze"), Env: os.Environ(),
			Args: []string{"security", "--no-pager", "--offline=true", "--threshold=" + tenths, deploytest.Shipped("systemd", name)},
		})
		if status != 0 {
			t.Errorf("%s is more exposed than %s tenths:\n%s%s", name, tenths, stdout, stderr)
		}
	}
}

// TestSettingsAreKnown: each name that a unit or the example sets is a setting, no secret stands there as text, and each
// credential is used.
func TestSettingsAreKnown(t *testing.T) {
	t.Parallel()
	known := deploytest.Settings(t)
	for name := range services {
		u := shipped(t, name)
		used := map[string]bool{}
		for _, line := range slices.Concat(u.environment("%d"), example(t, u)) {
			key, value, _ := strings.Cut(line, "=")
			if err := known.Check(key, value); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if file, credential := strings.CutPrefix(value, "%d/"); credential {
				used[file] = true
			}
		}
		if loaded := u.credentials(); !slices.Equal(slices.Sorted(maps.Keys(loaded)), slices.Sorted(maps.Keys(used))) {
			t.Errorf("%s loads %v and uses %v", name, loaded, used)
		}
	}
}

// example are the lines of the examples of the files that a unit reads, also those that are commented out.
func example(t *testing.T, u unit) []string {
	t.Helper()
	var env []string
	for _, file := range u["Service"]["EnvironmentFile"] {
		text, err := os.ReadFile(deploytest.Shipped("systemd", filepath.Base(file)+".example"))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSpace(strings.TrimPrefix(line, "# "))
			if key, _, pair := strings.Cut(line, "="); pair && !strings.ContainsAny(key, " .:") {
				env = append(env, line)
			}
		}
	}
	return env
}

// TestStopIsLongEnough: systemd waits longer than a stop takes (LINEWORKS_TIMEOUT + 10 s).
func TestStopIsLongEnough(t *testing.T) {
	t.Parallel()
	timeout, err := time.ParseDuration(deploytest.Settings(t)["LINEWORKS_TIMEOUT"])
	if err != nil {
		t.Fatal(err)
	}
	seconds, err := strconv.Atoi(shipped(t, "activation-worker.service").one("TimeoutStopSec"))
	if limit := timeout + 10*time.Second; err != nil || time.Duration(seconds)*time.Second <= limit {
		t.Errorf("TimeoutStopSec is %d (%v), the worker may take %s", seconds, err, limit)
	}
}

// site is what a unit's command line runs against: the three-node cluster, and a partner with a certificate of its own.
type site struct {
	*deploytest.Cluster
	t        *testing.T
	settings map[string]string // values for the examples' settings
	more     []string          // settings that the examples do not have, such as those of a simulated partner
	files    map[string]string // what the credentials' files hold, by the name of a file
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{Cluster: deploytest.StartCluster(t), t: t, settings: map[string]string{}}
	partner, dir := deploytest.StartPartner(t, "--tls")
	s.Setup(partner)
	s.files = map[string]string{
		"client-secret": filepath.Join(dir, "client-secret"), "private-key.pem": filepath.Join(dir, "private-key.pem"),
		"worker.nk": s.Seed("worker"), "dave.nk": s.Seed("dave"),
	}
	s.settings["NATS_URL"], s.settings["NATS_CA"] = s.URL(), s.CA()
	for _, line := range partner {
		key, value, _ := strings.Cut(line, "=")
		switch key {
		case "LINEWORKS_CLIENT_ID", "LINEWORKS_SERVICE_ACCOUNT":
			s.settings[key] = value
		case "LINEWORKS_API_URL", "LINEWORKS_TOKEN_URL", "LINEWORKS_CA":
			s.more = append(s.more, line)
		}
	}
	return s
}

// command is what systemd would run for a unit: its command line, the credentials as files, and an environment of what the
// settings files have by their examples, and of its own lines.
func (s *site) command(name string) deploytest.Command {
	s.t.Helper()
	u := shipped(s.t, name)
	credentials := s.t.TempDir()
	for credential, file := range u.credentials() {
		secret, err := os.ReadFile(s.files[filepath.Base(file)])
		if err != nil {
			s.t.Fatalf("%s: %s: %v", name, credential, err)
		}
		if err := os.WriteFile(filepath.Join(credentials, credential), secret, 0o400); err != nil {
			s.t.Fatal(err)
		}
	}
	var env []string
	for _, one := range example(s.t, u) {
		if key, _, _ := strings.Cut(one, "="); s.settings[key] != "" {
			env = append(env, key+"="+s.settings[key])
		}
	}
	if slices.Contains(u["Service"]["EnvironmentFile"], "/etc/activation-worker/worker.env") {
		env = append(env, s.more...)
	}
	line := strings.Fields(u.one("ExecStart"))
	if line[0] != "/usr/local/bin/worker" {
		s.t.Fatalf("%s runs %s", name, line[0])
	}
	return deploytest.Command{Path: deploytest.Worker(s.t), Args: line[1:], Env: append(env, u.environment(credentials)...)}
}

// TestUnitRuns: the command line of the unit, with its environment and credentials, activates a customer.
func TestUnitRuns(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ports := deploytest.FreePorts(t, 2)
	address, page := fmt.Sprintf("127.0.0.1:%d", ports[0]), fmt.Sprintf("127.0.0.1:%d", ports[1])
	s.settings["WORKER_HTTP_ADDR"], s.settings["WORKER_CONSOLE_ADDR"] = address, page
	worker := deploytest.Start(t, s.command("activation-worker.service"))
	deploytest.AwaitStatus(t, "http://"+address+"/readyz", 200, worker)
	deploytest.AwaitStatus(t, "http://"+page+"/", 200, worker)
	s.Submit("51700001")
	s.AwaitState("51700001", "activated", worker)

	if status := worker.Stop(); status != 0 {
		t.Errorf("the worker ended with %d; it said:\n%s", status, worker.Said())
	}

	// With settings that cannot be right systemd is not to try again.
	s.more = append(s.more, "LINEWORKS_TIMEOUT=soon")
	u := shipped(t, "activation-worker.service")
	_, stderr, status := deploytest.Run(t, s.command("activation-worker.service"))
	if want := u.one("RestartPreventExitStatus"); strconv.Itoa(status) != want || u.one("Restart") != "on-failure" {
		t.Errorf("with a wrong setting the worker ends with %d, want %s; it said:\n%s", status, want, stderr)
	}
}
