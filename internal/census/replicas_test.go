package census_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/broker/brokertest"
	"activation-worker/internal/census"
	"activation-worker/internal/events"
)

// sees waits until a census sees these workers, in their order.
func (s *site) sees(c *census.Census, workers ...string) (all []census.Replica) {
	s.t.Helper()
	s.eventually(func() (err error) {
		if all, err = c.Replicas(limited(s.t)); err != nil {
			return err
		}
		var names []string
		for _, r := range all {
			names = append(names, r.Worker)
		}
		if !slices.Equal(names, workers) {
			return fmt.Errorf("it sees %+v, want %v", all, workers)
		}
		return nil
	})
	return all
}

func TestReplicasSeeOneAnother(t *testing.T) {
	t.Parallel()
	s := newSite(t, brokertest.Start(t).URL(), 1)
	began := time.Now().Truncate(time.Second)
	var all []*census.Census
	var stops []func()
	for _, s.worker = range []string{"w2", "w1", "w2"} {
		if len(all) == 2 { // so that two of one name can be told apart
			<-time.NewTimer(time.Until(time.Now().Truncate(time.Second).Add(time.Second))).C
		}
		s.count(nil)
		all, stops = append(all, s.census), append(stops, s.stop)
	}
	for _, c := range all {
		seen := s.sees(c, "w1", "w2", "w2")
		for _, r := range seen {
			if r.Version != "v1.2.3" || r.Since.Before(began) || time.Since(r.Since) > time.Minute {
				t.Errorf("it sees %+v", r)
			}
		}
		if !seen[1].Since.Before(seen[2].Since) {
			t.Errorf("not sorted by time: %+v", seen)
		}
	}
	// Other consumers are nobody; an older worker's has no words of its own; of one worker there may be two for a while.
	for name, words := range map[string]map[string]string{
		"sweep": nil, events.ConsumerCensus + "old": nil,
		events.ConsumerCensus + "lost": {"worker": "w1", "version": "v1.2.3", "since": s.sees(all[1], "w1", "w2", "w2")[0].Since.Format(time.RFC3339)},
	} {
		if _, err := s.js.CreateConsumer(limited(t), s.layout.Streams.Ledger, jetstream.ConsumerConfig{Name: name, AckPolicy: jetstream.AckNonePolicy, InactiveThreshold: time.Hour, Metadata: words}); err != nil {
			t.Fatal(err)
		}
	}
	stops[0]() // in order
	if seen := s.sees(all[1], "census-old", "w1", "w2"); seen[0].Version != "" || seen[0].Since.Before(began) {
		t.Errorf("of an older worker it says %+v", seen[0])
	}

	// Who loses its consumer is there again, since the same time.
	was := s.sees(all[1], "census-old", "w1", "w2")
	stream, err := s.js.Stream(limited(t), s.layout.Streams.Ledger)
	if err != nil {
		t.Fatal(err)
	}
	var lost []string
	for name := range stream.ConsumerNames(limited(t)).Name() {
		if strings.HasPrefix(name, events.ConsumerCensus) && name != events.ConsumerCensus+"old" && name != events.ConsumerCensus+"lost" {
			lost = append(lost, name)
		}
	}
	for _, name := range lost {
		if err := s.js.DeleteConsumer(limited(t), s.layout.Streams.Ledger, name); err != nil {
			t.Fatal(err)
		}
	}
	if is := s.sees(all[1], "census-old", "w1", "w2"); len(lost) != 2 || !slices.Equal(is, was) {
		t.Errorf("after they lost %v it sees %+v, want %+v", lost, is, was)
	}
}

// TestReplicasOfAUserWhoMayNotList: it is told at once, with what to do, and not asked for again. All else goes on.
func TestReplicasOfAUserWhoMayNotList(t *testing.T) {
	t.Parallel()
	const subject = "$JS.API.CONSUMER.LIST.ACTIVATION"
	s := newSite(t, brokertest.Start(t, brokertest.WithConfig(`authorization { users: [
		{ user: root, password: r }
		{ user: worker, password: w, permissions: { publish: { deny: ["`+subject+`"] } } }
	] }
	no_auth_user: root`)).URL(), 1)
	s.some(51200001)
	refused := make(chan error, 10)
	s.count(nil, nats.UserInfo("worker", "w"), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
	s.wantsTruth()
	began := time.Now()
	for range 3 {
		if all, err := s.census.Replicas(limited(t)); len(all) > 0 || !errors.Is(err, nats.ErrPermissionViolation) || !strings.Contains(err.Error(), "publish on "+subject) {
			t.Errorf("it sees %+v: %v", all, err)
		}
	}
	if took := time.Since(began); took > 2*time.Second || len(refused) != 1 {
		t.Errorf("it asked %d times and took %s", len(refused), took)
	}
	s.some(51300001)
	s.wantsTruth()
}

// TestReplicasWithoutAServer are not known.
func TestReplicasWithoutAServer(t *testing.T) {
	t.Parallel()
	server := brokertest.Start(t)
	s := newSite(t, server.URL(), 1)
	s.worker = "w1"
	s.count(nil)
	s.sees(s.census, "w1")
	server.Stop()
	if all, err := s.census.Replicas(limited(t)); err == nil {
		t.Errorf("it sees %+v", all)
	}
	server.Restart()
	s.sees(s.census, "w1")
}
