package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"activation-worker/internal/config"
	"activation-worker/internal/console"
	"activation-worker/internal/consumer"
	"activation-worker/internal/events"
)

// source is what a page shows of the site, without a worker that works.
func (s *site) source() consoleSource {
	s.t.Helper()
	c, err := config.Load(nil, s.env())
	if err != nil {
		s.t.Fatal(err)
	}
	p, nc := newParts(), s.js.Conn()
	p.nats.Store(nc)
	p.reader.Store(&statusReader{nc: nc, js: s.js, c: c, ledger: readerOf(c, nc, s.js), oneByOne: true, patience: rejectionsTime})
	p.worker.Store(new(consumer.Worker))
	return consoleSource{p, c}
}

// TestWhoHasNoRecordIsSearchedForRarely: whoever has the page of such a customer open asks at each record of another. A record of the customer's
// own is seen at once all the same.
func TestWhoHasNoRecordIsSearchedForRarely(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	const id, others = 51200001, 300
	for n := range others {
		s.announce(fmt.Sprintf(`{"domainId":%d}`, id+1+n))
	}
	from := s.source()
	asked := func() (c console.Customer, requests uint64) {
		t.Helper()
		before := s.js.Conn().Stats().OutMsgs
		c, err := from.Customer(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return c, s.js.Conn().Stats().OutMsgs - before
	}
	c, requests := asked()
	if c.Found || c.State != "none" || requests < others {
		t.Errorf("by %d requests it is %+v", requests, c)
	}
	if again, requests := asked(); again.Is != c.Is || requests > 10 {
		t.Errorf("by %d further requests it is %+v", requests, again)
	}
	s.store(&events.Record{State: events.Deferred, DomainID: id, Reason: events.Backlog, NextAttemptAt: time.Now().Add(time.Hour)})
	if c, _ := asked(); !c.Found || c.State != "deferred" {
		t.Errorf("with a record it is %+v", c)
	}
}

// TestVeryManyRejections: where they take too long to look through, the page says so.
func TestVeryManyRejections(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	if _, err := s.js.Publish(t.Context(), "activation.rejected.1", []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	reader := *s.source().reader.Load()
	reader.patience = time.Nanosecond
	where, err := reader.whereabouts(t.Context(), 51200001)
	if err != nil || where.state != "none" || !strings.Contains(where.text, "too long") || !strings.Contains(where.whatToDo, "worker status 51200001") {
		t.Errorf("it is %+v, %v", where, err)
	}
}

// TestPreviewKeepsWhatItShows of the rejections that cannot be acted on, however many there are.
func TestPreviewKeepsWhatItShows(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	for n := range previewRows + 20 {
		if _, err := s.js.Publish(t.Context(), fmt.Sprintf("activation.rejected.%d", n), []byte(`{}`)); err != nil {
			t.Fatal(err)
		}
	}
	counting, _, complete, err := s.source().reader.Load().choices(t.Context(), events.Request{Selection: events.Selection{Rejected: true}})
	if err != nil || !complete || len(counting.unread) != previewRows {
		t.Errorf("it keeps %d, complete %t: %v", len(counting.unread), complete, err)
	}
}
