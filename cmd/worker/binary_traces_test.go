package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"activation-worker/internal/events"
	"activation-worker/internal/partnerapi/simulator"
	"activation-worker/internal/tracing/tracingtest"
)

const (
	pipelineTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	pipelineSpan  = "00f067aa0ba902b7"
)

// announceTraced announces a customer who can be activated, with headers as the pipeline writes them.
func (s *site) announceTraced(id int64, traceParent, traceState string) {
	s.t.Helper()
	m := nats.NewMsg(events.DefaultIntakeSubject)
	m.Data = fmt.Appendf(nil, `{"domainId":%d}`, id)
	if traceParent != "" {
		m.Header["traceparent"] = []string{traceParent}
	}
	if traceState != "" {
		m.Header["tracestate"] = []string{traceState}
	}
	if _, err := s.js.PublishMsg(s.t.Context(), m); err != nil {
		s.t.Fatalf("announcing %d: %v", id, err)
	}
}

// named are the spans of a name in a trace.
func named(c *tracingtest.Collector, trace, name string) (all []tracingtest.Span) {
	for _, s := range c.Spans() {
		if s.Trace == trace && s.Name == name {
			all = append(all, s)
		}
	}
	return all
}

// TestBinaryOneTrace leads from the pipeline's traceparent to that of the activated event, whatever the former is.
func TestBinaryOneTrace(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	c := tracingtest.Start(t)
	var mu sync.Mutex
	leaked, asked := map[string]bool{}, 0
	between := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked++
		for name := range r.Header {
			if name = strings.ToLower(name); strings.Contains(name, "trace") || strings.Contains(name, "baggage") || name == "b3" {
				leaked[name] = true
			}
		}
		mu.Unlock()
		s.partner.ServeHTTP(w, r)
	}))
	t.Cleanup(between.Close)
	w := startWorker(t, s.env("WORKER_LOG_LEVEL=info", "OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL, "OTEL_SERVICE_NAME=activations",
		"LINEWORKS_API_URL="+between.URL+simulator.APIPath, "LINEWORKS_TOKEN_URL="+between.URL+simulator.TokenPath)...)
	w.AwaitReady(startTimeout)
	const header, unsampled, broken, none, extension = 51200001, 51200002, 51200003, 51200004, 51200005
	given := func(i int, flags string) string {
		return fmt.Sprintf("00-%s%d-%s-%s", pipelineTrace[:31], i, pipelineSpan, flags)
	}
	for id := int64(header); id <= extension; id++ {
		s.partner.Add(simulator.Customer{DomainID: id, Terms: true, DNS: true})
	}
	s.announceTraced(header, given(1, "01"), "vendor=x")
	s.announceTraced(unsampled, given(2, "00"), "")
	s.announceTraced(broken, "00-"+strings.Repeat("0", 32)+"-zz-01", "vendor=x")
	s.announceTraced(none, "", "")
	m := nats.NewMsg(events.DefaultIntakeSubject)
	m.Header.Set("Content-Type", events.ContentType)
	m.Data = fmt.Appendf(nil, `{"specversion":"1.0","type":"t","source":"/signup","id":"1","traceparent":%q,"data":{"domainId":%d}}`, given(5, "01"), extension)
	if _, err := s.js.PublishMsg(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	records := map[int64]*events.Record{}
	for id := int64(header); id <= extension; id++ {
		records[id] = s.await(id, events.Activated, w)
	}
	w.stop()

	for i, id := range []int64{header, unsampled, broken, none, extension} {
		r := records[id]
		if len(r.TraceParent) != 55 {
			t.Fatalf("customer %d: the activated event has traceparent %q", id, r.TraceParent)
		}
		trace, span, flags := r.TraceParent[3:35], r.TraceParent[36:52], r.TraceParent[53:]
		spans := named(c, trace, spanRecordName)
		switch id {
		case unsampled:
			if trace != given(2, "")[3:35] || flags != "00" || len(spans) > 0 {
				t.Errorf("an unsampled trace is carried on as %s, with %d spans", r.TraceParent, len(spans))
			}
			continue
		case header, extension:
			if trace != given(i+1, "")[3:35] {
				t.Errorf("customer %d: the activated event is in trace %s", id, trace)
			}
		default:
			if trace[:31] == pipelineTrace[:31] || r.TraceState != "" {
				t.Errorf("customer %d: the activated event is in trace %s, state %q", id, trace, r.TraceState)
			}
		}
		if len(spans) != 1 || spans[0].ID != span || spans[0].Attributes["activation.state"] != "activated" {
			t.Errorf("customer %d: the activated event names span %s; spans that recorded: %+v", id, span, spans)
		}
		whole(t, c, trace, id)
		if want := fmt.Sprintf(`"domain_id":%d,`, id); !slices.ContainsFunc(strings.Split(w.stderr.String(), "\n"), func(line string) bool {
			return strings.Contains(line, "customer activated") && strings.Contains(line, want) && strings.Contains(line, `"trace_id":"`+trace+`"`)
		}) {
			t.Errorf("no line of the log names customer %d and trace %s", id, trace)
		}
	}
	if r := records[header]; r.TraceState != "vendor=x" {
		t.Errorf("tracestate is %q", r.TraceState)
	}
	first := named(c, given(1, "")[3:35], "process terms accepted")
	if len(first) != 1 || first[0].Parent != pipelineSpan || first[0].State != "vendor=x" {
		t.Errorf("the delivery's span is %+v, wanted one below %s", first, pipelineSpan)
	}
	if asked == 0 || len(leaked) > 0 {
		t.Errorf("of %d requests the partner was told %v", asked, leaked)
	}
}

