package audit

import "activation-worker/internal/events"

// usual is how many records of a customer in a state are kept unless configured otherwise.
const usual = 16

// way is whether a missing record has made way for newer ones of its state.
type way int

const (
	unexplained way = iota
	perhaps         // if fewer were kept at the time than now
	madeWay
)

// miss remembers what is known about the record missing before r, which is looked at before r is kept: what an attempt has led to
// follows on a claim, and a round before has had its outcome.
func (f *family) miss(r *events.Record) {
	needs := uint8(0)
	switch {
	case r.State == events.Forgotten:
		needs = 1 << stateOf(r.WasState)
	case r.State == events.Failed && r.Reason == events.Cancelled:
		needs = 1 << deferred
	case r.State == events.Activated, r.State == events.Failed, r.State == events.Started && r.Trigger.Kind == events.TriggerRecovery:
		needs = 1 << started
	}
	ended := f.round // the newest round whose end is on record, or need not be
	if f.sequence > 0 && f.now != failed && f.now != forgotten {
		ended--
	}
	if !f.has(foreign) && int(ended) < r.Round-1 {
		needs |= 1 << failed
	}
	needs &^= 1 << none
	f.needs |= needs
	f.never |= needs & f.bits()
}

// madeWay judges all gaps of a customer, after the last record. Before the newest one some state must have no record left, and
// so must each state of which a record is known to be missing.
func (c *checker) madeWay(f *family) way {
	best := unexplained
	for s, n := range f.kept {
		if f.beforeGap&(1<<s) == 0 {
			best = max(best, c.wayFor(n))
		}
	}
	for s, n := range f.kept {
		switch bit := uint8(1) << s; {
		case f.never&bit != 0:
			return unexplained
		case f.needs&bit != 0:
			best = min(best, c.wayFor(n))
		}
	}
	return best
}

// wayFor is what so many records of a state explain.
func (c *checker) wayFor(n uint8) way {
	switch {
	case c.kept > 0 && int(n) >= min(c.kept, 255):
		return madeWay
	case n >= usual:
		return perhaps
	}
	return unexplained
}
