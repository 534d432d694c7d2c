package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"
)

// proc is a process that this program has started. Only such ones are ever signalled, each by its own handle.
type proc struct {
	name     string
	cmd      *exec.Cmd
	expected atomic.Bool   // its end is our doing
	ended    chan struct{} // closed when it has
}

// launch starts a program whose output is added to a file. It is in a process group of its own, so that Ctrl-C at a terminal reaches
// it by way of us alone.
func launch(name, logFile string, env []string, path string, args ...string) (*proc, error) {
	out, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &proc{name: name, cmd: exec.Command(path, args...), ended: make(chan struct{})} //nolint:noctx // it is ended by signals of its own
	p.cmd.Dir = filepath.Dir(logFile)
	p.cmd.Env = append([]string{}, env...) // not ours
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", name, err), out.Close())
	}
	go func() {
		_ = p.cmd.Wait() // the state tells
		_ = out.Close()  // the child's own copy wrote
		close(p.ended)
	}()
	return p, nil
}

// signal sends it a signal; that it has ended already is no error.
func (p *proc) signal(s syscall.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %s to %s: %w", s, p.name, err)
	}
	return nil
}

// kill ends it at once and waits until it is gone.
func (p *proc) kill() {
	p.expected.Store(true)
	_ = p.signal(syscall.SIGKILL) // cannot be refused for a child
	<-p.ended
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

// wait waits for its end, and reports whether it came in time.
func (p *proc) wait(ctx context.Context, within time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	select {
	case <-p.ended:
		return true
	case <-ctx.Done():
		return false
	}
}

// how says how it ended.
func (p *proc) how() string { return p.cmd.ProcessState.String() }

// killedItself reports an end by SIGKILL.
func (p *proc) killedItself() bool {
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
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
func eventually(ctx context.Context, within time.Duration, so func() error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		err := so()
		if err == nil || !pause(ctx, 100*ms) {
			return err
		}
	}
}
