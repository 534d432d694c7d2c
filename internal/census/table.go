package census

const (
	shardBits = 12
	valueBits = shardBits // as the shard need not be kept
	indexBits = 5
)

// table holds twelve bytes for each customer, thirteen with what is free; the runtime's maps would take twice to three times as much. A domain id is
// mixed, which can be undone, so that the part of it that chooses the shard need not be kept. A shard is a chain of blocks, looked through one by one:
// nothing is ever moved or taken out, so that growing leaves no garbage, and no holes. The zero value is an empty table. It is not safe for
// concurrent use.
type table struct {
	first [1 << shardBits]uint32 // block of each shard; the one that is not full yet
	slabs [][]block
	used  uint32 // blocks, the first of which stands for none
}

const (
	blockSpots = 16
	slabBlocks = 1 << 10
)

// block holds some customers of a shard.
type block struct {
	spots [blockSpots]spot
	next  uint32
	shard uint16
	used  uint8
}

func (t *table) at(number uint32) *block { return &t.slabs[number/slabBlocks][number%slabBlocks] }

// spot is the place of a customer. Its word is, from the high bits on: the rest of the mixed id, a value. It stands in two halves, as it
// would otherwise be padded to sixteen bytes.
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

func (e entry) value() uint64 { return uint64(e.subjects)<<indexBits | uint64(e.index) }

func entryOf(p spot) entry {
	return entry{index: p.index(), subjects: uint8(p.low & (1<<valueBits - 1) >> indexBits), at: p.at}
}

func (p spot) index() uint8 { return uint8(p.low & (1<<indexBits - 1)) }

// swap puts what change makes of a customer's entry in its place. known is false where there was none, which is changed from zero.
func (t *table) swap(id int64, change func(e entry, known bool) entry) {
	h := mix(uint64(id))
	p := t.find(h)
	known := p != nil
	if !known {
		p = t.add(uint16(h >> (64 - shardBits)))
	}
	is := change(entryOf(*p), known)
	*p = spotOf(h<<shardBits|is.value(), is.at)
}

// find is where the customer with a mixed id is; nil: nowhere.
func (t *table) find(h uint64) *spot {
	key := h << shardBits >> shardBits
	for number := t.first[h>>(64-shardBits)]; number != 0; {
		b := t.at(number)
		for i := range b.used {
			if b.spots[i].word()>>shardBits == key {
				return &b.spots[i]
			}
		}
		number = b.next
	}
	return nil
}

// add makes room for one more customer in a shard.
func (t *table) add(shard uint16) *spot {
	first := t.first[shard]
	if first == 0 || t.at(first).used == blockSpots {
		t.used++
		if int(t.used)/slabBlocks >= len(t.slabs) {
			t.slabs = append(t.slabs, make([]block, slabBlocks))
		}
		t.first[shard] = t.used
		*t.at(t.used) = block{next: first, shard: shard}
	}
	b := t.at(t.first[shard])
	b.used++
	return &b.spots[b.used-1]
}

// some are blocks from one on, at most so many; none: there are no more.
func (t *table) some(from, atMost uint32) []block {
	if from > t.used {
		return nil
	}
	slab := from / slabBlocks
	first := from % slabBlocks
	return t.slabs[slab][first:min(first+atMost, slabBlocks, t.used+1-slab*slabBlocks)]
}

// domainIn undoes what swap does to the id of the customer who is at a place of a shard.
func domainIn(shard uint16, p spot) int64 {
	return int64(unmix(uint64(shard)<<(64-shardBits) | p.word()>>shardBits))
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
