package config

import (
	"os"
	"slices"
	"strings"
	"testing"
)

func TestChecks(t *testing.T) {
	t.Parallel()
	seed := write(t, "seed", "SUAEXAMPLE")
	account := []string{
		"LINEWORKS_CLIENT_ID=id", "LINEWORKS_CLIENT_SECRET=hunter2",
		"LINEWORKS_SERVICE_ACCOUNT=a@tenant", "LINEWORKS_PRIVATE_KEY_FILE=" + seed,
	}
	for name, tt := range map[string]struct {
		env  []string
		want string // begin of the only fault, empty: taken
	}{
		"lease as short as it may be":       {env: []string{"WORKER_LEASE=15s", "LINEWORKS_TIMEOUT=5s"}},
		"lease too short":                   {env: []string{"WORKER_LEASE=14999ms", "LINEWORKS_TIMEOUT=5s"}, want: "WORKER_LEASE: 14.999s is too short; wanted at least 15s"},
		"time-out too long":                 {env: []string{"LINEWORKS_TIMEOUT=51s"}, want: "WORKER_LEASE: 1m0s is too short; wanted at least 1m1s"},
		"a lease nobody understands":        {env: []string{"WORKER_LEASE=x", "LINEWORKS_TIMEOUT=51s"}, want: `WORKER_LEASE: "x" is not a duration`},
		"all on loopback":                   {env: []string{"LINEWORKS_API_URL=http://127.3.2.1:1/v1.0", "LINEWORKS_TOKEN_URL=http://[::1]:2/t"}},
		"localhost":                         {env: []string{"LINEWORKS_API_URL=http://LocalHost:1", "LINEWORKS_TOKEN_URL=http://localhost/t"}},
		"another party's, encrypted":        {env: []string{"LINEWORKS_API_URL=https://a.example", "LINEWORKS_TOKEN_URL=https://b.example/t"}},
		"other hosts of the partner's":      {env: []string{"LINEWORKS_API_URL=https://Other.WorksAPIs.com./v1.0"}},
		"in clear over the network":         {env: []string{"LINEWORKS_API_URL=http://a.example", "LINEWORKS_TOKEN_URL=https://b.example"}, want: "LINEWORKS_API_URL: is not encrypted"},
		"tokens in clear":                   {env: []string{"LINEWORKS_TOKEN_URL=http://auth.worksmobile.com/t"}, want: "LINEWORKS_TOKEN_URL: is not encrypted"},
		"API elsewhere, tokens not":         {env: []string{"LINEWORKS_API_URL=https://a.example"}, want: "LINEWORKS_API_URL: and LINEWORKS_TOKEN_URL belong"},
		"tokens elsewhere, API not":         {env: []string{"LINEWORKS_TOKEN_URL=http://127.0.0.1/t"}, want: "LINEWORKS_API_URL: and LINEWORKS_TOKEN_URL belong"},
		"a look-alike of the partner":       {env: []string{"LINEWORKS_API_URL=https://evilworksapis.com"}, want: "LINEWORKS_API_URL: and"},
		"a look-alike of loopback":          {env: []string{"LINEWORKS_API_URL=http://127.0.0.1.example", "LINEWORKS_TOKEN_URL=https://b.example"}, want: "LINEWORKS_API_URL: is not"},
		"a complete account":                {env: account},
		"a token alone":                     {env: []string{"LINEWORKS_ACCESS_TOKEN=hunter2"}},
		"account and token":                 {env: append([]string{"LINEWORKS_ACCESS_TOKEN=hunter2"}, account...), want: "LINEWORKS_ACCESS_TOKEN: is set together with LINEWORKS_CLIENT_ID,"},
		"a part of an account":              {env: account[:3], want: "LINEWORKS_PRIVATE_KEY: is missing; a service account needs it beside LINEWORKS_CLIENT_ID, LINEWORKS_CLIENT_SECRET, LINEWORKS_SERVICE_ACCOUNT"},
		"a secret twice":                    {env: append([]string{"LINEWORKS_PRIVATE_KEY=hunter2"}, account...), want: "LINEWORKS_PRIVATE_KEY: is set, and so is LINEWORKS_PRIVATE_KEY_FILE"},
		"an account without tenant":         {env: append([]string{"LINEWORKS_SERVICE_ACCOUNT=hunter2"}, account[0], account[1], account[3]), want: "LINEWORKS_SERVICE_ACCOUNT: is not a service account"},
		"wildcard with type":                {env: []string{"WORKER_INTAKE_SUBJECT=a.>", "WORKER_INTAKE_TYPE=t"}},
		"wildcard without type":             {env: []string{"WORKER_INTAKE_SUBJECT=a.*"}, want: "WORKER_INTAKE_TYPE: is missing"},
		"intake among our subjects":         {env: []string{"WORKER_INTAKE_SUBJECT=activation.terms"}, want: "WORKER_INTAKE_SUBJECT: is one of the worker's own"},
		"intake beside our subjects":        {env: []string{"WORKER_INTAKE_SUBJECT=activations.terms"}},
		"intake from the ledger":            {env: []string{"WORKER_INTAKE_STREAM=L_WORK", "WORKER_STREAM=L"}, want: "WORKER_INTAKE_STREAM: is one of the worker's own"},
		"intake from the quota":             {env: []string{"WORKER_INTAKE_STREAM=KV_L_QUOTA", "WORKER_STREAM=L"}, want: "WORKER_INTAKE_STREAM: is one of the worker's own"},
		"intake named like a suffix":        {env: []string{"WORKER_INTAKE_STREAM=_WORK"}},
		"user and password":                 {env: []string{"NATS_USER=u", "NATS_PASSWORD=hunter2"}},
		"password without user":             {env: []string{"NATS_PASSWORD=hunter2"}, want: "NATS_USER: is missing; NATS_PASSWORD is set"},
		"two ways in":                       {env: []string{"NATS_USER=u", "NATS_TOKEN=hunter2"}, want: "NATS_USER: is set together with NATS_TOKEN"},
		"certificate without key":           {env: []string{"NATS_CERT=" + seed}, want: "NATS_KEY: is missing; NATS_CERT is set"},
		"key without certificate":           {env: []string{"NATS_KEY=" + seed}, want: "NATS_CERT: is missing; NATS_KEY is set"},
		"a file that is not there":          {env: []string{"NATS_CA=/nowhere/ca.pem"}, want: "NATS_CA: names no file that can be found: stat /nowhere/ca.pem"},
		"a secret in its file's place":      {env: []string{"NATS_TOKEN_FILE=hunter2"}, want: "NATS_TOKEN_FILE: names no file that can be found: stat: no such file"},
		"a key in its file's place":         {env: append([]string{"LINEWORKS_PRIVATE_KEY_FILE=hunter2\nhunter2"}, account[:3]...), want: "LINEWORKS_PRIVATE_KEY_FILE: holds a line end"},
		"a seed in its file's place":        {env: []string{"NATS_NKEY=hunter2"}, want: "NATS_NKEY: names no file"},
		"a directory":                       {env: []string{"NATS_CREDS=/"}, want: "NATS_CREDS: names a directory"},
		"credentials in a server list":      {env: []string{"NATS_URL=nats://u:hunter2@h:x"}, want: "NATS_URL: server 1 of the list cannot be understood"},
		"a password that is not escaped":    {env: []string{"NATS_URL=nats://hunter2:4222/x@h:4222"}, want: "NATS_URL: server 1 of the list cannot be understood"},
		"page and probes apart":             {env: []string{"WORKER_HTTP_ADDR=127.0.0.1:8080", "WORKER_CONSOLE_ADDR=127.0.0.2:8080"}},
		"page and probes on any ports":      {env: []string{"WORKER_HTTP_ADDR=127.0.0.1:0", "WORKER_CONSOLE_ADDR=127.0.0.1:0"}},
		"no page":                           {env: []string{"WORKER_HTTP_ADDR=127.0.0.1:8081", "WORKER_CONSOLE_ADDR=off"}},
		"the probes at the page's default":  {env: []string{"WORKER_HTTP_ADDR=127.0.0.1:8081"}}, // it gives way
		"and the page is said to be there":  {env: []string{"WORKER_HTTP_ADDR=127.0.0.1:8081", "WORKER_CONSOLE_ADDR=127.0.0.1:8081"}, want: "WORKER_CONSOLE_ADDR: 127.0.0.1:8081 is where WORKER_HTTP_ADDR listens, at 127.0.0.1:8081; wanted another port, or off"},
		"the page where the probes are":     {env: []string{"WORKER_CONSOLE_ADDR=127.0.0.1:8080"}, want: "WORKER_CONSOLE_ADDR: 127.0.0.1:8080 is where WORKER_HTTP_ADDR listens"},
		"the same by another name":          {env: []string{"WORKER_CONSOLE_ADDR=LocalHost:08080"}, want: "WORKER_CONSOLE_ADDR: LocalHost:08080 is where"},
		"the probes everywhere":             {env: []string{"WORKER_CONSOLE_ADDR=10.0.0.1:1", "WORKER_HTTP_ADDR=0.0.0.0:1"}, want: "WORKER_CONSOLE_ADDR: 10.0.0.1:1 is where"},
		"the page everywhere":               {env: []string{"WORKER_CONSOLE_ADDR=:8080"}, want: "WORKER_CONSOLE_ADDR: :8080 is where"},
		"credentials in the partner's URLs": {env: []string{"LINEWORKS_API_URL=https://u:hunter2@worksapis.com"}, want: "LINEWORKS_API_URL: holds more than host and path"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.want == "" {
				mustLoad(t, flagsOf(t), tt.env...)
				return
			}
			got := faultsOf(t, flagsOf(t), tt.env...).Error()
			if !strings.HasPrefix(got, tt.want) || strings.Contains(got, "\n") {
				t.Errorf("got %s\nwanted %s", got, tt.want)
			}
			if strings.Contains(got, "hunter2") {
				t.Errorf("shows the secret: %s", got)
			}
		})
	}
}

