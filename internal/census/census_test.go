package census_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"activation-worker/internal/broker/brokertest"
	"activation-worker/internal/census"
	"activation-worker/internal/events"
)

func TestCensusFollowsEachRecord(t *testing.T) {
	t.Parallel()
	s := newSite(t, brokertest.Start(t).URL(), 1)
	s.some(51200001)
	s.count(nil)
	s.wantsTruth() // what was there
	want := map[census.Key]int{{State: events.Started}: 10, {State: events.Activated}: 10}
	for _, reason := range events.Reasons() {
		want[census.Key{State: events.Deferred, Reason: reason}] = 1
		want[census.Key{State: events.Failed, Reason: reason}] = 1
	}
	s.wants(want) // the test's own truth is none of its own making
	s.some(51300001)
	s.wantsTruth() // what came since
	s.write(record(51200002, events.Started, ""), record(51200002, events.Deferred, events.DNSUnverified), record(51200003, events.Deferred, events.Replay))
	s.wantsTruth()
	s.lay("activation.intake.paused", []byte("{}"), nil)
	s.lay("activation.replay.r1", []byte("{}"), nil)
	s.wantsTruth()

	// Another replica says the same, and so does one that starts later.
	counts, _, _ := s.census.Counts()
	s.stop()
	s.count(nil)
	s.wantsTruth()
	if again, _, _ := s.census.Counts(); fmt.Sprint(again) != fmt.Sprint(counts) {
		t.Errorf("it now counts %v, and did %v", again, counts)
	}
	s.stop()
	s.noConsumers()
}

// noConsumers waits until nothing of a census is left on the stream.
func (s *site) noConsumers() {
	s.t.Helper()
	s.eventually(func() error {
		stream, err := s.js.Stream(limited(s.t), s.layout.Streams.Ledger)
		if err == nil && stream.CachedInfo().State.Consumers > 0 {
			err = errors.New("a consumer is left")
		}
		return err
	})
}

func TestCensusOfAnEmptyLedger(t *testing.T) {
	t.Parallel()
	s := newSite(t, brokertest.Start(t).URL(), 1)
	s.count(nil)
	s.wants(map[census.Key]int{})
	counts, _, _ := s.census.Counts()
	if _, listed := counts[census.Key{State: events.Deferred}]; listed || len(counts) != 24 {
		t.Errorf("it lists %d keys, want every state with every reason that it can have: %v", len(counts), counts)
	}
	s.some(1)
	s.wantsTruth()
}

// TestCensusOfRecordsThatSayLess: older workers named no reason in a header, newer ones may write what this one does not
// know, and who may write at all can write anything.
func TestCensusOfRecordsThatSayLess(t *testing.T) {
	t.Parallel()
	s := newSite(t, brokertest.Start(t).URL(), 1)
	lay := func(first int64) {
		for i, reason := range events.Reasons() {
			s.old(record(first+int64(i), events.Deferred, reason))
			s.old(record(first+100+int64(i), events.Failed, reason))
		}
		s.old(record(first+200, events.Deferred, events.Transient))
		s.old(record(first+200, events.Deferred, events.Backlog)) // the first is overtaken
		s.write(record(first+201, events.Deferred, events.Transient))
		s.old(record(first+201, events.Started, ""))
		s.old(record(first+202, events.Failed, events.Refused))
		s.write(record(first+202, events.Deferred, events.Replay))
	}
	strange := func(first int64) {
		s.lay(fmt.Sprintf("activation.customer.%d.suspended", first), []byte("{}"), nil)
		s.lay(fmt.Sprintf("activation.customer.%d.deferred", first+1), []byte("no event"), nil)
		s.lay(fmt.Sprintf("activation.customer.%d.failed", first+2), nil, nats.Header{events.HeaderReason: {"bored"}})
		s.lay(fmt.Sprintf("activation.customer.%d.activated", first+3), nil, nats.Header{events.HeaderVersion: {"2"}})
		s.lay(fmt.Sprintf("activation.customer.%d.started", first+4), nil, nats.Header{events.HeaderVersion: {"two"}})
		s.lay("activation.customer.nobody.started", nil, nil)
		// Without a word it looks like one of the server's own.
		s.lay(fmt.Sprintf("activation.customer.%d.deferred", first+5), nil, nats.Header{"Status": {"409"}, "Description": {"Consumer Deleted"}, events.HeaderReason: {"transient"}})
	}
	lay(51200001)
	want := s.truth()
	strange(51300001)
	want[census.Key{State: census.Unknown}] += 5
	want[census.Key{State: events.Deferred, Reason: events.Transient}]++
	s.count(nil)
	s.wants(want)
	lay(51400001)
	strange(51500001)
	for key := range want {
		want[key] *= 2
	}
	s.wants(want)
	// A known record makes a customer known again.
	s.write(record(51600001, events.Deferred, events.Transient))
	s.lay("activation.customer.51600001.suspended", []byte("{}"), nil)
	s.old(record(51600001, events.Deferred, events.Cancelled))
	want[census.Key{State: events.Deferred, Reason: events.Cancelled}]++
	s.wants(want)
}

