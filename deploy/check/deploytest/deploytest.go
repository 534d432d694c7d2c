// Package deploytest runs what deploy/ ships for tests, on real parts: the worker built from this tree, nats-server and the nats
// command line as pinned in tools, as processes of their own with no other environment than the one given. It is for tests only.
package deploytest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// Limit is how long anything that a test waits for may take on a busy machine.
const Limit = time.Minute

// Root is the repository.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..")
}

// Shipped is the path of a file or folder under deploy/.
func Shipped(parts ...string) string {
	return filepath.Join(append([]string{Root(), "deploy"}, parts...)...)
}

var built struct {
	once sync.Once
	dir  string
	err  error
}

// Main runs a package's tests, removes what [Worker] built, and returns the exit status.
func Main(m *testing.M) int {
	status := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	return status
}

// Worker is the path of the worker's binary, built static, once for the tests of a package.
func Worker(t testing.TB) string {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "deploy-check-"); built.err != nil {
			return
		}
		// Without the first caller's context: the others need the binary too.
		cmd := exec.CommandContext(context.Background(), "go", "build", "-buildvcs=false", "-o", filepath.Join(built.dir, "worker"), "./cmd/worker")
		cmd.Dir = Root()
		cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("go build of the worker: %w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return filepath.Join(built.dir, "worker")
}

// Tool is the path of a program: the repository's own in tools/bin, or else whatever is installed.
func Tool(t testing.TB, name string) string {
	t.Helper()
	own := filepath.Join(Root(), "tools", "bin", name)
	if _, err := os.Stat(own); err == nil {
		return own
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is neither in tools/bin nor installed: run .ci/run tools deploy", name)
	}
	return path
}

// Path is the setting with which a shell finds the repository's own tools before those that are installed.
func Path(t testing.TB) string {
	t.Helper()
	own := filepath.Dir(Tool(t, "nats"))
	for _, pair := range exec.CommandContext(t.Context(), own).Environ() {
		if installed, is := strings.CutPrefix(pair, "PATH="); is {
			return "PATH=" + own + ":" + installed
		}
	}
	return "PATH=" + own
}

// Eventually asks until it is so, at most within [Limit].
func Eventually(t testing.TB, so func() bool) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Limit)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}
