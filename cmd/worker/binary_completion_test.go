package main

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"activation-worker/internal/events"
)

// TestCompletionInBash has a real bash, without the package bash-completion, complete lines as its user types them.
func TestCompletionInBash(t *testing.T) {
	t.Parallel()
	reasons := make([]string, 0, len(events.Reasons()))
	for _, r := range events.Reasons() {
		reasons = append(reasons, string(r))
	}
	want := map[string]string{
		"worker re":                              "replay",
		"worker s":                               "setup simulate status submit",
		"worker list --state ":                   "started deferred activated failed forgotten rejected",
		"worker list --state f":                  "failed forgotten",
		"worker list --reason ":                  strings.Join(reasons, " "),
		"worker replay 51200931 --reason terms_": "terms_pending",
		"worker list -o ":                        "table json",
		"worker list --output=j":                 "json",
		"worker replay --dry":                    "--dry-run",
		"worker run --log-level ":                "debug info warn error",
		"worker run --embedded-nats n":           "never",
		"worker completion ":                     "bash zsh fish powershell",
		"worker status 5":                        "", // no ids
		"worker forget ":                         "",
		"worker watch --since ":                  "",
	}
	lines := slices.Sorted(maps.Keys(want))
	var script strings.Builder
	script.WriteString(`
compopt() { :; } # speaks to the readline that there is none of
source <(worker completion bash) || exit 1
complete -p worker >&2
try() {
	COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9 COMP_WORDS=($1) COMPREPLY=()
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	__start_worker worker
	printf '%s\n' "$1=> ${COMPREPLY[*]}"
}
`)
	for _, line := range lines {
		fmt.Fprintf(&script, "try %q\n", line)
	}
	path := filepath.Dir(buildWorker(t)) + ":/usr/bin:/bin"
	r := execute(t, "bash", script.String(), []string{"PATH=" + path}, "--norc", "--noprofile", "-s").want(t, 0, "-F __start_worker worker")
	said := strings.Split(strings.TrimSuffix(r.stdout, "\n"), "\n")
	if len(said) != len(lines) {
		t.Fatalf("bash said:\n%s%s", r.stdout, r.stderr)
	}
	for i, line := range lines {
		if got, expected := strings.TrimSpace(said[i]), strings.TrimSpace(line+"=> "+want[line]); got != expected {
			t.Errorf("%s\nwant %s", got, expected)
		}
	}
}

func TestBinaryCompletion(t *testing.T) {
	t.Parallel()
	for shell, begin := range map[string]string{"bash": "if ! declare", "zsh": "#compdef worker", "fish": "# fish completion for worker", "powershell": "# powershell completion for worker"} {
		if r := invoke(t, "", nil, "completion", shell).want(t, exitDone); !strings.HasPrefix(r.stdout, begin) || r.stderr != "" {
			t.Errorf("the script for %s begins with %.60q, and it said %q", shell, r.stdout, r.stderr)
		}
	}
	for _, args := range [][]string{{"completion"}, {"completion", "tcsh"}, {"completion", "bash", "zsh"}} {
		invoke(t, "", nil, args...).want(t, exitUsage, "name one shell, of bash, zsh, fish, powershell", "worker completion --help")
	}
}

// A new flag says by the word for its value, or by its name, whether it takes a file.
func TestFilesAreOfferedWhereOneIsWanted(t *testing.T) {
	t.Parallel()
	var files []string
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			_, values := cmd.GetFlagCompletionFunc(f.Name)
			_, dirs := f.Annotations[cobra.BashCompSubdirsInDir]
			if !values && !dirs && !slices.Contains(files, f.Name) {
				files = append(files, f.Name)
			}
		})
		for _, child := range cmd.Commands() {
			visit(child)
		}
	}
	visit(rootCommand())
	slices.Sort(files)
	want := []string{
		"classification", "config", "file", "from-file", "lineworks-access-token-file", "lineworks-ca", "lineworks-client-secret-file",
		"lineworks-private-key-file", "metrics", "nats-ca", "nats-cert", "nats-creds", "nats-key", "nats-nkey", "nats-password-file", "nats-token-file",
	}
	if !slices.Equal(files, want) {
		t.Errorf("files are offered for\n%q\nwant\n%q", files, want)
	}
}
