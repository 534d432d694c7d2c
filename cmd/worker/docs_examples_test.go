package main

import (
	"cmp"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// How examples of --help are run that do not just end with 0, by how they begin.
var exampleRuns = []struct {
	begins string
	status int
	stays  bool
	notRun string
}{
	{begins: "worker watch -o json | jq", notRun: "wants jq"},
	{begins: "worker watch", stays: true},
	{begins: "worker simulate", stays: true},
	{begins: "worker completion powershell", notRun: "wants powershell"},
	{begins: "worker demo", notRun: "the README's test runs it, and TestDemo and others with flags"},
	{begins: "worker run --print-config"},
	{begins: "worker run", notRun: "it runs beside"},
	{begins: "NATS_URL=nats://nats.internal:4222 worker run", notRun: "there is no such server"},
	{begins: "worker cancel --replay", status: exitUsage}, // the id is cut
	{begins: "worker doctor --audit"},
	{begins: "worker doctor", status: exitDrift},                      // it knows no table with CONTRACT_ENDED
	{begins: "worker setup --rewind-intake 2026-11", status: either},  // it depends on today
	{begins: "worker setup --accept-ledger --rewind", status: either}, // likewise
}

// either is done or failed.
const either = -2

var explained = regexp.MustCompile(` {3,}.*`)

// TestExamplesOfCommands types each example of --help, which docs/cli.md repeats, beside a running worker.
func TestExamplesOfCommands(t *testing.T) {
	t.Parallel()
	s := newStage(t, "docs/cli.md", document(t, "docs/cli.md"))
	for name, text := range map[string]string{
		"ids.txt": "51200941\n51200942\n", "customers.csv": "51200943,Mikan\n", "customers-of-last-year.txt": "51200944\n", "worker.yaml": "worker_log_level: info\n",
	} {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	exporter, home := t.TempDir(), t.TempDir()
	if err := os.MkdirAll(filepath.Join(home, ".config", "fish", "completions"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.mapped = append(s.mapped, [2]string{"/var/lib/node_exporter", exporter}, [2]string{"~", home}, [2]string{"/etc/bash_completion.d", home}, [2]string{"${fpath[1]}", home})
	tried := 0
	all := commandsBelow(rootCommand())
	slices.SortStableFunc(all, func(a, b *cobra.Command) int { // who erases comes last
		return cmp.Compare(strings.Count(a.Name(), "forget"), strings.Count(b.Name(), "forget"))
	})
	for _, cmd := range all {
		for line := range strings.Lines(undent(cmd.Example)) {
			line = explained.ReplaceAllString(strings.TrimSpace(line), "")
			if line != "" && s.tryExample(line) {
				tried++
			}
		}
	}
	if tried < 25 {
		t.Errorf("only %d examples were tried", tried)
	}
}

// tryExample types one, unless it is not run.
func (s *stage) tryExample(line string) bool {
	s.t.Helper()
	cmd := typed{block: block{text: line}}
	for _, how := range exampleRuns {
		if strings.HasPrefix(line, how.begins) {
			if how.notRun != "" {
				s.t.Logf("not run: %s (%s)", line, how.notRun)
				return false
			}
			cmd.exit, cmd.stays = how.status, how.stays
			break
		}
	}
	// The partner beside has its addresses already.
	script := strings.ReplaceAll(strings.ReplaceAll(line, "worker simulate", "worker simulate  --listen 127.0.0.1:0"), dnsAddress, "127.0.0.1:0")
	x := openTerminal(s.t, s.dir, s.env)
	printed, status := x.run(cmd, s.real(script)+"\n")
	x.interrupt()
	if status != cmd.exit && (cmd.exit != either || status != exitDone && status != exitFailed) {
		s.t.Errorf("%s: status %d, want %d; it printed\n%s", line, status, cmd.exit, printed)
	}
	return true
}
