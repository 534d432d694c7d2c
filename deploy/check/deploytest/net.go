package deploytest

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// given are the ports that tests of this package have been told of: they may not listen yet, or not just now.
var given sync.Map

// FreePorts finds n ports of 127.0.0.1 that nobody listens on and no other test was told of, below those that the system gives out by itself.
func FreePorts(t testing.TB, n int) []int {
	t.Helper()
	ports := make([]int, 0, n)
	held := make([]net.Listener, 0, n) // until all are found, so that all differ
	for tries := 0; len(ports) < n; tries++ {
		port := 20000 + rand.IntN(12000)
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			if tries > 1000 {
				t.Fatalf("finding a free port: %v", err)
			}
			continue
		}
		if _, before := given.LoadOrStore(port, true); before {
			_ = l.Close()
			continue
		}
		held, ports = append(held, l), append(ports, port)
	}
	for _, l := range held {
		_ = l.Close()
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
