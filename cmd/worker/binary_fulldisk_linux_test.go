package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/broker/brokertest"
	"activation-worker/internal/events"
	"activation-worker/internal/operator"
	"activation-worker/internal/partnerapi/simulator"
)

// TestTheEmbeddedServersDiskIsFull: the worker says so, and when there is room again it goes on by itself.
func TestTheEmbeddedServersDiskIsFull(t *testing.T) {
	t.Parallel()
	for name, own := range map[string]bool{"a small file system": true, "files may not grow": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testEmbeddedDiskIsFull(t, newDisk(t, own))
		})
	}
}

func testEmbeddedDiskIsFull(t *testing.T, d *disk) {
	s, listen := newEmbeddedSite(t)
	env := embeddedEnv(s, listen, "WORKER_DATA_DIR="+d.dir, "WORKER_LOG_LEVEL=debug", "WORKER_BACKOFF=unknown_outcome=1s")
	w := startWith(t, buildWorker(t), env, d.use, "run")
	d.pid = w.cmd.Process.Pid
	w.AwaitReady(startTimeout)
	_, s.js = brokertest.Connect(t, "nats://"+listen, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	s.customer(51200001)
	s.await(51200001, events.Activated, w)
	// One is on its way to the partner, and its outcome finds no room.
	s.partner.answerAfter(2 * time.Second)
	s.customer(51200002)
	s.await(51200002, events.Started, w)
	d.fill()
	s.choke()
	w.awaitCheck("nats", false, "cannot write in WORKER_DATA_DIR", d.dir, "make room")
	s.partner.answerAfter(0)
	if said := strings.Count(w.stderr.String(), "has stopped to write"); said != 1 {
		t.Errorf("it was logged %d times", said)
	}
	if got := w.livez(); got != 200 {
		t.Errorf("/livez is %d on a full disk, want 200", got)
	}
	d.free()
	w.awaitSaid("was started again after its disk had failed")
	s.await(51200002, events.Activated, w)
	w.AwaitReady(startTimeout)
	s.customer(51200003)
	s.await(51200003, events.Activated, w)
	s.once(t, 51200001, 51200003)
	w.stop()
}

// choke writes more than is left of the last block of the ledger's file.
func (s *site) choke() {
	s.t.Helper()
	for range 10 {
		ctx, cancel := context.WithTimeout(s.t.Context(), time.Second)
		_, err := s.js.Publish(ctx, "activation.replay.filler", make([]byte, 8<<10))
		cancel()
		if err != nil {
			return
		}
	}
	s.t.Fatal("the disk is not full")
}

// TestTheNATSServersDiskIsFull: a server of its own stops to write, also when there is room again, until it is started anew.
func TestTheNATSServersDiskIsFull(t *testing.T) {
	t.Parallel()
	server := newNATSProcess(t, "")
	s := &site{t: t, url: server.url, partner: newPartner(t, simulator.Options{})}
	_, s.js = brokertest.Connect(t, server.url, nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if !eventually(t, startTimeout, s.js.Conn().IsConnected) {
		t.Fatal("nats-server does not start")
	}
	invoke(t, "", s.env(), "setup", "--with-intake").want(t, exitDone)
	w := startWorker(t, s.env("WORKER_BACKOFF=unknown_outcome=1s", "LINEWORKS_TIMEOUT=5s", "WORKER_LEASE=20s")...)
	s.customer(51200001)
	s.await(51200001, events.Activated, w)
	s.customer(51200002)
	s.await(51200002, events.Activated, w)

	s.partner.answerAfter(2 * time.Second) // it comes in time
	s.customer(51200003)
	s.await(51200003, events.Started, w)
	disk := &disk{t: t, pid: server.cmd.Process.Pid}
	disk.fill()
	w.awaitCheck("streams", false, "does not acknowledge", "activation.customer.>", "disk", "start the server again")
	s.partner.answerAfter(0)
	disk.free()
	server.kill()
	server.start()
	w.AwaitReady(startTimeout)
	s.await(51200003, events.Activated, w)
	s.customer(51200004)
	s.await(51200004, events.Activated, w)
	s.once(t, 51200001, 51200004)
	w.stop()
}

// TestTheAccountIsFull: what the server grants the account is reached before the ledger's own limit.
func TestTheAccountIsFull(t *testing.T) {
	t.Parallel()
	account := func(store string) brokertest.Option {
		return brokertest.WithConfig(`accounts { A { users: [{ user: a, password: a }], jetstream { max_file: ` + store + `, max_mem: 1MiB } } }
		no_auth_user: a`)
	}
	s := newSite(t, account("5GiB"))
	invoke(t, "", s.env(), "setup", "--with-intake").want(t, exitDone)
	// The limits of streams count against the account's: without them it is what is stored that counts.
	for _, name := range []string{"ACTIVATION", "ACTIVATION_REJECTED"} {
		config := s.config(name)
		config.MaxBytes = -1
		if _, err := s.js.UpdateStream(t.Context(), config); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"other"}}); err != nil {
		t.Fatal(err)
	}
	w := startWorker(t, s.env()...)
	s.customer(51200001)
	s.await(51200001, events.Activated, w)
	for range 4 {
		if _, err := s.js.Publish(t.Context(), "other", make([]byte, 512<<10)); err != nil {
			t.Fatal(err)
		}
	}
	// One is on its way to the partner, another waits.
	s.partner.answerAfter(time.Second)
	s.customer(51200002)
	s.await(51200002, events.Started, w)
	s.nats.Reload(account("1MiB")) // less than is stored
	_, err := s.js.Publish(t.Context(), "other", nil)
	t.Logf("the server says: %v", err)
	w.awaitCheck("streams", false, "account")
	invoke(t, "", s.env(noWatch), "doctor").want(t, exitDrift, "the NATS account has stored")
	s.partner.answerAfter(0)
	s.nats.Reload(account("5GiB"))
	s.await(51200002, events.Activated, w)
	s.customer(51200003)
	s.await(51200003, events.Activated, w)
	w.AwaitReady(startTimeout)
	s.once(t, 51200001, 51200003)
	w.stop()
}

// TestTheLedgerIsFull: its own limit is reached. Nobody is claimed whose outcome would find no room.
func TestTheLedgerIsFull(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	invoke(t, "", s.env("WORKER_STREAM_MAX_BYTES=256KiB"), "setup", "--with-intake").want(t, exitDone)
	w := startWorker(t, s.env(noWatch)...)
	s.customer(51200001)
	w.awaitCheck("streams", false, "ACTIVATION has no room", "WORKER_STREAM_MAX_BYTES", "worker setup")
	checks := examined(t, invoke(t, "", s.env(noWatch), "doctor", "-o", "json").want(t, exitDrift))
	wantCheck(t, checks, "intake", operator.Fail, "hardly any room", "WORKER_STREAM_MAX_BYTES")
	invoke(t, "", s.env(), "status", "51200001").want(t, exitDone, "hardly any room")
	if s.calls(51200001) != 0 || s.newest(51200001) != nil {
		t.Error("somebody was attempted whose outcome would find no room")
	}
	if said := strings.Count(w.stderr.String(), "no room for another attempt"); said != 1 {
		t.Errorf("it was logged %d times", said)
	}
	invoke(t, "", s.env("WORKER_STREAM_MAX_BYTES=1GiB"), "setup").want(t, exitDone, "max bytes")
	s.await(51200001, events.Activated, w)
	w.AwaitReady(startTimeout)
	s.once(t, 51200001, 51200001)
	w.stop()
}
