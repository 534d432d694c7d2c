package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// A kind of value as docs/configuration.md explains it. The example stands for all settings of the kind that have none of their own.
var kindsExplained = []struct{ kind, written, example string }{
	{"text", "any text", ""},
	{"file", "path of a file that is there, relative to where the worker is started", ""},
	{"choice", "one of the words that the setting's meaning names", ""},
	{"number", "a whole number", ""},
	{"duration", "a number and a unit, `ms` `s` `m` `h`, also several: at least `1ms`", "90s"},
	{"rate", "requests in a unit of time: `/s`, `/m` or `/h`; `0` is no limit", ""},
	{"size", "bytes, or a number with `kB` `MB` `GB` `TB` (powers of 1000) or `KiB` `MiB` `GiB` `TiB` (of 1024)", "20GiB"},
	{"address", "`host:port`; where the meaning says so, also `off`", ""},
	{"URL", "scheme, host and path; no user, query or fragment", ""},
	{"URI", "a URI reference", ""},
	{"servers", "`nats://`, `tls://`, `ws://` or `wss://` and host, with commas between", ""},
	{"name", "one word: no blanks, and no `. * > / \\` but the dot in `WORKER_ID`", ""},
	{"account", "name, `@` and tenant", ""},
	{"pointer", "a JSON pointer (RFC 6901), such as `/customer/domainId`", ""},
	{"start", "`all`, `new`, or a time as RFC 3339 writes it", ""},
	{"subject", "a NATS subject", ""},
	{"list", "entries with commas between, each as the meaning says", ""},
	{"secret", "the secret itself; better its `_FILE`", ""},
}

// examples are values as one might set them, of the settings where the kind does not say enough.
var examples = map[string]string{
	"NATS_URL": "tls://nats1.example.net:4222,tls://nats2.example.net:4222", "WORKER_EMBEDDED_NATS": "never",
	"WORKER_NATS_LISTEN": "127.0.0.1:4333", "WORKER_DATA_DIR": "/var/lib/activation-worker",
	"NATS_CREDS": "/etc/activation-worker/worker.creds", "NATS_NKEY": "/etc/activation-worker/worker.nk", "NATS_USER": "activation",
	"NATS_PASSWORD_FILE": "/etc/activation-worker/nats-password", "NATS_TOKEN_FILE": "/etc/activation-worker/nats-token",
	"NATS_CA": "/etc/activation-worker/nats-ca.pem", "NATS_CERT": "/etc/activation-worker/worker.pem",
	"NATS_KEY": "/etc/activation-worker/worker-key.pem", "NATS_INBOX_PREFIX": "_INBOX_worker", "NATS_JS_DOMAIN": "hub",
	"LINEWORKS_CLIENT_ID": "Xq7PkT2mVb", "LINEWORKS_CLIENT_SECRET_FILE": "/etc/activation-worker/client-secret",
	"LINEWORKS_SERVICE_ACCOUNT":   "k3x9q.serviceaccount@kawase-it",
	"LINEWORKS_PRIVATE_KEY_FILE":  "/etc/activation-worker/private-key.pem",
	"LINEWORKS_ACCESS_TOKEN_FILE": "/etc/activation-worker/access-token",
	"LINEWORKS_API_URL":           "http://127.0.0.1:8090/v1.0", "LINEWORKS_TOKEN_URL": "http://127.0.0.1:8090/oauth2/v2.0/token",
	"LINEWORKS_CA": "/etc/activation-worker/proxy-ca.pem", "LINEWORKS_SCOPE": "partner", "LINEWORKS_TIMEOUT": "45s",
	"LINEWORKS_CONCURRENCY": "2", "LINEWORKS_RATE": "60/m", "LINEWORKS_SUSTAINED_RATE": "30/m",
	"WORKER_INTAKE_STREAM": "ORDERS", "WORKER_INTAKE_SUBJECT": "orders.*.accepted", "WORKER_INTAKE_TYPE": "net.example.terms.accepted",
	"WORKER_INTAKE_DOMAIN_ID": "/customer/domainId", "WORKER_INTAKE_FROM": "2026-03-01T00:00:00Z", "WORKER_STREAM": "ACTIVATION_TEST",
	"WORKER_REPLICAS": "3", "WORKER_ID": "activation-worker-0", "WORKER_SWEEP_INTERVAL": "10m",
	"WORKER_GIVE_UP": "dns_unverified=1080h,terms_pending=720h", "WORKER_BACKOFF": "transient=10s/60s/5m,terms_pending=5m/1h/6h",
	"WORKER_DNS_SCHEDULE": "watch=30s/15m,call=2h/12h/24h", "WORKER_DNS_RESOLVERS": "system,authoritative,9.9.9.9",
	"WORKER_CLASSIFICATION": "/etc/activation-worker/classification.yaml", "WORKER_EVENT_SOURCE": "/lineworks/activation/osaka",
	"WORKER_RECORD_PARTNER_TEXT": "off", "WORKER_HTTP_ADDR": "0.0.0.0:8080", "WORKER_CONSOLE_ADDR": "0.0.0.0:8081",
	"WORKER_CONSOLE_HOSTS": "activation.example.net,worker-1.internal", "WORKER_LOG_LEVEL": "debug", "WORKER_LOG_FORMAT": "json",
}

