package census_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
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

func TestCensusOverRestartsOfTheServer(t *testing.T) {
	t.Parallel()
	server := brokertest.Start(t)
	s := newSite(t, server.URL(), 1)
	s.count(nil)
	for i := range int64(3) {
		s.some(51200001 + 1000*i)
		s.wantsTruth()
		server.Stop()
		if _, _, known := s.census.Counts(); !known {
			t.Error("without the server nothing is known any more")
		}
		server.Restart()
	}
	s.some(51300001)
	s.wantsTruth()
}

// TestCensusWhoseConsumerIsLost: somebody deletes it, or takes its messages.
func TestCensusWhoseConsumerIsLost(t *testing.T) {
	t.Parallel()
	s := newSite(t, brokertest.Start(t).URL(), 1)
	s.some(51200001)
	s.count(nil)
	s.wantsTruth()
	if err := s.js.DeleteConsumer(limited(t), s.layout.Streams.Ledger, s.consumer()); err != nil {
		t.Fatal(err)
	}
	s.some(51300001)
	s.wantsTruth()

	cons, err := s.js.Consumer(limited(t), s.layout.Streams.Ledger, s.consumer())
	if err != nil {
		t.Fatal(err)
	}
	taken := make(chan struct{}, 1)
	theft, err := cons.Consume(func(jetstream.Msg) {
		select {
		case taken <- struct{}{}:
		default:
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	s.some(51400001)
	s.some(51500001)
	select {
	case <-taken:
	case <-limited(t).Done():
		t.Fatal("nothing could be taken")
	}
	theft.Stop()
	<-theft.Closed()
	s.wantsTruth()
}

// consumer is the name of the census's.
func (s *site) consumer() (name string) {
	s.t.Helper()
	s.eventually(func() error {
		stream, err := s.js.Stream(limited(s.t), s.layout.Streams.Ledger)
		if err != nil {
			return err
		}
		names := stream.ConsumerNames(limited(s.t))
		for name = range names.Name() {
		}
		if !strings.HasPrefix(name, events.ConsumerCensus) {
			return jetstream.ErrConsumerNotFound
		}
		return names.Err()
	})
	return name
}

// TestCensusOfAnotherLedger: a stream of that name, made anew, that went further and then less far.
func TestCensusOfAnotherLedger(t *testing.T) {
	t.Parallel()
	s := newSite(t, brokertest.Start(t).URL(), 1)
	s.some(51200001)
	s.count(nil)
	s.wantsTruth()
	anew := func() {
		t.Helper()
		stream, err := s.js.Stream(limited(t), s.layout.Streams.Ledger)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.js.DeleteStream(limited(t), s.layout.Streams.Ledger); err != nil {
			t.Fatal(err)
		}
		s.eventually(func() error {
			_, err := s.js.CreateStream(limited(t), stream.CachedInfo().Config)
			return err
		})
		s.anew()
	}
	anew()
	s.some(51300001)
	s.some(51400001)
	s.wantsTruth()
	anew()
	s.write(record(51500001, events.Started, ""))
	s.wants(map[census.Key]int{{State: events.Started}: 1})
	anew()
	s.wants(map[census.Key]int{})
	if err := s.js.DeleteStream(limited(t), s.layout.Streams.Ledger); err != nil {
		t.Fatal(err)
	}
	s.eventually(func() error {
		if _, _, known := s.census.Counts(); known {
			return jetstream.ErrStreamNotFound
		}
		return nil
	})
}

// TestCensusOfARestoredLedger: the stream goes back to an older state of it, and on from there to another one.
func TestCensusOfARestoredLedger(t *testing.T) {
	t.Parallel()
	server := brokertest.Start(t)
	s := newSite(t, server.URL(), 1)
	s.some(51200001)
	s.count(nil)
	s.wantsTruth()
	server.Stop()
	backup := t.TempDir()
	copyTree(t, server.Dir(), backup)
	server.Restart()
	s.some(51300001)
	s.wantsTruth()
	restore := func() {
		t.Helper()
		server.Stop()
		if err := os.RemoveAll(filepath.Join(server.Dir(), "jetstream")); err != nil {
			t.Fatal(err)
		}
		copyTree(t, backup, server.Dir())
		server.Restart()
		s.anew()
	}
	restore()
	s.wantsTruth()
	restore()
	s.some(51400001) // as far as before, and with other customers
	s.wantsTruth()
	s.stop()
	restore()
	for id := range int64(80) { // as many records and subjects as were counted since the backup, and others
		s.write(record(51500001+id, events.Started, ""))
	}
	s.some(51600001) // further, before it is looked at again
	s.run()
	s.wantsTruth()
}

func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, name), 0o700)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), data, 0o600)
	}); err != nil {
		t.Fatal(err)
	}
}

