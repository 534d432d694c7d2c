package quotatest

import (
	"context"
	"errors"
	"testing"
	"time"

	"activation-worker/internal/quota"
)

// Suite holds a store to what [quota.Store] promises. other is the same record as another replica reaches it.
func Suite(t *testing.T, store, other quota.Store) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	changes, err := store.Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if data, version, err := store.Load(ctx); len(data) != 0 || version != 0 || err != nil {
		t.Fatalf("before anything was written: %q, version %d, %v", data, version, err)
	}
	first, err := store.Update(ctx, []byte(`{"a":1}`), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range []uint64{0, first + 1} {
		if _, err := other.Update(ctx, []byte(`{"b":1}`), version); !errors.Is(err, quota.ErrConflict) {
			t.Errorf("an update of version %d over %d: %v", version, first, err)
		}
	}
	second, err := other.Update(ctx, []byte(`{"b":2}`), first)
	if err != nil || second <= first {
		t.Fatalf("version %d after %d: %v", second, first, err)
	}
	select {
	case <-changes:
	case <-ctx.Done():
		t.Error("nobody said that the other has written")
	}
	if data, version, err := store.Load(ctx); string(data) != `{"b":2}` || version != second || err != nil {
		t.Errorf("%q, version %d, %v", data, version, err)
	}
	before := time.Now()
	if now, err := store.Time(ctx); err != nil || now.Before(before.Add(-time.Second)) || now.After(time.Now().Add(time.Second)) {
		t.Errorf("the time there is %s, %v", now, err)
	}
	ended, end := context.WithCancel(ctx)
	end()
	if _, err := store.Update(ended, nil, second); !errors.Is(err, context.Canceled) {
		t.Errorf("an update that is not waited for: %v", err)
	}
	if _, _, err := store.Load(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("a load that is not waited for: %v", err)
	}
}
