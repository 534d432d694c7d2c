package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/events"
)

func TestBinarySetup(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ours := []string{"ACTIVATION", "ACTIVATION_REJECTED", "ACTIVATION_WORK", "KV_ACTIVATION_QUOTA"}
	check := func(code int, texts ...string) {
		t.Helper()
		invoke(t, "", s.env(), "setup", "--check").want(t, code, texts...)
	}
	check(exitDrift, append(ours, "SIGNUP", "missing", "--with-intake")...)
	if names := s.streams(); len(names) != 0 {
		t.Fatalf("--check made %v", names)
	}
	// Without the intake: it is the signup pipeline's.
	invoke(t, "", s.env(), "setup").want(t, exitDone, append(ours, "SIGNUP", "--with-intake")...)
	if names := s.streams(); strings.Contains(strings.Join(names, " "), "SIGNUP") || len(names) != 4 {
		t.Fatalf("setup made %v", names)
	}
	check(exitDrift, "SIGNUP")
	invoke(t, "", s.env(), "setup", "--with-intake").want(t, exitDone, "SIGNUP", "activator")
	invoke(t, "", s.env(), "setup").want(t, exitDone, "as declared")
	invoke(t, "", s.env(), "setup", "--with-intake").want(t, exitDone, "as declared")
	check(exitDone, "as declared")

	// Drift of a setting, of a size, and a consumer that is gone.
	config := s.config("ACTIVATION")
	config.MaxMsgsPerSubject = 8
	if _, err := s.js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	if err := s.js.DeleteConsumer(t.Context(), "ACTIVATION_WORK", "due"); err != nil {
		t.Fatal(err)
	}
	check(exitDrift, "stream ACTIVATION", "history per subject", "8", "16 or more", "consumer due on ACTIVATION_WORK", "missing")
	if got := s.config("ACTIVATION").MaxMsgsPerSubject; got != 8 {
		t.Errorf("--check changed the history to %d", got)
	}
	bigger := invoke(t, "", s.env("WORKER_STREAM_MAX_BYTES=2GiB"), "setup")
	bigger.want(t, exitDone, "history per subject", "max bytes", "consumer due")
	if got := s.config("ACTIVATION"); got.MaxMsgsPerSubject != 16 || got.MaxBytes != 2<<30 {
		t.Errorf("setup left the ledger as %+v", got)
	}
	invoke(t, "", s.env("WORKER_STREAM_MAX_BYTES=2GiB"), "setup", "--check").want(t, exitDone, "as declared")
}

func (s *site) streams() (names []string) {
	s.t.Helper()
	list := s.js.StreamNames(s.t.Context())
	for name := range list.Name() {
		names = append(names, name)
	}
	if err := list.Err(); err != nil {
		s.t.Fatal(err)
	}
	return names
}

func (s *site) config(stream string) jetstream.StreamConfig {
	s.t.Helper()
	st, err := s.js.Stream(s.t.Context(), stream)
	if err != nil {
		s.t.Fatal(err)
	}
	return st.CachedInfo().Config
}

// TestBinaryRewindsIntake reads everything again, under a running worker: it acts on nothing that it knows.
func TestBinaryRewindsIntake(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	began := time.Now().Add(-time.Minute)
	w := startWorker(t, s.env()...)
	w.AwaitReady(startTimeout)
	for id := int64(51200001); id <= 51200005; id++ {
		s.customer(id)
		s.await(id, events.Activated, w)
	}
	invoke(t, "", s.env(), "setup", "--rewind-intake", began.UTC().Format(time.RFC3339)).want(t, exitDone, "read again from")
	if !eventually(t, workTimeout, func() bool {
		cons, err := s.js.Consumer(t.Context(), "SIGNUP", "activator")
		return err == nil && cons.CachedInfo().AckFloor.Stream == 5 && cons.CachedInfo().NumPending == 0
	}) {
		t.Fatalf("the intake was not read again; the worker said:\n%s", w.stderr.tail())
	}
	w.AwaitReady(startTimeout)
	s.customer(51200006)
	s.await(51200006, events.Activated, w)
	for id := int64(51200001); id <= 51200006; id++ {
		if s.calls(id) != 1 {
			t.Errorf("%d activate requests for %d, want 1", s.calls(id), id)
		}
	}
	w.stop()
}

// TestBinaryIntakeFromNew passes over what was announced before the worker's time.
func TestBinaryIntakeFromNew(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if _, err := s.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "SIGNUP", Subjects: []string{"signup.>"}}); err != nil {
		t.Fatal(err)
	}
	s.customer(51200001)
	w := startWorker(t, s.env("WORKER_INTAKE_FROM=new")...)
	w.AwaitReady(startTimeout)
	s.customer(51200002)
	s.await(51200002, events.Activated, w)
	if r := s.newest(51200001); r != nil || s.calls(51200001) != 0 {
		t.Errorf("what was stored before was read: %+v", r)
	}

	// A consumer that is lost is made again to read what the lost one had to, and no more.
	if err := s.js.DeleteConsumer(t.Context(), "SIGNUP", events.ConsumerActivator); err != nil {
		t.Fatal(err)
	}
	s.customer(51200003)
	s.await(51200003, events.Activated, w)
	cons, err := s.js.Consumer(t.Context(), "SIGNUP", events.ConsumerActivator)
	if err != nil || cons.CachedInfo().Config.DeliverPolicy != jetstream.DeliverByStartTimePolicy {
		t.Errorf("it was made again with %+v, wanted a start by time (%v)", cons.CachedInfo().Config, err)
	}
	if s.calls(51200001) != 0 || s.calls(51200002) != 1 {
		t.Errorf("%d and %d calls, wanted none and one", s.calls(51200001), s.calls(51200002))
	}
	w.stop()
}

// TestBinaryOtherStreamNames: the ledger's name is a setting, the others follow it.
func TestBinaryOtherStreamNames(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	env := s.env("WORKER_STREAM=CUST", "WORKER_INTAKE_STREAM=IN", "WORKER_INTAKE_SUBJECT=terms.in")
	invoke(t, "", env, "setup", "--with-intake").want(t, exitDone)
	if got := fmt.Sprint(s.streams()); got != "[CUST CUST_REJECTED CUST_WORK IN KV_CUST_QUOTA]" {
		t.Errorf("streams %s", got)
	}
	w := startWorker(t, env...)
	w.AwaitReady(startTimeout)
	invoke(t, "", env, "status", "51200001").want(t, exitDone, "not announced")
	w.stop()
}
