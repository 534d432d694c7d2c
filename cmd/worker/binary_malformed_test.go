package main

import (
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"

	"activation-worker/internal/events"
	"activation-worker/internal/partnerapi/simulator"
)

const malformedFirstID = 51_410_001

// TestEveryMalformedAnnouncementIsRejected: each kind is recorded with its original and ended, and stands in nobody's way.
func TestEveryMalformedAnnouncementIsRejected(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	before := s.state(events.DefaultStream)
	w := startWorker(t, s.env()...)
	w.AwaitReady(startTimeout)
	s.rejects(w, malformed())
	if after := s.state(events.DefaultStream); !same(before, after) {
		t.Errorf("the ledger was %+v and is %+v", before, after)
	}
	w.AwaitReady(startTimeout)
	s.customer(malformedFirstID)
	s.await(malformedFirstID, events.Activated, w)
	w.stop()
}

// rejects announces messages and wants each rejected.
func (s *site) rejects(w *proc, messages []*nats.Msg) {
	s.t.Helper()
	first := s.state(events.DefaultIntakeStream).LastSeq + 1
	s.publishAll(len(messages), func(i int) *nats.Msg { return messages[i] })
	if eventually(s.t, workTimeout, func() bool { return s.state("ACTIVATION_REJECTED").Msgs == uint64(len(messages)) && s.intakeDone() }) {
		return
	}
	rejected := map[uint64]bool{}
	for _, m := range s.messages("ACTIVATION_REJECTED") {
		r, err := events.DecodeRejection(m.Data)
		if err != nil {
			s.t.Fatal(err)
		}
		rejected[r.Original.Sequence] = true
	}
	for i, m := range messages {
		if !rejected[first+uint64(i)] {
			s.t.Errorf("not rejected: %.100q %.100q", m.Header, m.Data)
		}
	}
	s.t.Fatalf("%d of %d are rejected; the worker said:\n%s", len(rejected), len(messages), w.stderr.tail())
}

// TestManyMalformedAnnouncementsAreBounded: thousands in a row, small ones and such as are as large as the server takes, cost the worker little
// memory, the stream of rejections no more than its bound, and the ledger nothing. Customers among them are activated.
func TestManyMalformedAnnouncementsAreBounded(t *testing.T) {
	t.Parallel()
	small, large, customers := size(3000, 1000), size(60, 30), 50
	const bound = 16 << 20
	s := newSetUpSite(t)
	s.boundRejected(bound)
	w := startWorker(t, s.env("WORKER_LOG_LEVEL=info")...)
	w.AwaitReady(startTimeout)
	before := s.state(events.DefaultStream)
	_, idle := w.memory()

	kinds, big := malformed(), largeMalformed(largeSize)
	s.publishAll(small, func(i int) *nats.Msg { return kinds[i%len(kinds)] })
	s.publishAll(large, func(int) *nats.Msg { return big })
	if !eventually(t, 2*workTimeout, s.intakeDone) {
		t.Fatalf("not all are ended: %+v; the worker said:\n%s", s.state("ACTIVATION_REJECTED"), w.stderr.tail())
	}
	rejected := s.state("ACTIVATION_REJECTED")
	if rejected.LastSeq != uint64(small+large) || rejected.Bytes > bound || rejected.Msgs == rejected.LastSeq {
		t.Errorf("%d were announced, and the rejections are %+v; want all, the oldest gone, and at most %d bytes", small+large, rejected, bound)
	}
	if after := s.state(events.DefaultStream); !same(before, after) {
		t.Errorf("the ledger was %+v and is %+v", before, after)
	}
	_, peak := w.memory()
	if peak > idle+malformedMemory {
		t.Errorf("the worker's memory was %d MiB and has been %d MiB", idle>>20, peak>>20)
	}

	view := viewLedger(t, s.js)
	s.mixed(malformedFirstID, customers, 10)
	view.awaitIn(workTimeout, customers, events.Activated, "")
	if !eventually(t, workTimeout, s.intakeDone) {
		t.Error("not all are ended")
	}
	view.catchUp(t.Context())
	if len(view.families) != customers || len(view.intake) > 0 {
		t.Errorf("the ledger has records of %d customers, want %d; of the intake it says %v", len(view.families), customers, view.intake)
	}
	w.AwaitReady(startTimeout)
	w.stop()
	t.Logf("memory idle %d MiB, peak %d MiB; rejections %d of %d kept, %d bytes", idle>>20, peak>>20, rejected.Msgs, rejected.LastSeq, rejected.Bytes)
}

const (
	largeSize       = 1<<20 - 4096 // near max_payload, with its headers
	malformedMemory = 192 << 20    // what large messages may cost beyond an idle worker: sixteen slots hold some copies of one each
)

// mixed announces customers who can be activated, each after so many malformed announcements.
func (s *site) mixed(first int64, customers, malformedEach int) {
	s.t.Helper()
	for id := first; id < first+int64(customers); id++ {
		s.partner.Add(simulator.Customer{DomainID: id, Terms: true, DNS: true})
	}
	kinds := malformed()
	s.publishAll(customers*(malformedEach+1), func(i int) *nats.Msg {
		if (i+1)%(malformedEach+1) != 0 {
			return kinds[i%len(kinds)]
		}
		return &nats.Msg{Subject: events.DefaultIntakeSubject, Data: fmt.Appendf(nil, `{"domainId":%d}`, first+int64(i/(malformedEach+1)))}
	})
}
