package deploytest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Command is what to run.
type Command struct {
	Path string
	Args []string
	Env  []string // NAME=value, the whole environment
	Dir  string   // empty: a new one

	Within time.Duration // how long it may take to its end; 0: [Limit]
}

func (c Command) cmd(ctx context.Context, t testing.TB, said *Output) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(ctx, c.Path, c.Args...)
	cmd.Env, cmd.Dir = append([]string{}, c.Env...), c.Dir
	if cmd.Dir == "" {
		cmd.Dir = t.TempDir()
	}
	cmd.Stderr = said
	return cmd
}

// Run runs a command to its end and returns what it wrote to stdout and to stderr, and its exit status.
func Run(t testing.TB, c Command) (stdout, stderr string, status int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), cmp.Or(c.Within, Limit))
	defer cancel()
	var said Output
	cmd := c.cmd(ctx, t, &said)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGQUIT) } // a program in Go then says where it hangs
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.Output()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", c, err)
	}
	return string(out), said.String(), cmd.ProcessState.ExitCode()
}

// Must is Run of a command that has to end well; it returns what it wrote to stdout.
func Must(t testing.TB, c Command) string {
	t.Helper()
	stdout, stderr, status := Run(t, c)
	if status != 0 {
		t.Fatalf("%s: exit status %d; it said:\n%s%s", c, status, stdout, stderr)
	}
	return stdout
}

func (c Command) String() string { return filepath.Base(c.Path) + " " + strings.Join(c.Args, " ") }

// Process is a command that runs. The test kills it if nothing else ends it.
type Process struct {
	t     testing.TB
	c     Command
	cmd   *exec.Cmd
	said  Output
	ended chan struct{}
}

// Start starts a command.
func Start(t testing.TB, c Command) *Process {
	t.Helper()
	p := &Process{t: t, c: c, ended: make(chan struct{})}
	p.cmd = c.cmd(context.Background(), t, &p.said) // Cleanup ends it, after the test's own context has ended
	p.cmd.Stdout = &p.said
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("%s: %v", c, err)
	}
	go func() {
		_ = p.cmd.Wait() // the state tells
		close(p.ended)
	}()
	t.Cleanup(p.Kill)
	return p
}

// Kill ends the process with SIGKILL, and waits. It may have ended before.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// Signal sends the process a signal. It has not ended.
func (p *Process) Signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("%s: %v", p.c, err)
	}
}

// ID is the process's id.
func (p *Process) ID() int { return p.cmd.Process.Pid }

// Stop asks the process to end with SIGTERM, waits, and returns its exit status, -1 after a fatal signal.
func (p *Process) Stop() int {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Errorf("%s: %v", p.c, err)
	}
	return p.Wait()
}

// Wait waits for the process to end by itself and returns its exit status, -1 after a fatal signal.
func (p *Process) Wait() int {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), Limit)
	defer cancel()
	select {
	case <-p.ended:
	case <-ctx.Done():
		p.t.Fatalf("%s has not ended within %s; it said:\n%s", p.c, Limit, p.Said())
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *Process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// Said is what the process wrote so far.
func (p *Process) Said() string { return p.said.String() }

// Output collects what a process writes. The zero value is empty; it is safe for concurrent use.
type Output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *Output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

// String is what was written so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