// reference is the generated part of docs/configuration.md.
func reference(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("## All settings\n\n" + Markdown())
	b.WriteString("\n## How values are written\n\n| kind | written | settings |\n|---|---|---|\n")
	kinds := map[string][]string{}
	for _, s := range settings() {
		kinds[s.value.kind] = append(kinds[s.value.kind], "`"+s.name+"`")
	}
	for _, k := range kindsExplained {
		if len(kinds[k.kind]) > 0 {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", k.kind, k.written, strings.Join(kinds[k.kind], " "))
		}
	}
	b.WriteString("\n## An example of each\n\nAs a settings file. No installation wants all of them at once.\n\n```yaml\n")
	for _, s := range settings() {
		if example := exampleOf(s); example != "" {
			line, err := yaml.Marshal(map[string]string{s.name: example})
			if err != nil {
				t.Fatal(err)
			}
			b.Write(line)
		}
	}
	b.WriteString("```\n")
	return b.String()
}

func exampleOf(s setting) string {
	if example := examples[s.name]; example != "" {
		return example
	}
	for _, k := range kindsExplained {
		if k.kind == s.value.kind {
			return k.example
		}
	}
	return ""
}

// TestConfigurationReference holds docs/configuration.md against the table of settings; -update writes it anew.
func TestConfigurationReference(t *testing.T) {
	t.Parallel()
	const begin, end = "<!-- settings: begin, written by make docs -->\n", "<!-- settings: end -->"
	path := filepath.Join("..", "..", "docs", "configuration.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	shown, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has nothing between %q and %q", path, begin, end)
	}
	want := reference(t)
	if *update {
		if err := os.WriteFile(path, []byte(before+begin+want+end+after), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if shown != want {
		t.Errorf("docs/configuration.md is not current: make docs. It must be:\n%s", want)
	}
}

// TestExamplesOfSettings takes each example as the worker would, and finds those that no setting has, and kinds that nobody explains.
func TestExamplesOfSettings(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, s := range settings() {
		known[s.name] = true
		if example := exampleOf(s); example != "" {
			if err := s.value.set(new(Config), example); err != nil {
				t.Errorf("the example of %s: %v", s.name, err)
			}
		}
		if !slices.ContainsFunc(kindsExplained, func(k struct{ kind, written, example string }) bool { return k.kind == s.value.kind }) {
			t.Errorf("nobody explains the kind %q of %s", s.value.kind, s.name)
		}
	}
	for name := range examples {
		if !known[name] {
			t.Errorf("%s has an example and is no setting", name)
		}
	}
}
