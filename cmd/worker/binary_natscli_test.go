package main

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"activation-worker/internal/events"
	"activation-worker/internal/partnerapi/simulator"
)

// natsTool is the nats command line, built at most once in a test run from the pinned tools.
var natsTool struct {
	once sync.Once
	err  error
}

// natsCLI is the nats command line on a server: a publisher and a reader that shares no code with the worker.
type natsCLI struct {
	t    *testing.T
	path string
	env  []string
}

func newNATSCLI(t *testing.T, url string) *natsCLI {
	t.Helper()
	path := filepath.Join(binary.dir, "nats")
	natsTool.once.Do(func() {
		// Without the first caller's context: the others need the tool too.
		build := exec.Command("go", "build", "-C", filepath.Join("..", "..", "tools"), "-o", path, "github.com/nats-io/natscli/nats")
		if out, err := build.CombinedOutput(); err != nil {
			natsTool.err = fmt.Errorf("go build of the nats command line: %w\n%s", err, out)
		}
	})
	if natsTool.err != nil {
		t.Fatal(natsTool.err)
	}
	home := t.TempDir()
	return &natsCLI{t, path, []string{"NATS_URL=" + url, "HOME=" + home, "XDG_CONFIG_HOME=" + home}}
}

// run runs a nats command and returns what it wrote to stdout.
func (c *natsCLI) run(args ...string) string {
	c.t.Helper()
	r := execute(c.t, c.path, "", c.env, args...)
	if r.code != 0 {
		c.t.Fatalf("nats %s: exit status %d\n%s%s", strings.Join(args, " "), r.code, r.stdout, r.stderr)
	}
	return r.stdout
}

