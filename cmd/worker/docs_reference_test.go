package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// settingFlag tells whether a flag stands for a setting, which docs/configuration.md explains.
func settingFlag(f *pflag.Flag) bool { return f.Annotations["setting"] != nil || f.Name == "config" }

// commandReference is the generated part of docs/cli.md: every command with what its --help says.
func commandReference() string {
	root := wholeCommand()
	var b strings.Builder
	b.WriteString("| command | does |\n|---|---|\n")
	all := commandsBelow(root)
	for _, cmd := range all {
		name := cmd.CommandPath()
		fmt.Fprintf(&b, "| [`%s`](#%s) | %s |\n", name, strings.ReplaceAll(name, " ", "-"), cmd.Short)
	}
	for _, cmd := range all {
		writeCommand(&b, cmd)
	}
	return b.String()
}

// wholeCommand is the command with what cobra adds to it when it runs.
func wholeCommand() *cobra.Command {
	root := rootCommand()
	root.InitDefaultCompletionCmd()
	return root
}

// commandsBelow are those that one can call, in the order of --help; help itself is left out.
func commandsBelow(cmd *cobra.Command) []*cobra.Command {
	var all []*cobra.Command
	for _, child := range cmd.Commands() {
		if child.Hidden || child.Name() == "help" {
			continue
		}
		if child.Runnable() {
			all = append(all, child)
		}
		all = append(all, commandsBelow(child)...)
	}
	return all
}

func writeCommand(b *strings.Builder, cmd *cobra.Command) {
	cmd.InitDefaultHelpFlag() // as --help would; it is left out below
	fmt.Fprintf(b, "\n## %s\n\n```text\n%s\n```\n", cmd.CommandPath(), cmd.UseLine())
	about := cmd.Long
	if about == "" {
		about = cmd.Short + "."
	}
	fmt.Fprintf(b, "\n```text\n%s\n```\n", strings.TrimSpace(about))
	if cmd.Example != "" {
		fmt.Fprintf(b, "\nExamples:\n\n```text\n%s\n```\n", undent(cmd.Example))
	}
	var own, settings []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		switch {
		case f.Hidden || f.Name == "help":
		case settingFlag(f):
			settings = append(settings, "`--"+f.Name+"`")
		default:
			own = append(own, flagRow(f))
		}
	})
	if len(own) > 0 {
		b.WriteString("\n| flag | default | meaning |\n|---|---|---|\n" + strings.Join(own, ""))
	}
	if len(settings) > 0 {
		fmt.Fprintf(b, "\n[Settings](configuration.md#all-settings): %s.\n", strings.Join(settings, " "))
	}
}

func flagRow(f *pflag.Flag) string {
	value, usage := pflag.UnquoteUsage(f)
	name := "--" + f.Name
	if f.Shorthand != "" {
		name = "-" + f.Shorthand + ", " + name
	}
	def := ""
	if f.DefValue != "" && f.DefValue != "[]" && f.DefValue != "false" && !strings.Contains(usage, "(default ") {
		def = "`" + f.DefValue + "`"
	}
	return fmt.Sprintf("| `%s` | %s | %s |\n", strings.TrimSpace(name+" "+value), def, strings.ReplaceAll(usage, "|", "\\|"))
}

// undent takes away the blanks before each line of an example.
func undent(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimPrefix(line, "  ")
	}
	return strings.Join(lines, "\n")
}

// TestCommandReference holds docs/cli.md against the commands; -update writes it anew.
func TestCommandReference(t *testing.T) {
	t.Parallel()
	const begin, end = "<!-- commands: begin, written by make docs -->\n", "<!-- commands: end -->"
	text := document(t, "docs/cli.md")
	before, rest, found := strings.Cut(text, begin)
	shown, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("docs/cli.md has nothing between %q and %q", begin, end)
	}
	want := commandReference()
	if *update {
		if err := os.WriteFile(filepath.Join(root, "docs", "cli.md"), []byte(before+begin+want+end+after), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if shown != want {
		t.Errorf("docs/cli.md is not current: make docs. It must be:\n%s", want)
	}
}
