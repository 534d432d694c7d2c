package ledger_test

import (
	"errors"
	"testing"
	"time"

	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
)

// A ledger that was restored knows its customers as they were: one who waits there may have been activated since.
func testFromBefore(t *testing.T, _ *place, w *world) {
	stream, err := w.js.Stream(limited(t), w.layout.Streams.Ledger)
	if err != nil {
		t.Fatal(err)
	}
	accepted := func(at time.Time) func(*ledger.Options) {
		mark := events.Mark{Stream: w.layout.Streams.Ledger, Created: stream.CachedInfo().Created, Accepted: at}
		return func(o *ledger.Options) { o.Mark = func() events.Mark { return mark } }
	}
	never := w.ledger(t)
	for state, want := range map[events.State]bool{
		events.Deferred: true, events.Failed: true, events.Activated: false, events.Forgotten: false,
		events.Started: false, // taken over, and looked up for that
	} {
		id := w.customer()
		store(t, never, record(id, state), 0)
		is, err := never.Load(limited(t), id)
		if err != nil {
			t.Fatal(err)
		}
		before := w.ledger(t, accepted(is.StoredAt.Add(-time.Hour)))
		justNow := w.ledger(t, accepted(is.StoredAt.Add(-time.Second))) // by a worker that did not know it yet
		since := w.ledger(t, accepted(is.StoredAt.Add(time.Hour)))
		for name, c := range map[string]struct {
			l    *ledger.Ledger
			want bool
		}{"stored after it": {before, false}, "stored before it": {since, want}, "stored just after it": {justNow, want}, "never accepted": {never, false}} {
			r, err := c.l.Load(limited(t), id)
			if err != nil || r.LookFirst != c.want {
				t.Errorf("%s, %s: %+v, %v", state, name, r, err)
			}
			r, err = c.l.Claim(limited(t), record(id, events.Started), 0)
			if !errors.Is(err, ledger.ErrConflict) || r.LookFirst != c.want {
				t.Errorf("%s, %s, by a refused claim: %+v, %v", state, name, r, err)
			}
		}
	}
}
