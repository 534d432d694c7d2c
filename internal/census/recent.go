package census

import (
	"slices"
	"time"

	"activation-worker/internal/events"
)

const (
	recentAtMost = 30
	intakeAtMost = 20
)

// Event is a state record as its subject and headers tell it.
type Event struct {
	Sequence uint64
	At       time.Time // when it was stored
	DomainID int64
	State    events.State  // or [Unknown]
	Reason   events.Reason // of [events.Deferred] and [events.Failed]; empty while the record is to be read for it
}

// last keeps the newest items, the oldest of them first.
func last[T any](items []T, item T, atMost int) []T {
	if len(items) == atMost {
		items = slices.Delete(items, 0, 1)
	}
	return append(items, item)
}

func newestFirst[T any](items []T) []T {
	items = slices.Clone(items)
	slices.Reverse(items)
	return items
}

// Recent are the last 30 state records seen, the newest first. Some may be gone: the ledger keeps so many of each customer and state, and nothing of
// who was forgotten but that.
func (c *Census) Recent() []Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	return newestFirst(c.recent)
}

// IntakeEvents are the sequences in the ledger of the last 20 messages by which workers told that they paused or resumed, the newest first.
// Some may be gone.
func (c *Census) IntakeEvents() []uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return newestFirst(c.intake)
}

// Sequence is that of the last message of the ledger that is counted.
func (c *Census) Sequence() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sequence
}

// Activated is a number that grows whenever [Census.Activations] may have changed otherwise than by time that has passed.
func (c *Census) Activated() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.activated
}
