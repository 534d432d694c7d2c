package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/events"
	"activation-worker/internal/partnerapi/simulator"
	"activation-worker/internal/tracing/tracingtest"
)

// TestBinaryKeepsSecrets leads a worker that logs everything through all that can go wrong with the partner, and searches whatever
// it says, serves and stores for secrets, tokens and personal data. Only activated events hold the customer object.
func TestBinaryKeepsSecrets(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	faults := []simulator.Fault{
		"", "400", "400:japanese", "401", simulator.Revoked, "403", "404", "404:api", "409:empty", "429:reset=1", "500", "500:japanese", simulator.Applied500, "502",
		simulator.Lost, simulator.Cut, simulator.HalfJSON, simulator.NotJSON, simulator.OtherCustomer, simulator.InvalidUTF8, "huge=2MiB",
		simulator.Inactive200, simulator.RedirectNowhere, simulator.RedirectStrange, simulator.RedirectSelf,
	}
	for i, fault := range faults {
		id := int64(51200001 + i)
		s.partner.Add(simulator.Customer{DomainID: id, Terms: true, DNS: true})
		if fault != "" {
			s.partner.Script(id, simulator.OpActivate, fault)
		}
	}
	s.partner.SetTokenFaults("invalid_client")
	const collectorKey = "collector-key-hunter2"
	collector := tracingtest.Start(t)
	w := startWorker(t, s.env("WORKER_BACKOFF=transient=1s,unknown_outcome=1s,partner_unavailable=1s,customer_not_found=1s",
		"OTEL_EXPORTER_OTLP_ENDPOINT="+collector.URL, "OTEL_EXPORTER_OTLP_HEADERS=x-api-key="+collectorKey)...)
	var served, measured, labels strings.Builder
	probe := func() {
		if r, err := w.Readyz(""); err == nil {
			fmt.Fprintf(&served, "%+v\n", r)
		}
		m := w.scrape()
		measured.WriteString(m.text)
		labels.WriteString(m.series())
	}
	w.awaitCheck("credentials", false, "LINEWORKS_")
	probe()
	w.AwaitReady(startTimeout)
	s.partner.SetTokenFaults("odd-token", "html") // met when a token is revoked or refused
	s.announce(`{"domainId":"not a number"}`)
	for i := range faults {
		s.announce(fmt.Sprintf(`{"domainId":%d}`, 51200001+i))
	}
	if !eventually(t, time.Minute, func() bool {
		probe()
		for i := range faults {
			r := s.newest(int64(51200001 + i))
			if r == nil || r.State != events.Activated && r.State != events.Failed {
				return false
			}
		}
		return true
	}) {
		t.Fatalf("not every customer has an outcome; the worker said:\n%s", w.stderr.tail())
	}
	probe()
	w.stop()

	j := s.partner.Journal()
	secrets, personal := j.Secrets(), append(j.PersonalData(), "aki.mori@mail.example", "090-5550-0142")
	if j.Tokens < 2 || len(secrets) < 8 || len(personal) < len(faults) {
		t.Fatalf("too little to look for: %d tokens, %d secrets, %d personal data", j.Tokens, len(secrets), len(personal))
	}
	for _, r := range collector.Requests() {
		if r.Header.Get("x-api-key") != collectorKey {
			t.Error("the collector was not given its key")
		}
	}
	secrets = append(secrets, collectorKey)
	forbidden := slices.Concat(secrets, personal)
	names := map[string]int{}
	for _, span := range collector.Spans() {
		names[span.Name]++
	}
	if names["POST /token"] < 2 || names["POST /partners/customers/{domainId}/activate"] < len(faults) || names["record"] < len(faults) {
		t.Errorf("too few spans to look at: %v", names)
	}
	without(t, "a trace", collector.Text(), forbidden)
	said := w.stdout.String() + w.stderr.String()
	if !strings.Contains(said, `"level":"debug"`) {
		t.Fatal("the worker did not log at debug level")
	}
	without(t, "the log", said, forbidden)
	without(t, "/readyz", served.String(), forbidden)
	if !strings.Contains(measured.String(), `activation_partner_request_duration_seconds_count{operation="token",result="refused"`) {
		t.Error("/metrics says nothing of what went wrong")
	}
	if regexp.MustCompile(`activation_probes_total\{result="passed"\} [1-9]`).FindString(measured.String()) == "" {
		t.Error("/metrics does not say that a pause was found to be over")
	}
	without(t, "/metrics", measured.String(), forbidden)
	without(t, "the labels of /metrics", labels.String(), []string{"512000", ".example"}) // the customers' ids and domains
	kinds := map[string]int{}
	for _, stream := range []string{"ACTIVATION", "ACTIVATION_REJECTED", "ACTIVATION_WORK", "KV_ACTIVATION_QUOTA"} {
		for _, m := range s.messages(stream) {
			kind := m.Subject[strings.LastIndex(m.Subject, ".")+1:]
			kinds[kind]++
			if kind == string(events.Activated) {
				without(t, m.Subject, string(m.Data), secrets)
				without(t, m.Subject, withoutObject(t, m.Data), personal)
				continue
			}
			without(t, m.Subject, string(m.Data)+fmt.Sprint(m.Header), forbidden)
		}
	}
	for _, kind := range []string{"started", "deferred", "failed", "activated", "paused", "resumed"} {
		if kinds[kind] == 0 {
			t.Errorf("no %s event was looked at: %v", kind, kinds)
		}
	}
	for id := int64(51200001); id < 51200001+int64(len(faults)); id++ {
		r := invoke(t, "", s.env(), "status", fmt.Sprint(id), "-o", "json")
		without(t, "worker status", r.stdout+r.stderr, forbidden)
	}
}

// without reports what must not be in a text. It does not show it.
func without(t *testing.T, what, text string, forbidden []string) {
	t.Helper()
	for i, one := range forbidden {
		if at := strings.Index(text, one); at >= 0 {
			t.Errorf("%s holds forbidden text %d (%d bytes) after %q", what, i, len(one), text[max(0, at-60):at])
		}
	}
}

// messages is all that a stream holds.
func (s *site) messages(name string) (all []*jetstream.RawStreamMsg) {
	s.t.Helper()
	stream, err := s.js.Stream(s.t.Context(), name)
	if err != nil {
		s.t.Fatal(err)
	}
	state := stream.CachedInfo().State
	for seq := state.FirstSeq; seq <= state.LastSeq && state.Msgs > 0; seq++ {
		if m, err := stream.GetMsg(s.t.Context(), seq); err == nil { // some are gone
			all = append(all, m)
		}
	}
	return all
}

// withoutObject is an event without the partner's object.
func withoutObject(t *testing.T, event []byte) string {
	t.Helper()
	var e map[string]any
	if err := json.Unmarshal(event, &e); err != nil {
		t.Fatal(err)
	}
	if data, ok := e["data"].(map[string]any); ok {
		delete(data, "customer")
	}
	rest, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return string(rest)
}
