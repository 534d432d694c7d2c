package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"activation-worker/internal/broker/brokertest"
	"activation-worker/internal/events"
)

// TestRestore: the ledger is restored from a backup, after which 200 more were activated, waiting, failed and forgotten.
func TestRestore(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	env := s.env(restoreEnv()...)
	invoke(t, "", env, "setup", "--with-intake", "--publish-stream", "CUSTOMER").want(t, exitDone)
	w := startWorker(t, env...)
	before := s.announceBatch(51700001, 40, 1)
	s.settle(before, env, w)
	s.awaitRead(w, 40)

	backedUpAt := s.serverNow()
	saved := brokertest.Backup(t, s.js.Conn(), "ACTIVATION")

	after := s.announceBatch(51700101, 200, 5)
	s.settle(after, env, w)
	s.awaitRead(w, 240)
	// Who waited or had failed when the backup was made is activated after it, and one who was active is forgotten.
	for _, id := range before.waiting {
		s.partner.SetDNS(id, true)
	}
	s.awaitAll(before.waiting, events.Activated, w)
	invoke(t, "", env, about("replay", before.failed, "--why", "renewed", "--rate", "100/s")...).want(t, exitDone)
	s.awaitAll(before.failed, events.Activated, w)
	gone := before.activated[:2]
	before.activated = before.activated[2:]
	invoke(t, "", env, about("forget", gone, "--why", "erasure request")...).want(t, exitDone)
	list := invoke(t, "", env, "list", "--state", "forgotten", "-o", "json").want(t, exitDone)
	file := listFile(t, list.stdout)
	forgotten := append(append(before.forgotten, after.forgotten...), gone...)
	s.awaitPublished("CUSTOMER", slices.Concat(before.activated, before.waiting, before.failed, after.activated)...)
	published := s.published("CUSTOMER")
	w.stop()

	for _, stream := range []string{"ACTIVATION", "ACTIVATION_WORK", "ACTIVATION_REJECTED", events.QuotaStream(bucket)} {
		if err := s.js.DeleteStream(t.Context(), stream); err != nil {
			t.Fatal(err)
		}
	}
	invoke(t, "", env, "setup", "--hold-publish").want(t, exitDone, "CUSTOMER", "held")
	heard := s.hear("CUSTOMER", s.lastSequence("CUSTOMER")+1)
	brokertest.Restore(t, s.js.Conn(), "ACTIVATION", saved)
	invoke(t, "", env, "setup", "--accept-ledger", "--rewind-intake", backedUpAt.Add(-time.Minute).Format(time.RFC3339), "--hold-publish").want(t, exitDone)

	// First who was forgotten: a worker without credentials calls nobody, and carries out what it is asked for.
	w = startWorker(t, bare(env)...)
	w.awaitCheck("credentials", false)
	invoke(t, "", env, "forget", "--file", file, "--unknown-too", "--why", "forgotten before the restore").want(t, exitDone)
	w.stop()
	invoke(t, "", env, "setup").want(t, exitDone, "CUSTOMER source")
	w = startWorker(t, env...)
	s.awaitRead(w, 240)
	s.awaitAll(before.activated, events.Activated, w)
	s.awaitAll(after.activated, events.Activated, w)
	s.awaitAll(before.waiting, events.Activated, w)
	s.awaitAll(after.failed, events.Failed, w)
	for _, id := range after.waiting {
		if r := s.await(id, events.Deferred, w); r.Reason == events.Backlog {
			eventually(t, workTimeout, func() bool { return s.newest(id).Reason == events.DNSUnverified })
		}
	}
	invoke(t, "", env, "replay", "--all-failed", "--why", "some may be active since the backup", "--rate", "100/s").want(t, exitDone)
	s.awaitAll(before.failed, events.Activated, w)

	const newcomer = 51700901
	s.customer(newcomer)
	s.await(newcomer, events.Activated, w)
	// A waiting one goes on.
	s.partner.SetDNS(after.waiting[0], true)
	s.await(after.waiting[0], events.Activated, w)
	w.stop()

	s.calledOnce()
	s.awaitPublished("CUSTOMER", after.waiting[0], newcomer)
	now := s.published("CUSTOMER")
	for _, id := range forgotten {
		if r := s.newest(id); r == nil || r.State != events.Forgotten {
			t.Errorf("%d was forgotten and is %+v", id, r)
		}
		subject := events.PublishedSubject(fmt.Sprint(id))
		if _, told := heard.Load(subject); told || now[subject] != 0 {
			t.Errorf("%d was forgotten and is published: %t, %d times now", id, told, now[subject])
		}
	}
	for subject := range published {
		if now[subject] == 0 {
			t.Errorf("%s is not published any more", subject)
		}
	}
	invoke(t, "", s.env("WORKER_SWEEP_INTERVAL=1s"), "doctor", "--audit").want(t, exitDone)
}

