package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"activation-worker/deploy/check/deploytest"
)

// site is a NATS server with the partner's and DNS's stand-ins, and the workers of the test.
type site struct {
	t       testing.TB
	nats    string // address
	server  *deploytest.Process
	partner string // http://address
	env     []string
}

// newSite starts all but workers, and makes the streams. All is as fast as it may be: the partner limits nothing.
func newSite(t testing.TB) *site {
	t.Helper()
	s := &site{t: t}
	s.serve()
	partner, _ := deploytest.StartPartner(t, "--dns", "127.0.0.1:0", "--rate", "0", "--concurrency", "0")
	api, err := url.Parse(strings.TrimPrefix(partner[0], "LINEWORKS_API_URL="))
	if err != nil {
		t.Fatal(err)
	}
	s.partner = api.Scheme + "://" + api.Host
	s.env = slices.Concat(partner, []string{
		"NATS_URL=" + s.nats, "WORKER_STREAM_MAX_BYTES=2GiB", "WORKER_REPLICAS=1", "WORKER_HTTP_ADDR=127.0.0.1:0",
		"LINEWORKS_RATE=0", "LINEWORKS_SUSTAINED_RATE=0", "LINEWORKS_CONCURRENCY=5", "LINEWORKS_TIMEOUT=5s", "WORKER_LEASE=15s",
		"WORKER_BACKOFF=transient=1s/2s,unknown_outcome=1s/3s/5s,partner_unavailable=1s/2s,terms_pending=3s/4s",
		"WORKER_DNS_SCHEDULE=watch=1s/1s,call=1h,visible=1s/1s",
	})
	s.command("setup", "--with-intake")
	return s
}

// serve starts the NATS server. It takes ports of its own choice, and writes them down: one that was free a moment ago may not be now.
func (s *site) serve() {
	s.t.Helper()
	dir := s.t.TempDir()
	s.server = deploytest.Start(s.t, deploytest.Command{
		Path: deploytest.Tool(s.t, "nats-server"), Args: []string{"-a", "127.0.0.1", "-p", "-1", "-m", "-1", "-js", "-sd", s.t.TempDir(), "--ports_file_dir", dir},
	})
	var at struct{ NATS, Monitoring []string }
	if !deploytest.Eventually(s.t, func() bool {
		text, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("nats-server_%d.ports", s.server.ID())))
		return err == nil && json.Unmarshal(text, &at) == nil && len(at.NATS) == 1 && len(at.Monitoring) == 1
	}) {
		s.t.Fatalf("the server has written no ports down; it said:\n%s", s.server.Said())
	}
	s.nats = strings.TrimPrefix(at.NATS[0], "nats://")
	deploytest.AwaitStatus(s.t, at.Monitoring[0]+"/healthz", http.StatusOK, s.server)
}

// worker is a worker with its console.
type worker struct {
	*deploytest.Process
	site    *site
	name    string
	console string // http://address/
}

// start starts a worker and waits until its console answers.
func (s *site) start(name string, more ...string) *worker {
	s.t.Helper()
	w := &worker{site: s, name: name, console: fmt.Sprintf("http://127.0.0.1:%d/", deploytest.FreePorts(s.t, 1)[0])}
	w.again(more...)
	return w
}

// again starts the worker after its end, at the same address.
func (w *worker) again(more ...string) {
	w.site.t.Helper()
	env := append([]string{"WORKER_ID=" + w.name, "WORKER_CONSOLE_ADDR=" + strings.Trim(strings.TrimPrefix(w.console, "http:"), "/")}, w.site.env...)
	w.Process = deploytest.Start(w.site.t, deploytest.Command{Path: deploytest.Worker(w.site.t), Args: []string{"run"}, Env: append(env, more...)})
	deploytest.AwaitStatus(w.site.t, w.console, http.StatusOK, w.Process)
}

// command runs the worker's command line as an operator would, and returns what it wrote.
func (s *site) command(args ...string) string {
	s.t.Helper()
	return deploytest.Must(s.t, deploytest.Command{Path: deploytest.Worker(s.t), Args: args, Env: s.operator()})
}

// operator are an operator's settings.
func (s *site) operator() []string { return append([]string{"HOME=" + s.t.TempDir()}, s.env...) }

// customer makes a customer known to the partner, as the simulator's JSON has it.
func (s *site) customer(format string, args ...any) {
	s.t.Helper()
	s.tell("customers", fmt.Sprintf(format, args...))
}

// ready adds customers that can be activated, and announces them.
func (s *site) ready(first, count int) {
	s.t.Helper()
	ids := []string{"submit"}
	for id := first; id < first+count; id++ {
		ids = append(ids, fmt.Sprint(id))
	}
	s.command(ids...)
}

// refused adds customers that the partner refuses for good, and announces them.
func (s *site) refused(first, count int) {
	s.t.Helper()
	for id := first; id < first+count; id++ {
		s.tell("script", fmt.Sprintf(`{"domainId":%d,"operation":"activate","faults":["409:CONTRACT_ENDED*"]}`, id))
	}
	s.ready(first, count)
}

// lacksDNS adds a customer that waits for DNS, and announces it.
func (s *site) lacksDNS(id int, domain string) {
	s.t.Helper()
	s.customer(`{"domainId":%d,"domain":%q,"terms":true}`, id, domain)
	s.command("submit", fmt.Sprint(id), "--domain", domain)
}

var client = &http.Client{Timeout: 30 * time.Second}

// tell steers the partner's stand-in.
func (s *site) tell(what, body string) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.partner+"/simulator/"+what, bytes.NewReader([]byte(body)))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode >= 300 {
		text, _ := io.ReadAll(answer.Body)
		s.t.Fatalf("simulator/%s %s: %s %s", what, body, answer.Status, text)
	}
}
