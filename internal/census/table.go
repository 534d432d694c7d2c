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

// table holds twelve bytes for each customer, thirteen or so with the free places between them; the runtime's maps would take twice
// to three times as much. A domain id is mixed, which can be undone, so that the part of it that chooses the shard need not be kept. Nobody is
// ever taken out. The zero value is an empty table. It is not safe for concurrent use.
type table struct {
	shards [shardCount]shard // they grow one by one, so that growing needs no room to speak of, and no pause
}

const shardCount = 1 << shardBits

// shard is a hash table with linear probing.
type shard struct {
	places []spot
	used   int
}

// spot is a place in a shard. Its word is, from the high bits on: the rest of the mixed id, a mark that it is taken, a value. It stands in two
// halves, as it would otherwise be padded to sixteen bytes.
type spot struct {
	high, low uint32
	at        uint32 // when the newest record was stored, Unix seconds
}

func (p spot) word() uint64 { return uint64(p.high)<<32 | uint64(p.low) }

func spotOf(word uint64, at uint32) spot { return spot{uint32(word >> 32), uint32(word), at} }

// entry is what is known of a customer.
type entry struct {
	index    uint8  // in keys
	subjects uint8  // that the family has, see subjectBits
	at       uint32 // when the newest record was stored, Unix seconds
}

const taken = 1 << valueBits

func (e entry) value() uint64 { return uint64(e.subjects)<<indexBits | uint64(e.index) }

func entryOf(p spot) entry {
	return entry{index: p.index(), subjects: uint8(p.low & (taken - 1) >> indexBits), at: p.at}
}

func (p spot) index() uint8 { return uint8(p.low & (1<<indexBits - 1)) }

// swap puts what change makes of a customer's entry in its place. known is false where there was none, which is changed from zero.
func (t *table) swap(id int64, change func(e entry, known bool) entry) {
	h := mix(uint64(id))
	s := &t.shards[h>>(64-shardBits)]
	if 16*(s.used+1) > 15*len(s.places) {
		s.grow()
	}
	i := s.find(h)
	known := s.places[i].low != 0
	if !known {
		s.used++
	}
	is := change(entryOf(s.places[i]), known)
	s.places[i] = spotOf(keyOf(h)|is.value(), is.at)
}

// domainIn undoes what swap does to the id of the customer who is at a place of the shard with that number.
func domainIn(number int, p spot) int64 {
	return int64(unmix(uint64(number)<<(64-shardBits) | p.word()>>shardBits))
}

// keyOf is what a place of a mixed id holds beside its value.
func keyOf(h uint64) uint64 { return h<<shardBits | taken }

// find is where a mixed id is or would be put. There is a free place.
func (s *shard) find(h uint64) int {
	high, _ := bits.Mul64(h<<shardBits, uint64(len(s.places)))
	i, key := int(high), keyOf(h)>>valueBits
	for s.places[i].low != 0 && s.places[i].word()>>valueBits != key {
		if i++; i == len(s.places) {
			i = 0
		}
	}
	return i
}

func (s *shard) grow() {
	old := s.places
	grown := slices.Grow([]spot(nil), len(old)+max(8, len(old)/32))
	s.places = grown[:cap(grown)] // what the allocator would round up to is no waste
	clear(s.places)
	for _, p := range old {
		if p.low != 0 {
			s.places[s.find(p.word()>>shardBits)] = p
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

// unmix undoes mix: its factors are the inverses of mix's modulo 2^64.
func unmix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0x9cb4b2f8129337db
	h ^= h >> 33
	h *= 0x4f74430c22a54005
	return h ^ h>>33
}
