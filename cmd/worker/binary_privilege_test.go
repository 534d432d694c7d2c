package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"activation-worker/internal/census"
	"activation-worker/internal/events"
	"activation-worker/internal/operator"
	"activation-worker/internal/partnerapi/simulator"
)

// TestPrivilegesAreEnough: with the shipped accounts everybody can do the whole work.
func TestPrivilegesAreEnough(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	s := g.site()
	w := startWorker(t, g.env("worker", "WORKER_SWEEP_INTERVAL=1s")...)
	w.AwaitReady(startTimeout)

	// The pipeline announces, with the command and by itself.
	const first, refused, waiting, gone, more, late = 51500001, 51500002, 51500003, 51500004, 51500005, 51500006
	_, pipeline := g.connect("pipeline")
	announce := func(id int64) {
		t.Helper()
		if _, err := pipeline.Publish(t.Context(), events.DefaultIntakeSubject, fmt.Appendf(nil, `{"domainId":%d}`, id)); err != nil {
			t.Fatalf("the pipeline cannot announce: %v", err)
		}
	}
	for _, id := range []int64{first, gone, more, late} {
		g.partner.Add(simulator.Customer{DomainID: id, Terms: true, DNS: true})
	}
	invoke(t, "", g.env("pipeline"), "submit", fmt.Sprint(first)).want(t, exitDone, "announced 51500001 (SIGNUP 1)")
	announce(gone)
	g.partner.Add(simulator.Customer{DomainID: refused, Domain: "r.by-works.com", Terms: true, DNS: true})
	g.partner.Script(refused, simulator.OpActivate, "409:TAKEN")
	announce(refused)
	g.partner.Add(simulator.Customer{DomainID: waiting, Terms: true})
	announce(waiting)
	announce(0) // rejected
	s.await(first, events.Activated, w)
	s.await(gone, events.Activated, w)
	s.await(refused, events.Failed, w)
	s.await(waiting, events.Deferred, w)

	// The worker may see which others there are.
	_, own := g.connect("worker")
	fellows := census.New(census.Options{JetStream: own, Stream: events.DefaultStream, Log: zap.NewNop()})
	if !eventually(t, workTimeout, func() bool {
		all, err := fellows.Replicas(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(all) == 1
	}) {
		t.Error("the worker does not see itself")
	}

	// The reader reads.
	_, js := g.connect("greeter")
	cons, err := js.Consumer(t.Context(), "ACTIVATION", "greeter")
	if err != nil {
		t.Fatalf("the reader: %v", err)
	}
	read := map[string]bool{}
	for range 2 {
		m, err := cons.Next(jetstream.FetchMaxWait(5 * time.Second))
		if err != nil {
			t.Fatalf("the reader: %v", err)
		}
		read[m.Subject()] = true
		if err := m.DoubleAck(t.Context()); err != nil {
			t.Errorf("the reader's ack: %v", err)
		}
	}
	if !read[events.CustomerSubject(first, events.Activated)] || !read[events.CustomerSubject(gone, events.Activated)] {
		t.Errorf("the reader got %v", read)
	}

	// So does another one with the nats command line, once setup has made its consumer.
	cli := func(who string, args ...string) string {
		t.Helper()
		c := newNATSCLI(t, g.url)
		c.env = append(c.env, "NATS_CA="+g.ca, "NATS_NKEY="+g.seeds[who])
		return c.run(append([]string{"--inbox-prefix", "_INBOX_" + who}, args...)...)
	}
	cli("setup", "consumer", "add", "ACTIVATION", "greeter", "--pull", "--filter", "activation.customer.*.activated", "--deliver", "all", "--ack", "explicit", "--defaults")
	announce(more)
	s.await(more, events.Activated, w)
	if said := cli("greeter", "consumer", "next", "ACTIVATION", "greeter", "--ack", "--raw"); !strings.Contains(said, `"domainId":51500005`) {
		t.Errorf("nats consumer next shows %s", said)
	}
	if said := cli("monitor", "stream", "get", "ACTIVATION", "--last-for", events.CustomerSubject(first, events.Activated)); !strings.Contains(said, fmt.Sprint(first)) {
		t.Errorf("nats stream get shows %s", said)
	}
	cli("monitor", "stream", "ls")
	cli("monitor", "consumer", "ls", "SIGNUP")

	// Everybody among the operators looks.
	for _, who := range []string{"alice", "bob", "carol", "dave"} {
		env := g.env(who)
		invoke(t, "", env, "status", fmt.Sprint(first)).want(t, exitDone, "The customer is active")
		invoke(t, "", env, "status", "r.by-works.com").want(t, exitDone, "51500002")
		invoke(t, "", env, "status", "51509999").want(t, exitDone, "It was not announced", "A worker is taking work")
		invoke(t, "", env, "list").want(t, exitDone, fmt.Sprint(refused), fmt.Sprint(waiting), "5 customers")
		invoke(t, "", env, "list", "--state", "rejected").want(t, exitDone, "1 rejected announcement")
		checks := examined(t, invoke(t, "", env, "doctor", "-o", "json").want(t, exitDrift))
		for _, name := range []string{"nats", "permissions", "streams", "clock", "intake", "timers"} {
			wantCheck(t, checks, name, operator.OK)
		}
		wantCheck(t, checks, "answers", operator.Warn, "HTTP 409 TAKEN")
	}
	watching := startBinary(t, g.env("dave"), "watch", "--since", "1h")

	// Each asks for the own verb under the own name.
	g.partner.Script(refused, simulator.OpActivate)
	invoke(t, "", g.env("alice"), "replay", fmt.Sprint(refused), "--why", "mended", "--as", "alice").want(t, exitDone, "1 customer is queued")
	if r := s.await(refused, events.Activated, w); r.Trigger.Kind != events.TriggerReplay {
		t.Errorf("activated by %+v", r.Trigger)
	}
	invoke(t, "", g.env("alice"), "replay", "--rejected", "--dry-run").want(t, exitDone, "still cannot be acted on")
	invoke(t, "", g.env("bob"), "cancel", fmt.Sprint(waiting), "--why", "withdrawn", "--as", "bob").want(t, exitDone, "1 cancelled")
	if r := s.await(waiting, events.Failed, w); r.Cause.Description != "cancelled by bob: withdrawn" {
		t.Errorf("cancelled: %+v", r.Cause)
	}
	invoke(t, "", g.env("setup"), "setup", "--publish-stream", "CUSTOMER").want(t, exitDone, "CUSTOMER")
	published := func() uint64 {
		stream, err := s.js.Stream(t.Context(), "CUSTOMER")
		if err != nil {
			t.Fatal(err)
		}
		return stream.CachedInfo().State.Msgs
	}
	if !eventually(t, workTimeout, func() bool { return published() == 4 }) {
		t.Fatalf("stream CUSTOMER has %d customers, want 4", published())
	}
	invoke(t, "", g.env("carol"), "forget", fmt.Sprint(gone), "--why", "erasure", "--as", "carol").want(t, exitDone, "is forgotten")
	if r := s.await(gone, events.Forgotten, w); r.By != "carol" {
		t.Errorf("forgotten by %s", r.By)
	}
	if n := published(); n != 3 {
		t.Errorf("stream CUSTOMER has %d customers after one of 4 was forgotten", n)
	}
	// What is published is held, and goes on.
	invoke(t, "", g.env("setup"), "setup", "--hold-publish").want(t, exitDone, "CUSTOMER", "held")
	announce(late)
	s.await(late, events.Activated, w)
	invoke(t, "", g.env("setup"), "setup", "--check").want(t, exitDrift, "CUSTOMER source")
	invoke(t, "", g.env("setup"), "setup").want(t, exitDone, "CUSTOMER source")
	if !eventually(t, workTimeout, func() bool { return published() == 4 }) {
		t.Errorf("stream CUSTOMER has %d customers after it was held, want 4", published())
	}
	if !eventually(t, workTimeout, func() bool { return strings.Contains(watching.stdout.String(), "forgotten") }) {
		t.Errorf("watch has shown no more than:\n%s%s", watching.stdout.tail(), watching.stderr.tail())
	}

	// They audit everything, also the publish stream. The worker may not, and says so at once.
	for _, who := range []string{"alice", "bob", "carol", "dave"} {
		invoke(t, "", g.env(who), "doctor", "--audit").want(t, exitDone, "6 customers", "4 activated", "1 rejected", "none")
	}
	invoke(t, "", g.env("worker"), "doctor", "--audit").want(t, exitFailed, "ermissions", "$JS.API.CONSUMER.CREATE.SIGNUP.")

	// The worker's own view, and what it logs.
	checks := examined(t, invoke(t, "", g.env("worker"), "doctor", "-o", "json").want(t, exitDone))
	for _, name := range []string{"nats", "permissions", "streams", "clock", "credentials", "partner", "intake", "timers", "answers"} {
		wantCheck(t, checks, name, operator.OK)
	}
	invoke(t, "", g.env("setup"), "setup", "--check").want(t, exitDone, "as declared")
	w.stop()
	if said := w.stderr.String(); strings.Contains(strings.ToLower(said), "permission") {
		t.Errorf("the worker met a permission that it lacks; it said:\n%s", w.stderr.tail())
	}
}

// TestNotPermittedIsSaid: who may not ask is told so, and under which name; it is no matter of a worker that is not there.
func TestNotPermittedIsSaid(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	for name, c := range map[string]struct {
		who  string
		args []string
		says string
	}{
		"no name":      {"bob", []string{"cancel", "51500001", "--why", "x"}, "as unverified-"},
		"another's":    {"bob", []string{"cancel", "51500001", "--why", "x", "--as", "alice"}, "as alice"},
		"another verb": {"bob", []string{"forget", "51500001", "--why", "x", "--as", "bob"}, "forget as bob"},
		"none at all":  {"dave", []string{"cancel", "51500001", "--why", "x", "--as", "dave"}, "cancel as dave"},
		"to list":      {"pipeline", []string{"list"}, "$JS.API.CONSUMER.CREATE.ACTIVATION."},
		"to look":      {"pipeline", []string{"status", "51500001"}, "$JS.API.STREAM.MSG.GET.ACTIVATION"},
		"to audit":     {"worker", []string{"doctor", "--audit"}, "$JS.API.CONSUMER.CREATE.SIGNUP."},
		"to announce":  {"bob", []string{"submit", "51500001"}, "ermissions"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			invoke(t, "", g.env(c.who), c.args...).want(t, exitFailed, "ermissions", c.says)
		})
	}
}

