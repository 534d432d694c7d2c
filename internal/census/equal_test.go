package census_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/broker/brokertest"
	"activation-worker/internal/census"
	"activation-worker/internal/events"
)

// shows is all that a census says of the ledger but for how far it is behind.
func shows(t *testing.T, c *census.Census, now time.Time) string {
	t.Helper()
	all := map[string]any{"sequence": c.Sequence(), "recent": c.Recent(), "intake": c.IntakeEvents()}
	for _, span := range []census.Span{census.Hour, census.Day, census.Week} {
		all[fmt.Sprint("span ", span)] = c.Activations(span, now.Add(-time.Hour), now)
	}
	for name, filter := range map[string]census.Filter{
		"all": {Limit: 1000}, "deferred": {States: []events.State{events.Deferred}, Limit: 5}, "of one reason": {Reasons: []events.Reason{events.Transient}, Limit: 5},
	} {
		page, known := c.Page(filter)
		if !known {
			t.Errorf("the page of %s is not known", name)
		}
		all["page of "+name] = fmt.Sprintf("%+v", page) // maps are printed in order
	}
	text, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// reads waits until all of the ledger is read, also what no header tells.
func (s *site) reads() {
	s.t.Helper()
	s.eventually(func() error {
		last, err := s.ledger.LastSequence(limited(s.t))
		counts, lag, known := s.census.Counts()
		untold := counts[census.Key{State: events.Deferred}] + counts[census.Key{State: events.Failed}]
		if err == nil && (!known || lag != 0 || s.census.Sequence() != last || untold > 0) {
			err = fmt.Errorf("read up to %d of %d, lag %d, known %t, %d without a reason", s.census.Sequence(), last, lag, known, untold)
		}
		return err
	})
}

// TestReplicasShowTheSame: one that was there all along, and one that begins later, or again.
func TestReplicasShowTheSame(t *testing.T) {
	t.Parallel()
	s := newSite(t, brokertest.Start(t).URL(), 1)
	s.count(nil)
	first := s.census
	for _, id := range []int64{51200001, 51300001} {
		s.some(id)
		s.old(record(id+500, events.Activated, ""))
		s.old(record(id+501, events.Failed, events.Refused))
		s.reads() // so that what is settled is settled before it is recent no more
		for i := range 12 {
			s.lay([]string{events.SubjectIntakePaused, events.SubjectIntakeResumed}[i%2], []byte("{}"), nil)
		}
		s.lay(fmt.Sprintf("activation.customer.%d.suspended", id+502), []byte("{}"), nil)
	}
	s.reads()
	now := time.Now()
	was := shows(t, first, now)
	s.count(nil)
	s.reads()
	if s.census == first {
		t.Fatal("it is the same census")
	}
	if is := shows(t, s.census, now); is != was {
		t.Errorf("the later one shows\n%s\nwant\n%s", is, was)
	}
	for _, span := range []census.Span{census.Hour, census.Day, census.Week} {
		a := first.Activations(span, now.Add(-time.Hour), now)
		if a.Total != 22 || a.Timed != 20 || a.Today != 22 || a.TotalMedian < 70*time.Second || a.TotalMedian > 142*time.Second || len(first.IntakeEvents()) != 20 || len(first.Recent()) != 30 {
			t.Errorf("it shows %+v, %v, %v", a, first.IntakeEvents(), first.Recent())
		}
	}
	newest := first.Recent()[0]
	if newest.State != census.Unknown || newest.DomainID != 51300503 || newest.Sequence != first.Sequence() || time.Since(newest.At) > time.Minute {
		t.Errorf("the newest is %+v", newest)
	}
}

// TestWhoIsForgottenCountsUntilARestart, as an activation of the past: no number goes back before one's eyes.
func TestWhoIsForgottenCountsUntilARestart(t *testing.T) {
	t.Parallel()
	s := newSite(t, brokertest.Start(t).URL(), 1)
	s.count(nil)
	s.write(record(51200001, events.Activated, ""), record(51200002, events.Activated, ""))
	s.reads()
	before, err := s.ledger.Load(limited(t), 51200001)
	if err != nil {
		t.Fatal(err)
	}
	gone, err := s.ledger.Put(limited(t), &events.Record{State: events.Forgotten, DomainID: 51200001, Round: 1, By: "test", Why: "test", WasState: events.Activated}, before.Expected())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.ledger.Erase(limited(t), gone); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{2, 1} {
		s.reads()
		if a := s.census.Activations(census.Day, time.Now().Add(-time.Hour), time.Now()); a.Total != want || a.Today != want {
			t.Errorf("%d are active, %d today, want %d", a.Total, a.Today, want)
		}
		if p, known := s.census.Page(census.Filter{Limit: 9}); !known || p.Total != 2 || p.Counts[census.Key{State: events.Forgotten}] != 1 {
			t.Errorf("the list is %+v, known %t", p, known)
		}
		s.stop()
		s.count(nil)
	}
}

// TestAnotherLedgerShowsNothingOfTheOneBefore, nor one from which everything was purged.
func TestAnotherLedgerShowsNothingOfTheOneBefore(t *testing.T) {
	t.Parallel()
	s := newSite(t, brokertest.Start(t).URL(), 1)
	s.count(nil)
	empty := func() error {
		a := s.census.Activations(census.Week, time.Now().Add(-time.Hour), time.Now())
		p, known := s.census.Page(census.Filter{Limit: 9})
		if !known || p.Total != 0 || len(p.Customers) > 0 || a.Total != 0 || a.Today != 0 || a.TotalMedian >= 0 || len(s.census.Recent()) > 0 || len(s.census.IntakeEvents()) > 0 {
			return fmt.Errorf("it shows %+v, %+v, known %t, %v, %v", p, a, known, s.census.Recent(), s.census.IntakeEvents())
		}
		return nil
	}
	s.eventually(empty)
	for name, change := range map[string]func(jetstream.Stream) error{
		"purged": func(stream jetstream.Stream) error { return stream.Purge(limited(t)) },
		"anew": func(stream jetstream.Stream) error {
			if err := s.js.DeleteStream(limited(t), s.layout.Streams.Ledger); err != nil {
				return err
			}
			_, err := s.js.CreateStream(limited(t), stream.CachedInfo().Config)
			return err
		},
	} {
		s.some(51200001)
		s.lay(events.SubjectIntakePaused, []byte("{}"), nil)
		s.reads()
		if empty() == nil {
			t.Fatal("it shows nothing of what there is")
		}
		activated := s.census.Activated()
		stream, err := s.js.Stream(limited(t), s.layout.Streams.Ledger)
		if err == nil {
			err = change(stream)
		}
		if err != nil {
			t.Fatal(name, err)
		}
		s.eventually(empty)
		if s.census.Activated() <= activated {
			t.Errorf("%s: it does not tell that activations have changed", name)
		}
		s.anew()
	}
}

// TestRecentAreTheLast, whatever the order of what is not.
func TestRecentAreTheLast(t *testing.T) {
	t.Parallel()
	s := newSite(t, brokertest.Start(t).URL(), 1)
	var want []uint64
	for id := range int64(40) {
		s.write(record(51200001+id, events.Started, ""))
		s.lay("activation.replay.r1", []byte("{}"), nil)
		last, err := s.ledger.LastSequence(limited(t))
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, last-1)
	}
	s.count(nil)
	s.reads()
	var got []uint64
	for _, e := range slices.Backward(s.census.Recent()) {
		got = append(got, e.Sequence)
	}
	if !slices.Equal(got, want[10:]) || s.census.Sequence() != want[39]+1 {
		t.Errorf("recent are %v up to %d, want %v", got, s.census.Sequence(), want[10:])
	}
}

// TestRecentSaysWhyOfOlderWorkersToo, of each record what it said.
func TestRecentSaysWhyOfOlderWorkersToo(t *testing.T) {
	t.Parallel()
	s := newSite(t, brokertest.Start(t).URL(), 1)
	s.count(nil)
	s.old(record(51200001, events.Deferred, events.Transient))
	s.reads()
	s.old(record(51200001, events.Failed, events.Refused))
	s.reads()
	recent := s.census.Recent()
	if len(recent) != 2 || recent[0].State != events.Failed || recent[0].Reason != events.Refused || recent[1].State != events.Deferred || recent[1].Reason != events.Transient {
		t.Errorf("it says %+v", recent)
	}
}
