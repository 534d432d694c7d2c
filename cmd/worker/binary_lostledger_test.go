package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"activation-worker/internal/broker/brokertest"
	"activation-worker/internal/events"
	"activation-worker/internal/operator"
)

const (
	sinceEver = "2000-01-01T00:00:00Z"
	// A claim may have come into the ledger that is another, and is then taken over and looked up twice.
	soon = "WORKER_BACKOFF=unknown_outcome=1s"
)

// halted checks that the worker has stopped to work for want of its ledger, and that everybody says so.
func (s *site) halted(t *testing.T, w *proc) {
	t.Helper()
	w.awaitCheck("streams", false, "the ledger is lost", "ACTIVATION", "worker setup --accept-ledger")
	checks := examined(t, invoke(t, "", s.env(noWatch), "doctor", "-o", "json").want(t, exitDrift))
	wantCheck(t, checks, "streams", operator.Fail, "ACTIVATION", "the ledger is lost", "--accept-ledger")
	invoke(t, "", s.env(), "setup", "--check").want(t, exitDrift, "ACTIVATION", "--accept-ledger")
	invoke(t, "", s.env(), "setup").want(t, exitFailed, "the ledger is lost", "--accept-ledger")
	invoke(t, "", s.env(), "status", "51200001").want(t, exitDone, "ledger is lost")
	if said := strings.Count(w.stderr.String(), "work is halted"); said > 1 {
		t.Errorf("that work is halted was logged %d times", said)
	}
}

// once checks that nobody was activated twice, and that everybody was.
func (s *site) once(t *testing.T, first, last int64) {
	t.Helper()
	j := s.partner.Journal()
	for _, breach := range j.Check() {
		t.Error(breach)
	}
	for id := first; id <= last; id++ {
		if n := j.Customers[id].Activates; n != 1 {
			t.Errorf("%d activate requests for %d, want 1", n, id)
		}
	}
}

// TestTheLedgerIsDeletedUnderTheWorker: a new ledger knows nobody, so it is made only where an operator says so, and
// then whoever was announced before is looked up.
func TestTheLedgerIsDeletedUnderTheWorker(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(s *site, w *proc) *proc{
		"deleted": func(_ *site, w *proc) *proc { return w },
		"deleted and made anew": func(s *site, w *proc) *proc {
			s.remake("ACTIVATION")
			return w
		},
		"deleted, and the worker starts again": func(s *site, w *proc) *proc {
			w.stop()
			return startWorker(s.t, s.env(soon)...)
		},
		"made anew, and the worker starts again": func(s *site, w *proc) *proc {
			w.stop()
			s.remake("ACTIVATION")
			return startWorker(s.t, s.env(soon)...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSetUpSite(t)
			w := startWorker(t, s.env(soon)...)
			for id := int64(51200001); id <= 51200005; id++ {
				s.customer(id)
				s.await(id, events.Activated, w)
			}
			s.awaitRead(w, 5)
			config := s.config("ACTIVATION")
			s.lost = &config
			if err := s.js.DeleteStream(t.Context(), "ACTIVATION"); err != nil {
				t.Fatal(err)
			}
			w = lose(s, w)
			s.customer(51200006)
			s.announce(`{"domainId":51200001,"reference":"again"}`)
			s.halted(t, w)
			if got := len(s.partner.Journal().Customers); got > 6 || s.calls(51200001) != 1 || s.calls(51200006) != 0 {
				t.Errorf("somebody was called without the ledger: %d and %d calls", s.calls(51200001), s.calls(51200006))
			}
			invoke(t, "", s.env(), "setup", "--accept-ledger", "--rewind-intake", sinceEver).want(t, exitDone, "ACTIVATION", "accepted")
			w.AwaitReady(startTimeout)
			for id := int64(51200001); id <= 51200006; id++ {
				r := s.await(id, events.Activated, w)
				if id <= 51200005 && r.Via != events.ViaLookup {
					t.Errorf("%d is activated via %s, want by look-up", id, r.Via)
				}
			}
			invoke(t, "", s.env(), "setup", "--check").want(t, exitDone, "as declared")
			s.customer(51200007)
			s.await(51200007, events.Activated, w)
			s.once(t, 51200001, 51200007)
			w.stop()
			// What was accepted is not asked for again.
			again := startWorker(t, s.env()...)
			again.AwaitReady(startTimeout)
			again.stop()
		})
	}
}

// remake makes a stream that was deleted as somebody would who knows only its settings.
func (s *site) remake(name string) {
	s.t.Helper()
	config := *s.lost
	config.Name = name
	if _, err := s.js.CreateStream(s.t.Context(), config); err != nil {
		s.t.Fatal(err)
	}
}

