package census

import "math/bits"

// table holds two bytes for each customer. The runtime's maps take 17 to 36 bytes an entry, this one 12 to 15, since an empty place needs
// no mark: there is no domain id 0, and nobody is taken out. The zero value is an empty table. It is not safe for concurrent use.
type table struct {
	shards [256]shard // they grow one by one, so that growing needs no room to speak of, and no pause
}

type shard struct {
	ids    []int64 // 0: a free place
	values []entry
	used   int
}

// entry is what is known of a customer.
type entry struct {
	index    uint8 // in keys
	subjects uint8 // that the family has, see subjectBits
}

// at is a customer's place; there is one after it, with a zero entry if there was none.
func (t *table) at(id int64) (e *entry, known bool) {
	h := mix(uint64(id))
	s := &t.shards[h>>56]
	if 8*(s.used+1) > 7*len(s.ids) {
		s.grow()
	}
	i := s.find(id, h)
	known = s.ids[i] == id
	if !known {
		s.ids[i] = id
		s.used++
	}
	return &s.values[i], known
}

// find is where an id is or would be put. There is a free place.
func (s *shard) find(id int64, h uint64) int {
	high, _ := bits.Mul64(h<<8, uint64(len(s.ids)))
	i := int(high)
	for s.ids[i] != 0 && s.ids[i] != id {
		if i++; i == len(s.ids) {
			i = 0
		}
	}
	return i
}

func (s *shard) grow() {
	old := *s
	size := max(8, len(old.ids)+len(old.ids)/4)
	s.ids, s.values = make([]int64, size), make([]entry, size)
	for i, id := range old.ids {
		if id != 0 {
			at := s.find(id, mix(uint64(id)))
			s.ids[at], s.values[at] = id, old.values[i]
		}
	}
}

// mix spreads ids that follow one another (the finalizer of MurmurHash3).
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
