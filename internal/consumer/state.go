package consumer

import (
	"sync/atomic"
	"time"
)

// laneState is how a lane stands.
type laneState struct {
	slots   *slots
	busy    atomic.Int64 // of them with a delivery: one is held to ask for the next
	pulling atomic.Bool  // it asks for messages, for each slot that is free
}

// LaneState is how a lane stands at a moment.
type LaneState struct {
	Name        string
	Slots, Busy int  // deliveries handled at once, at most and now
	Pulling     bool // it asks the server for messages, or all its slots are busy
}

// Lanes is how the lanes stand. It asks nobody. A lane that takes one message alone, to find out whether a pause is
// over, does not count as pulling; nor does any while there is no connection.
func (w *Worker) Lanes() (states []LaneState) {
	connected := w.JetStream.Conn().IsConnected()
	for _, l := range w.lanes() {
		s := w.states[l.name]
		states = append(states, LaneState{Name: l.name, Slots: l.slots, Busy: int(s.busy.Load()), Pulling: connected && s.pulling.Load()})
	}
	return states
}

// Pause is why no announcements are taken, and since when; nil where they are, or the worker has only begun.
func (w *Worker) Pause() (why *Trouble, since time.Time) {
	shut, since := w.gate.state()
	if shut == nil || w.gate.firstLook(shut) {
		return nil, time.Time{}
	}
	return shut, since
}

// Strangers is how many records of newer workers were met lately and left untouched; of many not all are remembered.
func (w *Worker) Strangers() int { return len(w.strange.list()) }
