package quota

import (
	"slices"
	"time"
)

// operation is what was begun for one partner operation, and who waits to begin. The pacer's lock guards it.
type operation struct {
	open   int         // leave given, and not ended
	ended  []time.Time // ends of what was begun within the longest limit, ascending
	latest time.Time   // when leave was last given
	paused time.Time   // no leave before this

	again   []*waiter           // who has a place already, in the order of their coming
	waiting [allLanes][]*waiter // the others, likewise
	passed  [allLanes]int       // by lane, see next
}

// wait is how long there is no leave for sure; 0 means leave now.
func (p *Pacer) wait(op *operation, now time.Time) time.Duration {
	wait := max(0, op.paused.Sub(now))
	if p.apart > 0 && now.Before(p.gentle) {
		if now.Before(op.latest) {
			op.latest = now // the clock was set back
		}
		wait = max(wait, min(op.latest.Add(p.apart).Sub(now), p.gentle.Sub(now)))
	}
	longest := time.Duration(0)
	for _, limit := range p.limits {
		longest = max(longest, limit.Per)
		within := op.ended[after(op.ended, now.Add(-limit.Per)):]
		over := len(within) + op.open - limit.N // how many must leave the window, less one
		switch {
		case over < 0:
		case over >= len(within):
			wait = max(wait, limit.Per) // too many are under way: it takes the end of one
		default:
			wait = max(wait, within[over].Add(limit.Per).Sub(now))
		}
	}
	op.ended = slices.Delete(op.ended, 0, after(op.ended, now.Add(-longest)))
	return wait
}

// end notes that so many requests ended now.
func (op *operation) end(requests int, now time.Time) {
	if n := len(op.ended); n > 0 && now.Before(op.ended[n-1]) {
		now = op.ended[n-1] // the clock was set back
	}
	for range requests {
		op.ended = append(op.ended, now)
	}
}

// after is the index of the first time after a bound.
func after(times []time.Time, bound time.Time) int {
	i, _ := slices.BinarySearchFunc(times, bound, func(t, bound time.Time) int {
		if t.After(bound) {
			return 1
		}
		return -1
	})
	return i
}
