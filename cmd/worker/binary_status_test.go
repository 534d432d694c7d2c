package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/events"
	"activation-worker/internal/partnerapi/simulator"
)

// TestBinaryStatus asks for customers in every state, as table and as JSON.
func TestBinaryStatus(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	const active, looked, waiting, refused, under, unread, rejected, unknown, hidden = 51200001, 51200002, 51200003, 51200004, 51200005, 51200006, 51200007, 51200008, 51200009
	w := startWorker(t, s.env("WORKER_BACKOFF=transient=1h", "WORKER_ID=one", "LINEWORKS_TIMEOUT=9s", "WORKER_LEASE=30s", "WORKER_DNS_RESOLVERS=off")...)
	w.AwaitReady(startTimeout)
	s.partner.Add(simulator.Customer{DomainID: active, Terms: true, DNS: true})
	s.partner.Add(simulator.Customer{DomainID: looked, Terms: true, DNS: true, Active: true})
	s.partner.Script(looked, simulator.OpActivate, "400:ALREADY_ACTIVE")
	s.partner.Add(simulator.Customer{DomainID: waiting, Terms: true, DNS: true})
	s.partner.Script(waiting, simulator.OpActivate, "307-none")
	s.partner.Add(simulator.Customer{DomainID: refused, Domain: "hoshizora.by-works.com", Terms: true, DNS: true})
	s.partner.Script(refused, simulator.OpActivate, "400:japanese")
	s.partner.Add(simulator.Customer{DomainID: hidden, Domain: "tsukimi.example", Terms: true})
	s.partner.Add(simulator.Customer{DomainID: under, Terms: true, DNS: true})
	s.partner.Script(under, simulator.OpActivate, "slow=3s")
	s.announce(`{"domainId":51200001,"domain":"日の出フーズ.example","reference":"order <7>"}`)
	for _, id := range []int64{looked, waiting, refused} {
		s.announce(fmt.Sprintf(`{"domainId":%d}`, id))
	}
	s.announce(`{"domainId":51200007.0}`)
	s.announce(`{"domainId":51200009}`)
	s.await(active, events.Activated, w)
	s.await(looked, events.Activated, w)
	s.await(waiting, events.Deferred, w)
	s.await(refused, events.Failed, w)
	s.await(hidden, events.Deferred, w)
	w.awaitSaid("announcement rejected")
	s.announce(`{"domainId":51200005}`)
	s.await(under, events.Started, w)

	tests := []struct {
		arg   string
		state string
		table []string // in the table
		code  int
	}{
		{"51200005", "started", []string{"An attempt is under way.", "takes over at"}, exitDone},
		{"51200001", "activated", []string{"日の出フーズ.example", "The customer is active.", "order <7>", "via activate", "started", "terms_accepted"}, exitDone},
		{"日の出フーズ.EXAMPLE", "activated", []string{"51200001"}, exitDone},
		{"51200002", "activated", []string{"via lookup"}, exitDone},
		{"51200003", "deferred", []string{"deferred (transient)", "attempted again at", "gives up", "what to do"}, exitDone},
		{"51200004", "failed", []string{"failed (refused)", "HTTP 400", `worker replay 51200004 --why`}, exitDone},
		{"51200009", "deferred", []string{"deferred (dns_unverified)", "not visible in DNS yet", "tsukimi.example.", " IN TXT \"", " IN CNAME ", "nothing at these names"}, exitDone},
		{"51200007", "rejected", []string{"no record", "was rejected", "SIGNUP", "sequence 5", "A worker is taking work"}, exitDone},
		{"51200008", "none", []string{"no record", "was not announced", "A worker is taking work"}, exitDone},
		{"nobody.example", "", []string{"nobody.example", "domain id"}, exitFailed},
	}
	for _, tt := range tests {
		table := invoke(t, "", s.env("NO_COLOR=1"), "status", tt.arg).want(t, tt.code, tt.table...)
		asJSON := invoke(t, "", s.env(), "status", tt.arg, "-o", "json").want(t, tt.code)
		if tt.state == "" {
			continue
		}
		lines := strings.Split(strings.TrimSpace(asJSON.stdout), "\n")
		var first map[string]any
		if err := json.Unmarshal([]byte(lines[0]), &first); err != nil || first["state"] != tt.state {
			t.Errorf("status %s: first line %s, %v; want state %s", tt.arg, lines[0], err, tt.state)
		}
		checkCustomerLine(t, tt.arg, first, lines[1:])
		for _, personal := range s.partner.Journal().PersonalData() {
			if strings.Contains(table.stdout+asJSON.stdout, personal) {
				t.Errorf("status %s shows personal data of %d bytes", tt.arg, len(personal))
			}
		}
		for _, one := range []string{"aki.mori", "5550-0142", "\x1b", "\u202e"} { // in the partner's text
			if strings.Contains(table.stdout+asJSON.stdout, one) {
				t.Errorf("status %s shows %q of the partner's text:\n%s%s", tt.arg, one, table.stdout, asJSON.stdout)
			}
		}
	}
	if t.Failed() {
		t.Logf("the worker said:\n%s", w.stderr.tail())
	}
	w.stop()

	// Nobody takes work now.
	s.announce(`{"domainId":51200006}`)
	invoke(t, "", s.env(), "status", "51200006").want(t, exitDone, "waits to be read", "sequence 8", "No worker is taking work", "worker run")
	invoke(t, "", s.env(), "status", "51200006", "-o", "json").want(t, exitDone, `"state":"unread"`)
}