// TestWithdrawnPermissionIsNamed: the doctor says which subject a worker lacks.
func TestWithdrawnPermissionIsNamed(t *testing.T) {
	t.Parallel()
	g := newGuarded(t,
		`"$JS.API.STREAM.INFO.SIGNUP", "$JS.API.STREAM.INFO.ACTIVATION"`, `"$JS.API.STREAM.INFO.ACTIVATION"`,
		`"$JS.API.CONSUMER.INFO.SIGNUP.activator", "$JS.API.CONSUMER.INFO.ACTIVATION_WORK.*"`, `"$JS.API.CONSUMER.INFO.ACTIVATION_WORK.due"`,
		`"$JS.API.STREAM.MSG.GET.SIGNUP", "$JS.API.STREAM.MSG.GET.ACTIVATION", `, ``,
		`"$JS.API.CONSUMER.CREATE.ACTIVATION.>", "$JS.API.CONSUMER.INFO.ACTIVATION.*"`, `"$JS.API.CONSUMER.INFO.ACTIVATION.*"`,
	)
	r := invoke(t, "", g.env("worker"), "doctor", "-o", "json").want(t, exitDrift)
	checks := examined(t, r)
	wantCheck(t, checks, "nats", operator.OK)
	wantCheck(t, checks, "permissions", operator.Fail,
		`"$JS.API.STREAM.INFO.SIGNUP"`, `"$JS.API.CONSUMER.INFO.SIGNUP.activator"`, `"$JS.API.CONSUMER.INFO.ACTIVATION_WORK.redo"`,
		`"$JS.API.CONSUMER.INFO.ACTIVATION_WORK.requests"`, `"$JS.API.STREAM.MSG.GET.ACTIVATION"`, "deploy/nats")
	wantCheck(t, checks, "streams", operator.Fail, "permission", "SIGNUP")
	wantCheck(t, checks, "timers", operator.Fail, `$JS.API.CONSUMER.CREATE.ACTIVATION.`)
	if detail := checks["permissions"].Detail; strings.Contains(detail, "WORK.due") || strings.Contains(detail, `INFO.ACTIVATION"`) {
		t.Errorf("permissions names what is permitted: %s", detail)
	}
}

