package main

import (
	"fmt"
	"testing"
	"time"

	"activation-worker/internal/quota"
	"activation-worker/internal/quota/quotatest"
)

// The partner counts a minute at most: what it has left until then says nothing of half an hour.
func TestPartnersCountLowersThePeakAlone(t *testing.T) {
	t.Parallel()
	store := &quotatest.Memory{}
	record := fmt.Sprintf(`{"version":1,"operations":{"activate":{"credit":{"left":5,"until":%d}}},"replicas":{}}`, time.Now().Add(time.Minute).UnixMicro())
	if _, err := store.Update(t.Context(), []byte(record), 0); err != nil {
		t.Fatal(err)
	}
	limits := quota.Limits{Peak: quota.Rate{N: 240, Per: time.Minute}, Sustained: quota.Rate{N: 120, Per: time.Minute}, Concurrency: 3}
	outlook, err := quota.Look(t.Context(), store, limits)
	if err != nil {
		t.Fatal(err)
	}
	for _, window := range quotaOf(outlook, time.Now()).Windows {
		want := map[string]map[string]int{"peak": {"activate": 5, "list": 240}, "sustained": {"activate": 3600, "list": 3600}}[window.Name]
		for operation, limit := range want {
			if got := window.Limit[operation]; got != limit {
				t.Errorf("%s of %s is limited to %d, want %d", window.Name, operation, got, limit)
			}
		}
	}
}