// checkCustomerLine holds the JSON of a customer and its events against the contract.
func checkCustomerLine(t *testing.T, arg string, first map[string]any, timeline []string) {
	t.Helper()
	if first["state"] == "none" || first["state"] == "rejected" {
		return
	}
	keys := []string{"domainId", "domain", "reference", "state", "reason", "code", "attempt", "round", "since", "nextAttemptAt", "giveUpAt"}
	for key := range maps.Keys(first) {
		if !slices.Contains(keys, key) {
			t.Errorf("status %s has %s, which is not in the contract", arg, key)
		}
	}
	for _, key := range []string{"since", "nextAttemptAt", "giveUpAt"} {
		text, there := first[key].(string)
		if at, err := time.Parse(time.RFC3339Nano, text); there && (err != nil || !strings.HasSuffix(text, "Z") || at.IsZero()) {
			t.Errorf("status %s: %s is %s, want UTC", arg, key, text)
		}
	}
	if len(timeline) == 0 {
		t.Errorf("status %s has no timeline", arg)
	}
	for _, line := range timeline {
		var e struct {
			SpecVersion string
			Data        map[string]any
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.SpecVersion != "1.0" || e.Data["domainId"] != first["domainId"] {
			t.Errorf("status %s: an event is %s, %v", arg, line, err)
		}
		if _, there := e.Data["customer"]; there {
			t.Errorf("status %s shows the partner's object", arg)
		}
	}
}

// TestBinaryStatusOfDomainTwice: two customers with one domain name.
func TestBinaryStatusOfDomainTwice(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	w := startWorker(t, s.env()...)
	for id := int64(51200001); id <= 51200002; id++ {
		s.partner.Add(simulator.Customer{DomainID: id, Domain: "twice.example", Terms: true, DNS: true})
		s.announce(fmt.Sprintf(`{"domainId":%d,"domain":"Twice.example"}`, id))
		s.await(id, events.Activated, w)
	}
	invoke(t, "", s.env(), "status", "twice.EXAMPLE").want(t, exitFailed, "51200001", "51200002")
	w.stop()
}

// TestBinaryStatusBeforeFirstRun: there is no ledger to read, and perhaps an announcement already.
func TestBinaryStatusBeforeFirstRun(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	const nobodyYet = "No worker has ever read the intake"
	invoke(t, "", s.env(), "status", "51200001").want(t, exitDone, "no record", "was not announced", nobodyYet)
	invoke(t, "", s.env(), "status", "hinode.example").want(t, exitFailed, "hinode.example", "domain id")
	if _, err := s.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "SIGNUP", Subjects: []string{"signup.>"}}); err != nil {
		t.Fatal(err)
	}
	s.announce(`{"domainId":51200001}`)
	invoke(t, "", s.env(), "status", "51200001").want(t, exitDone, "no record", "waits to be read", "sequence 1", nobodyYet)
}