// TestRestoreOfADirectory: the embedded server's data directory is replaced by a copy of it. The intake goes back too, so
// the pipeline announces again who was announced since.
func TestRestoreOfADirectory(t *testing.T) {
	t.Parallel()
	s, listen := newEmbeddedSite(t)
	data := filepath.Join(t.TempDir(), "data")
	env := embeddedEnv(s, listen, restoreEnv("WORKER_DATA_DIR="+data, "LINEWORKS_RATE=0", "LINEWORKS_SUSTAINED_RATE=0", "WORKER_LOG_LEVEL=debug")...)
	start := func(env []string) *proc {
		w := startWorker(t, env...)
		w.awaitCheck("nats", true)
		_, s.js = brokertest.Connect(t, "nats://"+listen)
		return w
	}
	w := start(env)
	w.AwaitReady(startTimeout)
	invoke(t, "", env, "setup", "--publish-stream", "CUSTOMER").want(t, exitDone)
	before := s.announceBatch(51710001, 20, 1)
	s.settle(before, env, w)
	s.awaitRead(w, 20)
	s.awaitPublished("CUSTOMER", before.activated...)
	w.stop()
	saved := filepath.Join(t.TempDir(), "saved")
	if err := os.CopyFS(saved, os.DirFS(data)); err != nil {
		t.Fatal(err)
	}

	w = start(env)
	after := s.announceBatch(51710101, 40, 5)
	s.settle(after, env, w)
	for _, id := range before.waiting {
		s.partner.SetDNS(id, true)
	}
	s.awaitAll(before.waiting, events.Activated, w)
	invoke(t, "", env, about("forget", before.activated[:1], "--why", "erasure request")...).want(t, exitDone)
	forgotten := listFile(t, invoke(t, "", env, "list", "--state", "forgotten", "-o", "json").want(t, exitDone).stdout)
	w.stop()

	if err := os.RemoveAll(data); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(data, os.DirFS(saved)); err != nil {
		t.Fatal(err)
	}
	w = start(bare(env))
	var since strings.Builder
	for id := 51710101; id <= 51710140; id++ {
		fmt.Fprintln(&since, id)
	}
	invoke(t, "", env, "submit", "--backfill", "--file", listFile(t, since.String())).want(t, exitDone)
	invoke(t, "", env, "setup", "--accept-ledger").want(t, exitDone)
	from := s.lastSequence("CUSTOMER") + 1
	whilePaused := s.hear("CUSTOMER", from)
	invoke(t, "", env, "forget", "--file", forgotten, "--unknown-too", "--why", "forgotten before the restore").want(t, exitDone)
	w.stop()

	w = start(env)
	heard := s.hear("CUSTOMER", from)
	s.awaitRead(w, 60)
	s.awaitAll(before.activated[1:], events.Activated, w)
	s.awaitAll(before.waiting, events.Activated, w)
	s.awaitAll(before.failed, events.Failed, w)
	s.awaitAll(after.activated, events.Activated, w)
	s.awaitAll(after.failed, events.Failed, w)
	s.awaitAll(after.waiting, events.Deferred, w)
	gone := append(append(before.forgotten, after.forgotten...), before.activated[0])
	s.awaitAll(gone, events.Forgotten, w)
	const newcomer = 51710901
	s.customer(newcomer)
	s.await(newcomer, events.Activated, w)
	s.calledOnce()
	s.awaitPublished("CUSTOMER", newcomer)
	for _, id := range gone {
		for _, h := range []*sync.Map{whilePaused, heard} {
			if _, told := h.Load(events.PublishedSubject(fmt.Sprint(id))); told {
				t.Errorf("%d was forgotten and is published", id)
			}
		}
	}
	invoke(t, "", settings(env, []string{"WORKER_SWEEP_INTERVAL=1s"}), "doctor", "--audit").want(t, exitDone)
	w.stop()
}
