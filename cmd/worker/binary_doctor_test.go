package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"activation-worker/internal/broker/brokertest"
	"activation-worker/internal/events"
	"activation-worker/internal/operator"
	"activation-worker/internal/partnerapi/simulator"
)

// examined is what worker doctor -o json says, by the name of the check.
func examined(t *testing.T, r result) map[string]operator.Check {
	t.Helper()
	checks := map[string]operator.Check{}
	for line := range strings.Lines(r.stdout) {
		var c operator.Check
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatalf("a check is %q: %v; it said:\n%s", line, err, r.stderr)
		}
		if wanting := c.Level == operator.Warn || c.Level == operator.Fail; wanting != (c.WhatToDo != "") {
			t.Errorf("%s is %s, and to do is %q", c.Name, c.Level, c.WhatToDo)
		}
		checks[c.Name] = c
	}
	return checks
}

// wantCheck fails unless a check came out so, with texts in what it says.
func wantCheck(t *testing.T, checks map[string]operator.Check, name string, level operator.Level, texts ...string) {
	t.Helper()
	c := checks[name]
	if c.Level != level {
		t.Errorf("%s is %s, want %s: %s", name, c.Level, level, c.Detail)
	}
	for _, text := range texts {
		if !strings.Contains(c.Detail+c.WhatToDo, text) {
			t.Errorf("%s does not say %q but %s; to do: %s", name, text, c.Detail, c.WhatToDo)
		}
	}
}

const noWatch = "WORKER_DNS_RESOLVERS=off"

func TestBinaryDoctorFindsNothingWanting(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	w := startWorker(t, s.env(noWatch)...)
	s.customer(51200001)
	s.await(51200001, events.Activated, w)
	before := len(s.partner.Journal().Calls)
	checks := examined(t, invoke(t, "", s.env(noWatch), "doctor", "-o", "json").want(t, exitDone))
	for _, name := range []string{"nats", "permissions", "streams", "clock", "secrets", "credentials", "partner", "quota", "intake", "timers", "answers"} {
		wantCheck(t, checks, name, operator.OK)
	}
	wantCheck(t, checks, "dns", operator.Skipped, "WORKER_DNS_RESOLVERS")
	if n := len(s.partner.Journal().Calls) - before; n != 1 {
		t.Errorf("the partner was asked %d times, want once", n)
	}
	invoke(t, "", s.env(noWatch), "doctor").want(t, exitDone, "ok       nats", "skipped  dns")
	invoke(t, "", s.env("WORKER_LEASE=1s"), "doctor").want(t, exitUsage, "WORKER_LEASE")
	w.stop()
	checks = examined(t, invoke(t, "", s.env(noWatch), "doctor", "-o", "json").want(t, exitDrift))
	wantCheck(t, checks, "intake", operator.Fail, "No worker is taking work")
}

func TestBinaryDoctorFindsWhatIsWanting(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	w := startWorker(t, s.env(noWatch)...)
	for i, script := range []string{"400:japanese", "400:japanese", "409:TAKEN_ELSEWHERE"} {
		id := int64(51200001 + i)
		s.partner.Add(simulator.Customer{DomainID: id, Domain: fmt.Sprintf("c%d.by-works.com", id), Terms: true, DNS: true})
		s.partner.Script(id, simulator.OpActivate, simulator.Fault(script))
		s.announce(fmt.Sprintf(`{"domainId":%d}`, id))
	}
	for id := int64(51200001); id <= 51200003; id++ {
		s.await(id, events.Failed, w)
	}
	w.stop()
	s.store(&events.Record{
		State: events.Deferred, DomainID: 51200099, Round: 1, Reason: events.TermsPending, NextAttemptAt: time.Now().Add(-time.Hour),
	})
	s.store(&events.Record{
		State: events.Deferred, DomainID: 51200098, Round: 1, Reason: events.Transient, NextAttemptAt: time.Now().Add(time.Hour),
		Cause: &events.Cause{Operation: "activate", HTTPStatus: 429, Code: "TOO_MANY_REQUESTS"},
	})
	if err := s.js.DeleteConsumer(t.Context(), "ACTIVATION_WORK", events.ConsumerRedo); err != nil {
		t.Fatal(err)
	}
	env := s.env("WORKER_DNS_RESOLVERS=127.0.0.1:9", "LINEWORKS_CLIENT_SECRET=wrong")
	checks := examined(t, invoke(t, "", env, "doctor", "-o", "json").want(t, exitDrift))
	wantCheck(t, checks, "nats", operator.OK)
	wantCheck(t, checks, "streams", operator.Fail, "consumer redo", "worker setup")
	wantCheck(t, checks, "credentials", operator.Fail, "LINEWORKS_CLIENT_SECRET")
	wantCheck(t, checks, "partner", operator.Fail)
	wantCheck(t, checks, "dns", operator.Fail, "no resolver answered")
	wantCheck(t, checks, "intake", operator.Fail, "worker run")
	wantCheck(t, checks, "timers", operator.Fail, "51200099")
	wantCheck(t, checks, "answers", operator.Warn, "HTTP 400 INVALID_PARAMETER (2 refused)", "HTTP 409 TAKEN_ELSEWHERE (1 refused)", "WORKER_CLASSIFICATION")
	if strings.Contains(checks["answers"].Detail, "429") {
		t.Errorf("answers names what the table knows: %s", checks["answers"].Detail)
	}
}