// TestNATSComesBackWithoutItsData: the directory was not mounted, or JetStream not switched on. When it is there
// again all goes on by itself.
func TestNATSComesBackWithoutItsData(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	w := startWorker(t, s.env()...)
	for id := int64(51200001); id <= 51200003; id++ {
		s.customer(id)
		s.await(id, events.Activated, w)
	}
	s.awaitRead(w, 3)

	s.nats.RestartWith(brokertest.WithoutJetStream())
	w.awaitCheck("streams", false, "JetStream")
	checks := examined(t, invoke(t, "", s.env(noWatch), "doctor", "-o", "json").want(t, exitDrift))
	wantCheck(t, checks, "streams", operator.Fail, "JetStream")
	s.nats.RestartWith()
	w.AwaitReady(startTimeout)
	s.customer(51200004)
	s.await(51200004, events.Activated, w)

	s.nats.Stop()
	kept := filepath.Join(t.TempDir(), "kept")
	store := filepath.Join(s.nats.Dir(), "jetstream")
	if err := os.Rename(store, kept); err != nil {
		t.Fatal(err)
	}
	s.nats.Restart()
	w.awaitCheck("streams", false, "the ledger is lost", "--accept-ledger")
	if names := s.streams(); len(names) != 0 {
		t.Errorf("the worker has made %v", names)
	}
	s.nats.Stop()
	if err := os.RemoveAll(store); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(kept, store); err != nil {
		t.Fatal(err)
	}
	s.nats.Restart()
	w.AwaitReady(startTimeout)
	s.customer(51200005)
	s.await(51200005, events.Activated, w)
	s.once(t, 51200001, 51200005)
	w.stop()
}

// TestStreamsAreDeletedUnderTheWorker: all but the ledger are made anew, and nobody is lost or called twice.
func TestStreamsAreDeletedUnderTheWorker(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	w := startWorker(t, s.env("WORKER_SWEEP_INTERVAL=2s", "WORKER_BACKOFF=transient=6s")...)
	w.AwaitReady(startTimeout)
	remove := func(name string) {
		t.Helper()
		if err := s.js.DeleteStream(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}

	// Who waits for a timer is found by the sweep.
	s.partner.Script(51200001, "activate", "307-none")
	s.customer(51200001)
	s.await(51200001, events.Deferred, w)
	remove("ACTIVATION_WORK")
	w.awaitSaid(`"object":"stream ACTIVATION_WORK"`)
	s.await(51200001, events.Activated, w)

	remove("ACTIVATION_REJECTED")
	s.announce(`{}`)
	if !eventually(t, workTimeout, func() bool {
		st, err := s.js.Stream(t.Context(), "ACTIVATION_REJECTED")
		return err == nil && st.CachedInfo().State.Msgs == 1
	}) {
		t.Fatalf("the rejection was not recorded; the worker said:\n%s", w.stderr.tail())
	}
	w.awaitSaid(`"object":"stream ACTIVATION_REJECTED"`)

	// The quota is not the ledger: without what was spent the work goes on.
	remove(events.QuotaStream(bucket))
	w.awaitSaid(`"object":"stream KV_ACTIVATION_QUOTA"`)
	s.customer(51200003)
	s.await(51200003, events.Activated, w)

	// The intake is the signup pipeline's: the worker waits for it.
	config := s.config("SIGNUP")
	remove("SIGNUP")
	w.awaitCheck("intake", false, "SIGNUP", "the signup pipeline creates it")
	w.awaitCheck("streams", true)
	if _, err := s.js.CreateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	s.customer(51200002)
	s.await(51200002, events.Activated, w)
	w.AwaitReady(startTimeout)
	if n := s.calls(51200002); n != 1 {
		t.Errorf("%d calls for 51200002", n)
	}
	w.stop()
}

// TestConsumersAreDeletedUnderTheWorker: each is made anew and goes on with what there is.
func TestConsumersAreDeletedUnderTheWorker(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	w := startWorker(t, s.env("WORKER_SWEEP_INTERVAL=2s", "WORKER_BACKOFF=transient=3s")...)
	w.AwaitReady(startTimeout)
	consumers := map[string]string{events.ConsumerActivator: "SIGNUP", events.ConsumerDue: "ACTIVATION_WORK", events.ConsumerRedo: "ACTIVATION_WORK", events.ConsumerRequests: "ACTIVATION_WORK"}
	s.partner.Script(51200001, "activate", "307-none")
	s.customer(51200001)
	s.await(51200001, events.Deferred, w)
	s.partner.Script(51200002, "activate", "400:CONTRACT_ENDED")
	s.customer(51200002)
	s.await(51200002, events.Failed, w)
	for name, stream := range consumers {
		if err := s.js.DeleteConsumer(t.Context(), stream, name); err != nil {
			t.Fatal(err)
		}
	}
	s.customer(51200003)
	s.await(51200003, events.Activated, w)
	s.await(51200001, events.Activated, w)
	invoke(t, "", s.env(), "replay", "51200002", "--why", "the contract was renewed").want(t, exitDone)
	s.await(51200002, events.Activated, w)
	for name, stream := range consumers {
		if s.consumer(stream, name) == nil {
			t.Errorf("consumer %s of %s is not there", name, stream)
		}
		if said := strings.Count(w.stderr.String(), `"object":"consumer `+name); said != 1 {
			t.Errorf("that consumer %s is made anew was logged %d times", name, said)
		}
	}
	w.AwaitReady(startTimeout)
	if got := s.calls(51200003); got != 1 {
		t.Errorf("%d calls for 51200003", got)
	}
	for id, want := range map[int64]int{51200001: 1, 51200002: 1} {
		if got := s.partner.Journal().Customers[id].Applied; got != want {
			t.Errorf("%d was activated %d times", id, got)
		}
	}
	w.stop()
}
