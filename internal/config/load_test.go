package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// allGroups are the groups that the service uses.
func allGroups() []Group {
	return []Group{GroupNATS, GroupPartner, GroupStreams, GroupWorker, GroupHTTP, GroupLog}
}

// flagsOf registers the flags of all groups and parses a command line.
func flagsOf(t testing.TB, args ...string) *pflag.FlagSet {
	t.Helper()
	return flagsFor(t, allGroups(), args...)
}

func flagsFor(t testing.TB, groups []Group, args ...string) *pflag.FlagSet {
	t.Helper()
	fs := pflag.NewFlagSet("worker", pflag.ContinueOnError)
	Flags(fs, groups...)
	if err := fs.Parse(args); err != nil {
		t.Fatalf("parse flags: %v", err)
	}
	return fs
}

// write makes a file that only its owner can read and returns its path.
func write(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatalf("write %s: %v", name, err)
	}
	return path
}

func mustLoad(t testing.TB, fs *pflag.FlagSet, environ ...string) *Config {
	t.Helper()
	c, err := Load(fs, environ)
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	return c
}

// faultsOf loads settings that must be refused.
func faultsOf(t testing.TB, fs *pflag.FlagSet, environ ...string) Faults {
	t.Helper()
	_, err := Load(fs, environ)
	faults, ok := errors.AsType[Faults](err)
	if !ok {
		t.Fatalf("load gave %v, wanted faults", err)
	}
	return faults
}

func TestDefaultsAlone(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, flagsOf(t))
	if c.Partner.HasCredentials() || c.Partner.Loopback() {
		t.Errorf("defaults have credentials or a partner on loopback: %+v", c.Partner)
	}
	if got, want := c.Partner.Host(), "www.worksapis.com"; got != want {
		t.Errorf("host is %q, wanted %q", got, want)
	}
	if got, want := c.Partner.Rate, (Rate{240, time.Minute}); got != want {
		t.Errorf("rate is %v, wanted %v", got, want)
	}
	if c.Worker.Lease != time.Minute || c.Worker.SweepInterval != 5*time.Minute || c.Partner.Timeout != 30*time.Second {
		t.Errorf("unexpected durations: %+v", c.Worker)
	}
	if c.Worker.Replicas != 0 || c.Worker.StreamMaxBytes != 0 || c.Worker.LogFormat != "" || c.NATS.URL != "" {
		t.Errorf("what is automatic is not zero: %+v", c.Worker)
	}
	if c.Worker.EventSource != "/lineworks/activation" {
		t.Errorf("event source is %q", c.Worker.EventSource)
	}
	if !reflect.DeepEqual(c.Worker.DNSSchedule, usualDNS()) || !slices.Equal(c.Worker.DNSResolvers, []string{ResolverSystem}) || !c.Worker.WatchesDNS() {
		t.Errorf("DNS is watched by %+v, asking %q", c.Worker.DNSSchedule, c.Worker.DNSResolvers)
	}
	if mustLoad(t, nil, "WORKER_DNS_RESOLVERS=off").Worker.WatchesDNS() {
		t.Error("DNS is watched although it is off")
	}
	if len(c.Warnings) != 0 {
		t.Errorf("defaults warn: %q", c.Warnings)
	}
}

func TestEveryDefaultIsUnderstood(t *testing.T) {
	t.Parallel()
	for _, s := range settings() {
		if s.def == "" {
			continue
		}
		if err := s.value.set(new(Config), s.def); err != nil {
			t.Errorf("default of %s: %v", s.name, err)
		}
	}
}

