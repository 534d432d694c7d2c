package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"activation-worker/internal/events"
)

// newListedSite has customers in several states, and a rejected announcement, without a worker.
func newListedSite(t *testing.T) *site {
	t.Helper()
	s := newSetUpSite(t)
	for _, r := range []*events.Record{
		{State: events.Deferred, DomainID: 51200001, Domain: "日の出フーズ.example", Reference: "注文7", Reason: events.DNSUnverified, NextAttemptAt: time.Now().Add(time.Hour)},
		{State: events.Deferred, DomainID: 51200002, Domain: "hinode.example", Reason: events.Transient, NextAttemptAt: time.Now().Add(time.Hour)},
		{State: events.Failed, DomainID: 51200003, Domain: "Hinode.example", Reason: events.Transient, Cause: &events.Cause{Code: "TOO_MANY_REQUESTS"}},
		{State: events.Activated, DomainID: 51200004, Via: events.ViaActivate, Customer: json.RawMessage(`{"cellphone":"090-5550-0142"}`)},
	} {
		s.store(r)
	}
	return s
}

func TestBinaryList(t *testing.T) {
	t.Parallel()
	s := newListedSite(t)
	for args, want := range map[string][]int64{
		"":                                   {51200001, 51200002, 51200003, 51200004},
		"--state deferred --state activated": {51200001, 51200002, 51200004},
		"--state deferred,failed --reason transient":    {51200002, 51200003},
		"--reason dns_unverified":                       {51200001},
		"--domain HINODE.example":                       {51200002, 51200003},
		"--domain 日の出フーズ.example":                       {51200001},
		"--since 1h":                                    {51200001, 51200002, 51200003, 51200004},
		"--since 2099-01-01T00:00:00+09:00":             nil,
		"--state forgotten":                             nil,
		"--state failed --reason transient --since 30m": {51200003},
	} {
		r := invoke(t, "", s.env(), append([]string{"list", "-o", "json"}, strings.Fields(args)...)...)
		r.want(t, exitDone, plural(len(want), "customer", "customers"))
		var got []int64
		for line := range strings.Lines(r.stdout) {
			var c customerLine
			if err := json.Unmarshal([]byte(line), &c); err != nil {
				t.Fatalf("list %s: %q: %v", args, line, err)
			}
			got = append(got, c.DomainID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("list %s: %v, want %v", args, got, want)
		}
		if strings.Contains(r.stdout, "5550") {
			t.Errorf("list %s shows personal data", args)
		}
	}
	table := invoke(t, "", s.env("TZ=Asia/Tokyo"), "list").want(t, exitDone, "日の出フーズ.example", "注文7", "+09:00", "next attempt")
	said := "4 customers\nNo worker is taking work; 0 announcements wait unread. Start one with worker run.\n"
	if !strings.HasSuffix(table.stderr, said) || strings.Count(table.stdout, "\n") != 5 {
		t.Errorf("the table is\n%s%s", table.stdout, table.stderr)
	}
	for args, text := range map[string]string{
		"--state lost":                     "started, deferred, activated, failed, forgotten, rejected",
		"--reason moon":                    "terms_pending",
		"--since yesterday":                "RFC 3339",
		"--since -3h":                      "RFC 3339",
		"--state rejected --state failed":  "no customer",
		"--state rejected --reason moon":   "no reason",
		"--state rejected --domain x.test": "no customer",
		"-o yaml":                          "table or json",
		"51200001":                         "list --help",
	} {
		invoke(t, "", s.env(), append([]string{"list"}, strings.Fields(args)...)...).want(t, exitUsage, text)
	}
	invoke(t, "", newSite(t).env(), "list").want(t, exitDone, "0 customers") // nobody has run yet
}

func TestBinaryListOfRejections(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	w := startWorker(t, s.env(noWatch)...)
	s.announce(`{"domainId":51200007.5,"note":"090-5550-0142"}`)
	s.announce(`日の出`)
	w.awaitSaid(`"sequence":1`)
	w.awaitSaid(`"sequence":2`)
	w.stop()
	invoke(t, "", s.env(), "list", "--state", "rejected").want(t, exitDone, "domain_id_invalid", "2 rejected announcements", "bytes")
	r := invoke(t, "", s.env(), "list", "--state", "rejected", "-o", "json").want(t, exitDone, "2 rejected announcements")
	lines := strings.Split(r.stdout, "\n") // in the order in which they were rejected
	slices.Sort(lines)
	first := lines[1] // after what follows the last
	var line rejectedLine
	if err := json.Unmarshal([]byte(first), &line); err != nil || line.Sequence != 1 || line.Stream != "SIGNUP" || line.Size != 46 || line.Time.IsZero() || line.Detail == "" {
		t.Errorf("a rejection is %s, %v", first, err)
	}
	if strings.Contains(r.stdout, "090-5550") || strings.Contains(r.stdout, "data_base64") {
		t.Errorf("the list shows the original: %s", r.stdout)
	}
	invoke(t, "", s.env(), "list", "--state", "rejected", "--since", "2099-01-01T00:00:00Z").want(t, exitDone, "0 rejected announcements")
}

// TestBinaryWatch follows a worker over a restart of NATS and ends with Ctrl-C.
func TestBinaryWatch(t *testing.T) {
	t.Parallel()
	s := newListedSite(t)
	watch := startBinary(t, s.env(), "watch", "-o", "json")
	people := startBinary(t, s.env("TZ=Asia/Tokyo"), "watch", "--since", "1h")
	people.awaitShown("51200001")
	s.awaitFollowers(2)
	w := startWorker(t, s.env(noWatch)...)
	s.customer(51200011)
	s.await(51200011, events.Activated, w)
	watch.awaitShown("customer.activated")
	s.nats.Restart()
	w.AwaitReady(workTimeout)
	var seen bool
	for !seen { // the connection of the test may not be back yet
		_, err := s.js.Publish(t.Context(), events.DefaultIntakeSubject, []byte(`{"domainId":51200012.5}`))
		seen = err == nil
		pause(t.Context(), 20*time.Millisecond)
	}
	watch.awaitShown("customer.activation.rejected")
	people.awaitShown("domain_id_invalid")
	people.awaitShown("+09:00  activated")
	w.stop()
	for _, p := range []*proc{watch, people} {
		p.interrupt()
		if code := p.Wait(workTimeout); code != exitInterrupted {
			t.Errorf("exit status %d after SIGINT, want %d; it said:\n%s", code, exitInterrupted, p.stderr.tail())
		}
		for _, personal := range s.partner.Journal().PersonalData() {
			if strings.Contains(p.stdout.String(), personal) {
				t.Errorf("watch shows personal data of %d bytes", len(personal))
			}
		}
	}
	var types []string
	ids := map[string]int{}
	for line := range strings.Lines(watch.stdout.String()) {
		e, err := events.DecodeSummary([]byte(line))
		if err != nil {
			t.Fatalf("an event is %q: %v", line, err)
		}
		ids[e.ID]++
		types = append(types, string(e.Type))
	}
	if !slices.Contains(types, "customer.activation.started") || slices.Contains(types, "customer.activation.deferred") {
		t.Errorf("from now on there are %v", types)
	}
	for id, n := range ids {
		if n > 1 {
			t.Errorf("event %s is shown %d times", id, n)
		}
	}
	invoke(t, "", newSite(t).env(), "watch").want(t, exitFailed, "worker setup")
}

// awaitShown waits until a process has printed a text.
func (p *proc) awaitShown(text string) {
	p.t.Helper()
	if !eventually(p.t, workTimeout, func() bool { return strings.Contains(p.stdout.String(), text) }) {
		p.t.Fatalf("worker %s does not show %q but:\n%s%s", strings.Join(p.cmd.Args[1:], " "), text, p.stdout.tail(), p.stderr.tail())
	}
}

// awaitFollowers waits until so many readers follow the rejections.
func (s *site) awaitFollowers(n int) {
	s.t.Helper()
	if !eventually(s.t, workTimeout, func() bool {
		stream, err := s.js.Stream(s.t.Context(), "ACTIVATION_REJECTED")
		return err == nil && stream.CachedInfo().State.Consumers >= n
	}) {
		s.t.Fatalf("%d readers do not follow the rejections", n)
	}
}
