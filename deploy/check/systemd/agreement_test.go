package systemd

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"activation-worker/deploy/check/deploytest"
)

// spans is a trace collector that keeps what it is sent as OTLP in JSON.
type spans struct {
	*httptest.Server
	mu  sync.Mutex
	all []span
}

// spanActivate is the name of a span of the activate request.
const spanActivate = "POST /partners/customers/{domainId}/activate"

type span struct {
	TraceID string `json:"traceId"`
	Name    string `json:"name"`
	Links   []struct {
		TraceID string `json:"traceId"`
	} `json:"links"`
}

func collect(t *testing.T) *spans {
	t.Helper()
	c := &spans{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var sent struct {
			ResourceSpans []struct {
				ScopeSpans []struct{ Spans []span }
			}
		}
		if err := json.NewDecoder(r.Body).Decode(&sent); err != nil {
			t.Errorf("what the collector is sent at %s: %v", r.URL.Path, err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, resource := range sent.ResourceSpans {
			for _, scope := range resource.ScopeSpans {
				c.all = append(c.all, scope.Spans...)
			}
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte("{}"))
	}))
	t.Cleanup(c.Close)
	return c
}

// of are the spans of a trace by name.
func (c *spans) of(trace, name string) (found []span) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.all {
		if strings.EqualFold(s.TraceID, trace) && s.Name == name {
			found = append(found, s)
		}
	}
	return found
}

