package main

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/events"
	"activation-worker/internal/operator"
)

// TestTheQuotaIsShared: two workers write and read the one key, each hears of the other's writes, and those who look see it.
func TestTheQuotaIsShared(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	one, js := g.connect("worker")
	other, otherJS := g.connect("worker")
	heard, err := other.SubscribeSync(events.SubjectQuota)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.FlushTimeout(workTimeout); err != nil || other.LastError() != nil {
		t.Fatalf("a worker may not hear of the quota: %v, %v", err, other.LastError())
	}
	ack, err := js.Publish(t.Context(), pace, []byte("a"), jetstream.WithExpectLastSequencePerSubject(0))
	if err != nil {
		t.Fatalf("a worker cannot write the quota: %v", err)
	}
	if err := one.Publish(events.SubjectQuota, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := heard.NextMsg(5 * time.Second); err != nil {
		t.Errorf("the other worker has not heard of it: %v; the server: %v", err, one.LastError())
	}
	if _, err := otherJS.Publish(t.Context(), pace, []byte("b"), jetstream.WithExpectLastSequencePerSubject(0)); err == nil {
		t.Error("the other worker writes over what it has not read")
	}
	if _, err := otherJS.Publish(t.Context(), pace, []byte("c"), jetstream.WithExpectLastSequencePerSubject(ack.Sequence)); err != nil {
		t.Errorf("the other worker cannot write: %v", err)
	}

	for _, who := range []string{"worker", "setup", "alice", "bob", "carol", "dave", "monitor"} {
		nc, js := g.connect(who)
		m, err := nc.Request("$JS.API.STREAM.MSG.GET."+events.QuotaStream(bucket), []byte(`{"last_by_subj":"`+pace+`"}`), workTimeout)
		if err != nil || !strings.Contains(string(m.Data), `"seq":2`) {
			t.Errorf("%s cannot read the quota: %v, %v", who, m, err)
		}
		if _, err := js.Stream(t.Context(), events.QuotaStream(bucket)); err != nil {
			t.Errorf("%s cannot look at the bucket: %v", who, err)
		}
	}
	c := newNATSCLI(t, g.url)
	c.env = append(c.env, "NATS_CA="+g.ca, "NATS_NKEY="+g.seeds["monitor"])
	c.run("--inbox-prefix", "_INBOX_monitor", "kv", "ls")
	if said := c.run("--inbox-prefix", "_INBOX_monitor", "kv", "get", bucket, events.QuotaKey, "--raw"); strings.TrimSpace(said) != "c" {
		t.Errorf("nats kv get shows %q", said)
	}
}

// TestUpgradeWithoutTheBucket: a worker that may not make what an older version did not have says what to do, at its
// start and while it runs, and goes on when it was done.
func TestUpgradeWithoutTheBucket(t *testing.T) {
	t.Parallel()
	g := newGuarded(t, `"$JS.API.STREAM.CREATE.*"`, `"$JS.API.STREAM.CREATE.*", "$JS.API.STREAM.DELETE.*"`)
	_, setup := g.connect("setup")
	remove := func() {
		t.Helper()
		if err := setup.DeleteStream(t.Context(), events.QuotaStream(bucket)); err != nil {
			t.Fatal(err)
		}
	}
	remove()
	says := []string{`$JS.API.STREAM.CREATE.KV_ACTIVATION_QUOTA`, "worker setup"}
	invoke(t, "", g.env("worker"), "run").want(t, exitFailed, says...)
	invoke(t, "", g.env("setup"), "setup", "--check").want(t, exitDrift, "KV_ACTIVATION_QUOTA", "missing")
	checks := examined(t, invoke(t, "", g.env("dave"), "doctor", "-o", "json").want(t, exitDrift))
	wantCheck(t, checks, "streams", operator.Fail, "KV_ACTIVATION_QUOTA", "missing", "worker setup")
	invoke(t, "", g.env("setup"), "setup").want(t, exitDone, "KV_ACTIVATION_QUOTA")

	w := startWorker(t, g.env("worker")...)
	w.AwaitReady(startTimeout)
	remove()
	w.awaitCheck("streams", false, says...)
	invoke(t, "", g.env("setup"), "setup").want(t, exitDone, "KV_ACTIVATION_QUOTA")
	w.AwaitReady(startTimeout)
	w.stop()
}

// TestUpgradeWithOldPermissions: the accounts of an older version know no bucket; the doctor and the worker name what to grant.
func TestUpgradeWithOldPermissions(t *testing.T) {
	t.Parallel()
	g := newGuarded(t, `"$JS.API.STREAM.INFO.KV_ACTIVATION_QUOTA", `, ``)
	checks := examined(t, invoke(t, "", g.env("worker"), "doctor", "-o", "json").want(t, exitDrift))
	for _, name := range []string{"permissions", "streams"} {
		wantCheck(t, checks, name, operator.Fail, `"$JS.API.STREAM.INFO.KV_ACTIVATION_QUOTA"`)
	}
	invoke(t, "", g.env("worker"), "run").want(t, exitFailed, `"$JS.API.STREAM.INFO.KV_ACTIVATION_QUOTA"`, "grant")
}
