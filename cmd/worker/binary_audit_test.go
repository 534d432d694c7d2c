package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"activation-worker/internal/audit"
	"activation-worker/internal/broker/brokertest"
	"activation-worker/internal/events"
)

// TestBinaryAudit audits as a user who may only read, before and after somebody has written by hand.
func TestBinaryAudit(t *testing.T) {
	t.Parallel()
	s := newSite(t, brokertest.WithConfig(`authorization { users: [
		{ user: root, password: r }
		{ user: auditor, password: a, permissions: { publish: { allow: [
			"$JS.API.INFO", "$JS.API.STREAM.INFO.*", "$JS.API.STREAM.MSG.GET.*", "$JS.API.CONSUMER.INFO.>",
			"$JS.API.CONSUMER.CREATE.>", "$JS.API.CONSUMER.MSG.NEXT.>", "$JS.API.CONSUMER.DELETE.>"
		] } } }
	] }
	no_auth_user: root`))
	auditor := s.env(noWatch, "NATS_USER=auditor", "NATS_PASSWORD=a")
	invoke(t, "", auditor, "doctor", "--audit").want(t, exitFailed, "stream not found")
	invoke(t, "", s.env(), "setup", "--with-intake").want(t, exitDone)
	invoke(t, "", auditor, "doctor", "--audit").want(t, exitDone, "0 records of 0 customers", "none")
	w := startWorker(t, s.env(noWatch)...)
	for id := int64(51200001); id <= 51200003; id++ {
		s.customer(id)
		s.await(id, events.Activated, w)
	}
	w.stop()
	before := fmt.Sprint(s.lastSequence("ACTIVATION"), s.lastSequence("ACTIVATION_WORK"), s.lastSequence("ACTIVATION_REJECTED"), s.lastSequence("SIGNUP"))
	var report audit.Report
	said := invoke(t, "", auditor, "doctor", "--audit", "-o", "json")
	said.want(t, exitDone)
	if err := json.Unmarshal([]byte(said.stdout), &report); err != nil {
		t.Fatal(err)
	}
	if report.Ledger.States[events.Activated] != 3 || report.Intake.Read != 3 || report.Breached != 0 {
		t.Errorf("it reports %+v", report)
	}
	if after := fmt.Sprint(s.lastSequence("ACTIVATION"), s.lastSequence("ACTIVATION_WORK"), s.lastSequence("ACTIVATION_REJECTED"), s.lastSequence("SIGNUP")); after != before {
		t.Errorf("the streams are at %s, and were at %s", after, before)
	}
	for _, stream := range []string{"ACTIVATION", "ACTIVATION_REJECTED", "SIGNUP"} {
		st, err := s.js.Stream(t.Context(), stream)
		if err != nil {
			t.Fatal(err)
		}
		for info := range st.ListConsumers(t.Context()).Info() {
			if info.Name != events.ConsumerActivator {
				t.Errorf("stream %s still has consumer %s", stream, info.Name)
			}
		}
	}

	s.store(&events.Record{State: events.Started, DomainID: 51200001, Round: 1, Attempt: 2, Worker: "by hand", LeaseExpiresAt: time.Now().Add(time.Hour)})
	invoke(t, "", auditor, "doctor", "--audit").want(t, exitDrift, "3 customers", "chain  1:", "51200001", "over record 0", "to do: find out who else may publish")
	invoke(t, "", auditor, "doctor", "--audit", "-o", "json").want(t, exitDrift, `"rule":"chain"`, `"domainId":51200001`)
}

// TestBinaryAuditForPrometheus: the file says what the last audit found that could run, and is whole whenever it is read.
func TestBinaryAuditForPrometheus(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "activation.prom")
	audit := func(args ...string) result {
		t.Helper()
		return invoke(t, "", s.env(noWatch), append([]string{"doctor", "--audit", "--metrics", file}, args...)...)
	}
	read := func(want ...string) string {
		t.Helper()
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range want {
			if !slices.Contains(strings.Split(string(text), "\n"), line) {
				t.Errorf("it has no line %q:\n%s", line, text)
			}
		}
		return string(text)
	}
	began := time.Now().Unix()
	audit().want(t, exitDone, "none")
	text := read("# TYPE activation_audit_breaches gauge", `activation_audit_breaches{rule="chain"} 0`, "# TYPE activation_audit_last_run_timestamp_seconds gauge")
	_, stamp, _ := strings.Cut(text, "\nactivation_audit_last_run_timestamp_seconds ")
	if ended, err := strconv.ParseInt(strings.TrimSuffix(stamp, "\n"), 10, 64); err != nil || ended < began || ended > time.Now().Unix() {
		t.Errorf("it ended at %q, and began after %d: %v", stamp, began, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("another user must be able to read it: %v, %v", info.Mode(), err)
	}

	s.store(&events.Record{State: events.Started, DomainID: 51200001, Round: 1, Attempt: 2, Worker: "by hand", LeaseExpiresAt: time.Now().Add(time.Hour)})
	audit("-o", "json").want(t, exitDrift, `"rule":"counts"`)
	breached := read(`activation_audit_breaches{rule="counts"} 1`, `activation_audit_breaches{rule="lost"} 0`)
	if strings.Contains(breached, "after_success") {
		t.Errorf("it lists rules that it cannot check:\n%s", breached)
	}

	// What could not run leaves the file as it is.
	s.nats.Stop()
	audit().want(t, exitFailed)
	if now := read(); now != breached {
		t.Errorf("after an audit that could not run it is\n%s", now)
	}
	s.nats.Restart()

	gone := filepath.Join(dir, "gone", "activation.prom")
	invoke(t, "", s.env(noWatch), "doctor", "--audit", "--metrics", gone).want(t, exitFailed, gone, "the directory must be there")
	invoke(t, "", s.env(noWatch), "doctor", "--audit", "--metrics", dir).want(t, exitFailed, dir, "is a directory")
	for _, args := range [][]string{{"--metrics", file}, {"--audit", "--metrics", ""}} {
		invoke(t, "", s.env(noWatch), append([]string{"doctor"}, args...)...).want(t, exitUsage, "--metrics FILE", "--audit")
	}
	invoke(t, "", nil, "doctor", "--help").want(t, exitDone, "--metrics FILE", "textfile", "worker doctor --audit --metrics")
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("beside the file there is something left: %v, %v", left, err)
	}
}