func TestBinaryDoctorWithoutAnything(t *testing.T) {
	t.Parallel()
	env := []string{"NATS_URL=nats://" + freePort(t), noWatch}
	checks := examined(t, invoke(t, "", env, "doctor", "-o", "json").want(t, exitDrift))
	wantCheck(t, checks, "nats", operator.Fail, "NATS_URL")
	for _, name := range []string{"permissions", "streams", "clock", "credentials", "partner", "intake", "timers", "answers"} {
		wantCheck(t, checks, name, operator.Skipped)
	}
	wantCheck(t, checks, "quota", operator.OK, "240")
	invoke(t, "", append(env, "LINEWORKS_RATE=20/s", "LINEWORKS_CONCURRENCY=9"), "doctor").want(t, exitDrift, "LINEWORKS_RATE", "LINEWORKS_CONCURRENCY", "1200 a minute")
}

// TestBinaryDoctorOfAUserWhoMayNot: what is denied is named, and does not hide the rest.
func TestBinaryDoctorOfAUserWhoMayNot(t *testing.T) {
	t.Parallel()
	s := newSite(t, brokertest.WithConfig(`authorization { users: [
		{ user: root, password: r }
		{ user: guest, password: g, permissions: { publish: { allow: ["$JS.API.INFO", "$JS.API.STREAM.INFO.ACTIVATION", "$JS.API.STREAM.INFO.SIGNUP"] } } }
	] }
	no_auth_user: root`))
	invoke(t, "", s.env("NATS_USER=root", "NATS_PASSWORD=r"), "setup", "--with-intake").want(t, exitDone)
	checks := examined(t, invoke(t, "", s.env(noWatch, "NATS_USER=guest", "NATS_PASSWORD=g"), "doctor", "-o", "json").want(t, exitDrift))
	wantCheck(t, checks, "nats", operator.OK)
	wantCheck(t, checks, "permissions", operator.Fail, "stream ACTIVATION_WORK", "ermissions", "deploy/nats/README.md")
	wantCheck(t, checks, "clock", operator.OK)
	wantCheck(t, checks, "partner", operator.OK)
	if strings.Contains(checks["permissions"].Detail, "stream ACTIVATION:") {
		t.Errorf("permissions names what may be read: %s", checks["permissions"].Detail)
	}
}

// TestReadersOfAGuestEndAtOnce: whoever may not read is told so, and waits for nothing.
func TestReadersOfAGuestEndAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, brokertest.WithConfig(`authorization { users: [
		{ user: root, password: r }
		{ user: guest, password: g, permissions: { publish: { allow: ["$JS.API.INFO", "$JS.API.STREAM.INFO.*"] } } }
	] }
	no_auth_user: root`))
	invoke(t, "", s.env("NATS_USER=root", "NATS_PASSWORD=r"), "setup", "--with-intake").want(t, exitDone)
	for _, args := range [][]string{{"watch", "--since", "1m"}, {"replay", "--all-failed", "--dry-run"}, {"list"}, {"status", "51200931"}} {
		t.Run(args[0], func(t *testing.T) {
			t.Parallel()
			got := invoke(t, "", s.env("NATS_USER=guest", "NATS_PASSWORD=g"), args...)
			got.want(t, exitFailed)
			if !strings.Contains(got.stderr, "ermissions") {
				t.Errorf("says %q", got.stderr)
			}
		})
	}
}
