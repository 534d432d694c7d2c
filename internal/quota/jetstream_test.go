package quota_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/broker/brokertest"
	"activation-worker/internal/quota"
	"activation-worker/internal/quota/quotatest"
)

// bucket is the record as one replica reaches it.
func bucket(t *testing.T, url, writer string) quota.Bucket {
	t.Helper()
	nc, js := brokertest.Connect(t, url)
	return quota.Bucket{
		Conn: nc, JetStream: js, API: jetstream.DefaultAPIPrefix, Stream: "KV_QUOTA", Subject: "$KV.QUOTA.pace", Hint: "quota.hint", Writer: writer,
	}
}

func TestStores(t *testing.T) {
	t.Parallel()
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			store := &quotatest.Memory{}
			quotatest.Suite(t, store, store)
		})
	})
	for name, start := range map[string]func() (url string, replicas int){
		"one node":    func() (string, int) { return brokertest.Start(t).URL(), 1 },
		"three nodes": func() (string, int) { return brokertest.StartCluster(t, 3).URL(), 3 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, replicas := start()
			one, other := bucket(t, url, "one"), bucket(t, url, "other")
			if _, _, err := one.Load(t.Context()); err == nil {
				t.Error("a record without a stream")
			}
			if _, err := one.JetStream.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "QUOTA", Replicas: replicas}); err != nil {
				t.Fatal(err)
			}
			quotatest.Suite(t, one, other)
		})
	}
}

// Two replicas on a real server: one uses what the other leaves.
func TestReplicasOnAServer(t *testing.T) {
	t.Parallel()
	url := brokertest.Start(t).URL()
	one, other := bucket(t, url, "one"), bucket(t, url, "other")
	if _, err := one.JetStream.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "QUOTA"}); err != nil {
		t.Fatal(err)
	}
	limits := quota.Limits{Peak: quota.Rate{N: 3, Per: time.Hour}, Concurrency: 1}
	a, b := join(t, one, limits), join(t, other, limits)
	permit := acquire(t, a, activate)
	got := make(chan *quota.Permit)
	go func() {
		permit, err := b.Acquire(t.Context(), quota.Fresh, activate)
		if err != nil {
			t.Error(err)
		}
		got <- permit
	}()
	timer := time.NewTimer(100 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-got:
		t.Fatal("two at once, allowed is one")
	case <-timer.C:
	}
	if err := permit.Begin(); err != nil {
		t.Fatal(err)
	}
	permit.End()
	second := <-got
	if err := second.Begin(); err != nil {
		t.Fatal(err)
	}
	second.End()
	request(t, a, activate)
	ctx, cancel := limited(t, 200*time.Millisecond)
	defer cancel()
	if permit, err := b.Acquire(ctx, quota.Fresh, activate); err == nil {
		permit.End()
		t.Error("a fourth request within an hour, allowed are three")
	}
}
