package main

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"activation-worker/internal/broker"
	"activation-worker/internal/broker/brokertest"
	"activation-worker/internal/config"
	"activation-worker/internal/metrics"
)

// One stream that nobody answers for, as one whose only node is gone, does not keep the others' figures away.
func TestAnUnansweredQuestionLeavesTheOthers(t *testing.T) {
	t.Parallel()
	server := brokertest.Start(t, brokertest.WithConfig(`authorization { users: [
		{ user: root, password: r }
		{ user: worker, password: w, permissions: { publish: { deny: ["$JS.API.STREAM.INFO.SIGNUP", "$JS.API.CONSUMER.INFO.SIGNUP.*"] } } }
	] }
	no_auth_user: root`))
	_, js := brokertest.Connect(t, server.URL())
	c, err := config.Load(nil, []string{"WORKER_STREAM_MAX_BYTES=1GiB"})
	if err != nil {
		t.Fatal(err)
	}
	layout := layoutOf(c)
	layout.WithIntake = true
	if err := broker.Ensure(t.Context(), js, layout); err != nil {
		t.Fatal(err)
	}
	_, worker := brokertest.Connect(t, server.URL(), nats.UserInfo("worker", "w"), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	m := metrics.New("", "", metrics.State{})
	p := newParts()
	a := asking{parts: p, c: c, js: worker, layout: layout, metrics: m}
	began := time.Now()
	a.round(t.Context())
	if took := time.Since(began); took >= askEvery {
		t.Errorf("a round takes %s", took)
	}
	families, err := m.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, f := range families {
		got[f.GetName()] = len(f.GetMetric())
	}
	if got["activation_stream_messages"] != 3 || got["activation_consumer_pending_messages"] != 3 || p.shared.Load() == nil {
		t.Errorf("figures of %d streams and %d consumers, quota known: %t", got["activation_stream_messages"], got["activation_consumer_pending_messages"], p.shared.Load() != nil)
	}
}
