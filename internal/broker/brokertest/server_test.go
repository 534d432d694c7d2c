package brokertest_test

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/broker/brokertest"
)

func TestRestartKeepsPortAndData(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t)
	url := s.URL()
	_, js := brokertest.Connect(t, url)
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "A", Subjects: []string{"a"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "a", []byte("kept")); err != nil {
		t.Fatal(err)
	}
	s.Restart()
	if s.URL() != url {
		t.Fatalf("the server moved from %s to %s", url, s.URL())
	}
	_, js = brokertest.Connect(t, s.URL())
	stream, err := js.Stream(t.Context(), "A")
	if err != nil {
		t.Fatal(err)
	}
	if got := stream.CachedInfo().State.Msgs; got != 1 {
		t.Fatalf("%d messages after a restart, want 1", got)
	}
}

func TestClusterReplicates(t *testing.T) {
	t.Parallel()
	c := brokertest.StartCluster(t, 3)
	_, js := brokertest.Connect(t, c.URL())
	s, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "A", Subjects: []string{"a"}, Replicas: 3})
	if err != nil {
		t.Fatal(err)
	}
	cluster := s.CachedInfo().Cluster
	if got := len(cluster.Replicas); got != 2 {
		t.Fatalf("%d replicas beside the leader, want 2", got)
	}
	for _, node := range c.Nodes {
		if node.Name() == cluster.Leader {
			_, js = brokertest.Connect(t, node.URL())
		}
	}
	for _, node := range c.Nodes {
		if node.Name() == cluster.Replicas[0].Name {
			node.Stop()
		}
	}
	if _, err := js.Publish(t.Context(), "a", nil); err != nil {
		t.Fatalf("publishing with one of three servers down: %v", err)
	}
}
