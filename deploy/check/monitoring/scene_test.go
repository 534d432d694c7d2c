package monitoring

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"activation-worker/deploy/check/deploytest"
)

// scene is one ledger with its workers and its partner: a job of Prometheus. Every scene has its own, so that all play at once and no
// trouble of one is in the alerts of another.
type scene struct {
	t          *testing.T
	prometheus *prometheus
	fired      *fired
	job        string
	http       []string // address of each replica's /metrics
	nats       string
	dir        string // of the embedded server
	partner    *partner
	own        string              // where a partner of the scene's own may listen
	worker     *deploytest.Process // the first replica, as started last
	since      time.Time           // when all was well
}

// settings of the replica number n. All is as fast as it may be, so that nothing but the alerts is waited for.
func (s *scene) settings(n int, more ...string) []string {
	env := []string{
		"WORKER_HTTP_ADDR=" + s.http[n], "WORKER_CONSOLE_ADDR=off", "WORKER_NATS_LISTEN=" + s.nats, "WORKER_DATA_DIR=" + s.dir, "WORKER_SWEEP_INTERVAL=1s",
		"WORKER_DNS_RESOLVERS=off", "LINEWORKS_RATE=0", "LINEWORKS_SUSTAINED_RATE=0", "LINEWORKS_CONCURRENCY=5",
	}
	return append(append(env, s.partner.env...), more...) // of a name that comes twice the last counts
}

// start starts the first replica, whose NATS server is its own.
func (s *scene) start(more ...string) *deploytest.Process {
	s.t.Helper()
	s.worker = deploytest.Start(s.t, deploytest.Command{Path: deploytest.Worker(s.t), Args: []string{"run"}, Env: s.settings(0, more...)})
	return s.worker
}

// command runs the worker's command line as an operator would.
func (s *scene) command(args ...string) string {
	s.t.Helper()
	return deploytest.Must(s.t, deploytest.Command{Path: deploytest.Worker(s.t), Args: args, Env: []string{"WORKER_NATS_LISTEN=" + s.nats, "HOME=" + s.t.TempDir()}})
}

func (s *scene) submit(from, count int) {
	s.t.Helper()
	args := []string{"submit"}
	for id := from; id < from+count; id++ {
		args = append(args, fmt.Sprint(id))
	}
	s.command(args...)
}

// publish publishes a message that no command of the worker would.
func (s *scene) publish(subject, text string, args ...string) {
	s.t.Helper()
	deploytest.Must(s.t, deploytest.Command{Path: deploytest.Tool(s.t, "nats"), Args: append([]string{"--server", s.nats, "pub", subject, text}, args...), Env: []string{"HOME=" + s.t.TempDir()}})
}

// patience is how long something may take to show on a busy machine, all scenes at once.
const patience = 2 * time.Minute

// await asks twice a second until it is so; of what was asked last, the test says what it was.
func (s *scene) await(what string, so func(context.Context) (bool, any)) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	var last any
	for {
		ok, now := so(ctx)
		if ok {
			return
		}
		if ctx.Err() == nil {
			last = now
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.t.Fatalf("%s: waited %s for: %s; last: %v", s.job, patience, what, last)
		}
	}
}

// holds waits until a query has a result that is not 0.
func (s *scene) holds(expr string) {
	s.t.Helper()
	expr = strings.ReplaceAll(expr, "$job", s.job)
	s.await(expr, func(ctx context.Context) (bool, any) {
		found, err := s.prometheus.ask(ctx, expr)
		if err != nil {
			return false, err
		}
		for _, f := range found {
			if value, ok := f.latest(); ok && value != 0 {
				return true, nil
			}
		}
		return false, found
	})
}

// alerts waits until exactly these alerts of the scene fire.
func (s *scene) alerts(want ...string) []alert {
	s.t.Helper()
	slices.Sort(want)
	var firing []alert
	s.await(fmt.Sprintf("the alerts %v", want), func(ctx context.Context) (bool, any) {
		var err error
		if firing, err = s.prometheus.firing(ctx, s.job); err != nil {
			return false, err
		}
		var names []string
		for _, a := range firing {
			names = append(names, a.Labels["alertname"])
		}
		slices.Sort(names)
		return slices.Equal(slices.Compact(names), want), firing
	})
	s.fired.note(want)
	return firing
}

// fired are the alerts that were seen to fire. It is safe for concurrent use.
type fired struct {
	mu    sync.Mutex
	names map[string]bool
}

func (f *fired) note(names []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, name := range names {
		f.names[name] = true
	}
}

// well waits until a worker works and nothing fires.
func (s *scene) well() {
	s.t.Helper()
	s.holds(`instance:activation_working:min{job="$job"} == 1`)
	s.alerts()
	s.since = time.Now()
}

// only checks that since all was well no other alerts than these have fired.
func (s *scene) only(want ...string) {
	s.t.Helper()
	found, err := s.prometheus.over(s.t.Context(), s.since, fmt.Sprintf(`count by (alertname) (ALERTS{alertstate="firing",job=%q})`, s.job))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range found {
		if name := f.Metric["alertname"]; !slices.Contains(want, name) {
			s.t.Errorf("%s: %s fired too; it is not to fire with %v", s.job, name, want)
		}
	}
}

// partner is a simulator with settings that workers reach it by. It can be stopped, and started again at the same place.
type partner struct {
	url, dir string
	env      []string
}

func newPartner(t *testing.T, address string) *partner {
	t.Helper()
	return &partner{url: "http://" + address, dir: t.TempDir()}
}

func (p *partner) start(t *testing.T, args ...string) *deploytest.Process {
	t.Helper()
	process := deploytest.Start(t, deploytest.Command{Path: deploytest.Worker(t), Args: append([]string{
		"simulate", "--listen", strings.TrimPrefix(p.url, "http://"), "--dir", p.dir, "--rate", "0", "--concurrency", "0",
	}, args...)})
	if !deploytest.Eventually(t, func() bool {
		text, err := os.ReadFile(filepath.Join(p.dir, "simulator.env"))
		p.env = strings.Split(strings.TrimSpace(string(text)), "\n")
		return err == nil && len(p.env) > 4
	}) {
		t.Fatalf("the simulator has not started; it said:\n%s", process.Said())
	}
	return process
}

// tell steers it.
func (p *partner) tell(t *testing.T, what, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+"/simulator/"+what, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode >= 300 {
		t.Fatalf("simulator/%s: %s", what, answer.Status)
	}
}
