package config

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write golden files anew")

// golden compares with a file below testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (-update writes it anew), got:\n%s", path, got)
	}
}

func printed(t testing.TB, c *Config) string {
	t.Helper()
	var b strings.Builder
	if err := c.Print(&b); err != nil {
		t.Fatalf("print: %v", err)
	}
	return b.String()
}

func TestPrint(t *testing.T) {
	t.Parallel()
	file := write(t, "worker.yaml", "WORKER_DATA_DIR: /var/lib/worker\nLINEWORKS_SCOPE: 'partner bot: # x'\n")
	c := mustLoad(t, flagsOf(t, "--config", file, "--lease=90s", "--replicas=3"),
		"NATS_URL=nats://u:hunter2@a:4222,nats://v:hunter2@b:4222", "LINEWORKS_ACCESS_TOKEN=hunter2",
		"WORKER_GIVE_UP=transient=1h", "WORKER_ID=worker-1")
	got := printed(t, c)
	if strings.Contains(got, "hunter2") {
		t.Error("shows a secret")
	}
	golden(t, "print.yaml", got)
}

// What is printed can be used as settings file and then means the same.
func TestPrintReadsBack(t *testing.T) {
	t.Parallel()
	first := mustLoad(t, flagsOf(t), "WORKER_INTAKE_FROM=2026-01-31T09:00:00Z", "LINEWORKS_CLIENT_ID=0123", "NATS_USER= null: #'\"",
		"LINEWORKS_CLIENT_SECRET=s", "LINEWORKS_SERVICE_ACCOUNT=a@b", "LINEWORKS_PRIVATE_KEY=k", "WORKER_RECORD_PARTNER_TEXT=off",
		"WORKER_BACKOFF=transient=1s/2s,terms_pending=1h", "WORKER_STREAM_MAX_BYTES=1GB", "LINEWORKS_RATE=0")
	file := write(t, "worker.yaml", printed(t, first))
	second := mustLoad(t, flagsOf(t, "--config", file), "LINEWORKS_CLIENT_SECRET=s", "LINEWORKS_PRIVATE_KEY=k")
	same := func(text string) string { // without where it came from, and without this start's made-up name
		var kept []string
		for line := range strings.Lines(text) {
			if !strings.Contains(line, "WORKER_ID:") {
				before, _, _ := cutLast(line, " # ")
				kept = append(kept, before)
			}
		}
		return strings.Join(kept, "\n")
	}
	if a, b := same(printed(t, first)), same(printed(t, second)); a != b {
		t.Errorf("printed\n%s\nread back\n%s", a, b)
	}
	if second.Worker.ID == first.Worker.ID {
		t.Error("a made-up name was pinned")
	}
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// brokenPipe refuses everything.
type brokenPipe struct{}

var errBroken = errors.New("broken pipe")

func (brokenPipe) Write([]byte) (int, error) { return 0, errBroken }

func TestPrintSaysWhenItCannot(t *testing.T) {
	t.Parallel()
	if err := mustLoad(t, nil).Print(brokenPipe{}); !errors.Is(err, errBroken) {
		t.Errorf("got %v", err)
	}
}

func TestMarkdown(t *testing.T) {
	t.Parallel()
	got := Markdown()
	for line := range strings.Lines(got) {
		if strings.Count(line, "|") != 5 || strings.Count(line, "`")%2 != 0 {
			t.Errorf("not a row of the table: %s", line)
		}
	}
	golden(t, "settings.md", got)
}

func TestHelp(t *testing.T) {
	t.Parallel()
	golden(t, "help.txt", flagsOf(t).FlagUsages())
}
