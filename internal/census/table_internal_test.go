package census

import (
	"math/rand/v2"
	"runtime"
	"testing"

	"go.uber.org/zap"

	"activation-worker/internal/events"
)

func TestTableIsAMap(t *testing.T) {
	t.Parallel()
	draw := rand.New(rand.NewPCG(7, 51200001))
	var tab table
	want := map[int64]entry{}
	ids := []int64{1, 1<<63 - 1}
	for i := range int64(20_000) {
		ids = append(ids, 51200001+i, 1+i<<40, draw.Int64N(1<<63-1)+1) // one after another, spread, and anywhere
	}
	for range 400_000 {
		id := ids[draw.IntN(len(ids))]
		is := entry{uint8(draw.IntN(1 << indexBits)), uint8(draw.IntN(1 << (valueBits - indexBits))), draw.Uint32()}
		was, there := want[id]
		tab.swap(id, func(e entry, known bool) entry {
			if e != was || known != there {
				t.Fatalf("%d is %+v, %t; want %+v, %t", id, e, known, was, there)
			}
			return is
		})
		want[id] = is
	}
	used := 0
	for number := uint32(1); number <= tab.used; number++ {
		used += int(tab.at(number).used)
	}
	if used != len(want) {
		t.Errorf("it holds %d, want %d", used, len(want))
	}
}

// TestEveryKeyHasRoom in the bits that a customer has for it.
func TestEveryKeyHasRoom(t *testing.T) {
	t.Parallel()
	if len(keys) > 1<<indexBits {
		t.Errorf("%d keys want more than %d bits", len(keys), indexBits)
	}
	seen := uint8(bitUnknown)
	for _, state := range events.States() {
		bit := bitOf(state)
		if bit >= 1<<(valueBits-indexBits) || bit&seen != 0 {
			t.Errorf("the bit of %s is %b", state, bit)
		}
		seen |= bit
	}
	for i, key := range keys {
		if int(indexes[key]) != i || (entryOf(spotOf(entry{uint8(i), seen, 0}.value(), 7)) != entry{uint8(i), seen, 7}) {
			t.Errorf("%+v is not found again", key)
		}
	}
}

// TestAMillionCustomersHaveRoom in a few megabytes of heap.
func TestAMillionCustomersHaveRoom(t *testing.T) { // alone, as it counts what all hold
	const most = 13 << 20 // bytes
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	c := New(Options{Log: zap.NewNop()})
	for i := range int64(1_000_000) {
		c.count(events.Brief{DomainID: 70_000_001 + i*7, State: events.Started}, message{})
		c.count(events.Brief{DomainID: 70_000_001 + i*7, State: events.Deferred, Reason: events.DNSUnverified}, message{})
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	held := after.HeapAlloc - before.HeapAlloc
	counts, _, _ := c.Counts()
	if n := counts[Key{events.Deferred, events.DNSUnverified}]; n != 1_000_000 || held > most {
		t.Errorf("%d customers take %d bytes, want a million in at most %d", n, held, most)
	}
	t.Logf("%.1f bytes a customer", float64(held)/1_000_000)
}

func BenchmarkCount(b *testing.B) {
	c := New(Options{Log: zap.NewNop()})
	id := int64(0)
	for b.Loop() {
		id = id%1_000_000 + 1
		c.count(events.Brief{DomainID: id, State: events.Deferred, Reason: events.DNSUnverified}, message{})
	}
}
