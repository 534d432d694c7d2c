package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// proc is a process that this program has started. Only such ones are ever signalled, each by its own handle.
type proc struct {
	name  string
	cmd   *exec.Cmd
	stdin io.Closer   // a role of this program ends when it is closed, also where we are killed
	lines chan string // what it says on standard output
	ended chan struct{}
	tail  *tail
}

// start starts a program with nothing of our environment but what is given. It is in a process group of its own, so that Ctrl-C at a
// terminal reaches it by way of us alone.
func start(name string, env []string, path string, args ...string) (*proc, error) {
	p := &proc{name: name, cmd: exec.Command(path, args...), lines: make(chan string, 16), ended: make(chan struct{}), tail: &tail{}} //nolint:noctx // it is ended by signals of its own
	p.cmd.Env = append([]string{"HOME=/nonexistent", "PATH=/usr/bin:/bin"}, env...)
	p.cmd.Stderr = p.tail
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p.stdin = stdin
	go func() {
		for in := bufio.NewScanner(stdout); in.Scan(); {
			select {
			case p.lines <- in.Text():
			default: // nobody waits for it
			}
		}
		_ = p.cmd.Wait() // the state tells
		close(p.ended)
	}()
	return p, nil
}

// says waits for a line that begins so, and returns the rest of it.
func (p *proc) says(ctx context.Context, prefix string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		select {
		case line := <-p.lines:
			if rest, ok := strings.CutPrefix(line, prefix); ok {
				return strings.TrimSpace(rest), nil
			}
		case <-p.ended:
			return "", p.early()
		case <-ctx.Done():
			return "", fmt.Errorf("%s does not say %q: %w", p.name, prefix, context.Cause(ctx))
		}
	}
}

// early is the error of a process that has ended by itself.
func (p *proc) early() error {
	return fmt.Errorf("%s ended by itself (%s): %s", p.name, p.cmd.ProcessState, p.tail)
}

// over reports whether it has ended.
func (p *proc) over() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// cost is what a process has used so far.
type cost struct {
	cpu    time.Duration // user and system
	memory int64         // bytes, at most, resident
}

// stop ends it, kindly at first, and tells what it has cost. It may be called twice.
func (p *proc) stop() cost {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	_ = p.stdin.Close()
	kill := time.AfterFunc(10*time.Second, func() { _ = p.cmd.Process.Signal(syscall.SIGKILL) })
	<-p.ended
	kill.Stop()
	usage, ok := p.cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return cost{}
	}
	return cost{
		cpu:    time.Duration(usage.Utime.Nano() + usage.Stime.Nano()),
		memory: usage.Maxrss * rssUnit,
	}
}

// cpu is what a process that runs has used so far; zero where that cannot be told.
func (p *proc) cpu() time.Duration {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	// After the name, which stands in parentheses, come the state and the fields 4 to 52.
	_, rest, _ := strings.Cut(string(raw), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	var user, system int64
	if _, err := fmt.Sscan(fields[11], &user); err != nil {
		return 0
	}
	if _, err := fmt.Sscan(fields[12], &system); err != nil {
		return 0
	}
	return time.Duration(user+system) * (time.Second / 100) // Linux counts in hundredths towards programs
}

// tail keeps the last that was written.
type tail struct{ last []byte }

const tailSize = 2000

func (t *tail) Write(b []byte) (int, error) {
	t.last = append(t.last, b...)
	if len(t.last) > tailSize {
		t.last = t.last[len(t.last)-tailSize:]
	}
	return len(b), nil
}

func (t *tail) String() string {
	if len(t.last) == 0 {
		return "it said nothing"
	}
	return "it said " + string(t.last)
}

// pause lets time pass, and reports whether it did: not when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// eventually asks again and again until it is so, or the time is over.
func eventually(ctx context.Context, within, every time.Duration, so func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		err := so(ctx)
		switch {
		case err == nil:
			return nil
		case !pause(ctx, every):
			return errors.Join(err, context.Cause(ctx))
		}
	}
}