func TestWorkerIDIsMadeUpAnewAndValid(t *testing.T) {
	t.Parallel()
	a, b := mustLoad(t, nil).Worker.ID, mustLoad(t, nil).Worker.ID
	if a == b {
		t.Errorf("two starts got the same name %q", a)
	}
	if _, err := identity().parse(a); err != nil {
		t.Errorf("made-up name: %v", err)
	}
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	file := write(t, "worker.yaml", "# ours\nworker_stream: OF_FILE\nWorker_Log_Level: debug\nWORKER_LEASE: 70s\nWORKER_ID:\n")
	env := []string{"WORKER_STREAM=OF_ENV", "WORKER_LEASE=80s", "WORKER_LOG_FORMAT=", "HOME=/nowhere"}
	for name, tt := range map[string]struct {
		args   []string
		env    []string
		stream string
		lease  time.Duration
	}{
		"nothing but defaults":              {nil, nil, "ACTIVATION", 60 * time.Second},
		"file over defaults":                {[]string{"--config", file}, nil, "OF_FILE", 70 * time.Second},
		"environment over file":             {[]string{"--config", file}, env, "OF_ENV", 80 * time.Second},
		"flag over environment":             {[]string{"--config", file, "--stream=OF_FLAG", "--lease=90s"}, env, "OF_FLAG", 90 * time.Second},
		"an empty flag is the default":      {[]string{"--config", file, "--stream="}, env, "ACTIVATION", 80 * time.Second},
		"an empty variable counts as unset": {[]string{"--config", file}, []string{"WORKER_STREAM="}, "OF_FILE", 70 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := mustLoad(t, flagsOf(t, tt.args...), tt.env...)
			if c.Worker.Stream != tt.stream || c.Worker.Lease != tt.lease {
				t.Errorf("stream %q and lease %v, wanted %q and %v", c.Worker.Stream, c.Worker.Lease, tt.stream, tt.lease)
			}
		})
	}
}

func TestFileValuesAreTakenAsWritten(t *testing.T) {
	t.Parallel()
	file := write(t, "worker.yaml", `
LINEWORKS_CLIENT_ID: 0123
LINEWORKS_CLIENT_SECRET: 1e5
LINEWORKS_SERVICE_ACCOUNT: "a@b"
LINEWORKS_PRIVATE_KEY: |
  first
  second
WORKER_INTAKE_FROM: 2026-01-31T09:00:00+09:00
WORKER_RECORD_PARTNER_TEXT: off
WORKER_REPLICAS: 3
LINEWORKS_RATE: 0
`)
	c := mustLoad(t, flagsOf(t, "--config", file))
	if c.Partner.ClientID != "0123" {
		t.Errorf("client id is %q", c.Partner.ClientID)
	}
	for want, s := range map[string]Secret{"1e5": c.Partner.ClientSecret, "first\nsecond": c.Partner.PrivateKey} {
		if got, err := s.Read(); err != nil || got != want {
			t.Errorf("secret is %q, %v; wanted %q", got, err, want)
		}
	}
	if got := c.Worker.IntakeFrom.Since.Format(time.RFC3339); got != "2026-01-31T09:00:00+09:00" {
		t.Errorf("intake from %s", got)
	}
	if c.Worker.RecordPartnerText != "off" || c.Worker.Replicas != 3 || c.Partner.Rate != (Rate{}) {
		t.Errorf("unexpected: %+v %+v", c.Worker, c.Partner.Rate)
	}
}

func TestAllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	file := write(t, "worker.yaml", "WORKER_REPLICAS: 2\nworker_laese: 60s\n")
	faults := faultsOf(t, flagsOf(t, "--config", file, "--sweep-interval=often"),
		"WORKER_LEASE=abc", "LINEWORKS_RATE=240", "LINEWORKS_CLIENT_ID=x", "WORKER_STREM=A")
	const want = `LINEWORKS_CLIENT_SECRET: is missing; a service account needs it beside LINEWORKS_CLIENT_ID
LINEWORKS_PRIVATE_KEY: is missing; a service account needs it beside LINEWORKS_CLIENT_ID
LINEWORKS_RATE: "240" is not a rate; wanted something like 240/m (units s, m, h), or 0 for no limit (environment)
LINEWORKS_SERVICE_ACCOUNT: is missing; a service account needs it beside LINEWORKS_CLIENT_ID
WORKER_LAESE: is no setting; did you mean WORKER_LEASE? (file)
WORKER_LEASE: "abc" is not a duration; wanted something like 60s (environment)
WORKER_REPLICAS: "2" is not a number of replicas; wanted 1, 3 or 5 (file)
WORKER_STREM: is no setting; did you mean WORKER_STREAM? (environment)
WORKER_SWEEP_INTERVAL: "often" is not a duration; wanted something like 60s (flag)`
	if got := faults.Error(); got != want {
		t.Errorf("faults are\n%s\nwanted\n%s", got, want)
	}
}

