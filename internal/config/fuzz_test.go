package config

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// FuzzLoad: whatever stands in the environment and in the file gives settings or faults, never a crash; what is taken
// can be printed and read back, and faults name their key.
func FuzzLoad(f *testing.F) {
	for _, s := range settings() {
		f.Add(s.name, s.def, "worker_lease: 60s")
	}
	f.Add("WORKER_GIVE_UP", "transient=24h,dns_unverified=720h", "a: [b]")
	f.Add("WORKER_BACKOFF", "transient=10s/60s", "&a a: *a")
	f.Add("WORKER_INTAKE_FROM", "2026-01-31T09:00:00Z", "---\n---")
	f.Add("LINEWORKS_SUSTAINED_RATE", "120/m", "<<: {WORKER_ID: a}")
	f.Add("WORKER_STREAM_MAX_BYTES", "512MiB", "\xff")
	f.Add("NATS_URL", "nats://u:p@h:4222,tls://[::1]", "? [a]\n: b")
	f.Add("WORKER_DNS_RESOLVERS", "authoritative,[2001:db8::1%eth0]:53,192.0.2.1", "worker_dns_resolvers: off")
	f.Add("WORKER_DNS_SCHEDULE", "watch=1s/1s,call=1h/2h", "worker_dns_schedule: visible=5m")
	f.Add("WORKER_ID", "a", "lineworks_scope: 'a # b: \"c\" d'")
	f.Add("WORKER_CLASSIFICATION", "testdata/print.yaml", "worker_classification: testdata/settings.md")
	f.Fuzz(func(t *testing.T, key, text, content string) {
		if strings.Contains(text, "/dev/") || strings.Contains(content, "/dev/") {
			return // devices are no files
		}
		fs := flagsOf(t, "--config", write(t, "worker.yaml", content))
		c, err := Load(fs, []string{key + "=" + text})
		if err != nil {
			faults, ok := errors.AsType[Faults](err)
			if !ok || len(faults) == 0 {
				t.Fatalf("not faults: %v", err)
			}
			for _, fault := range faults {
				if fault.Key == "" || fault.Problem == "" || strings.ContainsAny(fault.Error(), "\n\r\x00") {
					t.Errorf("unclear fault: %q", fault.Error())
				}
			}
			return
		}
		again := flagsOf(t, "--config", write(t, "again.yaml", printed(t, c)))
		back, err := Load(again, []string{key + "=" + text})
		if err != nil {
			t.Fatalf("printed settings are refused: %v\n%s", err, printed(t, c))
		}
		for _, s := range settings() {
			was, is := c.values[s.name], back.values[s.name]
			if _, hiding := c.shownValue(s); !hiding && !was.computed && was.text != is.text {
				t.Errorf("%s is %q, and %q when read back", s.name, was.text, is.text)
			}
		}
	})
}

const codeBytes = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"

// FuzzClassification: whatever the file holds gives entries that re-label a definite no, each once, or problems of one line.
func FuzzClassification(f *testing.F) {
	for _, content := range []string{
		"- {status: 409, code: ALREADY_DONE, reason: refused}\n- status: 404\n  reason: customer_not_found\n",
		`[{"status": 409, "code": null, "reason": "transient"}]`,
		"- &a {status: 408, reason: [refused]}\n- *a\n- {<<: *a}", "[]\n---\n[]", "- {status: 409,", "\xff", "- ? {a: b}\n  : c",
		"- {status: 408, reason: refused}", "- {status: 0409, reason: refused}", "- {status: 409, reason: cancelled}", "- {status: 409, code: 'a b', reason: refused}",
		"- {status: 409, code: A, reason: refused}\n- {status: 409, code: A, reason: transient}\n", "- {status: 500, reason: refused}", "- {status: 409, status: 410, reason: refused}",
	} {
		f.Add(content)
	}
	f.Fuzz(func(t *testing.T, content string) {
		entries, problems := readClassification(write(t, "classification", content))
		for _, problem := range problems {
			if problem == "" || strings.ContainsFunc(problem, isControl) {
				t.Errorf("unclear problem: %q", problem)
			}
		}
		if len(problems) > 0 {
			return // nothing of it is used
		}
		pairs := map[Classification]bool{}
		for _, entry := range entries {
			pair := Classification{Status: entry.Status, Code: entry.Code}
			if entry.Status < 400 || entry.Status > 499 || entry.Status == 408 || !slices.Contains(classifiable(), entry.Reason) ||
				len(entry.Code) > 64 || strings.Trim(entry.Code, codeBytes) != "" || pairs[pair] {
				t.Errorf("taken as an entry: %q", entry)
			}
			pairs[pair] = true
		}
	})
}
