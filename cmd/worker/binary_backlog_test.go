package main

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/events"
	"activation-worker/internal/partnerapi/simulator"
)

// TestBacklogDelaysNobody: ten thousand announcements of old stand before those of today, at the pace that a worker has
// unless said. Only the order is asserted; the delay is logged.
func TestBacklogDelaysNobody(t *testing.T) {
	t.Parallel()
	const oldFirst, freshFirst, fresh = 51_370_001, 51_390_001, 20
	old := size(10_000, 1_000)
	s := newSetUpSite(t)
	for i := range int64(old) {
		s.partner.Add(simulator.Customer{DomainID: oldFirst + i, Terms: true, DNS: true})
		event := fmt.Sprintf(`{"specversion":"1.0","type":"signup.terms.accepted","source":"/signup","id":"old-%d","backfill":true,"data":{"domainId":%d}}`, i, oldFirst+i)
		msg := nats.NewMsg(events.DefaultIntakeSubject)
		msg.Header.Set("Content-Type", events.ContentType)
		msg.Data = []byte(event)
		if _, err := s.js.PublishMsgAsync(msg, jetstream.WithStallWait(workTimeout)); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-s.js.PublishAsyncComplete():
	case <-t.Context().Done():
		t.Fatal("the announcements were not stored")
	}
	if got := s.lastSequence("SIGNUP"); got != uint64(old) {
		t.Fatalf("%d announcements are stored, want %d", got, old)
	}
	view := viewLedger(t, s.js)
	began := time.Now()
	w := startWorker(t, s.env("WORKER_LOG_LEVEL=info", "LINEWORKS_RATE=240/m", "LINEWORKS_SUSTAINED_RATE=120/m")...)
	w.AwaitReady(startTimeout)
	s.crowd(freshFirst, fresh)
	announced := time.Now()
	limit := 2 * time.Minute
	active := func() (count int) {
		for id := int64(freshFirst); id < freshFirst+fresh; id++ {
			if view.activated[id] {
				count++
			}
		}
		return count
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	view.await(ctx, func() bool { return active() == fresh })
	view.mu.Lock()
	defer view.mu.Unlock()
	if active() != fresh {
		t.Fatalf("%d of %d fresh customers are active after %s behind %d old ones, %d of which are; the worker said:\n%s",
			active(), fresh, limit, old, len(view.activated)-active(), w.stderr.tail())
	}
	if before := len(view.activated) - fresh; before > old/20 {
		t.Errorf("%d of %d old customers were active before %d fresh ones", before, old, fresh)
	}
	t.Logf("%d fresh customers behind %d old ones were active %s after they were announced, %s after the worker started; %d old ones were active by then, %d queued",
		fresh, old, time.Since(announced).Round(time.Millisecond), time.Since(began).Round(time.Millisecond), len(view.activated)-fresh, view.inLocked(events.Deferred, events.Backlog))
}
