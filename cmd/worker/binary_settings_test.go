package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Settings that are no secrets, but look like them in the tests' output.
const (
	secretText = "hush-4f1d9c"
	nobody     = "NATS_URL=nats://127.0.0.1:1" // nothing is there; nothing may get as far as connecting
)

func TestBinaryRefusesWrongSettings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	tests := map[string]struct {
		env  []string
		args []string // after run
		want []string // on stderr
	}{
		"half of the credentials": {
			env:  []string{"LINEWORKS_CLIENT_ID=app", "LINEWORKS_CLIENT_SECRET=" + secretText},
			want: []string{"LINEWORKS_SERVICE_ACCOUNT", "LINEWORKS_PRIVATE_KEY"},
		},
		"token and service account": {
			env:  []string{"LINEWORKS_CLIENT_ID=app", "LINEWORKS_ACCESS_TOKEN=" + secretText},
			want: []string{"LINEWORKS_ACCESS_TOKEN", "LINEWORKS_CLIENT_ID"},
		},
		"a secret as text and as file": {
			env:  []string{"LINEWORKS_ACCESS_TOKEN=" + secretText, "LINEWORKS_ACCESS_TOKEN_FILE=" + file("token", secretText)},
			want: []string{"LINEWORKS_ACCESS_TOKEN", "LINEWORKS_ACCESS_TOKEN_FILE"},
		},
		"a secret's file that is not there": {
			env:  []string{"LINEWORKS_ACCESS_TOKEN_FILE=" + filepath.Join(dir, secretText)},
			want: []string{"LINEWORKS_ACCESS_TOKEN_FILE"},
		},
		"a key that is none": {
			env: []string{
				"LINEWORKS_CLIENT_ID=app", "LINEWORKS_CLIENT_SECRET=" + secretText,
				"LINEWORKS_SERVICE_ACCOUNT=a@b", "LINEWORKS_PRIVATE_KEY=" + secretText,
			},
			want: []string{"LINEWORKS_PRIVATE_KEY", "PEM"},
		},
		"roots that are none":             {env: []string{"LINEWORKS_CA=" + file("ca.pem", "nothing")}, want: []string{"LINEWORKS_CA"}},
		"a bad duration":                  {env: []string{"LINEWORKS_TIMEOUT=30"}, want: []string{"LINEWORKS_TIMEOUT", "60s"}},
		"a lease shorter than a request":  {env: []string{"WORKER_LEASE=39s"}, want: []string{"WORKER_LEASE", "40s", "LINEWORKS_TIMEOUT"}},
		"a bad rate":                      {env: []string{"LINEWORKS_RATE=240/day"}, want: []string{"LINEWORKS_RATE", "/m"}},
		"a bad sustained rate":            {env: []string{"LINEWORKS_SUSTAINED_RATE=fast"}, want: []string{"LINEWORKS_SUSTAINED_RATE"}},
		"no request at all":               {env: []string{"LINEWORKS_CONCURRENCY=0"}, want: []string{"LINEWORKS_CONCURRENCY"}},
		"http beyond loopback":            {env: []string{"LINEWORKS_API_URL=http://192.0.2.1/v1.0", "LINEWORKS_TOKEN_URL=https://192.0.2.1/t"}, want: []string{"LINEWORKS_API_URL", "https"}},
		"one URL the partner's":           {env: []string{"LINEWORKS_API_URL=https://partner.example/v1.0"}, want: []string{"LINEWORKS_API_URL", "LINEWORKS_TOKEN_URL"}},
		"a start that is no time":         {env: []string{"WORKER_INTAKE_FROM=yesterday"}, want: []string{"WORKER_INTAKE_FROM", "all, new or a time like 2026-"}},
		"a wildcard without a type":       {env: []string{"WORKER_INTAKE_SUBJECT=signup.>"}, want: []string{"WORKER_INTAKE_TYPE"}},
		"a pointer that is none":          {env: []string{"WORKER_INTAKE_DOMAIN_ID=domainId"}, want: []string{"WORKER_INTAKE_DOMAIN_ID"}},
		"two replicas":                    {env: []string{"WORKER_REPLICAS=2"}, want: []string{"WORKER_REPLICAS"}},
		"a bad size":                      {env: []string{"WORKER_STREAM_MAX_BYTES=lots"}, want: []string{"WORKER_STREAM_MAX_BYTES", "GiB"}},
		"a backoff of no known reason":    {env: []string{"WORKER_BACKOFF=tired=1s"}, want: []string{"WORKER_BACKOFF", "tired"}},
		"a limit of no duration":          {env: []string{"WORKER_GIVE_UP=transient=soon"}, want: []string{"WORKER_GIVE_UP", "soon"}},
		"a level that is none":            {env: []string{"WORKER_LOG_LEVEL=chatty"}, want: []string{"WORKER_LOG_LEVEL", "debug"}},
		"an address without a port":       {env: []string{"WORKER_HTTP_ADDR=localhost"}, want: []string{"WORKER_HTTP_ADDR"}},
		"no server at all":                {env: []string{"NATS_URL=", "WORKER_EMBEDDED_NATS=never"}, want: []string{"NATS_URL", "WORKER_EMBEDDED_NATS"}},
		"a server address that is none":   {env: []string{"NATS_URL=postgres://db:5432"}, want: []string{"NATS_URL"}},
		"an embedded server for everyone": {env: []string{"NATS_URL=", "WORKER_NATS_LISTEN=0.0.0.0:4222"}, want: []string{"WORKER_NATS_LISTEN", "loopback"}},
		"a password without a user":       {env: []string{"NATS_PASSWORD=" + secretText}, want: []string{"NATS_USER"}},
		"a variable that is no setting":   {env: []string{"WORKER_LEESE=60s"}, want: []string{"WORKER_LEESE", "WORKER_LEASE"}},
		"a key that is no setting":        {args: []string{"--config", file("typo.yaml", "WORKER_LEESE: 60s\n")}, want: []string{"WORKER_LEESE", "WORKER_LEASE"}},
		"a settings file not there":       {args: []string{"--config", filepath.Join(dir, "none.yaml")}, want: []string{"--config"}},
		"a settings file that is no YAML": {args: []string{"--config", file("bad.yaml", "a: [")}, want: []string{"--config"}},
		"a flag that is none":             {args: []string{"--leese", "60s"}, want: []string{"--leese", "worker run --help"}},
		"an argument":                     {args: []string{"now"}, want: []string{"now", "worker run --help"}},
		"two faults at once": {
			env:  []string{"LINEWORKS_TIMEOUT=-1s", "WORKER_REPLICAS=seven"},
			want: []string{"LINEWORKS_TIMEOUT", "WORKER_REPLICAS"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := invoke(t, "", settings([]string{nobody}, tt.env), append([]string{"run"}, tt.args...)...)
			r.want(t, exitUsage)
			for _, text := range tt.want {
				if !strings.Contains(r.stderr, text) {
					t.Errorf("stderr does not name %s but says:\n%s", text, r.stderr)
				}
			}
			if strings.Contains(r.stdout+r.stderr, secretText) {
				t.Errorf("the secret is shown:\n%s%s", r.stdout, r.stderr)
			}
		})
	}
}