// steer tells the simulator what to do.
func (s *site) steer(path, body string) {
	s.t.Helper()
	partner := map[string]string{}
	for _, line := range s.more {
		key, value, _ := strings.Cut(line, "=")
		partner[key] = value
	}
	pem, err := os.ReadFile(partner["LINEWORKS_CA"])
	if err != nil {
		s.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	base, _, _ := strings.Cut(partner["LINEWORKS_API_URL"], "/v1.0")
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, base+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := transport.RoundTrip(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode/100 != 2 {
		s.t.Fatalf("the simulator says %s to %s", answer.Status, body)
	}
}

// announce publishes an announcement within a trace, as the pipeline's own program does.
func (s *site) announce(id, trace string) {
	s.t.Helper()
	deploytest.Must(s.t, deploytest.Command{
		Path: deploytest.Tool(s.t, "nats"),
		Args: []string{
			"--inbox-prefix", "_INBOX_pipeline", "pub", "--jetstream", "--quiet", "signup.terms.accepted",
			"--header", "traceparent:00-" + trace + "-00f067aa0ba902b7-01", fmt.Sprintf(`{"domainId": %s, "reference": "order-%s"}`, id, id),
		},
		Env: []string{"NATS_URL=" + s.URL(), "NATS_CA=" + s.CA(), "NATS_NKEY=" + s.Seed("pipeline"), "HOME=" + s.t.TempDir()},
	})
}

// event is what the stream says of a customer.
type event struct {
	ID          string
	Type        string
	TraceParent string
	Data        struct {
		Via, Reason string
		Trigger     struct{ Kind string }
	}
}

func (s *site) events(id string) (all []event) {
	s.t.Helper()
	stdout := deploytest.Must(s.t, deploytest.Command{Path: deploytest.Worker(s.t), Args: []string{"status", id, "-o", "json"}, Env: s.Env("dave"), Within: deploytest.Limit})
	for i, line := range strings.Split(strings.TrimSpace(stdout), "\n") {
		if i == 0 {
			continue // the customer
		}
		var e event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			s.t.Fatalf("%s: %v", line, err)
		}
		all = append(all, e)
	}
	return all
}

// measured adds up the samples of a metric whose labels contain these.
func measured(t *testing.T, text, name string, labels ...string) (sum float64) {
	t.Helper()
	for line := range strings.Lines(text) {
		sample, value, _ := strings.Cut(strings.TrimSpace(line), "} ")
		rest, is := strings.CutPrefix(sample, name+"{")
		if !is || slices.ContainsFunc(labels, func(l string) bool { return !strings.Contains(","+rest+",", ","+l+",") }) {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		sum += n
	}
	return sum
}

// logged are the lines of the log with this message and customer.
func logged(said, message, id string) (lines []map[string]any) {
	for line := range strings.Lines(said) {
		var l map[string]any
		if json.Unmarshal([]byte(line), &l) == nil && l["msg"] == message && fmt.Sprintf("%.0f", l["domain_id"]) == id {
			lines = append(lines, l)
		}
	}
	return lines
}

// TestWhatIsToldAgrees: the unit's command line against three nodes. A customer is activated, another is refused; a node is
// killed; the failure is replayed. Events, metrics, log and traces then tell the same story.
func TestWhatIsToldAgrees(t *testing.T) {
	t.Parallel()
	const (
		good, bad           = "51800001", "51800002"
		goodTrace, badTrace = "4bf92f3577b34da6a3ce929d0e0e4736", "0af7651916cd43dd8448eb211c80319c"
	)
	s, traces := newSite(t), collect(t)
	address := fmt.Sprintf("127.0.0.1:%d", deploytest.FreePorts(t, 1)[0])
	known := filepath.Join(t.TempDir(), "known.json")
	if err := os.WriteFile(known, []byte(`[{"status": 400, "code": "CONTRACT_ENDED", "reason": "refused"}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	s.settings["WORKER_HTTP_ADDR"], s.settings["WORKER_CONSOLE_ADDR"] = address, "off"
	s.more = append(s.more, "WORKER_CLASSIFICATION="+known, "WORKER_LOG_FORMAT=json",
		"OTEL_EXPORTER_OTLP_ENDPOINT="+traces.URL, "OTEL_EXPORTER_OTLP_PROTOCOL=http/json")
	worker := deploytest.Start(t, s.command("activation-worker.service"))
	deploytest.AwaitStatus(t, "http://"+address+"/readyz", 200, worker)

	s.steer("/simulator/script", `{"domainId":`+bad+`,"operation":"activate","faults":["400:CONTRACT_ENDED*1"]}`)
	s.announce(good, goodTrace)
	s.announce(bad, badTrace)
	s.AwaitState(good, "activated", worker)
	s.AwaitState(bad, "failed", worker)
	s.Nodes[0].Process.Kill()
	var stderr string
	if !deploytest.Eventually(t, func() bool {
		var status int
		_, stderr, status = deploytest.Run(t, deploytest.Command{
			Path: deploytest.Worker(t), Args: []string{"replay", bad, "--as", "alice", "--why", "the contract was renewed"}, Env: s.Env("alice"), Within: deploytest.Limit,
		})
		return status == 0
	}) {
		t.Fatalf("it cannot be replayed:\n%s\nthe worker said:\n%s", stderr, worker.Said())
	}
	s.AwaitState(bad, "activated", worker)

	var metrics string
	if !deploytest.Eventually(t, func() bool { // who follows the ledger is a moment behind it
		_, metrics = deploytest.Get(t, "http://"+address+"/metrics")
		return measured(t, metrics, "activation_customers", `state="activated"`) == 2
	}) {
		t.Errorf("the customers activated are never counted as two:\n%s", metrics)
	}
	if status := worker.Stop(); status != 0 {
		t.Errorf("the worker ended with %d", status)
	}
	said := worker.Said()
	defer func() {
		if t.Failed() {
			t.Logf("the worker said:\n%s", said)
		}
	}()

	// The events are what counts; the others are held against them.
	activations := map[string]string{}
	calls := 0
	for id, trace := range map[string]string{good: goodTrace, bad: badTrace} {
		events := s.events(id)
		for _, e := range events {
			if !strings.HasPrefix(e.TraceParent, "00-"+trace+"-") {
				t.Errorf("event %s of %s is of the trace %s, want %s", e.ID, id, e.TraceParent, trace)
			}
			if e.Type == "customer.activated" {
				activations[id] = e.Data.Via
			}
			if e.Type == "customer.activation.started" {
				calls++ // each attempt of this story makes one
			}
		}
		if activations[id] != "activate" {
			t.Errorf("%s was activated by %q; its events: %+v", id, activations[id], events)
		}
	}
	for what, c := range map[string]struct{ got, want float64 }{
		"activated":            {measured(t, metrics, "activation_outcomes_total", `outcome="activated"`, `via="activate"`), float64(len(activations))},
		"failed":               {measured(t, metrics, "activation_outcomes_total", `outcome="failed"`, `reason="refused"`), 1},
		"calls":                {measured(t, metrics, "activation_partner_request_duration_seconds_count", `operation="activate"`), float64(calls)},
		"refused calls":        {measured(t, metrics, "activation_partner_request_duration_seconds_count", `operation="activate"`, `result="refused"`, `status="400"`), 1},
		"times to activate":    {measured(t, metrics, "activation_time_to_activate_seconds_count"), float64(len(activations))},
		"lines of activations": {float64(len(logged(said, "customer activated", good)) + len(logged(said, "customer activated", bad))), float64(len(activations))},
		"lines of failures":    {float64(len(logged(said, "activation failed", bad))), 1},
		"spans of activates":   {float64(len(traces.of(goodTrace, spanActivate)) + len(traces.of(badTrace, spanActivate))), float64(calls)},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", what, c.got, c.want)
		}
	}
	for id, trace := range map[string]string{good: goodTrace, bad: badTrace} {
		for _, line := range logged(said, "customer activated", id) {
			if line["trace_id"] != trace {
				t.Errorf("the log says of %s the trace %v, want %s", id, line["trace_id"], trace)
			}
		}
	}
	// The replayed attempt is in the same trace, and tied to the record that it found.
	if replayed := traces.of(badTrace, "process redo"); len(replayed) == 0 || len(replayed[0].Links) == 0 || !strings.EqualFold(replayed[0].Links[0].TraceID, badTrace) {
		t.Errorf("the replayed attempt has the spans %+v", replayed)
	}
}