const spanRecordName = "record"

// whole checks that a customer's trace has all its spans, each below another or the pipeline's.
func whole(t *testing.T, c *tracingtest.Collector, trace string, id int64) {
	t.Helper()
	known, seen := map[string]bool{pipelineSpan: true, "": true}, map[string]int{}
	for _, s := range c.Spans() {
		if s.Trace == trace {
			known[s.ID] = true
			seen[s.Name]++
		}
	}
	for _, s := range c.Spans() {
		if s.Trace == trace && !known[s.Parent] {
			t.Errorf("span %s of customer %d is below %q, which is nowhere", s.Name, id, s.Parent)
		}
	}
	for _, name := range []string{"process terms accepted", "wait for quota", "claim", "POST /partners/customers/{domainId}/activate", spanRecordName} {
		if seen[name] != 1 {
			t.Errorf("customer %d has %d spans %q: %v", id, seen[name], name, seen)
		}
	}
	call := named(c, trace, "POST /partners/customers/{domainId}/activate")
	for key, want := range map[string]string{
		"activation.domain_id": fmt.Sprint(id), "http.response.status_code": "200", "http.request.method": "POST", "activation.operation": "activate",
	} {
		if len(call) > 0 && call[0].Attributes[key] != want {
			t.Errorf("the call of customer %d has %s %q, wanted %q", id, key, call[0].Attributes[key], want)
		}
	}
}

// contexts are the trace contexts of a customer's records, trace-span, in order.
func (s *site) contexts(id int64, state events.State) (all []string) {
	for _, m := range s.messages("ACTIVATION") {
		if m.Subject != events.CustomerSubject(id, state) {
			continue
		}
		var e struct{ TraceParent string }
		if json.Unmarshal(m.Data, &e) == nil && len(e.TraceParent) == 55 {
			all = append(all, e.TraceParent[3:52])
		}
	}
	return all
}

