package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// blockTimeout is how long the commands of one block may take together.
const blockTimeout = 3 * time.Minute

// terminal is a shell that a reader of a document would have before them, with a bare environment.
type terminal struct {
	t     testing.TB
	dir   string // for what it is told and what it prints
	cmd   *exec.Cmd
	stdin *os.File
	said  *text // the status of each block, a line each
	ended chan struct{}
	told  int  // blocks so far
	taken bool // by a command that stays
	out   string
}

// openTerminal starts a shell in a directory. It is ended with the test, and all that was started in it.
func openTerminal(t testing.TB, cwd string, env []string) *terminal {
	t.Helper()
	x := &terminal{t: t, dir: t.TempDir(), said: newText(), ended: make(chan struct{})}
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	x.stdin = writer
	x.cmd = exec.Command("bash", "--noprofile", "--norc") // Cleanup ends it, after the test's own context has ended
	x.cmd.Dir, x.cmd.Env, x.cmd.Stdin = cwd, env, reader
	x.cmd.Stdout = x.said
	x.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that Ctrl-C reaches what runs in it
	if err := x.cmd.Start(); err != nil {
		t.Fatalf("a shell for the commands of a document: %v", err)
	}
	_ = reader.Close() // the shell has its own
	go func() {
		_ = x.cmd.Wait() // the state tells
		close(x.ended)
	}()
	t.Cleanup(x.close)
	return x
}

// run types a block's commands and returns what they printed and the status. A block that fails ends the shell.
func (x *terminal) run(cmd typed, script string) (printed string, status int) {
	x.t.Helper()
	mode := "set -e; . %s"
	switch {
	case cmd.repeat > 0:
		mode = "set +e; (set -e; . %s)" // may fail, and be typed again
	case cmd.exit != 0 || cmd.stays:
		mode = "set +e; . %s"
	}
	x.tell(script, mode)
	if cmd.stays {
		x.taken = true
		if !eventually(x.t, blockTimeout, func() bool { return x.idle() || strings.Contains(x.printed(), cmd.until) }) || x.idle() {
			x.t.Fatalf("line %d: it has not said %q but:\n%s", cmd.line, cmd.until, x.printed())
		}
		return x.printed(), 0
	}
	status = x.await(cmd)
	return x.printed(), status
}

// tell gives a script to the shell, with an empty input and an output of its own.
func (x *terminal) tell(script, mode string) {
	x.t.Helper()
	x.told++
	path := filepath.Join(x.dir, fmt.Sprintf("block-%d.sh", x.told))
	x.out = path + ".out"
	if err := errors.Join(os.WriteFile(path, []byte(script), 0o600), os.WriteFile(x.out, nil, 0o600)); err != nil {
		x.t.Fatal(err)
	}
	line := "{ " + fmt.Sprintf(mode, path) + "; } </dev/null >" + x.out + " 2>&1; echo $?\n"
	if _, err := x.stdin.WriteString(line); err != nil {
		x.t.Fatalf("the shell takes nothing more: %v", err)
	}
}

// idle tells whether all that was typed has returned.
func (x *terminal) idle() bool {
	select {
	case <-x.ended:
		return true
	default:
		return strings.Count(x.said.String(), "\n") == x.told
	}
}

// await waits for the block's end and returns its status.
func (x *terminal) await(cmd typed) int {
	x.t.Helper()
	ctx, cancel := context.WithTimeout(x.t.Context(), blockTimeout)
	defer cancel()
	done := func(said string) bool { return strings.Count(said, "\n") == x.told }
	if !x.said.waitFor(ctx, x.ended, done) && ctx.Err() != nil {
		x.t.Fatalf("line %d: it has not returned within %s; it said:\n%s", cmd.line, blockTimeout, x.printed())
	}
	if !done(x.said.String()) {
		<-x.ended // after the command that failed, or with the one that a signal ended
		if by, ok := x.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && by.Signaled() {
			return 128 + int(by.Signal())
		}
		return x.cmd.ProcessState.ExitCode()
	}
	lines := strings.Fields(x.said.String())
	status := -1
	_, _ = fmt.Sscan(lines[len(lines)-1], &status) // -1 is none that is wanted
	return status
}

func (x *terminal) printed() string {
	text, err := os.ReadFile(x.out)
	if err != nil {
		x.t.Fatal(err)
	}
	return string(text)
}

// interrupt is Ctrl-C for the command that has taken the terminal, which has to end by it.
func (x *terminal) interrupt() {
	x.t.Helper()
	if !x.taken {
		return
	}
	x.signal(syscall.SIGINT)
	if status := x.await(typed{}); status != exitDone && status != exitInterrupted {
		x.t.Errorf("status %d after Ctrl-C; it said:\n%s", status, x.printed())
	}
	x.taken = false
}

// signal reaches the shell and all that was started in it.
func (x *terminal) signal(s syscall.Signal) {
	if err := syscall.Kill(-x.cmd.Process.Pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		x.t.Errorf("signal %v to a shell: %v", s, err)
	}
}

// close ends the shell and waits until what was started in it is gone, so that its directories can be removed.
func (x *terminal) close() {
	_ = x.stdin.Close()
	x.signal(syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for ctx.Err() == nil && syscall.Kill(-x.cmd.Process.Pid, 0) == nil {
		pause(ctx, 20*time.Millisecond)
	}
	x.signal(syscall.SIGKILL)
	<-x.ended
}