func TestPartnerFacts(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, nil, "LINEWORKS_CLIENT_ID=id", "LINEWORKS_CLIENT_SECRET=s", "LINEWORKS_SERVICE_ACCOUNT=a@tenant",
		"LINEWORKS_PRIVATE_KEY=k", "LINEWORKS_API_URL=http://LOCALHOST:8090/v1.0", "LINEWORKS_TOKEN_URL=http://localhost:8090/t")
	p := c.Partner
	if !p.HasCredentials() || !p.Loopback() || p.Host() != "localhost" || p.Tenant() != "tenant" {
		t.Errorf("credentials %v, loopback %v, host %q, tenant %q", p.HasCredentials(), p.Loopback(), p.Host(), p.Tenant())
	}
	if c.Worker.EventSource != "/lineworks-simulated/activation" {
		t.Errorf("event source is %q", c.Worker.EventSource)
	}
	c = mustLoad(t, nil, "LINEWORKS_ACCESS_TOKEN=t")
	if !c.Partner.HasCredentials() || c.Partner.Tenant() != "" {
		t.Errorf("credentials %v, tenant %q", c.Partner.HasCredentials(), c.Partner.Tenant())
	}
	if len(c.Warnings) != 1 || !strings.HasPrefix(c.Warnings[0], "LINEWORKS_ACCESS_TOKEN: cannot be renewed") {
		t.Errorf("warnings are %q", c.Warnings)
	}
}

