package census

import (
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"activation-worker/internal/events"
)

// What could not be read for a while says nothing any more: another replica, which can, would be contradicted.
func TestCountsGrowOld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := New(Options{Log: zap.NewNop()})
		c.count(events.Brief{DomainID: 51200001, State: events.Activated}, message{})
		c.complete()
		wants := func(want bool) {
			t.Helper()
			counts, _, known := c.Counts()
			if known != want || counts[Key{State: events.Activated}] != 1 {
				t.Errorf("%v, known %t, wanted %t", counts, known, want)
			}
		}
		for _, step := range []struct {
			after time.Duration
			heard func()
			known bool
		}{
			{known: true},
			{after: keptFor - 1, known: true},
			{after: 1},
			{after: time.Hour},
			{heard: func() { c.behind(3) }, known: true},
			{after: keptFor},
			{heard: func() { c.count(events.Brief{DomainID: 51200001, State: events.Activated}, message{}) }, known: true},
		} {
			timer := time.NewTimer(step.after)
			<-timer.C
			if step.heard != nil {
				step.heard()
			}
			wants(step.known)
		}
	})
}
