package census

import (
	"math/bits"
	"slices"
)

const (
	shardBits = 12
	valueBits = shardBits - 1 // as the shard need not be kept, but for the mark of a place that is taken
	indexBits = 5
)

// table holds eight bytes for each customer, nine to eleven with the free places between them; the runtime's maps would take 17 to 36. A
// domain id is mixed, which can be undone, so that the part of it that chooses the shard need not be kept. Nobody is ever taken out. The zero
// value is an empty table. It is not safe for concurrent use.
type table struct {
	shards [1 << shardBits]shard // they grow one by one, so that growing needs no room to speak of, and no pause
}

// shard is a hash table with linear probing. A place is, from the high bits on: the rest of the mixed id, a mark that it is taken, a value.
type shard struct {
	places []uint64
	used   int
}

// entry is what is known of a customer.
type entry struct {
	index    uint8 // in keys
	subjects uint8 // that the family has, see subjectBits
}

const taken = 1 << valueBits

func (e entry) value() uint64 { return uint64(e.subjects)<<indexBits | uint64(e.index) }

func entryOf(place uint64) entry {
	return entry{index: uint8(place & (1<<indexBits - 1)), subjects: uint8(place & (taken - 1) >> indexBits)}
}

// swap puts what change makes of a customer's entry in its place. known is false where there was none, which is changed from zero.
func (t *table) swap(id int64, change func(e entry, known bool) entry) {
	h := mix(uint64(id))
	s := &t.shards[h>>(64-shardBits)]
	if 8*(s.used+1) > 7*len(s.places) {
		s.grow()
	}
	i := s.find(h)
	known := s.places[i] != 0
	if !known {
		s.used++
	}
	s.places[i] = keyOf(h) | change(entryOf(s.places[i]), known).value()
}

// keyOf is what a place of a mixed id holds beside its value.
func keyOf(h uint64) uint64 { return h<<shardBits | taken }

// find is where a mixed id is or would be put. There is a free place.
func (s *shard) find(h uint64) int {
	high, _ := bits.Mul64(h<<shardBits, uint64(len(s.places)))
	i, key := int(high), keyOf(h)>>valueBits
	for s.places[i] != 0 && s.places[i]>>valueBits != key {
		if i++; i == len(s.places) {
			i = 0
		}
	}
	return i
}

func (s *shard) grow() {
	old := s.places
	grown := slices.Grow([]uint64(nil), len(old)+max(8, len(old)/16))
	s.places = grown[:cap(grown)] // what the allocator would round up to is no waste
	clear(s.places)
	for _, place := range old {
		if place != 0 {
			s.places[s.find(place>>shardBits)] = place
		}
	}
}

// mix spreads ids that follow one another (the finalizer of MurmurHash3), and no two alike.
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
