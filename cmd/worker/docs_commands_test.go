package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestDocumentsCommands types what each document tells its reader to type, in the order of the document, and holds what it prints against
// what the document shows.
func TestDocumentsCommands(t *testing.T) {
	t.Parallel()
	for _, doc := range documents(t) {
		text := document(t, doc)
		all, err := typedIn(text)
		if err != nil {
			t.Errorf("%s: %v", doc, err)
			continue
		}
		if !anyRun(all) {
			continue
		}
		t.Run(strings.ReplaceAll(strings.TrimSuffix(doc, ".md"), "/", "-"), func(t *testing.T) {
			t.Parallel()
			newStage(t, doc, text).play(all)
		})
	}
}

func anyRun(all []typed) bool {
	for _, cmd := range all {
		if cmd.notRun == "" {
			return true
		}
	}
	return false
}

// play types the blocks of a document.
func (s *stage) play(all []typed) {
	s.t.Helper()
	for _, cmd := range all {
		if cmd.notRun != "" {
			continue
		}
		x := s.terminal(cmd.terminal)
		if cmd.interrupt {
			x.interrupt()
		}
		if x.taken {
			s.t.Fatalf("line %d: terminal %s is taken by a command that stays: a reader needs another, or Ctrl-C", cmd.line, cmd.terminal)
		}
		s.try(x, cmd)
		if s.t.Failed() {
			return
		}
	}
	for _, x := range s.terminals {
		x.interrupt()
	}
}

// try types one block, again and again where it may take its time.
func (s *stage) try(x *terminal, cmd typed) {
	s.t.Helper()
	script := s.real(cmd.text)
	if cmd.repository {
		clone, err := filepath.Abs(root)
		if err != nil {
			s.t.Fatal(err)
		}
		script = "cd " + clone + "\n" + script + "\ncd - >/dev/null\n"
	}
	var printed string
	var status int
	good := func() bool {
		printed, status = x.run(cmd, script)
		printed = s.back(printed)
		return status == cmd.exit && (cmd.output == "" || matches(cmd.output, printed))
	}
	var worked bool
	switch {
	case cmd.stays:
		worked = good() || eventually(s.t, startTimeout, func() bool { printed = s.back(x.printed()); return matches(cmd.output, printed) })
	case cmd.repeat > 0:
		worked = eventually(s.t, cmd.repeat+time.Second, good)
	default:
		worked = good()
	}
	s.t.Logf("line %d, terminal %s:\n%s-- status %d --\n%s", cmd.line, cmd.terminal, cmd.text, status, printed)
	if worked {
		return
	}
	s.t.Errorf("line %d: status %d, want %d:\n%sit printed\n%s", cmd.line, status, cmd.exit, cmd.text, printed)
	if cmd.output != "" {
		s.t.Errorf("line %d: the document shows\n%s", cmd.line, cmd.output)
	}
}
