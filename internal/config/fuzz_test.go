package config

import (
	"errors"
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
	f.Fuzz(func(t *testing.T, key, text, content string) {
		if strings.Contains(text, "/dev/") || strings.Contains(content, "/dev/") {
			t.Skip("devices are no files")
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
		if _, err := Load(again, []string{key + "=" + text}); err != nil {
			t.Errorf("printed settings are refused: %v\n%s", err, printed(t, c))
		}
	})
}