func TestCensusOfForgottenCustomers(t *testing.T) {
	t.Parallel()
	s := newSite(t, brokertest.Start(t).URL(), 1)
	s.some(51200001)
	s.count(nil)
	s.wantsTruth()
	for _, id := range []int64{51200002, 51200003, 51200004} {
		gone := &events.Record{State: events.Forgotten, DomainID: id, Round: 1, By: "test", Why: "test", WasState: events.Deferred}
		before, err := s.ledger.Load(limited(t), id)
		if err != nil {
			t.Fatal(err)
		}
		stored, err := s.ledger.Put(limited(t), gone, before.Expected())
		if err != nil {
			t.Fatal(err)
		}
		if err := s.ledger.Erase(limited(t), stored); err != nil {
			t.Fatal(err)
		}
	}
	s.wantsTruth()
	counts, _, _ := s.census.Counts()
	if counts[census.Key{State: events.Forgotten}] != 3 {
		t.Errorf("%d are forgotten", counts[census.Key{State: events.Forgotten}])
	}
	s.write(record(51200002, events.Started, "")) // announced anew
	s.wantsTruth()
	s.stop()
	s.count(nil)
	s.wantsTruth()
}

// TestCensusBetweenForgettingAndErasing: what is erased only later is no reason to count everybody anew, for which a million customers
// would be missing for a while.
func TestCensusBetweenForgettingAndErasing(t *testing.T) {
	t.Parallel()
	s := newSite(t, brokertest.Start(t).URL(), 1)
	s.some(51200001)
	s.every = 3 * time.Second
	log, said := observer.New(zap.InfoLevel)
	s.count(zap.New(log))
	s.wantsTruth()
	before, err := s.ledger.Load(limited(t), 51200002)
	if err != nil {
		t.Fatal(err)
	}
	gone, err := s.ledger.Put(limited(t), &events.Record{State: events.Forgotten, DomainID: 51200002, Round: 1, By: "test", Why: "test", WasState: events.Deferred}, before.Expected())
	if err != nil {
		t.Fatal(err)
	}
	looks := func(d time.Duration) {
		timer := time.NewTimer(d)
		defer timer.Stop()
		<-timer.C
	}
	looks(s.every + s.every/4) // at least one look meets what is not erased yet
	if err := s.ledger.Erase(limited(t), gone); err != nil {
		t.Fatal(err)
	}
	looks(2 * s.every)
	s.wantsTruth()
	if n := said.FilterMessage("customers are counted").Len(); n != 1 {
		t.Errorf("they were counted %d times", n)
	}
	// Later it is seen again where something is purged.
	stream, err := s.js.Stream(limited(t), s.layout.Streams.Ledger)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(limited(t), jetstream.WithPurgeSubject(events.CustomerFamily(51200003))); err != nil {
		t.Fatal(err)
	}
	s.wantsTruth()
}
