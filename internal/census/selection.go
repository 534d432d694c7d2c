package census

import (
	"math"
	"slices"
	"time"

	"activation-worker/internal/events"
)

// selection finds one page.
type selection struct {
	Filter
	from, to int64 // when, both included, Unix seconds
	ids      ranges
	keys     [1 << indexBits]bool

	counts  []int // of those that fit time and id, by index in keys
	passed  int   // of those that fit, not behind Before
	within  int   // of those that fit, behind Before and ahead of After
	nearest []found
	// Who is older or newer is not among them.
	oldest, newest int64
}

// found is a customer who may be on the page.
type found struct {
	Place
	index uint8
}

func newSelection(f Filter) *selection {
	s := &selection{
		Filter: f, from: math.MinInt64, to: math.MaxInt64, oldest: math.MinInt64, newest: math.MaxInt64,
		ids: beginningWith(f.IDPrefix), counts: make([]int, len(keys)),
	}
	if !f.Since.IsZero() {
		s.from = seconds(f.Since)
	}
	if !f.Until.IsZero() {
		s.to = seconds(f.Until) - 1
	}
	for i, key := range keys {
		s.keys[i] = (len(f.States) == 0 || slices.Contains(f.States, key.State)) && (len(f.Reasons) == 0 || slices.Contains(f.Reasons, key.Reason))
	}
	return s
}

// seconds is the first whole second that is not before t.
func seconds(t time.Time) int64 {
	if t.Nanosecond() > 0 {
		return t.Unix() + 1
	}
	return t.Unix()
}

// look takes note of the customers of some blocks.
func (s *selection) look(blocks []block) {
	for i := range blocks {
		b := &blocks[i]
		for _, p := range b.spots[:b.used] {
			at := int64(p.at)
			if at < s.from || at > s.to || (s.ids != nil && !s.ids.hold(domainIn(b.shard, p))) {
				continue
			}
			index := p.index()
			s.counts[index]++
			if s.keys[index] && !s.elsewhere(at) {
				s.fits(found{Place{at, domainIn(b.shard, p)}, index})
			}
		}
	}
}

// elsewhere tells whether the time alone says that a customer is not on the page, as it does of nearly all, and takes note of where it is.
func (s *selection) elsewhere(at int64) bool {
	switch {
	case s.Before != nil && at > s.Before.Time:
		s.passed++
	case s.Before != nil && at == s.Before.Time:
		return false
	case s.After != nil && at < s.After.Time:
	case at < s.oldest || at > s.newest:
		s.within++
	default:
		return false
	}
	return true
}

func (s *selection) fits(f found) {
	switch {
	case s.Before != nil && f.compare(*s.Before) <= 0:
		s.passed++
	case s.After != nil && f.compare(*s.After) >= 0:
	default:
		s.within++
		s.keep(f)
	}
}

// backwards is where the page ends at a place instead of beginning at one: then the customers at the end are wanted.
func (s *selection) backwards() bool { return s.After != nil && s.Before == nil }

// rather is negative where a is to be kept rather than b.
func (s *selection) rather(a, b found) int {
	if s.backwards() {
		a, b = b, a
	}
	return a.compare(b.Place)
}

// keep puts a customer among the nearest, as far as there is room. Few of many are: they come in no order.
func (s *selection) keep(f found) {
	at, _ := slices.BinarySearchFunc(s.nearest, f, s.rather)
	if at >= s.Limit {
		return
	}
	s.nearest = slices.Insert(s.nearest[:min(len(s.nearest), s.Limit-1)], at, f)
	switch last := s.nearest[len(s.nearest)-1]; {
	case len(s.nearest) < s.Limit:
	case s.backwards():
		s.newest = last.Time
	default:
		s.oldest = last.Time
	}
}

func (s *selection) page() Page {
	p := Page{Ahead: s.passed, Counts: listed(s.counts)}
	for i, n := range s.counts {
		if s.keys[i] {
			p.Total += n
		}
	}
	if s.backwards() {
		p.Ahead = s.within - len(s.nearest)
		slices.Reverse(s.nearest)
	}
	for _, f := range s.nearest {
		p.Customers = append(p.Customers, Customer{f.DomainID, time.Unix(f.Time, 0).UTC(), keys[f.index]})
	}
	return p
}

// ranges are of ids, both ends included; nil: all.
type ranges [][2]int64

// beginningWith are the ids whose decimal digits begin with others.
func beginningWith(digits string) ranges {
	if digits == "" {
		return nil
	}
	r := ranges{}
	low, ok := events.ParseDomainID(digits)
	for high := low; ok; ok = low <= math.MaxInt64/10 {
		if len(r) > 0 {
			low *= 10
			if high = math.MaxInt64; r[len(r)-1][1] <= (math.MaxInt64-9)/10 {
				high = 10*r[len(r)-1][1] + 9
			}
		}
		r = append(r, [2]int64{low, high})
	}
	return r
}

func (r ranges) hold(id int64) bool {
	for _, is := range r { // one for each number of digits, the shortest first
		if id <= is[1] {
			return id >= is[0]
		}
	}
	return false
}
