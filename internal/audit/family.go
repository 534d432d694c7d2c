package audit

import (
	"hash/maphash"
	"time"

	"activation-worker/internal/events"
)

// families are all customers, by domain id.
type families map[int64]*family

// family is what is remembered of one customer while the records go by: its newest record, and what only a reader of
// the whole knows. It is small, as there may be a million.
type family struct {
	sequence uint64 // of the newest record, also of one that could not be read
	stored   int64  // when that was, in Unix nanoseconds as all times here; 0 for none
	due      int64  // end of its lease, or its next attempt
	giveUp   int64
	event    int64  // when the newest event acted on was stored
	eventSeq uint64 // its place in the intake
	eventID  uint64 // its id, hashed
	waived   int64  // seconds

	gap       uint64 // sequence of the newest record before which one is missing; 0: none
	missing   uint64 // the one that is
	forgotten uint64 // sequence of the newest forgotten record
	oldest    uint64 // of the oldest record kept

	round, attempt, tries, calls int32
	outcome                      int32 // round of the newest outcome that is not forgotten

	kept      [6]uint8 // records by state, up to 255
	beforeGap uint8    // states that have a record before the newest gap, as bits
	needs     uint8    // states of which some gap misses a record, as bits
	never     uint8    // of these, states of which an older record is still there, as bits: no newer ones explain that
	now       state    // of the newest record; none where it could not be read
	reason    uint8    // of the newest record, see reasonOf
	noes      uint8    // spaced look-ups that said no
	flags     flags
}

// flags are what is true of a customer.
type flags uint8

const (
	unsettled flags = 1 << iota // the newest record says so
	foreign                     // the newest record is of a newer worker, or cannot be read: what follows on it is not known
	shortened                   // the oldest records have made way
	published                   // the publish stream has the customer
	elsewhere                   // the newest event acted on is not from the intake that is there
)

func (f *family) has(flag flags) bool { return f.flags&flag != 0 }

func (f *family) set(flag flags, on bool) {
	f.flags &^= flag
	if on {
		f.flags |= flag
	}
}

// state is an [events.State] in a byte.
type state uint8

const (
	none state = iota
	started
	deferred
	activated
	failed
	forgotten
)

var stateNames = [...]events.State{events.None, events.Started, events.Deferred, events.Activated, events.Failed, events.Forgotten}

func (s state) String() string {
	if s == none {
		return "no record"
	}
	return string(stateNames[s])
}

func stateOf(s events.State) state {
	for i, name := range stateNames {
		if name == s {
			return state(i)
		}
	}
	return none
}

func (f *family) state() events.State { return stateNames[f.now] }

var reasons = events.Reasons()

func reasonOf(r events.Reason) uint8 {
	for i, one := range reasons {
		if one == r {
			return uint8(i + 1)
		}
	}
	return 0
}

// seed makes hashed ids comparable within the process.
var seed = maphash.MakeSeed()

func hashed(id string) uint64 { return maphash.String(seed, id) }

// nanos is a time in a family's form.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// keep takes a record over as the newest.
func (f *family) keep(r *events.Record) {
	if f.oldest == 0 {
		f.oldest = r.Sequence
	}
	now := stateOf(r.State)
	f.count(now)
	f.sequence, f.stored, f.now, f.reason = r.Sequence, nanos(r.StoredAt), now, reasonOf(r.Reason)
	f.event, f.eventSeq, f.eventID = nanos(r.Event.StoredAt), r.Event.Sequence, hashed(r.Event.Hashed().ID)
	f.round = int32(r.Round)
	f.due = nanos(r.NextAttemptAt)
	if now == started {
		f.due = nanos(r.LeaseExpiresAt)
	}
	f.giveUp, f.waived, f.attempt, f.calls, f.tries = nanos(r.GiveUpAt), r.Waived, int32(r.Attempt), int32(r.Calls), tries(r)
	f.noes = 0
	if r.Settling != nil {
		f.noes = uint8(min(r.Settling.Noes, 255))
	}
	switch now {
	case activated, failed:
		f.outcome = f.round
	case forgotten:
		f.forgotten, f.outcome = r.Sequence, 0
	}
	f.set(unsettled, r.Unsettled)
	f.set(foreign, false)
}

func (f *family) count(s state) {
	if f.kept[s] < 255 {
		f.kept[s]++
	}
}

// bits are the states of which there is a record.
func (f *family) bits() uint8 {
	var bits uint8
	for s, n := range f.kept {
		if n > 0 {
			bits |= 1 << s
		}
	}
	return bits
}

// tries are the attempts of a round, as its reasons count them.
func tries(r *events.Record) int32 {
	sum := 0
	for _, s := range r.Seen {
		sum += s.Tries
	}
	return int32(sum)
}