// read runs a nats command and decodes its JSON.
func (c *natsCLI) read(into any, args ...string) {
	c.t.Helper()
	out := c.run(args...)
	if err := json.Unmarshal([]byte(out), into); err != nil {
		c.t.Fatalf("nats %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// message is what nats stream get shows of one.
type message struct {
	Subject string `json:"subject"`
	Data    []byte `json:"data"`
	Header  []byte `json:"hdrs"`
}

// cloudEvent is an outgoing event as a downstream program reads it.
type cloudEvent struct {
	SpecVersion     string    `json:"specversion"`
	ID              string    `json:"id"`
	Source          string    `json:"source"`
	Type            string    `json:"type"`
	Subject         string    `json:"subject"`
	Time            time.Time `json:"time"`
	DataSchema      string    `json:"dataschema"`
	DataContentType string    `json:"datacontenttype"`
	TraceParent     string    `json:"traceparent"`

	Data struct {
		DomainID  int64                      `json:"domainId"`
		Domain    string                     `json:"domain"`
		Reference string                     `json:"reference"`
		Via       string                     `json:"via"`
		Calls     int                        `json:"calls"`
		Customer  map[string]json.RawMessage `json:"customer"`
		Event     struct{ ID, Stream string }
		Original  struct {
			Stream   string              `json:"stream"`
			Sequence uint64              `json:"sequence"`
			Subject  string              `json:"subject"`
			Headers  map[string][]string `json:"headers"`
			Size     int                 `json:"size"`
			Data     []byte              `json:"data_base64"`
		} `json:"original"`
	} `json:"data"`
}

// TestBinaryWithNATSCLI publishes and reads with the nats command line.
func TestBinaryWithNATSCLI(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	cli := newNATSCLI(t, s.nats.URL())
	w := startWorker(t, s.env()...)
	w.AwaitReady(startTimeout)
	for id := range int64(3) {
		s.partner.Add(simulator.Customer{DomainID: 51200931 + id, Terms: true, DNS: true})
	}
	s.partner.Script(51200931, simulator.OpActivate, "unknown-fields+big-numbers")
	pub := func(body string, headers ...string) {
		args := []string{"pub", "-J", "signup.terms.accepted", body}
		for _, h := range headers {
			args = append(args, "-H", h)
		}
		cli.run(args...)
	}
	const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	pub(`{"domainId":51200931,"domain":"日の出フーズ.example","reference":"order <7> & 8","more":[1]}`, "traceparent:"+trace)
	pub(`{"domainId":"51200932"}`, "CE-SpecVersion:1.0", "ce-id:A-2", "ce-source:/signup", "ce-type:terms", "content-type:application/json; charset=utf-8")
	pub(`{"specversion":"1.0","id":"A-3","source":"/signup","type":"terms","data":{"domainId":51200933}}`, "Content-Type:application/cloudevents+json; charset=UTF-8")
	pub(`{"domainId":"051200931"}`, "X-Origin:shop")

	// The event stream, as downstream reads it.
	got := map[int64]cloudEvent{}
	lines := cli.run("sub", "--stream", "ACTIVATION", "--all", "--raw", "--count", "3", "--timeout", "20s", "activation.customer.*.activated")
	for line := range strings.Lines(lines) {
		var e cloudEvent
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v in what nats sub printed:\n%s", err, lines)
		}
		got[e.Data.DomainID] = e
	}
	for id := int64(51200931); id <= 51200933; id++ {
		e, name := got[id], strconv.FormatInt(id, 10)
		if e.SpecVersion != "1.0" || e.Type != "customer.activated" || e.Subject != name || e.Source != "/lineworks-simulated/activation" ||
			!strings.HasSuffix(e.DataSchema, "/v1") || e.DataContentType != "application/json" || time.Since(e.Time).Abs() > time.Hour {
			t.Errorf("activated event of %d: %+v", id, e)
		}
		if !strings.HasPrefix(e.ID, name+"-") || !strings.HasSuffix(e.ID, "-activated") {
			t.Errorf("the id %q is not %d-<expected last sequence>-activated", e.ID, id)
		}
		if d := e.Data; d.Via != "activate" || d.Calls != 1 || string(d.Customer["domainId"]) != name || string(d.Customer["enableActiveDomain"]) != "true" {
			t.Errorf("data of %d: %+v", id, d)
		}
		var m message
		cli.read(&m, "stream", "get", "ACTIVATION", "--last-for", "activation.customer."+name+".activated", "--json")
		if !strings.Contains(string(m.Header), "Content-Type: application/cloudevents+json\r\n") || strings.Contains(string(m.Header), "Nats-Msg-Id") {
			t.Errorf("headers of %s: %q", m.Subject, m.Header)
		}
		if s.calls(id) != 1 {
			t.Errorf("%d activate requests for %d, want 1", s.calls(id), id)
		}
	}
	plain := got[51200931]
	if d := plain.Data; d.Domain != "日の出フーズ.example" || d.Reference != "order <7> & 8" || plain.TraceParent != trace {
		t.Errorf("the announcement's fields: domain %q, reference %q, traceparent %q", d.Domain, d.Reference, plain.TraceParent)
	}
	if !slices.Contains(s.partner.Journal().PersonalData(), administratorOf(t, plain.Data.Customer).PrivateEmail) {
		t.Errorf("the partner's object is not as it was sent: %s", plain.Data.Customer["administrator"])
	}
	if id := got[51200932].Data.Event.ID; !strings.Contains(id, "/signup") || !strings.Contains(id, "A-2") {
		t.Errorf("the id %q is not made of the CloudEvent's source and id", id)
	}

	// What nobody can act on.
	var m message
	if !eventually(t, workTimeout, func() bool {
		r := execute(t, cli.path, "", cli.env, "stream", "get", "ACTIVATION_REJECTED", "--last-for", "activation.rejected.4", "--json")
		return r.code == 0 && json.Unmarshal([]byte(r.stdout), &m) == nil
	}) {
		t.Fatalf("the message was not rejected; the worker said:\n%s", w.stderr.tail())
	}
	var rejected cloudEvent
	if err := json.Unmarshal(m.Data, &rejected); err != nil {
		t.Fatal(err)
	}
	o := rejected.Data.Original
	if rejected.Type != "customer.activation.rejected" || rejected.Subject != "4" || o.Stream != "SIGNUP" || o.Sequence != 4 || o.Subject != "signup.terms.accepted" ||
		string(o.Data) != `{"domainId":"051200931"}` || o.Size != len(o.Data) || !slices.Equal(o.Headers["X-Origin"], []string{"shop"}) {
		t.Errorf("rejected event: %+v", rejected)
	}

	// Said again, it is a duplicate: acked, and no call.
	pub(`{"domainId":51200931}`)
	w.awaitCheck("intake", true, "0 announcements unread, 0 in hand")
	if s.calls(51200931) != 1 {
		t.Errorf("a second announcement led to a call")
	}
	w.stop()
}

func administratorOf(t *testing.T, customer map[string]json.RawMessage) (a simulator.Administrator) {
	t.Helper()
	if err := json.Unmarshal(customer["administrator"], &a); err != nil {
		t.Fatalf("administrator: %v", err)
	}
	return a
}

// TestBinaryStreamSettings holds what the worker itself creates against the contract, as nats stream info shows it.
func TestBinaryStreamSettings(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	cli := newNATSCLI(t, s.nats.URL())
	w := startWorker(t, s.env("WORKER_LEASE=40s")...)
	w.awaitSaid("worker started")
	invoke(t, "", s.env("WORKER_LEASE=40s"), "setup", "--with-intake").want(t, exitDone)
	w.AwaitReady(startTimeout)

	day := float64(24 * time.Hour)
	own := func(more map[string]any) map[string]any {
		want := map[string]any{
			"storage": "file", "retention": "limits", "num_replicas": 1.0, "max_msgs": -1.0, "max_msg_size": -1.0, "sealed": false, "no_ack": nil,
			"allow_msg_ttl": nil, "deny_purge": false, "mirror": nil, "sources": nil,
		}
		for key, value := range more {
			want[key] = value
		}
		return want
	}
	streams := map[string]map[string]any{
		"SIGNUP": own(map[string]any{
			"subjects": []any{"signup.terms.accepted"}, "max_age": 30 * day, "duplicate_window": float64(2 * time.Minute), "discard": "old",
		}),
		"ACTIVATION": own(map[string]any{
			"subjects": []any{"activation.customer.*.*", "activation.replay.*", "activation.intake.*"},
			"discard":  "new", "discard_new_per_subject": nil, "deny_delete": true, "allow_direct": true, "allow_rollup_hdrs": false,
			"max_age": 0.0, "max_msgs_per_subject": 16.0, "max_bytes": float64(1 << 30), "allow_msg_schedules": nil,
		}),
		"ACTIVATION_REJECTED": own(map[string]any{
			"subjects": []any{"activation.rejected.*"}, "discard": "old", "max_age": 30 * day, "max_bytes": float64(1 << 30),
		}),
		"ACTIVATION_WORK": own(map[string]any{
			"subjects":  []any{"activation.timer.*", "activation.due.*", "activation.redo.*", "activation.request.*.*.*"},
			"retention": "workqueue", "max_msgs_per_subject": 1.0, "allow_rollup_hdrs": true, "allow_msg_schedules": true, "discard": "old", "max_age": 0.0,
		}),
		"KV_ACTIVATION_QUOTA": own(map[string]any{
			"subjects": []any{"$KV.ACTIVATION_QUOTA.>"}, "max_msgs_per_subject": 1.0, "max_age": 0.0, "max_bytes": -1.0, "discard": "new",
			"deny_delete": true, "allow_direct": true, "allow_rollup_hdrs": true, "allow_msg_schedules": nil, "republish": nil,
		}),
	}
	for name, want := range streams {
		var info struct{ Config map[string]any }
		cli.read(&info, "stream", "info", name, "--json")
		differ(t, "stream "+name, info.Config, want)
	}
	// It is a bucket for whoever knows buckets, and its key is written where the worker writes.
	if said := cli.run("kv", "ls", "--names"); strings.TrimSpace(said) != bucket {
		t.Errorf("nats kv ls shows %q", said)
	}
	if said := cli.run("kv", "info", bucket); !strings.Contains(said, "History Kept: 1") {
		t.Errorf("nats kv info shows %s", said)
	}
	cli.run("kv", "put", bucket, events.QuotaKey, "x")
	if m, err := s.js.Stream(t.Context(), events.QuotaStream(bucket)); err != nil {
		t.Error(err)
	} else if got, err := m.GetLastMsgForSubject(t.Context(), pace); err != nil || string(got.Data) != "x" {
		t.Errorf("on %s is %v, %v", pace, got, err)
	}
	var bound struct {
		Config struct{ Metadata map[string]string }
	}
	cli.read(&bound, "stream", "info", "ACTIVATION", "--json")
	said := fmt.Sprint(bound.Config.Metadata)
	_, tenant, _ := strings.Cut(s.partner.Credentials().ServiceAccount, "@")
	if !strings.Contains(said, tenant) || !strings.Contains(said, "127.0.0.1") {
		t.Errorf("the ledger's metadata %s do not bind it to 127.0.0.1 and %s", said, tenant)
	}

	for stream, consumers := range map[string]map[string]string{
		"SIGNUP":          {"activator": "signup.terms.accepted"},
		"ACTIVATION_WORK": {"due": "activation.due.*", "redo": "activation.redo.*", "requests": "activation.request.*.*.*"},
	} {
		for name, filter := range consumers {
			var info struct{ Config map[string]any }
			cli.read(&info, "consumer", "info", stream, name, "--json")
			differ(t, "consumer "+name, info.Config, map[string]any{
				"durable_name": name, "ack_policy": "explicit", "ack_wait": float64(20 * time.Second), "max_deliver": -1.0, "backoff": nil,
				"max_ack_pending": 1000.0, "filter_subject": filter, "deliver_policy": "all", "deliver_subject": nil, "mem_storage": nil,
			})
		}
	}
}

// differ reports the settings that are not as wanted; nil wants a setting to be absent, which JetStream takes for its zero value.
func differ(t *testing.T, what string, got, want map[string]any) {
	t.Helper()
	for key, value := range want {
		is := got[key]
		if value == nil && (is == nil || reflect.ValueOf(is).IsZero()) {
			continue
		}
		if !reflect.DeepEqual(is, value) {
			t.Errorf("%s: %s is %v, want %v", what, key, is, value)
		}
	}
}
