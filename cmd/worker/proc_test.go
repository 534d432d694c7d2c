package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// startTimeout is how long a process may take to be there.
const startTimeout = 30 * time.Second

// binary is the command as tests run it, built at most once in a test run.
var binary struct {
	once sync.Once
	dir  string
	err  error
}

func makeBinaryDir() error {
	dir, err := os.MkdirTemp("", "activation-worker-test-")
	binary.dir = dir
	return err
}

func removeBinaryDir() { _ = os.RemoveAll(binary.dir) }

// buildWorker builds the command and returns its path.
func buildWorker(t testing.TB) string {
	t.Helper()
	path := filepath.Join(binary.dir, "worker")
	binary.once.Do(func() {
		// Without the first caller's context: the others need the binary too.
		binary.err = buildInto(context.Background(), path, detecting...)
	})
	if binary.err != nil {
		t.Fatalf("building the worker: %v", binary.err)
	}
	return path
}

func buildInto(ctx context.Context, path string, flags ...string) error {
	args := append([]string{"build", "-buildvcs=false", "-o", path}, flags...)
	if out, err := exec.CommandContext(ctx, "go", append(args, ".")...).CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// proc is a running command. The test ends it if nothing else does.
type proc struct {
	t              testing.TB
	cmd            *exec.Cmd
	stdout, stderr *text
	ended          chan struct{} // closed when it has ended and its output is complete
}

// startWorker starts worker run with these settings, NAME=value, and no other environment.
func startWorker(t testing.TB, env ...string) *proc {
	t.Helper()
	return startBinary(t, env, "run")
}

// startBinary starts the command with these arguments, these settings and no other environment.
func startBinary(t testing.TB, env []string, args ...string) *proc {
	t.Helper()
	return startProcess(t, buildWorker(t), env, args...)
}

// startProcess is startBinary of another build.
func startProcess(t testing.TB, path string, env []string, args ...string) *proc {
	t.Helper()
	return startWith(t, path, env, func(*exec.Cmd) {}, args...)
}

// startWith is startProcess of a command that is changed before.
func startWith(t testing.TB, path string, env []string, change func(*exec.Cmd), args ...string) *proc {
	t.Helper()
	p := &proc{t: t, stdout: newText(), stderr: newText(), ended: make(chan struct{})}
	p.cmd = exec.Command(path, args...) // Cleanup ends it, after the test's own context has ended
	p.cmd.Dir = t.TempDir()
	p.cmd.Env = append(append([]string{}, env...), detectingEnv...)
	p.cmd.Stdout, p.cmd.Stderr = p.stdout, p.stderr
	change(p.cmd)
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("starting worker %s: %v", strings.Join(args, " "), err)
	}
	go func() {
		_ = p.cmd.Wait() // the state tells
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.Kill()
		if _, race, found := strings.Cut(p.stderr.String(), "WARNING: DATA RACE"); found {
			t.Errorf("worker %s has a data race:%s", strings.Join(args, " "), race)
		}
	})
	return p
}

// Kill ends the process with SIGKILL and waits until it is gone. It may have ended before.
func (p *proc) Kill() {
	p.t.Helper()
	p.signal(syscall.SIGKILL)
	<-p.ended
}

// Term asks the process to stop, with SIGTERM, and does not wait.
func (p *proc) Term() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
}

func (p *proc) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Errorf("signal %v to worker: %v", s, err)
	}
}

// Wait waits for the process to end by itself and returns its exit status, -1 after a fatal signal.
func (p *proc) Wait(within time.Duration) int {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), within)
	defer cancel()
	select {
	case <-p.ended:
	case <-ctx.Done():
		p.t.Fatalf("worker %s has not ended within %s; it said:\n%s", strings.Join(p.cmd.Args[1:], " "), within, p.stderr.tail())
	}
	return p.cmd.ProcessState.ExitCode()
}

// Probes is the address of /livez and /readyz. A worker told to use port 0 says it when it has started.
func (p *proc) Probes() string {
	p.t.Helper()
	for _, setting := range p.cmd.Env {
		if addr, ok := strings.CutPrefix(setting, "WORKER_HTTP_ADDR="); ok && !strings.HasSuffix(addr, ":0") {
			return addr
		}
	}
	return p.logged("probes")
}

// logged waits for the worker to log a text under a key, and returns it.
func (p *proc) logged(key string) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), startTimeout)
	defer cancel()
	text := ""
	if !p.stderr.waitFor(ctx, p.ended, func(said string) bool {
		_, rest, _ := strings.Cut(said, `"`+key+`":"`)
		value, _, ok := strings.Cut(rest, `"`)
		text = value
		return ok
	}) {
		p.t.Fatalf("the worker has not said where its %s is; it said:\n%s", key, p.stderr.tail())
	}
	return text
}

// readiness is what /readyz answers.
type readiness struct {
	Status int  `json:"-"`
	Ready  bool `json:"ready"`
	Checks []struct {
		Name   string `json:"name"`
		OK     bool   `json:"ok"`
		Detail string `json:"detail"`
	} `json:"checks"`
}

// Readyz asks /readyz once; query is without the question mark.
func (p *proc) Readyz(query string) (readiness, error) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), startTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.Probes()+"/readyz?"+query, nil)
	if err != nil {
		return readiness{}, err
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return readiness{}, err
	}
	defer resp.Body.Close()
	r := readiness{Status: resp.StatusCode}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err == nil {
		err = json.Unmarshal(body, &r)
	}
	return r, err
}

// AwaitReady waits until /readyz is 200.
func (p *proc) AwaitReady(within time.Duration) {
	p.t.Helper()
	var last readiness
	var err error
	if !eventually(p.t, within, func() bool {
		last, err = p.Readyz("")
		return err == nil && last.Ready
	}) {
		p.t.Fatalf("the worker is not ready after %s: %+v, %v; it said:\n%s", within, last.Checks, err, p.stderr.tail())
	}
}

// interrupt is Ctrl-C.
func (p *proc) interrupt() {
	p.t.Helper()
	p.signal(syscall.SIGINT)
}