// TestCensusAfterAPurgeByHand: nothing is written then, and all the same it is seen.
func TestCensusAfterAPurgeByHand(t *testing.T) {
	t.Parallel()
	s := newSite(t, brokertest.Start(t).URL(), 1)
	s.some(51200001)
	s.count(nil)
	s.wantsTruth()
	stream, err := s.js.Stream(limited(t), s.layout.Streams.Ledger)
	if err != nil {
		t.Fatal(err)
	}
	for _, filter := range []string{events.CustomerFamily(51200002), events.CustomerFamily(51200014)} {
		if err := stream.Purge(limited(t), jetstream.WithPurgeSubject(filter)); err != nil {
			t.Fatal(err)
		}
		s.write(record(51300001, events.Started, "")) // so that it is another truth
		s.wantsTruth()
	}
	if err := stream.Purge(limited(t)); err != nil {
		t.Fatal(err)
	}
	s.wants(map[census.Key]int{})
	s.some(51200001)
	s.wantsTruth()
}

// TestCensusOverAKilledNode: the consumer is on one node alone.
func TestCensusOverAKilledNode(t *testing.T) {
	t.Parallel()
	cluster := brokertest.StartCluster(t, 3)
	s := newSite(t, cluster.URL(), 3)
	s.some(51200001)
	s.count(nil)
	s.wantsTruth()
	cons, err := s.js.Consumer(limited(t), s.layout.Streams.Ledger, s.consumer())
	if err != nil {
		t.Fatal(err)
	}
	for _, node := range cluster.Nodes {
		if node.Name() == cons.CachedInfo().Cluster.Leader {
			node.Stop()
			s.write(record(51300001, events.Started, ""), record(51300001, events.Deferred, events.Transient))
			s.wantsTruth()
			node.Restart()
			s.some(51400001)
			s.wantsTruth()
			return
		}
	}
	t.Fatalf("the consumer is at %q, which is none of the nodes", cons.CachedInfo().Cluster.Leader)
}

// TestCensusOfAUserWhoMayNot says so once, knows nothing, and goes away when it is told to.
func TestCensusOfAUserWhoMayNot(t *testing.T) {
	t.Parallel()
	for name, subject := range map[string]string{
		"make a consumer": "$JS.API.CONSUMER.CREATE.ACTIVATION.>", "take messages": "$JS.API.CONSUMER.MSG.NEXT.ACTIVATION.*",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, brokertest.Start(t, brokertest.WithConfig(`authorization { users: [
				{ user: root, password: r }
				{ user: worker, password: w, permissions: { publish: { deny: ["`+subject+`"] } } }
			] }
			no_auth_user: root`)).URL(), 1)
			s.some(51200001)
			log, said := observer.New(zap.InfoLevel)
			s.count(zap.New(log), nats.UserInfo("worker", "w"), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
			s.eventually(func() error {
				if said.FilterMessageSnippet("customers are not counted").Len() == 0 {
					return nats.ErrPermissionViolation
				}
				return nil
			})
			if _, _, known := s.census.Counts(); known {
				t.Error("it says that it knows")
			}
			began := time.Now()
			s.stop()
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("it took %s to end", took)
			}
			if said.Len() != 1 {
				t.Errorf("it was said %d times: %v", said.Len(), said.All())
			}
		})
	}
}
