package broker_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/broker"
	"activation-worker/internal/broker/brokertest"
	"activation-worker/internal/events"
)

var bucket = events.StreamsOf(events.DefaultStream).Quota

// The bucket of the quota is one that a client would have made, in all settings but its description: the tools for
// buckets know it, and whoever made one by hand did no harm.
func TestTheQuotaIsABucketAsClientsMakeIt(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{
		"one node":    brokertest.Start(t).URL(),
		"three nodes": brokertest.StartCluster(t, 3).URL(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, js := brokertest.Connect(t, url)
			ensure(t, js, layout())
			ours := streamConfig(t, js, events.QuotaStream(bucket))
			kv, err := js.KeyValue(t.Context(), bucket)
			if err != nil {
				t.Fatalf("it is no bucket: %v", err)
			}
			status, err := kv.Status(t.Context())
			if err != nil || status.History() != 1 || status.TTL() != 0 {
				t.Errorf("the bucket's status is %+v, %v", status, err)
			}
			// What the quota writes and what a bucket has are the same.
			ack, err := js.Publish(t.Context(), events.QuotaSubject(bucket), []byte("a"), jetstream.WithExpectLastSequencePerSubject(0))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := js.Publish(t.Context(), events.QuotaSubject(bucket), []byte("b"), jetstream.WithExpectLastSequencePerSubject(0)); err == nil {
				t.Error("a write that expects nothing there replaced what is there")
			}
			if _, err := kv.Update(t.Context(), events.QuotaKey, []byte("c"), ack.Sequence); err != nil {
				t.Error(err)
			}
			if e, err := kv.Get(t.Context(), events.QuotaKey); err != nil || string(e.Value()) != "c" {
				t.Errorf("key %s has %v, %v", events.QuotaKey, e, err)
			}

			if err := js.DeleteKeyValue(t.Context(), bucket); err != nil {
				t.Fatal(err)
			}
			if _, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: bucket, Description: ours.Description, Replicas: ours.Replicas}); err != nil {
				t.Fatal(err)
			}
			if theirs := streamConfig(t, js, events.QuotaStream(bucket)); fmt.Sprintf("%+v", theirs) != fmt.Sprintf("%+v", ours) {
				t.Errorf("ours is\n%+v\na client's\n%+v", ours, theirs)
			}
			ensure(t, js, layout())
			if drifts, err := broker.Plan(t.Context(), js, layout()); err != nil || len(drifts) != 0 {
				t.Errorf("a client's bucket differs: %v %v", drifts, err)
			}
		})
	}
}

// An installation from before has no bucket, and somebody may delete it: it is made, and all else stays. It is not the
// ledger, whose loss halts all.
func TestAMissingBucketIsMade(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t, limited(`"$JS.API.STREAM.INFO.*", "$JS.API.CONSUMER.INFO.*.*"`))
	_, js := brokertest.Connect(t, s.URL())
	_, least := brokertest.Connect(t, s.URL(), natsUser("w"))
	var was events.Mark
	ensure(t, js, layout(func(l *broker.Layout) { l.Found = func(m events.Mark) { was = m } }))
	publish(t, js, "activation.replay.1", 1)
	for name, mend := range map[string]func(l broker.Layout) error{
		"a worker": func(l broker.Layout) error { return broker.Ensure(t.Context(), js, l) },
		"setup":    func(l broker.Layout) error { _, err := broker.Apply(t.Context(), js, l); return err },
	} {
		deleteStream(t, js, events.QuotaStream(bucket))
		drifts, err := broker.Plan(t.Context(), js, layout())
		if err != nil || len(drifts) != 1 || !drifts[0].Fixable || drifts[0].String() != "stream KV_ACTIVATION_QUOTA is missing, must be there" {
			t.Errorf("planned %v, %v", drifts, err)
		}
		// Who may not make it is told what to do.
		err = broker.Ensure(t.Context(), least, layout())
		wantDrifts(t, err, "permission")
		wantError(t, err, `"$JS.API.STREAM.CREATE.KV_ACTIVATION_QUOTA"`, "worker setup")
		if !broker.Halts(err) {
			t.Error("a worker goes on without the quota that it shares with others")
		}

		var made []string
		if err := mend(layout(func(l *broker.Layout) {
			l.Ledger = was
			l.Made = func(object string) { made = append(made, object) }
		})); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := strings.Join(made, " "); got != "stream KV_ACTIVATION_QUOTA" {
			t.Errorf("%s made %q", name, got)
		}
		if err := broker.Ensure(t.Context(), least, layout()); err != nil {
			t.Errorf("looking is not enough where the bucket is there: %v", err)
		}
	}
}

// A bucket belongs to its ledger, as the other streams do.
func TestAnotherLedgersBucket(t *testing.T) {
	t.Parallel()
	js := serve(t)
	ensure(t, js, layout(func(l *broker.Layout) { l.Streams = events.StreamsOf("CUST") }))
	if _, err := js.KeyValue(t.Context(), "CUST_QUOTA"); err != nil {
		t.Error(err)
	}
	if _, err := js.KeyValue(t.Context(), bucket); !errors.Is(err, jetstream.ErrBucketNotFound) {
		t.Errorf("the default bucket is there too: %v", err)
	}
}

// A bucket of somebody's that does no harm is worked with, and setup makes it ours.
func TestAnotherBucketIsMended(t *testing.T) {
	t.Parallel()
	js := serve(t)
	if _, err := js.CreateStream(t.Context(), quotaWith(func(c *jetstream.StreamConfig) {
		c.MaxMsgsPerSubject, c.AllowRollup, c.DenyDelete, c.AllowDirect = 5, false, false, false
	})); err != nil {
		t.Fatal(err)
	}
	ensure(t, js, layout())
	drifts, err := broker.Plan(t.Context(), js, layout())
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, d := range drifts {
		lines = append(lines, d.String())
	}
	want := `stream KV_ACTIVATION_QUOTA roll-ups is off, must be on
stream KV_ACTIVATION_QUOTA history per subject is 5, must be 1
stream KV_ACTIVATION_QUOTA deny delete is off, must be on
stream KV_ACTIVATION_QUOTA allow direct is off, must be on`
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("plan is\n%s\nwant\n%s", got, want)
	}
	if _, err := broker.Apply(t.Context(), js, layout()); err != nil {
		t.Fatal(err)
	}
	if drifts, err := broker.Plan(t.Context(), js, layout()); err != nil || len(drifts) != 0 {
		t.Errorf("still differs: %v %v", drifts, err)
	}
}
