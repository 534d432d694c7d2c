package census

import (
	"cmp"
	"time"

	"activation-worker/internal/events"
)

// Filter says which customers are meant; what is not set lets everybody through.
type Filter struct {
	States       []events.State
	Reasons      []events.Reason
	Since, Until time.Time // when the newest record was stored, to the second; Until is not included
	IDPrefix     string    // decimal digits that the domain id begins with
	Before       *Place    // only customers behind this place in the list
	After        *Place    // only customers ahead of this place; without Before those next to it
	Limit        int       // customers of a page
}

// Place is one in the list, which goes from the newest record to the oldest, and there from the highest id to the lowest.
type Place struct {
	Time     int64 // Unix seconds
	DomainID int64
}

// compare is negative where p is ahead of other.
func (p Place) compare(other Place) int {
	return cmp.Or(cmp.Compare(other.Time, p.Time), cmp.Compare(other.DomainID, p.DomainID))
}

// Page is a page of the list.
type Page struct {
	Total     int         // customers that fit the filter, wherever they are in the list
	Ahead     int         // of them ahead of the first of Customers
	Counts    map[Key]int // of all that fit time and id, whatever states and reasons are asked for; with every key of [Census.Counts]
	Customers []Customer
}

// Customer is one in the list.
type Customer struct {
	DomainID int64
	At       time.Time // when the newest record was stored, whole seconds
	Key      Key
}

// Page looks at all customers, one page at a time: there may be a million, and memory and processors are for the work. Who changes meanwhile is
// met as before or as after, never twice. known is as in [Census.Counts]; where it is false the page is empty.
func (c *Census) Page(f Filter) (p Page, known bool) {
	c.pages.Lock()
	defer c.pages.Unlock()
	if _, _, known := c.Counts(); !known {
		return Page{}, false
	}
	s := newSelection(f)
	var blocks []block
	var generation, is uint64
	for number := uint32(1); ; number += uint32(len(blocks)) {
		if blocks, is = c.copyBlocks(number, blocks[:0]); number == 1 {
			generation = is
		}
		if is != generation {
			return Page{}, false // it is read anew
		}
		if len(blocks) == 0 {
			break
		}
		s.look(blocks)
	}
	if _, _, known := c.Counts(); !known {
		return Page{}, false
	}
	return s.page(), true
}

// copyBlocks appends some blocks of the table from one on, so that whoever counts waits for a copy at most. The generation tells one table
// from the next.
func (c *Census) copyBlocks(from uint32, blocks []block) (_ []block, generation uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append(blocks, c.table.some(from, 64)...), c.generation
}