func TestUnknownNames(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		env, file string
		want      string // the fault, empty: taken
	}{
		"foreign variables are not looked at": {env: "PATH=/bin"},
		"of NATS only the known are ours":     {env: "NATS_CONTEXT=prod"},
		"mistyped in the environment":         {env: "LINEWORKS_RATES=1/m", want: "LINEWORKS_RATES: is no setting; did you mean LINEWORKS_RATE? (environment)"},
		"nothing near":                        {env: "WORKER_ZZZZZZZZZZZZZZZZZZZZZZZZZZ=1", want: "WORKER_ZZZZZZZZZZZZZZZZZZZZZZZZZZ: is no setting (environment)"},
		"service host":                        {env: "WORKER_SERVICE_HOST=10.0.0.1"},
		"service port":                        {env: "WORKER_SERVICE_PORT=80"},
		"named service port":                  {env: "WORKER_SERVICE_PORT_HTTP=80"},
		"service URL":                         {env: "WORKER_PORT=tcp://10.0.0.1:80"},
		"service port's parts":                {env: "WORKER_PORT_80_TCP_ADDR=10.0.0.1"},
		"service port's number":               {env: "WORKER_PORT_80_TCP_PORT=80"},
		"another service of ours":             {env: "WORKER_CONSOLE_PORT=tcp://10.0.0.1:80"},
		"a port that looks like a setting":    {env: "WORKER_HTTP_PORT=8080", want: "WORKER_HTTP_PORT: is no setting; did you mean WORKER_HTTP_ADDR? (environment)"},
		"in the file every name counts":       {file: "PATH: /bin", want: "PATH: is no setting (file)"},
		"the prefix is missing":               {file: "lease: 60s", want: "LEASE: is no setting; did you mean WORKER_LEASE? (file)"},
		"nested":                              {file: "worker:\n  lease: 60s", want: "WORKER: is no setting"},
		"a map":                               {file: "WORKER_GIVE_UP:\n  transient: 1h", want: "WORKER_GIVE_UP: is not a single value"},
		"a list":                              {file: "NATS_URL: [a, b]", want: "NATS_URL: is not a single value"},
		"twice, in other case":                {file: "WORKER_LEASE: 60s\nworker_lease: 61s", want: "WORKER_LEASE: is there twice"},
		"as for a shell":                      {file: "NATS_PASSWORD=hunter2: x", want: "NATS_PASSWORD: is written as for a shell; wanted a colon"},
		"not a name at all":                   {file: "\"a b\\u0007\": 1", want: `key "A B\a": is no setting`},
		"not a mapping":                       {file: "- a", want: "--config: the file cannot be used: it is not a mapping"},
		"two documents":                       {file: "WORKER_ID: a\n---\nWORKER_ID: b", want: "--config: the file cannot be used: it holds more than one"},
		"no YAML, and nothing of it shown":    {file: "NATS_TOKEN: *hunter2", want: "--config: the file cannot be used: it is not valid YAML"},
		"no YAML, with a line":                {file: "WORKER_ID: a\nNATS_TOKEN: 'hunter2", want: "--config: the file cannot be used: it is not valid YAML at line 2"},
		"comments alone":                      {file: "# nothing\n"},
		"empty":                               {file: ""},
		"null is no value":                    {file: "WORKER_LEASE: ~\nWORKER_REPLICAS: null\nWORKER_ID:"},
		"null":                                {file: "---\n~\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fs := flagsOf(t, "--config", write(t, "worker.yaml", tt.file))
			if tt.want == "" {
				mustLoad(t, fs, tt.env)
				return
			}
			got := faultsOf(t, fs, tt.env).Error()
			if !strings.HasPrefix(got, tt.want) || strings.Contains(got, "\n") {
				t.Errorf("got %s\nwanted %s", got, tt.want)
			}
			if strings.Contains(got, "hunter2") {
				t.Errorf("shows the secret: %s", got)
			}
		})
	}
}

