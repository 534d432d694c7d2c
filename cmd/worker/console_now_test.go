package main

import (
	"strings"
	"testing"
	"time"

	"activation-worker/internal/census"
	"activation-worker/internal/config"
	"activation-worker/internal/console"
	"activation-worker/internal/quota"
)

// TestThePageOfNothing: before there is anything, the page is asked and says so.
func TestThePageOfNothing(t *testing.T) {
	t.Parallel()
	c, err := config.Load(nil, []string{"WORKER_ID=one"})
	if err != nil {
		t.Fatal(err)
	}
	s := consoleSource{newParts(), c}
	now := s.Now(t.Context())
	if now.Worker != "one" || now.Ready || len(now.Checks) != 6 || now.Known || now.Quota != nil || now.Partner.OK || !strings.HasPrefix(now.Trouble, "NATS is away: ") {
		t.Errorf("it says %+v", now)
	}
	for name, missing := range map[string]bool{
		"counts": now.Counts == nil, "consumers": now.Consumers == nil, "lanes": now.Lanes == nil, "story": now.Partner.Story == nil,
		"replicas": now.Replicas == nil, "recent": now.Recent == nil,
	} {
		if missing {
			t.Errorf("%s are null in JSON", name)
		}
	}
	if a := s.Activations(console.SpanDay, time.Now()); len(a.Times) != 96 || a.Step != 900 || a.Total != 0 || a.TotalMedian != nil || len(a.Median) != 96 {
		t.Errorf("activations are %+v", a)
	}
}

// TestWhoLooks: the server is asked often as long as somebody looks, and at once when the first one begins to.
func TestWhoLooks(t *testing.T) {
	t.Parallel()
	p, now := newParts(), time.Now()
	if p.isLookedAt(now) {
		t.Error("somebody looks from the beginning")
	}
	for _, step := range []struct {
		after time.Duration // since the last look
		wakes bool
	}{{time.Hour, true}, {time.Second, false}, {lookedAt, false}, {lookedAt + 1, true}} {
		now = now.Add(step.after)
		p.lookAt(now)
		if woken := len(p.look) > 0; woken != step.wakes {
			t.Errorf("%s after the last look: woken %t", step.after, woken)
		}
		for len(p.look) > 0 {
			<-p.look
		}
		if !p.isLookedAt(now.Add(lookedAt-1)) || p.isLookedAt(now.Add(lookedAt)) {
			t.Errorf("%s after the last look: it does not last as long as it should", step.after)
		}
	}
}

func TestNumbersOfThePage(t *testing.T) {
	t.Parallel()
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 12345: "12,345", 1234567: "1,234,567"} {
		if got := grouped(n); got != want {
			t.Errorf("%d is %s, want %s", n, got, want)
		}
	}
	for want, rate := range map[string]quota.Rate{"240/m": {N: 240, Per: time.Minute}, "5/s": {N: 5, Per: time.Second}, "1000/h": {N: 1000, Per: time.Hour}} {
		if got := rateText(rate); got != want {
			t.Errorf("%+v is %s, want %s", rate, got, want)
		}
	}
	counts := counted(map[census.Key]int{{State: "failed", Reason: "refused"}: 2, {State: census.Unknown}: 1, {State: "started"}: 3, {State: "deferred"}: 4})
	if len(counts) != 4 || counts[0].State != "started" || counts[1].State != "deferred" || counts[2].Count != 2 || counts[3].State != "unknown" {
		t.Errorf("counts are %+v", counts)
	}
}
