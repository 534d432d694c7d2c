package main

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/events"
	"activation-worker/internal/partnerapi/simulator"
)

// traces are the subjects of all messages, in any stream but one, that show a text anywhere.
func (s *site) traces(but, text string) []string {
	s.t.Helper()
	var found []string
	for _, name := range s.streams() {
		if name == but {
			continue
		}
		stream, err := s.js.Stream(s.t.Context(), name)
		if err != nil {
			s.t.Fatal(err)
		}
		state := stream.CachedInfo().State
		for sequence := state.FirstSeq; sequence <= state.LastSeq; sequence++ {
			m, err := stream.GetMsg(s.t.Context(), sequence)
			if err != nil {
				continue // deleted
			}
			shows := m.Subject + string(m.Data) + fmt.Sprint(m.Header)
			if r, err := events.DecodeRejection(m.Data); err == nil && name == events.StreamsOf(events.DefaultStream).Rejected {
				original, _ := base64.StdEncoding.DecodeString(r.Original.DataBase64)
				shows += string(original)
			}
			if strings.Contains(shows, text) {
				found = append(found, m.Subject)
			}
		}
	}
	return found
}

func isRejection(subject string) bool { return strings.HasPrefix(subject, "activation.rejected.") }

// TestForgottenInEveryState: what is left is that the customer was forgotten, and what is not ours is named.
func TestForgottenInEveryState(t *testing.T) {
	t.Parallel()
	const nobody, live, deferred, waiting, activated, failed, forgotten, rejected = 51350001, 51350002, 51350003, 51350004, 51350005, 51350006, 51350007, 51350008
	s := newSetUpSite(t)
	env := s.env("WORKER_BACKOFF=transient=1h,unknown_outcome=1s", "WORKER_DNS_SCHEDULE=watch=1s/1s,call=1h")
	w := startWorker(t, env...)
	w.AwaitReady(startTimeout)
	forget := func(id int64, code int, texts ...string) {
		t.Helper()
		invoke(t, "", env, "forget", fmt.Sprint(id), "--why", "erasure request 118").want(t, code, texts...)
	}
	const named = "of stream SIGNUP"

	s.partner.Script(deferred, simulator.OpActivate, "307-none")
	s.customer(deferred)
	s.partner.Add(simulator.Customer{DomainID: waiting, Terms: true})
	s.announce(fmt.Sprintf(`{"domainId":%d}`, waiting))
	s.customer(activated)
	s.refuse(failed, 1)
	s.customer(forgotten)
	s.customer(rejected)
	s.announce(fmt.Sprintf(`{"domainId":%d,"domainId":%[1]d}`, rejected))
	s.await(forgotten, events.Activated, w)
	forget(forgotten, exitDone, "is forgotten", named)
	s.await(deferred, events.Deferred, w)
	if r := s.await(waiting, events.Deferred, w); r.Reason != events.DNSUnverified {
		t.Fatalf("%d is deferred as %s", waiting, r.Reason)
	}
	s.await(activated, events.Activated, w)
	s.await(failed, events.Failed, w)
	s.await(rejected, events.Activated, w)
	if !eventually(t, workTimeout, func() bool { return slices.ContainsFunc(s.traces("SIGNUP", fmt.Sprint(rejected)), isRejection) }) {
		t.Fatal("the announcement was not rejected")
	}

	s.partner.hold(live, heldUndone)
	s.customer(live)
	select {
	case <-s.partner.held:
	case <-w.ended:
		t.Fatalf("the worker ended; it said:\n%s", w.stderr.tail())
	}
	forget(live, exitFailed, "being attempted", "ask again")
	if len(s.traces("SIGNUP", fmt.Sprint(live))) == 0 {
		t.Error("what was refused was carried out")
	}
	s.await(live, events.Deferred, w)

	forget(nobody, exitDone, "has no record", "Not reached")
	for _, id := range []int64{live, deferred, waiting, activated, failed, rejected} {
		forget(id, exitDone, "is forgotten", "Not reached", named)
	}
	forget(forgotten, exitDone, "was forgotten before", "Not reached")
	for id := int64(nobody); id <= rejected; id++ {
		want := []string{events.CustomerSubject(id, events.Forgotten)}
		if id == nobody {
			want = nil
		}
		if got := s.traces("SIGNUP", fmt.Sprint(id)); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("of customer %d there is %v, want %v", id, got, want)
		}
		if id != nobody && len(s.traces("", fmt.Sprint(id))) < 2 {
			t.Errorf("the intake's own announcement of customer %d is gone", id)
		}
	}
	for _, personal := range append(s.partner.Journal().PersonalData(), "by-works.com", ".example") {
		if got := s.traces("SIGNUP", personal); personal != "" && len(got) > 0 {
			t.Errorf("%q is still in %v", personal, got)
		}
	}
	// What was on its way when its customer was forgotten does not bring it back.
	drained(t.Context(), t, s.js)
	w.stop()
	for id := int64(live); id <= rejected; id++ {
		if r := s.newest(id); r == nil || r.State != events.Forgotten || r.By == "" || r.Why == "" {
			t.Errorf("customer %d: %+v", id, r)
		}
	}
}

// lastSequence is that of a stream.
func (s *site) lastSequence(name string) uint64 {
	s.t.Helper()
	stream, err := s.js.Stream(s.t.Context(), name)
	if err != nil {
		s.t.Fatal(err)
	}
	return stream.CachedInfo().State.LastSeq
}

// consumer is what the server says of a consumer, nil while there is none.
func (s *site) consumer(stream, name string) *jetstream.ConsumerInfo {
	cons, err := s.js.Consumer(s.t.Context(), stream, name)
	if err != nil {
		return nil
	}
	return cons.CachedInfo()
}