// TestBinaryOrderOfSettings: flags over environment over file over defaults.
func TestBinaryOrderOfSettings(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "worker.yaml")
	content := "WORKER_ID: of-file\nLINEWORKS_SCOPE: of-file\nLINEWORKS_CONCURRENCY: 4\n"
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{nobody, "WORKER_ID=of-env", "LINEWORKS_SCOPE=of-env"}
	r := invoke(t, "", env, "run", "--config", path, "--id", "of-flag", "--print-config").want(t, exitDone)
	for key, want := range map[string]string{
		"WORKER_ID": "of-flag", "LINEWORKS_SCOPE": "of-env", "LINEWORKS_CONCURRENCY": "4", "LINEWORKS_TIMEOUT": "30s",
	} {
		if !lineWith(r.stdout, key, want) {
			t.Errorf("%s is not shown as %s:\n%s", key, want, r.stdout)
		}
	}
}

// TestBinaryPrintsConfigWithoutSecrets also shows that a printed configuration can be read again.
func TestBinaryPrintsConfigWithoutSecrets(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(secretText), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{
		"NATS_URL=nats://user:" + secretText + "@127.0.0.1:1", "NATS_TOKEN=" + secretText,
		"LINEWORKS_CLIENT_ID=app", "LINEWORKS_CLIENT_SECRET_FILE=" + path, "LINEWORKS_SERVICE_ACCOUNT=a@b",
		"LINEWORKS_PRIVATE_KEY=-----BEGIN PRIVATE KEY-----\\n" + secretText + "\\n-----END PRIVATE KEY-----",
	}
	r := invoke(t, "", env, "run", "--print-config").want(t, exitDone, "WORKER_LEASE: 60s", "(hidden)")
	if strings.Contains(r.stdout+r.stderr, secretText) {
		t.Errorf("a secret is shown:\n%s%s", r.stdout, r.stderr)
	}
	printed := filepath.Join(t.TempDir(), "printed.yaml")
	if err := os.WriteFile(printed, []byte(r.stdout), 0o600); err != nil {
		t.Fatal(err)
	}
	invoke(t, "", env, "run", "--config", printed, "--print-config").want(t, exitDone)
}

