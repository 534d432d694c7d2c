package main

import (
	"fmt"
	"testing"
	"time"

	"activation-worker/internal/events"
	"activation-worker/internal/partnerapi/simulator"
)

// TestOldAnnouncementsAreReadAgain: the intake's consumer is lost and made anew, by a running worker and by hand, and
// hundreds of announcements come again for customers in every state. Nobody is called, and nobody who was forgotten comes back.
func TestOldAnnouncementsAreReadAgain(t *testing.T) {
	t.Parallel()
	const activated, failed, deferred, forgotten, each = 51361001, 51362001, 51363001, 51364001, 75
	s := newSetUpSite(t)
	env := s.env("WORKER_LOG_LEVEL=info", "WORKER_BACKOFF=transient=1h")
	view := viewLedger(t, s.js)
	w := startWorker(t, env...)
	w.AwaitReady(startTimeout)
	s.crowd(activated, each)
	s.crowd(forgotten, each)
	s.refuse(failed, each)
	var ids []string
	for id := int64(deferred); id < deferred+each; id++ {
		s.partner.Script(id, simulator.OpActivate, "307-none*")
		s.customer(id)
	}
	for id := int64(forgotten); id < forgotten+each; id++ {
		ids = append(ids, fmt.Sprint(id))
	}
	view.awaitIn(time.Minute, 2*each, events.Activated, "")
	view.awaitIn(time.Minute, each, events.Failed, "")
	view.awaitIn(time.Minute, each, events.Deferred, events.Transient)
	// Some were announced more than once: only the newest counts.
	for id := int64(failed); id < failed+each/3; id++ {
		s.partner.Script(id, simulator.OpActivate, simulator.Fault(fmt.Sprintf("400:AGAIN_%d", id)))
		s.announce(fmt.Sprintf(`{"domainId":%d,"reference":"again"}`, id))
	}
	for id := int64(activated); id < activated+each/3; id++ {
		s.announce(fmt.Sprintf(`{"domainId":%d,"reference":"again"}`, id))
	}
	rounds := func(v *ledgerView, round int) (count int) {
		for _, family := range v.families {
			if r := family[len(family)-1]; r.State == events.Failed && r.Round == round {
				count++
			}
		}
		return count
	}
	if !view.await(t.Context(), func() bool { return rounds(view, 2) == each/3 }) {
		t.Fatal("not everybody who was announced again has failed again")
	}
	invoke(t, "", env, append([]string{"forget", "--why", "erasure request 118"}, ids...)...).want(t, exitDone)
	view.awaitIn(time.Minute, each, events.Forgotten, "")
	s.awaitRead(w, s.lastSequence("SIGNUP"))

	records, calls := s.lastSequence("ACTIVATION"), len(s.partner.Journal().Calls)
	unchanged := func(how string) {
		t.Helper()
		if got := s.lastSequence("ACTIVATION"); got != records {
			t.Errorf("%s: %d new records", how, got-records)
		}
		if got := len(s.partner.Journal().Calls); got != calls {
			t.Errorf("%s: %d further calls", how, got-calls)
		}
	}
	read := s.lastSequence("SIGNUP")
	if err := s.js.DeleteConsumer(t.Context(), "SIGNUP", events.ConsumerActivator); err != nil {
		t.Fatal(err)
	}
	s.awaitRead(w, read)
	unchanged("the consumer was deleted")
	invoke(t, "", env, "setup", "--rewind-intake", "2000-01-01T00:00:00Z").want(t, exitDone, "read again")
	s.awaitRead(w, read)
	unchanged("the intake was rewound")
	for state, want := range map[events.State]int{events.Activated: each, events.Failed: each, events.Deferred: each, events.Forgotten: each} {
		if got := view.in(state, ""); got != want {
			t.Errorf("%d customers are %s, want %d", got, state, want)
		}
	}
	// It still works: a new announcement does bring a forgotten customer back.
	s.announce(fmt.Sprintf(`{"domainId":%d,"reference":"again"}`, forgotten))
	if r := s.await(forgotten, events.Activated, w); r.Via != events.ViaLookup {
		t.Errorf("announced again after it was forgotten, and activated via %s, want by look-up", r.Via)
	}
	w.stop()
	t.Logf("%d announcements were read again twice", read)
}

// awaitRead waits until so many announcements were read by the consumer that there is now, and all acknowledged.
func (s *site) awaitRead(w *proc, count uint64) {
	s.t.Helper()
	if !eventually(s.t, time.Minute, func() bool {
		info := s.consumer("SIGNUP", events.ConsumerActivator)
		return info != nil && info.NumPending == 0 && info.NumAckPending == 0 && info.AckFloor.Stream >= count
	}) {
		s.t.Fatalf("the intake is not read: %+v; the worker said:\n%s", s.consumer("SIGNUP", events.ConsumerActivator), w.stderr.tail())
	}
}
