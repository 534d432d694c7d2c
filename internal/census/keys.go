package census

import "activation-worker/internal/events"

// Key is what customers are counted by.
type Key struct {
	State  events.State  // or [Unknown]
	Reason events.Reason // of [events.Deferred] and [events.Failed]; else empty
}

// Unknown is the state of customers whose newest record is to be left alone: a newer worker's, or nobody's.
const Unknown events.State = "unknown"

// keys are all that are counted. A customer holds the index of one in a few bits.
var keys = func() []Key {
	all := []Key{{State: Unknown}}
	for _, state := range events.States() {
		all = append(all, Key{State: state})
		if state == events.Deferred || state == events.Failed {
			for _, reason := range events.Reasons() {
				all = append(all, Key{state, reason})
			}
		}
	}
	return all
}()

const indexUnknown = 0

// indexes finds a key's place in keys.
var indexes = func() map[Key]uint8 {
	found := make(map[Key]uint8, len(keys))
	for i, key := range keys {
		found[key] = uint8(i)
	}
	return found
}()

// indexOf is where a record counts.
func indexOf(b events.Brief) uint8 {
	if b.Foreign {
		return indexUnknown
	}
	return indexes[Key{b.State, b.Reason}] // what is not there is unknown
}

// subjectBits are the subjects that a family can have, one bit each; all states that are not known share one.
var subjectBits = func() map[events.State]uint8 {
	found := map[events.State]uint8{}
	for i, state := range events.States() {
		found[state] = 1 << i
	}
	return found
}()

const bitUnknown = 1 << (valueBits - indexBits - 1)

func bitOf(s events.State) uint8 {
	if bit, known := subjectBits[s]; known {
		return bit
	}
	return bitUnknown
}