func TestBinaryRefusesWrongArguments(t *testing.T) {
	t.Parallel()
	for call, want := range map[string]string{
		"dance":                                  "dance",
		"--dance":                                "--dance",
		"status":                                 "worker status --help",
		"status 1 2":                             "worker status --help",
		"status hinode":                          "neither a domain id",
		"status 1 -o xml":                        "--output",
		"submit":                                 "no domain id",
		"submit 007":                             "argument 1",
		"submit 1 --file x":                      "not both",
		"submit 1 2 --domain a.example":          "--domain",
		"submit --file none.txt":                 "--file",
		"submit 1 --backfill=maybe":              "--backfill",
		"setup now":                              "worker setup --help",
		"setup --rewind-intake yesterday":        "--rewind-intake",
		"setup --check --rebind-partner":         "--check",
		"setup --rebind-partner":                 "LINEWORKS_",
		"version now":                            "worker version --help",
		"demo now":                               "worker demo --help",
		"simulate now":                           "worker simulate --help",
		"submit 1 --reference " + long("x", 201): "--reference",
		"submit 99999999999999999999":            "9223372036854775807",
		"submit 51200931 --subject signup.*.more":                          "--subject",
		"submit 51200931 --subject activation.customer.51200931.activated": "--subject",
	} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			r := invoke(t, "", []string{nobody}, strings.Fields(call)...).want(t, exitUsage)
			if !strings.Contains(r.stderr, want) {
				t.Errorf("stderr does not say %q but:\n%s", want, r.stderr)
			}
		})
	}
}

// TestBinaryWithoutServer: commands that start no server say where they looked for one.
func TestBinaryWithoutServer(t *testing.T) {
	t.Parallel()
	address := freePort(t)
	for call, env := range map[string]string{
		"status 1": "WORKER_NATS_LISTEN=" + address, "submit 1": "NATS_URL=nats://" + address, "setup": "NATS_URL=nats://me:" + secretText + "@" + address,
	} {
		r := invoke(t, "", []string{env}, strings.Fields(call)...).want(t, exitFailed, address, "worker run")
		if strings.Contains(r.stdout+r.stderr, secretText) {
			t.Errorf("%s shows the password:\n%s", call, r.stderr)
		}
	}
}

func TestBinaryHelp(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "run", "setup", "submit", "status", "demo", "simulate", "version", "completion"} {
		r := invoke(t, "", nil, append(strings.Fields(name), "--help")...).want(t, exitDone, "worker "+name)
		if name != "version" && !strings.Contains(r.stdout, "Examples:") {
			t.Errorf("the help of %q has no examples:\n%s", name, r.stdout)
		}
	}
	invoke(t, "", nil, "version").want(t, exitDone, "nats.go", "go1.")
}

func long(text string, times int) string { return strings.Repeat(text, times) }

// lineWith tells whether a line of a text has all of the words.
func lineWith(text string, words ...string) bool {
	for line := range strings.Lines(text) {
		found := true
		for _, word := range words {
			found = found && strings.Contains(line, word)
		}
		if found {
			return true
		}
	}
	return false
}
