package quota

import (
	"fmt"
	"slices"
)

// Lane says who goes first among those that wait, over all replicas: the smaller one, and within a lane whoever came
// first. An operation without room stops nobody who wants another, but for one case: while somebody in Fresh waits for the pace,
// Waiting and Replay have no more than their parts, since what they ask first leads to requests in Running.
//
// Running is neither held up nor counted: it is what those already served need to come to an
// end, a few requests each. Of all other leaves that somebody in Waiting could have used at
// least every fifth is given there, and to Replay at least every twentieth, over all
// operations and of each one by itself; so no lane starves, however much comes in above it.
type Lane int

// The lanes, in their order.
const (
	Running Lane = iota // a further request of a step whose claim is held
	Fresh               // the first one of a customer just announced
	Waiting             // of one whose time has come
	Replay              // of one that an operator had queued again

	again // not a lane to ask for: has a place already, and goes before all

	allLanes
)

var laneNames = [allLanes]string{Running: "running", Fresh: "fresh", Waiting: "waiting", Replay: "replay", again: "again"}

func (l Lane) String() string {
	if l < 0 || l >= allLanes {
		return fmt.Sprintf("lane %d", int(l))
	}
	return laneNames[l]
}

// MarshalText is the lane's name.
func (l Lane) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText takes a lane's name; one that a newer worker knows counts as the last.
func (l *Lane) UnmarshalText(text []byte) error {
	*l = Replay
	for lane, name := range laneNames {
		if name == string(text) {
			*l = Lane(lane)
		}
	}
	return nil
}

// counts is how many leaves went to others while somebody in a lane could have used them.
type counts [allLanes]int

// patience is how many leaves may go to others before a lane must get one. Replay leaves room for those of Waiting
// that become due at the same moment, one for each of the partner's three operations.
var patience = counts{Waiting: 4, Replay: 16}

// line is who waits in one lane for one operation, here or at one other replica.
type line struct {
	operation string
	lane      Lane
	since     int64     // by the server's clock, the first of them
	waiters   []*waiter // here
	replica   string    // elsewhere
	n         int       // elsewhere, how many
}

// choice is what it takes to choose who goes next.
type choice struct {
	lines  []*line
	passed passed
	room   func(string, Lane) bool // is there room for an operation, in a lane
	paced  func(string) bool       // may it be the pace alone that there is none
	places bool                    // is a place of simultaneous requests free
}

// passed is whom leave has passed over, of each lane, over all operations and of each by itself.
type passed struct {
	all *counts
	of  func(operation string) *counts
}

// next is the line whose first gets leave now, nil if nobody can have it, and the first of each lane who could have it.
// Counted by lane alone, one for a rarely free operation could be passed over for ever
// while its lane gets its share by another; counted by operation alone, one that is never given could.
func (c choice) next() (chosen *line, could [allLanes]*line) {
	var due [allLanes]*line // those who could have leave and have been patient
	behind := false         // is somebody in Fresh next who waits for the pace
	for _, l := range c.lines {
		behind = behind || l.lane == Fresh && c.paced(l.operation)
		lane := l.lane
		if patient(lane, c.passed.of(l.operation)) {
			lane = Fresh // its turn: what is kept for those in Fresh is kept no longer
		}
		if l.lane != again && !c.places || !c.room(l.operation, lane) {
			continue
		}
		could[l.lane] = earlier(could[l.lane], l)
		if patient(l.lane, c.passed.of(l.operation)) {
			due[l.lane] = earlier(due[l.lane], l)
		}
	}
	for lane := range allLanes {
		if due[lane] == nil && patient(lane, c.passed.all) {
			due[lane] = could[lane]
		}
	}
	rest := []*line{could[Waiting], could[Replay]}
	if behind && could[Fresh] == nil {
		// What they ask now leads to requests that nobody holds up, and these would go before those in Fresh.
		rest = nil
	}
	for _, l := range append([]*line{could[again], could[Running], due[Waiting], due[Replay], could[Fresh]}, rest...) {
		if l != nil {
			return l, could
		}
	}
	return nil, could
}

func patient(lane Lane, passed *counts) bool {
	return patience[lane] > 0 && passed[lane] >= patience[lane]
}

// pass counts a leave given: whom it passes over are the others who could have had it.
func (c choice) pass(into passed, chosen *line, could [allLanes]*line) {
	if chosen.lane == Running || chosen.lane == again {
		return
	}
	op := into.of(chosen.operation)
	for lane := range patience {
		if patience[lane] == 0 || Lane(lane) == chosen.lane {
			continue
		}
		if could[lane] != nil {
			into.all[lane]++
		}
		if slices.ContainsFunc(c.lines, func(l *line) bool { return l.operation == chosen.operation && l.lane == Lane(lane) }) {
			op[lane]++
		}
	}
	into.all.took(chosen.lane)
	op.took(chosen.lane)
}

// took counts a lane's turn: it makes up for as many as its patience. What came while the turn was another replica's to take counts on.
func (c *counts) took(lane Lane) {
	c[lane] = max(0, min(c[lane], 2*patience[lane])-patience[lane])
}

// earlier is whoever came first, and of two at the same moment one who is here; a may be nil.
func earlier(a, b *line) *line {
	switch {
	case a == nil, b.since < a.since:
		return b
	case b.since > a.since, b.replica != "":
		return a
	case a.replica != "" || b.waiters[0].number < a.waiters[0].number:
		return b
	}
	return a
}