// A command that does not call the partner is not stopped by half an account, but by what nobody can understand.
func TestOnlyGroupsInUseAreChecked(t *testing.T) {
	t.Parallel()
	half := []string{"LINEWORKS_CLIENT_ID=id", "NATS_CA=/nowhere", "WORKER_LEASE=1s"}
	mustLoad(t, flagsFor(t, []Group{GroupStreams}), half...)
	if got := len(faultsOf(t, nil, half...)); got != 5 {
		t.Errorf("without flags all is checked: %d faults, wanted 5", got)
	}
	faultsOf(t, flagsFor(t, []Group{GroupStreams}), "WORKER_LEASE=x")
}

// Every file that is to hold a secret alone, and the settings file where it holds one.
func TestFilesOpenToOthersWarn(t *testing.T) {
	t.Parallel()
	const tail = ": the file holds a secret and not only its owner has rights on it (mode 0640); take them away with chmod 0600"
	file := func(mode os.FileMode, content string) string {
		path := write(t, "file", content)
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	account := []string{"LINEWORKS_CLIENT_ID=id", "LINEWORKS_CLIENT_SECRET=s", "LINEWORKS_SERVICE_ACCOUNT=a@b", "LINEWORKS_PRIVATE_KEY=k"}
	without := func(key string) []string {
		return slices.DeleteFunc(slices.Clone(account), func(s string) bool { return strings.HasPrefix(s, key+"=") })
	}
	for key, beside := range map[string][]string{
		"NATS_CREDS": nil, "NATS_NKEY": nil, "NATS_TOKEN_FILE": nil, "NATS_PASSWORD_FILE": {"NATS_USER=u"},
		"NATS_KEY":                     {"NATS_CERT=" + file(0o644, "")},
		"LINEWORKS_CLIENT_SECRET_FILE": without("LINEWORKS_CLIENT_SECRET"),
		"LINEWORKS_PRIVATE_KEY_FILE":   without("LINEWORKS_PRIVATE_KEY"),
		"LINEWORKS_ACCESS_TOKEN_FILE":  nil,

		"OTEL_EXPORTER_OTLP_HEADERS_FILE": nil, "OTEL_EXPORTER_OTLP_TRACES_HEADERS_FILE": nil,
		"OTEL_EXPORTER_OTLP_CLIENT_KEY": nil, "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY": nil,
	} {
		for mode, want := range map[os.FileMode][]string{0o600: nil, 0o400: nil, 0o640: {key + tail}} {
			c := mustLoad(t, flagsOf(t), append([]string{key + "=" + file(mode, "hunter2")}, beside...)...)
			if !slices.Equal(c.Exposed, want) {
				t.Errorf("%s with mode %o warns %q, want %q", key, mode, c.Exposed, want)
			}
			for _, warning := range want {
				if !slices.Contains(c.Warnings, warning) {
					t.Errorf("the log is not told %q but %q", warning, c.Warnings)
				}
			}
		}
	}
	for _, s := range settings() { // none is forgotten here
		if s.private && !slices.Contains([]string{
			"NATS_CREDS", "NATS_NKEY", "NATS_TOKEN_FILE", "NATS_PASSWORD_FILE", "NATS_KEY",
			"LINEWORKS_CLIENT_SECRET_FILE", "LINEWORKS_PRIVATE_KEY_FILE", "LINEWORKS_ACCESS_TOKEN_FILE",
			"OTEL_EXPORTER_OTLP_HEADERS_FILE", "OTEL_EXPORTER_OTLP_TRACES_HEADERS_FILE", "OTEL_EXPORTER_OTLP_CLIENT_KEY", "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY",
		}, s.name) {
			t.Errorf("%s is not tried", s.name)
		}
	}
	for content, want := range map[string]bool{
		"nats_token: hunter2": true, "NATS_URL: nats://u:hunter2@a:4222": true, "NATS_URL: hunter2@a": true,
		"NATS_URL: nats://a:4222": false, "WORKER_ID: hunter2": false,
	} {
		exposed := mustLoad(t, flagsOf(t, "--config", file(0o640, content))).Exposed
		if want != slices.Equal(exposed, []string{"--config" + tail}) || !want && len(exposed) > 0 {
			t.Errorf("a settings file with %s warns %q", content, exposed)
		}
	}
	if got := mustLoad(t, flagsOf(t), "NATS_CA="+file(0o644, "")).Warnings; len(got) > 0 {
		t.Errorf("warned of what is no secret: %q", got)
	}
}

// A file of another owner's that is read through its group was handed over that way, as Kubernetes (fsGroup) and systemd (LoadCredential) do.
func TestWhoseFileIsOpen(t *testing.T) {
	t.Parallel()
	const self, root = 65532, 0
	for _, c := range []struct {
		mode  os.FileMode
		owner uint32
		want  bool
	}{
		{0o400, self, false},
		{0o440, self, true},
		{0o440, root, false},
		{0o640, root, false},
		{0o660, root, true}, // we could write it, and so can others
		{0o444, root, true},
		{0o404, root, true},
	} {
		if got := exposed(c.mode, c.owner, self); got != c.want {
			t.Errorf("mode %04o of user %d: %t", c.mode, c.owner, got)
		}
	}
}

// A flag can be seen by everybody; of what may hold a secret only the server list has one.
func TestASecretInAFlagWarns(t *testing.T) {
	t.Parallel()
	got := mustLoad(t, flagsOf(t, "--nats-url", "nats://u:hunter2@a:4222")).Exposed
	if len(got) != 1 || !strings.HasPrefix(got[0], "NATS_URL: the flag holds a secret") || strings.Contains(got[0], "hunter2") {
		t.Errorf("warned %q", got)
	}
	for _, c := range []*Config{mustLoad(t, flagsOf(t, "--nats-url", "nats://a:4222")), mustLoad(t, flagsOf(t), "NATS_URL=nats://u:hunter2@a:4222")} {
		if len(c.Exposed) > 0 {
			t.Errorf("warned %q", c.Exposed)
		}
	}
}