func TestFileThatIsNotThere(t *testing.T) {
	t.Parallel()
	faults := faultsOf(t, flagsOf(t, "--config", filepath.Join(t.TempDir(), "none.yaml")))
	if got := faults.Error(); got != "--config: the file cannot be used: open: no such file or directory" {
		t.Error(got)
	}
}

// Tracing's variables are many and not ours: a slip of the pen in one stops nobody.
func TestVariablesOfOthersOnlyWarn(t *testing.T) {
	t.Parallel()
	file := write(t, "worker.yaml", "otel_bsp_schedule_delay: 100\n")
	c := mustLoad(t, flagsOf(t, "--config", file), "OTEL_METRICS_EXPORTER=otlp")
	want := []string{"OTEL_BSP_SCHEDULE_DELAY: is read from the environment alone, if at all"}
	if !slices.Equal(c.Warnings, want) {
		t.Errorf("warnings are %q, wanted %q", c.Warnings, want)
	}
}

func TestConsole(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, flagsOf(t))
	if c.Worker.ConsoleAddr != "127.0.0.1:8081" || c.Worker.ConsoleHosts != nil {
		t.Errorf("unless set, the page is at %q for %q", c.Worker.ConsoleAddr, c.Worker.ConsoleHosts)
	}
	c = mustLoad(t, flagsOf(t, "--console-addr", "off"), "WORKER_CONSOLE_ADDR=:1", "WORKER_CONSOLE_HOSTS=A.example,b")
	if c.Worker.ConsoleAddr != "" || !slices.Equal(c.Worker.ConsoleHosts, []string{"a.example", "b"}) {
		t.Errorf("off, the page is at %q for %q", c.Worker.ConsoleAddr, c.Worker.ConsoleHosts)
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	seen := map[string]string{configFlag: "the settings file"}
	for _, s := range settings() {
		flag := s.flag()
		if flag == "" {
			continue
		}
		if other, twice := seen[flag]; twice {
			t.Errorf("--%s belongs to %s and %s", flag, other, s.name)
		}
		seen[flag] = s.name
	}
	for _, flag := range []string{"nats-url", "lease", "lineworks-rate", "stream", "lineworks-private-key-file"} {
		if seen[flag] == "" {
			t.Errorf("--%s is missing", flag)
		}
	}
	for _, flag := range []string{"nats-password", "nats-token", "lineworks-client-secret", "lineworks-private-key", "lineworks-access-token"} {
		if seen[flag] != "" {
			t.Errorf("--%s would show a secret in process lists", flag)
		}
	}
	fs := flagsFor(t, []Group{GroupLog})
	if fs.Lookup("log-level") == nil || fs.Lookup("lease") != nil {
		t.Error("a command got flags other than those of its groups")
	}
}

// A command's own flag may be called like one of a group that it does not use.
func TestOwnFlagsOfACommand(t *testing.T) {
	t.Parallel()
	fs := flagsFor(t, []Group{GroupLog})
	fs.String("id", "", "")
	if err := fs.Parse([]string{"--id", "not a worker's name"}); err != nil {
		t.Fatal(err)
	}
	if c := mustLoad(t, fs, "WORKER_ID=w1"); c.Worker.ID != "w1" {
		t.Errorf("worker is called %q", c.Worker.ID)
	}
}