// TestBinaryLinksAcrossDeferrals: who waits for DNS, and who is replayed, is in one trace, and each attempt names the record that it found.
func TestBinaryLinksAcrossDeferrals(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	c := tracingtest.Start(t)
	w := startWorker(t, s.env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="+c.URL, "WORKER_DNS_SCHEDULE=watch=1s/1s,call=1h,visible=1s/2s")...)
	w.AwaitReady(startTimeout)
	const waits, fails = 51200001, 51200002
	s.partner.Add(simulator.Customer{DomainID: waits, Terms: true})
	s.partner.Add(simulator.Customer{DomainID: fails, Terms: true, DNS: true})
	s.partner.Script(fails, simulator.OpActivate, "400:NOT_ALLOWED")
	s.announceTraced(waits, "00-"+pipelineTrace+"-"+pipelineSpan+"-01", "")
	s.announceTraced(fails, "00-"+pipelineTrace[:31]+"7-"+pipelineSpan+"-01", "")
	s.await(waits, events.Deferred, w)
	s.partner.SetDNS(waits, true)
	s.await(waits, events.Activated, w)
	s.await(fails, events.Failed, w)
	invoke(t, "", s.env(), "replay", fmt.Sprint(fails), "--why", "a test").want(t, exitDone)
	s.await(fails, events.Activated, w)
	w.stop()

	for id, tt := range map[int64]struct {
		process string
		links   string
	}{
		waits: {"process due", last(s.contexts(waits, events.Deferred))},
		fails: {"process redo", last(s.contexts(fails, events.Failed))},
	} {
		trace := s.newest(id).TraceParent[3:35]
		if !strings.HasPrefix(trace, pipelineTrace[:31]) || tt.links == "" {
			t.Fatalf("customer %d ends in trace %s; deferred or failed in %q", id, trace, tt.links)
		}
		claimed := map[string]bool{}
		for _, claim := range named(c, trace, "claim") {
			claimed[claim.Parent] = true
		}
		attempts := slices.DeleteFunc(named(c, trace, tt.process), func(s tracingtest.Span) bool { return !claimed[s.ID] })
		if len(attempts) != 1 || !slices.Contains(attempts[0].Links, tt.links) || trace+"-"+attempts[0].Parent != tt.links {
			t.Errorf("customer %d: attempts %+v, wanted one below and linked to %s", id, attempts, tt.links)
		}
	}
	if len(named(c, pipelineTrace, "look at DNS")) == 0 {
		t.Error("no look at DNS is in the trace")
	}
}

func last(all []string) string {
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1]
}

// TestBinaryTracesAreOff unless an endpoint is named: nothing is sent, and what the pipeline gave is carried on as it came.
func TestBinaryTracesAreOff(t *testing.T) {
	t.Parallel()
	c := tracingtest.Start(t)
	for name, env := range map[string][]string{
		"nothing is set":          nil,
		"no endpoint":             {"OTEL_TRACES_EXPORTER=otlp", "OTEL_SERVICE_NAME=x"},
		"no exporter":             {"OTEL_TRACES_EXPORTER=none", "OTEL_EXPORTER_OTLP_ENDPOINT=" + c.URL},
		"switched off altogether": {"OTEL_SDK_DISABLED=true", "OTEL_EXPORTER_OTLP_ENDPOINT=" + c.URL},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSetUpSite(t)
			w := startWorker(t, s.env(env...)...)
			w.AwaitReady(startTimeout)
			s.partner.Add(simulator.Customer{DomainID: 51200001, Terms: true, DNS: true})
			given := "00-" + pipelineTrace + "-" + pipelineSpan + "-01"
			s.announceTraced(51200001, given, "vendor=x")
			if r := s.await(51200001, events.Activated, w); r.TraceParent != given || r.TraceState != "vendor=x" {
				t.Errorf("carried on as %q, %q", r.TraceParent, r.TraceState)
			}
			w.stop()
			if said := w.stderr.String(); strings.Contains(said, "traces are sent") || !strings.Contains(said, `"trace_id":"`+pipelineTrace+`"`) {
				t.Errorf("the worker said:\n%s", w.stderr.tail())
			}
			if n := len(c.Requests()); n > 0 {
				t.Errorf("the collector was sent %d requests", n)
			}
		})
	}
}

// TestBinaryCollectorHangs: customers are activated all the same, and the end comes in time.
func TestBinaryCollectorHangs(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	c := tracingtest.Start(t)
	c.Answer = func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	w := startWorker(t, s.env("OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL, "OTEL_BSP_SCHEDULE_DELAY=50", "OTEL_EXPORTER_OTLP_TIMEOUT=60000")...)
	w.AwaitReady(startTimeout)
	for id := int64(51200001); id <= 51200010; id++ {
		s.customer(id)
	}
	for id := int64(51200001); id <= 51200010; id++ {
		s.await(id, events.Activated, w)
	}
	if !eventually(t, workTimeout, func() bool { return len(c.Requests()) > 0 }) {
		t.Fatal("nothing is sent")
	}
	began := time.Now()
	w.Term()
	if code := w.Wait(12 * time.Second); code != exitDone { // LINEWORKS_TIMEOUT and ten seconds
		t.Errorf("exit status %d", code)
	}
	t.Logf("ended after %s", time.Since(began))
	if said := w.stderr.String(); !strings.Contains(said, "traces could not be sent") {
		t.Errorf("nothing is said of it:\n%s", w.stderr.tail())
	}
}
