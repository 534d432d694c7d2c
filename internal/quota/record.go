package quota

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// record is what all replicas share. Times are microseconds of the server's clock since 1970.
type record struct {
	Version    int                   `json:"version"`
	Operations map[string]*operation `json:"operations,omitempty"`
	Replicas   map[string]*replica   `json:"replicas,omitempty"`
	Gentle     int64                 `json:"gentleUntil,omitempty"`
	Passed     counts                `json:"passed"` // by lane, see choice.next
}

// operation is what was begun for one partner operation.
type operation struct {
	Windows []*window `json:"windows,omitempty"` // what has ended, one for each limit
	Paused  int64     `json:"pausedUntil,omitempty"`
	Gentle  int64     `json:"gentleUntil,omitempty"`
	Latest  int64     `json:"latest,omitempty"` // when leave was last given
	Credit  *credit   `json:"credit,omitempty"` // nil: nothing is known that is stricter than our own limits
	Passed  counts    `json:"passed"`
}

// credit is what the partner says it has left for us until then.
type credit struct {
	Left  int   `json:"left"`
	Until int64 `json:"until"`
}

// replica is what one process holds, and for how long without a word of it.
type replica struct {
	Until  int64          `json:"until"`
	Term   int64          `json:"term,omitempty"`   // from its last word to Until
	Writes uint64         `json:"writes"`           // so far; tells who is alive, and a write whose answer was lost
	Places int            `json:"places,omitempty"` // of the simultaneous requests
	Open   map[string]int `json:"open,omitempty"`   // leave given and not ended, by operation
	Wants  []want         `json:"wants,omitempty"`  // who waits
}

// want is how many wait in one lane for one operation, and since when the first of them does.
type want struct {
	Operation string `json:"operation"`
	Lane      Lane   `json:"lane"`
	Since     int64  `json:"since"`
	N         int    `json:"n"`
}

// recordVersion is the form of the record; a newer worker's is not touched.
const recordVersion = 1

// ErrNewer says that a newer worker has changed the form of the record, also as the error of [Look].
var ErrNewer = errors.New("the shared quota is kept in the form of a newer worker: update this one")

func newRecord() *record {
	return &record{Version: recordVersion, Operations: map[string]*operation{}, Replicas: map[string]*replica{}}
}

func decode(data []byte) (*record, error) {
	r := newRecord()
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("the shared quota cannot be read: %w", err)
	}
	if r.Version > recordVersion {
		return nil, ErrNewer
	}
	if r.Operations == nil || r.Replicas == nil {
		return nil, errors.New("the shared quota has no operations or no replicas")
	}
	for name, op := range r.Operations {
		if op == nil || slices.Contains(op.Windows, nil) {
			return nil, fmt.Errorf("the shared quota has nothing where operation %.40q should be", name)
		}
	}
	for id, rep := range r.Replicas {
		if rep == nil || rep.Places < 0 || rep.Places > mostAtATime || slices.ContainsFunc(slices.Collect(maps.Values(rep.Open)), func(n int) bool { return n < 0 || n > mostAtATime }) {
			return nil, fmt.Errorf("the shared quota has nothing sane where replica %.80q should be", id)
		}
	}
	return r, nil
}

func (r *record) encode() ([]byte, error) { return json.Marshal(r) }

// passed is whom leave has passed over, to be read and written.
func (r *record) passed(limits []Rate) passed {
	return passed{&r.Passed, func(name string) *counts { return &r.operation(name, limits).Passed }}
}

