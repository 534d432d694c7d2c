package deploytest

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// claims are files that say which ports tests were told of, each locked until its process ends: who was told of a port may not listen
// yet, or not just now, and the packages' tests run beside one another. Nobody else may even try to listen there.
var claims sync.Map

// claim takes a port, unless this or another process of tests has.
func claim(t testing.TB, port int) bool {
	t.Helper()
	if _, ours := claims.Load(port); ours {
		return false
	}
	dir := filepath.Join(os.TempDir(), "deploy-check-ports")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatalf("finding a free port: %v", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, strconv.Itoa(port)), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatalf("finding a free port: %v", err)
	}
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		_ = f.Close()
		return false
	}
	claims.Store(port, f) // which keeps it open
	return true
}

// FreePorts finds n ports of 127.0.0.1 that nobody listens on and no other test was told of, below those that the system gives out by itself.
func FreePorts(t testing.TB, n int) []int {
	t.Helper()
	ports := make([]int, 0, n)
	for tries := 0; len(ports) < n; tries++ {
		port := 20000 + rand.IntN(12000)
		if !claim(t, port) {
			continue
		}
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			if tries > 1000 {
				t.Fatalf("finding a free port: %v", err)
			}
			continue
		}
		_ = l.Close()
		ports = append(ports, port)
	}
	return ports
}

// Get asks a URL once; without an answer the status is 0.
func Get(t testing.TB, url string) (status int, body string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	answer, err := transport.RoundTrip(request)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = answer.Body.Close() }()
	text, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	return answer.StatusCode, string(text)
}

// AwaitStatus asks a URL until it answers with this status, as long as the process runs.
func AwaitStatus(t testing.TB, url string, want int, p *Process) {
	t.Helper()
	var status int
	var body string
	if !Eventually(t, func() bool {
		status, body = Get(t, url)
		return status == want || p.hasEnded()
	}) || status != want {
		t.Fatalf("%s answers %d %s, want %d; the process said:\n%s", url, status, body, want, p.Said())
	}
}
