package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"activation-worker/internal/broker/brokertest"
	"activation-worker/internal/events"
	"activation-worker/internal/events/eventstest"
	"activation-worker/internal/partnerapi/simulator"
)

// newEmbeddedSite is a site whose NATS server is the worker's own: env has its address, and js is connected once it runs.
func newEmbeddedSite(t testing.TB) (s *site, listen string) {
	t.Helper()
	listen = freePort(t)
	return &site{t: t, partner: newPartner(t, simulator.Options{})}, listen
}

func embeddedEnv(s *site, listen string, more ...string) []string {
	return settings(s.partner.env(), []string{
		"WORKER_NATS_LISTEN=" + listen, "WORKER_HTTP_ADDR=127.0.0.1:0", "WORKER_CONSOLE_ADDR=127.0.0.1:0", "LINEWORKS_TIMEOUT=2s", "WORKER_LEASE=12s",
	}, more)
}

// TestBinaryEmbedded runs with no NATS server at all, ends, and runs again on what it has kept.
func TestBinaryEmbedded(t *testing.T) {
	t.Parallel()
	s, listen := newEmbeddedSite(t)
	first := startWorker(t, embeddedEnv(s, listen)...) // in an empty directory
	first.AwaitReady(startTimeout)
	data := filepath.Join(first.cmd.Dir, "data")
	if info, err := os.Stat(data); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the data directory: %v, %v; want mode 0700", info, err)
	}
	_, s.js = brokertest.Connect(t, "nats://"+listen)
	eventstest.AtEnd(t, s.js)
	ids := []int64{51200001, 51200002, 51200003}
	for _, id := range ids {
		s.partner.Add(simulator.Customer{DomainID: id, Terms: true, DNS: true})
	}
	s.partner.Script(ids[2], simulator.OpActivate, "400:CONTRACT_ENDED")
	command := embeddedEnv(s, listen)
	submit := invoke(t, "", command, "submit", "51200001", "51200002", "51200003")
	submit.want(t, exitDone, "announced 51200001", "announced 51200003")
	s.await(ids[0], events.Activated, first)
	s.await(ids[1], events.Activated, first)
	s.await(ids[2], events.Failed, first)
	invoke(t, "", command, "status", "51200001").want(t, exitDone, "51200001", "activated", "The customer is active.")

	// A second worker on the same directory.
	second := embeddedEnv(s, freePort(t), "WORKER_DATA_DIR="+data)
	invoke(t, "", second, "run").want(t, exitFailed, data, "WORKER_DATA_DIR", "process "+strconv.Itoa(first.cmd.Process.Pid))
	// And one on the same port.
	invoke(t, "", command, "run").want(t, exitFailed, "WORKER_NATS_LISTEN", listen, "NATS_URL")

	first.stop()
	invoke(t, "", command, "status", "51200001").want(t, exitFailed, listen)
	again := startWorker(t, embeddedEnv(s, listen, "WORKER_DATA_DIR="+data)...)
	again.AwaitReady(startTimeout)
	again.awaitCheck("intake", true, "0 announcements unread, 0 in hand")
	invoke(t, "", command, "status", "51200002").want(t, exitDone, "activated")
	invoke(t, "", command, "status", "51200003").want(t, exitDone, "failed", "CONTRACT_ENDED")
	for _, id := range ids {
		if s.calls(id) != 1 {
			t.Errorf("%d activate requests for %d over a restart, want 1", s.calls(id), id)
		}
	}
	again.stop()
}

// TestBinaryWithoutCredentials starts paused, says so everywhere, and keeps what is announced for a worker with credentials.
func TestBinaryWithoutCredentials(t *testing.T) {
	t.Parallel()
	s, listen := newEmbeddedSite(t)
	bare := []string{"WORKER_NATS_LISTEN=" + listen, "WORKER_HTTP_ADDR=127.0.0.1:0", "WORKER_CONSOLE_ADDR=127.0.0.1:0", "WORKER_ID=bare-1"}
	w := startWorker(t, bare...)
	four := []string{"LINEWORKS_CLIENT_ID", "LINEWORKS_CLIENT_SECRET", "LINEWORKS_SERVICE_ACCOUNT", "LINEWORKS_PRIVATE_KEY"}
	w.awaitCheck("credentials", false, four...)
	w.awaitCheck("nats", true)
	w.awaitCheck("streams", true)
	if got := w.livez(); got != 200 {
		t.Errorf("/livez is %d without credentials, want 200", got)
	}
	w.awaitSaid("intake paused")

	_, s.js = brokertest.Connect(t, "nats://"+listen)
	eventstest.AtEnd(t, s.js)
	stream, err := s.js.Stream(t.Context(), "ACTIVATION")
	if err != nil {
		t.Fatal(err)
	}
	var paused events.Intake
	if !eventually(t, workTimeout, func() bool {
		m, err := stream.GetLastMsgForSubject(t.Context(), "activation.intake.paused")
		if err != nil {
			return false
		}
		paused, err = events.DecodeIntake(m.Data)
		return err == nil
	}) {
		t.Fatalf("activation.intake.paused is not there; the worker said:\n%s", w.stderr.tail())
	}
	if paused.Worker != "bare-1" || paused.Reason == "" || paused.Since.IsZero() {
		t.Errorf("paused event: %+v", paused)
	}
	for _, name := range four {
		if !strings.Contains(paused.WhatToDo, name) {
			t.Errorf("the paused event does not name %s: %q", name, paused.WhatToDo)
		}
	}
	invoke(t, "", bare, "submit", "51200001").want(t, exitDone)
	invoke(t, "", bare, "status", "51200001").want(t, exitDone, "waits to be read", "SIGNUP", "bare-1 paused since", "LINEWORKS_CLIENT_ID")
	w.awaitCheck("intake", false, "1 announcements unread")
	data := filepath.Join(w.cmd.Dir, "data")
	w.stop()

	s.partner.Add(simulator.Customer{DomainID: 51200001, Terms: true, DNS: true})
	able := startWorker(t, embeddedEnv(s, listen, "WORKER_DATA_DIR="+data)...)
	able.AwaitReady(startTimeout)
	_, s.js = brokertest.Connect(t, "nats://"+listen)
	eventstest.AtEnd(t, s.js)
	s.await(51200001, events.Activated, able)
	able.stop()
}
