package census

import (
	"math"
	"math/bits"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
)

// Options of a [Census]. All are required but Worker, Version and Interval.
type Options struct {
	JetStream jetstream.JetStream
	Ledger    *ledger.Ledger // to read records whose reason no header names
	Stream    string         // the ledger's
	Log       *zap.Logger
	// Worker and Version are how this worker is called in [Census.Replicas].
	Worker, Version string
	// Interval is how often the server is asked what there is, to see what no message tells. Zero: 15 s.
	Interval time.Duration
}

const (
	defaultInterval = 15 * time.Second
	// keptFor is for how long counts say something that nothing was heard of since, not even that they are right.
	keptFor = time.Minute
)

// Census counts customers. It is safe for concurrent use.
type Census struct {
	o     Options
	log   *zap.Logger
	since time.Time

	// What one run after another needs; only Run uses it.
	created time.Time        // of the stream that is counted
	last    anchor           // the last message counted
	untold  map[int64]uint64 // customers whose newest record names no reason, and its sequence
	began   time.Time        // of the present count
	others  int64            // subjects of the stream that are no customer's, as last seen
	forgot  time.Time        // when the last customer was counted who is forgotten
	denied  bool             // it was said that the user may not

	pages sync.Mutex // held while a page is made, before mu

	mu          sync.Mutex
	unlisted    error     // why the user may not list consumers
	refused     time.Time // when that was said
	generation  uint64    // of what follows: how often it was forgotten
	table       table
	counts      []int // by index in keys
	subjects    uint64
	lag         uint64
	known       bool
	heard       time.Time // of the ledger, the last time
	sequence    uint64
	recent      []Event
	intake      []uint64 // sequences
	activations activations
	activated   uint64 // never begins anew
}

// anchor tells a stream from another of its name, or from an older state of it: a message, and when it was stored.
type anchor struct {
	sequence uint64
	stored   time.Time
}

// New returns a Census that knows nothing until [Census.Run] has read the ledger.
func New(o Options) *Census {
	if o.Interval == 0 {
		o.Interval = defaultInterval
	}
	c := &Census{o: o, log: o.Log.Named("census"), since: time.Now().UTC()}
	c.reset()
	return c
}

// Counts are the customers by state and reason, every key of the closed lists among them, and how many messages of the ledger
// are not counted yet, as far as that is known. known is false until the ledger was read once, while it is read anew because it is
// not the one that was read before, and while it could not be read for a minute; then the counts say nothing.
func (c *Census) Counts() (counts map[Key]int, lag uint64, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return listed(c.counts), c.lag, c.current()
}

// current tells whether the counts say something; mu is held.
func (c *Census) current() bool { return c.known && time.Since(c.heard) < keptFor }

// listed are counts by key.
func listed(counts []int) map[Key]int {
	all := make(map[Key]int, len(keys))
	for i, key := range keys {
		// A reason that is not known yet, or that nobody wrote, is no value of its own unless somebody has it.
		if needsReason := key.State == events.Deferred || key.State == events.Failed; counts[i] > 0 || !needsReason || key.Reason != "" {
			all[key] = counts[i]
		}
	}
	return all
}

// reset forgets everybody, to count from the first message on.
func (c *Census) reset() {
	c.created, c.last, c.untold, c.began, c.others, c.forgot = time.Time{}, anchor{}, map[int64]uint64{}, time.Time{}, 0, time.Time{}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	c.table, c.counts, c.subjects, c.lag, c.known = table{}, make([]int, len(keys)), 0, 0, false
	c.sequence, c.recent, c.intake, c.activations = 0, nil, nil, newActivations()
	c.activated++
}

// message is where one is in the ledger.
type message struct {
	sequence uint64
	stored   time.Time
	left     uint64 // how many are still to come
}

// count takes note of a customer's newest record.
func (c *Census) count(b events.Brief, m message) {
	index, bit, now := indexOf(b), bitOf(b.State), time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.table.swap(b.DomainID, func(was entry, known bool) entry {
		if known {
			c.counts[was.index]--
		}
		c.counts[index]++
		is := entry{index, was.subjects | bit, uint32(min(max(0, m.stored.Unix()), math.MaxUint32))}
		if b.State == events.Forgotten {
			is.subjects = bit // what is older is erased
		}
		c.subjects += uint64(bits.OnesCount8(is.subjects)) - uint64(bits.OnesCount8(was.subjects))
		return is
	})
	state := keys[index].State
	c.recent = last(c.recent, Event{m.sequence, m.stored, b.DomainID, state, keys[index].Reason}, recentAtMost)
	if state == events.Activated {
		c.activations.note(b, m.stored, now)
		c.activated++
	}
	c.met(m, now)
}

// pass takes note of a message that is no customer's.
func (c *Census) pass(subject string, m message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if subject == events.SubjectIntakePaused || subject == events.SubjectIntakeResumed {
		c.intake = last(c.intake, m.sequence, intakeAtMost)
	}
	c.met(m, time.Now())
}

// met takes note of how far the ledger is read; mu is held.
func (c *Census) met(m message, now time.Time) { c.sequence, c.lag, c.heard = m.sequence, m.left, now }

// settled takes note of a reason that was found out.
func (c *Census) settled(is newest, index uint8) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.recent {
		if e := &c.recent[i]; e.Sequence == is.sequence {
			e.State, e.Reason = keys[index].State, keys[index].Reason
		}
	}
	c.table.swap(is.id, func(e entry, _ bool) entry {
		c.counts[e.index]--
		c.counts[index]++
		e.index = index
		return e
	})
}

// behind takes note of how many messages are still to come.
func (c *Census) behind(left uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lag, c.heard = left, time.Now()
}

// complete says that the counts are those of the whole ledger.
func (c *Census) complete() (first bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	first = !c.known
	c.known = true
	return first
}
