package main

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// documents are those that tell people what to type and what they will read.
func documents(t testing.TB) []string {
	t.Helper()
	names := []string{"README.md"}
	for _, pattern := range []string{"docs/*.md", "deploy/*/README.md"} {
		found, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(pattern)))
		if err != nil || len(found) == 0 {
			t.Fatalf("no document is at %s (%v)", pattern, err)
		}
		for _, path := range found {
			name, err := filepath.Rel(root, path)
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, filepath.ToSlash(name))
		}
	}
	return names
}

// block is a fenced block of a document.
type block struct {
	language, marks, text string
	line                  int // of the fence
}

var fence = regexp.MustCompile("(?ms)^```([a-z]+)([^\n]*)\n(.*?)^```$")

func blocksOf(text string) []block {
	var all []block
	for _, m := range fence.FindAllStringSubmatchIndex(text, -1) {
		all = append(all, block{
			language: text[m[2]:m[3]], marks: strings.TrimSpace(text[m[4]:m[5]]), text: text[m[6]:m[7]],
			line: 1 + strings.Count(text[:m[0]], "\n"),
		})
	}
	return all
}

// typed is a block of commands for a reader, and how a test runs it: CONTRIBUTING.md says what each mark means.
type typed struct {
	block
	terminal   string        // "1" unless said
	interrupt  bool          // Ctrl-C in that terminal before
	exit       int           // status of the block's last command; unless 0, the others' do not matter
	stays      bool          // does not return by itself
	until      string        // what it says when it is there
	repeat     time.Duration // how long it may take until it is as shown
	repository bool          // typed in a clone of the repository
	notRun     string        // why it is not run; empty: it is
	output     string        // what it prints, see matches; empty: anything
}

var mark = regexp.MustCompile(`^([a-z-]+)(?:=("[^"]*"|[^\s"]+))?(?:\s+|$)`)

// typedIn are the commands of a document, in the order in which they are to be typed.
func typedIn(text string) ([]typed, error) {
	var all []typed
	var last *typed // the block that an output may follow
	for _, b := range blocksOf(text) {
		switch {
		case b.language == "sh":
			cmd, err := readMarks(b)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", b.line, err)
			}
			all = append(all, cmd)
			last = &all[len(all)-1]
			continue
		case b.language == "text" && b.marks == "output":
			if last == nil || last.notRun != "" {
				return nil, fmt.Errorf("line %d: the output follows no block of commands that is run", b.line)
			}
			last.output = b.text
		case b.marks != "":
			return nil, fmt.Errorf("line %d: %q says nothing of a block of %s", b.line, b.marks, b.language)
		}
		last = nil
	}
	return all, nil
}

// serving finds a command that serves until it is stopped.
var serving = regexp.MustCompile(`(^|[ /])worker (run|simulate|watch|demo --forever)( [^&]*)?$`)

func readMarks(b block) (typed, error) {
	cmd := typed{block: b, terminal: "1"}
	for rest := b.marks; rest != ""; {
		m := mark.FindStringSubmatch(rest)
		if m == nil {
			return cmd, fmt.Errorf("%q is no mark", rest)
		}
		rest = rest[len(m[0]):]
		value := strings.Trim(m[2], `"`)
		if err := cmd.take(m[1], value); err != nil {
			return cmd, fmt.Errorf("the mark %s: %w", m[1], err)
		}
	}
	for _, line := range b.lines() {
		if serving.MatchString(line) && !strings.Contains(line, "--print-config") && !cmd.stays && cmd.notRun == "" {
			return cmd, fmt.Errorf("%q does not return by itself: say stays until=\"…\"", line)
		}
	}
	if cmd.stays && (cmd.until == "" || cmd.repeat > 0 || cmd.exit != 0) {
		return cmd, fmt.Errorf("stays goes with until, and not with repeat or exit")
	}
	return cmd, nil
}

func (c *typed) take(name, value string) error {
	wanted := fmt.Errorf("%q is no value for it", value)
	switch name {
	case "terminal":
		c.terminal = value
	case "interrupt":
		c.interrupt = true
	case "stays":
		c.stays = true
	case "until":
		c.until = value
	case "in":
		if c.repository = value == "repository"; !c.repository {
			return wanted
		}
	case "exit":
		if _, err := fmt.Sscanf(value, "%d", &c.exit); err != nil {
			return wanted
		}
	case "repeat":
		d, err := time.ParseDuration(value)
		if c.repeat = d; err != nil || d <= 0 || d > 2*time.Minute {
			return wanted
		}
	case "no-run":
		if c.notRun = value; value == "" {
			return wanted
		}
	default:
		return fmt.Errorf("there is none of this name")
	}
	return nil
}

