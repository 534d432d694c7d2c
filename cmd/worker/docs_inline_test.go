package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Commands within sentences that a reader could type as they stand: whole, and nothing in them stands for something else.
var (
	typable     = regexp.MustCompile(`^(worker (setup|submit|status|list|replay|cancel|forget|doctor|version|completion) ?|curl -s ).*`)
	mentioned   = regexp.MustCompile(`^worker \w+( --[a-z-]+)+$`) // a flag of a command, not a call of it: TestReadmeCommands looks for it
	placeholder = regexp.MustCompile(`[…<>]|(^|[ =/])[A-Z]{2,}([ /]|$)|\[`)
)

// inlineCommands are those in the sentences and tables of all documents, each once.
func inlineCommands(t *testing.T) (all []string) {
	t.Helper()
	for _, doc := range documents(t) {
		for _, m := range codeSpan.FindAllStringSubmatch(fence.ReplaceAllString(document(t, doc), ""), -1) {
			if command := m[1]; typable.MatchString(command) && !placeholder.MatchString(command) && strings.Count(command, " ") > 1 {
				all = append(all, command)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// TestInlineCommands types the commands that documents name in a sentence, beside a running worker. What they find there is not what the
// sentence is about, so they may fail; but they must be understood.
func TestInlineCommands(t *testing.T) {
	t.Parallel()
	all := inlineCommands(t)
	if len(all) < 15 {
		t.Fatalf("only %d commands were found: %q", len(all), all)
	}
	s := newStage(t, "docs/cli.md", "<!-- beside: worker -->")
	if err := os.WriteFile(filepath.Join(s.dir, "ids.txt"), []byte("51200941\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range all {
		x := openTerminal(t, s.dir, s.env)
		printed, status := x.run(typed{exit: either}, s.real(command)+"\n")
		t.Logf("%s: %d", command, status)
		if !slices.Contains([]int{exitDone, exitFailed, exitDrift}, status) && !(status == exitUsage && mentioned.MatchString(command)) {
			t.Errorf("%s: status %d; it printed\n%s", command, status, printed)
		}
	}
}