// clone is a copy that shares nothing.
func (r *record) clone() *record {
	c := *r
	c.Operations = make(map[string]*operation, len(r.Operations))
	for name, op := range r.Operations {
		o := *op
		o.Windows = make([]*window, len(op.Windows))
		for i, w := range op.Windows {
			o.Windows[i] = &window{Per: w.Per, ends: slices.Clone(w.ends)}
		}
		if op.Credit != nil {
			o.Credit = &credit{op.Credit.Left, op.Credit.Until}
		}
		c.Operations[name] = &o
	}
	c.Replicas = make(map[string]*replica, len(r.Replicas))
	for id, rep := range r.Replicas {
		p := *rep
		p.Open, p.Wants = maps.Clone(rep.Open), slices.Clone(rep.Wants)
		c.Replicas[id] = &p
	}
	return &c
}

// operation returns what is known about an operation, with a window for each limit.
func (r *record) operation(name string, limits []Rate) *operation {
	op := r.Operations[name]
	if op == nil {
		op = &operation{}
		r.Operations[name] = op
	}
	for _, limit := range limits {
		if op.window(limit.Per) != nil {
			continue
		}
		// The setting was changed: what the other windows know of its time counts in it too, the largest of them.
		w := &window{Per: limit.Per.Microseconds()}
		for _, other := range op.Windows {
			if len(other.ends) > len(w.ends) {
				w.ends = slices.Clone(other.ends)
			}
		}
		if n := len(w.ends); n > 0 {
			w.settle(w.ends[n-1].at, w.ends[n-1].at)
		}
		op.Windows = append(op.Windows, w)
	}
	return op
}

func (op *operation) window(per time.Duration) *window {
	for _, w := range op.Windows {
		if w.Per == per.Microseconds() {
			return w
		}
	}
	return nil
}

// longestLease is the farthest ahead that the end of a lease can lie, unless the server's clock was set back.
const longestLease = 15 * time.Minute

// settle brings the record to a time, known at least and at most: whoever was not heard of is gone, with all requests that
// they may have sent ended when their lease did; what is older than its window is dropped; and what certainly lies in the
// future, because the server's clock was set back, counts as now.
func (r *record) settle(now, most int64, limits []Rate) {
	for id, rep := range r.Replicas {
		term := rep.Term
		if term <= 0 { // an older worker's
			term = longestLease.Microseconds()
		}
		if rep.Until = min(rep.Until, most+term); rep.Until > now {
			continue
		}
		for name, n := range rep.Open {
			r.operation(name, limits).end(min(rep.Until, now), n)
		}
		delete(r.Replicas, id)
	}
	for name, op := range r.Operations {
		op.Latest = min(op.Latest, most)
		longest := mostReset
		if gently := time.Duration(op.Gentle-op.Paused) * time.Microsecond; gently > 0 && gently < mostGently {
			longest = gently // no shorter than the pause, see Pause
		}
		op.Paused = min(op.Paused, most+longest.Microseconds())
		op.Gentle = min(op.Gentle, max(op.Paused, most)+mostGently.Microseconds())
		if op.Credit != nil {
			op.Credit.Until = min(op.Credit.Until, most+mostReset.Microseconds())
		}
		if op.Credit != nil && op.Credit.Until <= now {
			op.Credit = nil
		}
		if op.Paused <= now {
			op.Paused = 0 // without limits nobody needs the record again, see unlimited
		}
		counted := 0
		for _, w := range op.Windows {
			w.settle(now, most)
			counted += len(w.ends)
		}
		if counted+r.open(name) == 0 && op.Credit == nil && op.Paused <= now && op.Gentle <= now && op.Passed == (counts{}) {
			delete(r.Operations, name) // as if nobody had ever wanted it
		}
	}
}

// end notes that so many requests ended.
func (op *operation) end(at int64, n int) {
	for _, w := range op.Windows {
		w.add(at, n)
	}
}

// open is how much leave for an operation is out over all replicas.
func (r *record) open(name string) (n int) {
	for _, rep := range r.Replicas {
		n += rep.Open[name]
	}
	return n
}

// places is how many places of simultaneous requests others than that replica hold.
func (r *record) placesOfOthers(id string) (n int) {
	for other, rep := range r.Replicas {
		if other != id {
			n += rep.Places
		}
	}
	return n
}