// lines are the block's commands as one types them, without comments and empty lines.
func (b block) lines() []string {
	var all []string
	for line := range strings.Lines(strings.ReplaceAll(b.text, "\\\n", " ")) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			all = append(all, line)
		}
	}
	return all
}

// absent is how a command begins that a machine for tests need not have, that changes the machine, or that is the tests themselves.
var absent = regexp.MustCompile(`^([A-Z_]+=\S+ )*(docker|podman|buildah|runc|kubectl|kustomize|helm|systemctl|systemd-[a-z]+|journalctl|apt|apt-get|` +
	`sudo|install|useradd|make|go test|\.ci/run|tools/fuzz)( |$)`)

// notRun are the other blocks that are shown and not run, by document and first line.
var notRun = map[string]string{}

// excused tells whether a block may be left out: each of its commands begins with one of the absent programs, or it stands in the list.
func excused(doc string, cmd typed) bool {
	lines := cmd.lines()
	if len(lines) == 0 {
		return false
	}
	if _, listed := notRun[doc+": "+lines[0]]; listed {
		return true
	}
	for _, line := range lines {
		if !absent.MatchString(line) {
			return false
		}
	}
	return true
}

// TestCommandsThatAreNotRun lets nobody leave out what could be run, and lists what is left out.
func TestCommandsThatAreNotRun(t *testing.T) {
	t.Parallel()
	left := map[string]bool{}
	for _, doc := range documents(t) {
		all, err := typedIn(document(t, doc))
		if err != nil {
			t.Errorf("%s: %v", doc, err)
		}
		for _, cmd := range all {
			if cmd.notRun == "" {
				continue
			}
			first := strings.Join(cmd.lines()[:min(1, len(cmd.lines()))], "")
			left[doc+": "+first] = true
			t.Logf("not run: %s:%d: %s (%s)", doc, cmd.line, first, cmd.notRun)
			if !excused(doc, cmd) {
				t.Errorf("%s:%d: %q could be run: take the mark away, or give the reason in notRun", doc, cmd.line, first)
			}
		}
	}
	for listed := range notRun {
		if !left[listed] {
			t.Errorf("notRun has %q, which no document leaves out", listed)
		}
	}
}

var indented = regexp.MustCompile(`(?m)^    (worker|nats|nats-server|curl|export|docker|kubectl|systemctl|go|make|\.ci/run|tools/\S+) `)

// TestCommandsStandInFences finds commands that no other test would see: those which are set apart by blanks.
func TestCommandsStandInFences(t *testing.T) {
	t.Parallel()
	for _, doc := range documents(t) {
		if strings.HasPrefix(doc, "deploy/") {
			continue // what is deployed is tried by the tests of deploy/check, and by those with the privilege_ files
		}
		if m := indented.FindString(fence.ReplaceAllString(document(t, doc), "")); m != "" {
			t.Errorf("%s has an indented command (%s…), which no test runs: put it between ```sh and ```", doc, m)
		}
	}
}

// TestMarksAreUnderstoodOrRefused keeps a mistyped mark from leaving a block out, or from changing what it means.
func TestMarksAreUnderstoodOrRefused(t *testing.T) {
	t.Parallel()
	for text, good := range map[string]bool{
		"```sh\nworker list\n```\n":                                          true,
		"```sh exit=3 terminal=2\nworker doctor\n```\n":                      true,
		"```sh stays until=\"worker started\"\nworker run\n```\n":            true,
		"```sh repeat=20s\nworker list\n```\n\n```text output\n…\n```\n":     true,
		"```sh norun=\"later\"\nworker list\n```\n":                          false,
		"```sh no-run\nworker list\n```\n":                                   false,
		"```sh exit=three\nworker list\n```\n":                               false,
		"```sh repeat=1h\nworker list\n```\n":                                false,
		"```sh stays\nworker run\n```\n":                                     false,
		"```sh\nworker run\n```\n":                                           false,
		"```sh\nexport A=b; bin/worker simulate --dir x\n```\n":              false,
		"```sh\nworker run --print-config\n```\n":                            true,
		"```text output\nalone\n```\n":                                       false,
		"```sh no-run=\"x\"\ndocker ps\n```\n\n```text output\nx\n```\n":     false,
		"```text exit=3\na picture\n```\n":                                   false,
		"```sh\nworker list\n```\n\n```json\n{}\n```\n```text output\n```\n": false,
	} {
		if _, err := typedIn(text); (err == nil) != good {
			t.Errorf("%s: %v", text, err)
		}
	}
	for text, good := range map[string]bool{
		"docker ps\n": true, "A_B=c go test ./...\n": true, "docker ps\nworker list\n": false, "worker list\n": false, "# nothing\n": false, "dockerx\n": false,
	} {
		if excused("a document", typed{block: block{text: text}}) != good {
			t.Errorf("%q may be left out: %t", text, !good)
		}
	}
}
