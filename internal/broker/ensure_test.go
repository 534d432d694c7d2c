package broker_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"activation-worker/internal/broker"
	"activation-worker/internal/broker/brokertest"
)

func TestEnsureCreatesTheContract(t *testing.T) {
	t.Parallel()
	js := serve(t)
	ensure(t, js, layout())

	l := streamConfig(t, js, "ACTIVATION")
	want := jetstream.StreamConfig{
		Name: l.Name, Description: l.Description, Metadata: l.Metadata, ConsumerLimits: l.ConsumerLimits,
		Subjects:  []string{"activation.customer.*.*", "activation.replay.*", "activation.intake.*"},
		Retention: jetstream.LimitsPolicy, Storage: jetstream.FileStorage, Discard: jetstream.DiscardNew,
		MaxConsumers: -1, MaxMsgs: -1, MaxBytes: 64 << 20, MaxMsgsPerSubject: 16, MaxMsgSize: -1,
		Replicas: 1, Duplicates: 2 * time.Minute, DenyDelete: true, AllowDirect: true,
	}
	if got := fmt.Sprintf("%+v", l); got != fmt.Sprintf("%+v", want) {
		t.Errorf("ledger is\n%s\nwant\n%+v", got, want)
	}
	r := streamConfig(t, js, "ACTIVATION_REJECTED")
	if r.Discard != jetstream.DiscardOld || r.MaxAge != 30*24*time.Hour || r.MaxBytes != 1<<30 || !slices.Equal(r.Subjects, []string{"activation.rejected.*"}) {
		t.Errorf("rejected stream is %+v", r)
	}
	w := streamConfig(t, js, "ACTIVATION_WORK")
	if w.Retention != jetstream.WorkQueuePolicy || w.MaxMsgsPerSubject != 1 || !w.AllowRollup || !w.AllowMsgSchedules || len(w.Subjects) != 4 {
		t.Errorf("work stream is %+v", w)
	}
	i := streamConfig(t, js, "SIGNUP")
	if i.MaxAge != 30*24*time.Hour || i.Duplicates != 2*time.Minute || !slices.Equal(i.Subjects, []string{"signup.terms.accepted"}) {
		t.Errorf("intake stream is %+v", i)
	}
	for _, want := range []struct{ stream, name, filter string }{
		{"SIGNUP", "activator", "signup.terms.accepted"},
		{"ACTIVATION_WORK", "due", "activation.due.*"},
		{"ACTIVATION_WORK", "redo", "activation.redo.*"},
		{"ACTIVATION_WORK", "requests", "activation.request.*.*.*"},
	} {
		c := consumerConfig(t, js, want.stream, want.name)
		if c.FilterSubject != want.filter || c.AckPolicy != jetstream.AckExplicitPolicy || c.AckWait != 30*time.Second || c.MaxDeliver != -1 || len(c.BackOff) != 0 ||
			c.MaxAckPending != 1000 || c.DeliverPolicy != jetstream.DeliverAllPolicy {
			t.Errorf("consumer is %+v", c)
		}
	}
	if drifts, err := broker.Plan(t.Context(), js, layout()); err != nil || len(drifts) != 0 {
		t.Errorf("what was just created differs: %v %v", drifts, err)
	}
}

func TestEnsureAgainChangesNothing(t *testing.T) {
	t.Parallel()
	js := serve(t)
	ensure(t, js, layout())
	c := streamConfig(t, js, "ACTIVATION")
	c.MaxBytes, c.MaxMsgsPerSubject, c.Description = 1<<20, 64, "ours"
	if _, err := js.UpdateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	ensure(t, js, layout(func(l *broker.Layout) { l.AckWait, l.MaxAckPending = 5*time.Second, 2000 }))
	if got := streamConfig(t, js, "ACTIVATION"); got.MaxBytes != 1<<20 || got.MaxMsgsPerSubject != 64 || got.Description != "ours" {
		t.Errorf("harmless settings were changed: %+v", got)
	}
	if got := consumerConfig(t, js, "ACTIVATION_WORK", "due"); got.AckWait != 30*time.Second || got.MaxAckPending != 1000 {
		t.Errorf("the consumer was changed: %+v", got)
	}
}

func TestWorkersStartingTogetherAllSucceed(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t)
	_, look := brokertest.Connect(t, s.URL())
	var workers errgroup.Group
	for i := range 8 {
		_, js := brokertest.Connect(t, s.URL())
		l := layout(func(l *broker.Layout) {
			l.MaxBytes = int64(i+1) << 20 // each has seen another free disk
			l.MaxAckPending = 1000 + i
			l.Binding = broker.Binding{Host: "api.example", Tenant: "t.example"}
		})
		workers.Go(func() error { return broker.Ensure(t.Context(), js, l) })
	}
	if err := workers.Wait(); err != nil {
		t.Fatal(err)
	}
	if c := streamConfig(t, look, "ACTIVATION"); c.Metadata["activation-partner-host"] != "api.example" {
		t.Errorf("metadata %v", c.Metadata)
	}
}

