package simulator

import (
	"maps"
	"slices"
	"time"
)

// Call is one API request as the partner saw it.
type Call struct {
	Seq        int       `json:"seq"` // order of arrival
	At         time.Time `json:"at"`  // arrival
	Op         Operation `json:"op"`
	DomainID   int64     `json:"domainId,omitempty"`
	Status     int       `json:"status,omitempty"`  // of the answer, also of one that was lost; 0: there was none, or it is not over
	Lost       bool      `json:"lost,omitempty"`    // the answer did not reach the caller whole
	Applied    bool      `json:"applied,omitempty"` // it made the customer active
	Told       Told      `json:"told,omitempty"`    // what a whole answer said about the customer
	Fault      string    `json:"fault,omitempty"`
	BodyBytes  int       `json:"bodyBytes,omitempty"` // of the request
	Concurrent int       `json:"concurrent"`          // API requests under way at arrival, this one included
	AppliedAt  time.Time `json:"appliedAt,omitzero"`
	EndedAt    time.Time `json:"endedAt,omitzero"` // just before the answer went out, or was given up

	appliedSeq, endedSeq int // places in the one order of all that happens
}

// Counts are the sums of one customer's calls, exact even where the journal has dropped some.
type Counts struct {
	Activates       int `json:"activates"`       // arrived, however they were answered
	Applied         int `json:"applied"`         // took effect
	Lookups         int `json:"lookups"`         // arrived
	ActivatesAtOnce int `json:"activatesAtOnce"` // the most under way at the same time

	underWay int
}

// Journal is a copy of what the simulator has noted.
type Journal struct {
	Calls         []Call            `json:"calls"` // by arrival
	Customers     map[int64]Counts  `json:"customers"`
	Made          map[Operation]int `json:"made"`    // requests of each operation, exact even where calls were dropped
	Applied       int               `json:"applied"` // activate requests that took effect, likewise
	TokenRequests int               `json:"tokenRequests"`
	Tokens        int               `json:"tokens"`        // access tokens given out
	MaxConcurrent int               `json:"maxConcurrent"` // the most API requests under way at the same time

	secrets  []string
	personal []string
	hands    []handMark
}

// handMark says that a customer was changed by hand, so that what was applied or told before counts no more.
type handMark struct {
	seq int
	id  int64
}

// journal is the one being written. The simulator's lock guards it.
type journal struct {
	Journal
	limit   int
	seq     int
	dropped int // calls that are no longer kept
}

func newJournal(limit int) journal {
	return journal{Journal: Journal{Customers: map[int64]Counts{}, Made: map[Operation]int{}}, limit: limit}
}

// begin notes an arrival and returns its number for the later notes.
func (j *journal) begin(c Call, underWay int) int {
	j.seq++
	c.Seq, c.Concurrent = j.seq, underWay
	j.Made[c.Op]++
	j.MaxConcurrent = max(j.MaxConcurrent, underWay)
	if c.DomainID != 0 {
		counts := j.Customers[c.DomainID]
		switch c.Op {
		case OpActivate:
			counts.Activates++
			counts.underWay++
			counts.ActivatesAtOnce = max(counts.ActivatesAtOnce, counts.underWay)
		case OpCustomer:
			counts.Lookups++
		}
		j.Customers[c.DomainID] = counts
	}
	if j.limit > 0 && len(j.Calls) >= j.limit {
		half := len(j.Calls)/2 + 1
		j.Calls = slices.Delete(j.Calls, 0, half)
		j.dropped += half
	}
	j.Calls = append(j.Calls, c)
	return j.dropped + len(j.Calls) - 1
}

// at returns the call with a number of begin; one that is no longer kept is a spare one.
func (j *journal) at(call int) *Call {
	if call < j.dropped {
		return &Call{}
	}
	return &j.Calls[call-j.dropped]
}

func (j *journal) applied(call int, id int64, now time.Time) {
	j.seq++
	c := j.at(call)
	c.Applied, c.AppliedAt, c.appliedSeq = true, now, j.seq
	counts := j.Customers[id]
	counts.Applied++
	j.Customers[id] = counts
	j.Applied++
}

// end notes how a call was answered. It is written before the answer goes out: a caller that acts upon the answer comes later.
func (j *journal) end(call int, op Operation, id int64, now time.Time, status int, told Told) {
	j.seq++
	c := j.at(call)
	c.Status, c.Told, c.EndedAt, c.endedSeq = status, told, now, j.seq
	if op == OpActivate {
		counts := j.Customers[id]
		counts.underWay--
		j.Customers[id] = counts
	}
}

func (j *journal) lost(call int) {
	c := j.at(call)
	c.Lost, c.Told = true, ToldNothing
}

func (j *journal) byHand(id int64) {
	j.seq++
	j.hands = append(j.hands, handMark{j.seq, id})
}

// Journal returns a copy of the journal as it is now.
func (s *Simulator) Journal() Journal {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.journal.Journal
	c.Calls, c.Customers, c.Made = slices.Clone(c.Calls), maps.Clone(c.Customers), maps.Clone(c.Made)
	c.secrets, c.personal, c.hands = slices.Clone(c.secrets), slices.Clone(c.personal), slices.Clone(c.hands)
	return c
}

// Counts are the sums of one customer's calls.
func (s *Simulator) Counts(domainID int64) Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.journal.Customers[domainID]
}

// Lookups counts the look-ups of a customer that have arrived.
func (s *Simulator) Lookups(domainID int64) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.journal.Customers[domainID].Lookups
}