// TestWorkerWithoutItsPermissions does not run, or says what it lacks.
func TestWorkerWithoutItsPermissions(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		edits []string
		says  string
	}{
		"inbox":   {[]string{`subscribe: ["_INBOX_worker.>"`, `subscribe: ["_INBOX_other.>"`}, "NATS_INBOX_PREFIX"},
		"records": {[]string{`"activation.customer.*.started", `, ``}, `Publish to \"activation.customer.51500001.started\"`},
		"acks":    {[]string{`"$JS.ACK.SIGNUP.activator.>"`, ``}, `Publish to \"$JS.ACK.SIGNUP.activator.`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGuarded(t, c.edits...)
			g.partner.Add(simulator.Customer{DomainID: 51500001, Terms: true, DNS: true})
			invoke(t, "", g.env("pipeline"), "submit", "51500001").want(t, exitDone)
			w := startWorker(t, g.env("worker")...)
			if !eventually(t, workTimeout, func() bool { return strings.Contains(w.stderr.String(), c.says) }) {
				t.Errorf("the worker does not say %q; it said:\n%s", c.says, w.stderr.tail())
			}
		})
	}
}

// TestTheKeeperSavesAndRestores: who is let in for it backs a ledger up, removes it and brings it back; nobody else need have the right.
func TestTheKeeperSavesAndRestores(t *testing.T) {
	t.Parallel()
	g := newGuarded(t, "#keeper ", "")
	s := g.site()
	w := startWorker(t, g.env("worker")...)
	w.AwaitReady(startTimeout)
	const id = 51500001
	g.partner.Add(simulator.Customer{DomainID: id, Terms: true, DNS: true})
	invoke(t, "", g.env("pipeline"), "submit", fmt.Sprint(id)).want(t, exitDone)
	s.await(id, events.Activated, w)
	w.stop()

	c := newNATSCLI(t, g.url)
	c.env = append(c.env, "NATS_CA="+g.ca, "NATS_NKEY="+g.seeds["keeper"])
	saved := filepath.Join(t.TempDir(), "ACTIVATION")
	for _, args := range [][]string{
		{"backup", "stream", "ACTIVATION", saved, "--no-progress"}, {"stream", "rm", "-f", "ACTIVATION"}, {"backup", "restore", "stream", saved, "--no-progress"},
	} {
		c.run(append([]string{"--inbox-prefix", "_INBOX_keeper"}, args...)...)
	}
	invoke(t, "", g.env("setup"), "setup", "--accept-ledger").want(t, exitDone)
	if r := s.newest(id); r == nil || r.State != events.Activated {
		t.Errorf("restored: %+v", r)
	}
}