func TestClusterGetsThreeReplicas(t *testing.T) {
	t.Parallel()
	_, js := brokertest.Connect(t, brokertest.StartCluster(t, 3).URL())
	ensure(t, js, layout())
	for _, name := range []string{"ACTIVATION", "ACTIVATION_REJECTED", "ACTIVATION_WORK", "KV_ACTIVATION_QUOTA", "SIGNUP"} {
		if c := streamConfig(t, js, name); c.Replicas != 3 {
			t.Errorf("%s has %d replicas, want 3", name, c.Replicas)
		}
	}
	if drifts, err := broker.Plan(t.Context(), js, layout()); err != nil || len(drifts) != 0 {
		t.Errorf("differs: %v %v", drifts, err)
	}
	one := layout(func(l *broker.Layout) { l.Replicas = 1 })
	if _, err := broker.Apply(t.Context(), js, one); err != nil {
		t.Fatal(err)
	}
	drifts, err := broker.Plan(t.Context(), js, layout())
	if err != nil || len(drifts) != 4 || drifts[0].Setting != "replicas" || drifts[0].Is != "1" || drifts[0].Wants != "3" {
		t.Errorf("one replica in a cluster: %v %v", drifts, err)
	}
}

func TestReplicasWithoutAClusterAreExplained(t *testing.T) {
	t.Parallel()
	err := broker.Ensure(t.Context(), serve(t), layout(func(l *broker.Layout) { l.Replicas = 3 }))
	wantDrifts(t, err, "replicas", "replicas", "replicas", "replicas")
	wantError(t, err, "WORKER_REPLICAS")
}

func TestSubjectsTakenAreExplained(t *testing.T) {
	t.Parallel()
	js := serve(t)
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"activation.>"}}); err != nil {
		t.Fatal(err)
	}
	err := broker.Ensure(t.Context(), js, layout())
	wantDrifts(t, err, "subjects", "subjects", "subjects")
	wantError(t, err, "stream ACTIVATION_WORK subjects is taken by another stream")
}

func TestNoJetStream(t *testing.T) {
	t.Parallel()
	for name, option := range map[string]brokertest.Option{
		"off for the server":  brokertest.WithoutJetStream(),
		"off for the account": brokertest.WithConfig(`accounts { A { jetstream: disabled, users: [{user: a, password: a}] } }, no_auth_user: a`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := broker.Ensure(t.Context(), serve(t, option), layout())
			if !errors.Is(err, broker.ErrNoJetStream) {
				t.Fatalf("error %v, want ErrNoJetStream", err)
			}
		})
	}
}

// limited is a server on which the user w may do only what is listed, beside publishing nothing else of the API.
func limited(allow string) brokertest.Option {
	return brokertest.WithConfig(`accounts { A { jetstream: enabled, users: [
		{user: admin, password: admin},
		{user: w, password: w, permissions: {publish: [` + allow + `], subscribe: ["_INBOX.>"]}},
	] } }, no_auth_user: admin`)
}

func TestMissingPermissionsAreAllListed(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t, limited(`"$JS.API.STREAM.INFO.*", "$JS.API.CONSUMER.INFO.*.*"`))
	_, js := brokertest.Connect(t, s.URL(), natsUser("w"))
	began := time.Now()
	err := broker.Ensure(t.Context(), js, layout())
	wantDrifts(t, err, "permission", "permission", "permission", "permission")
	wantError(t, err, `"$JS.API.STREAM.CREATE.ACTIVATION"`, `"$JS.API.STREAM.CREATE.ACTIVATION_REJECTED"`, `"$JS.API.STREAM.CREATE.ACTIVATION_WORK"`,
		`"$JS.API.STREAM.CREATE.KV_ACTIVATION_QUOTA"`, "worker setup")
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("four refusals took %s, they should not wait for time-outs", took)
	}

	_, admin := brokertest.Connect(t, s.URL())
	if _, err := broker.Apply(t.Context(), admin, layout()); err != nil {
		t.Fatal(err)
	}
	ensure(t, js, layout()) // looking is enough once `worker setup` was run

	bound := layout(func(l *broker.Layout) { l.Binding = broker.Binding{Host: "api.example"} })
	err = broker.Ensure(t.Context(), js, bound)
	wantDrifts(t, err, "permission")
	wantError(t, err, `"$JS.API.STREAM.UPDATE.ACTIVATION"`)
}

func TestUnreadableInboxIsExplained(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t, brokertest.WithConfig(`accounts { A { jetstream: enabled, users: [
		{user: w, password: w, permissions: {publish: ">", subscribe: ["_MINE.>"]}} ] } }`))
	_, js := brokertest.Connect(t, s.URL(), natsUser("w"))
	err := broker.Ensure(t.Context(), js, layout())
	wantError(t, err, `Subscription to "_INBOX.`, "NATS_INBOX_PREFIX")
}
