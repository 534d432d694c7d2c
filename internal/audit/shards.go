package audit

import (
	"iter"
	"runtime"
	"sync"

	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
)

// Reading records costs the most by far, so customers are shared out: each shard reads its own, in order.
const (
	mostShards = 8
	// A batch on its way to a shard ends at so many messages, or bytes.
	batchMessages = 256
	batchBytes    = 1 << 20
	batchesAhead  = 2
)

// shard is a share of the customers.
type shard struct {
	families families
	claims   map[int64][]span // nil: not wanted
	counts   LedgerCounts
	suspects []int64 // whose records looked wrong at the first reading
}

// shards are all customers.
type shards []*shard

func newShards(claims bool) shards {
	all := make(shards, min(max(runtime.GOMAXPROCS(0), 1), mostShards))
	for i := range all {
		all[i] = &shard{families: families{}}
		if claims {
			all[i].claims = map[int64][]span{}
		}
	}
	return all
}

// of is the shard of a customer; of nobody it is the first.
func (s shards) of(id int64) *shard { return s[uint64(id)%uint64(len(s))] }

// find is a customer; nil for none.
func (s shards) find(id int64) *family { return s.of(id).families[id] }

// all are the customers, in no order.
func (s shards) all() iter.Seq2[int64, *family] {
	return func(yield func(int64, *family) bool) {
		for _, one := range s {
			for id, f := range one.families {
				if !yield(id, f) {
					return
				}
			}
		}
	}
}

// replace puts a customer who was read again in place of the former one; nil for one without a record.
func (s shards) replace(id int64, f *family, claims []span) {
	one := s.of(id)
	if delete(one.families, id); f != nil {
		one.families[id] = f
	}
	if one.claims != nil {
		one.claims[id] = claims
	}
}

// feeder hands messages to the shards.
type feeder struct {
	shards  shards
	batches [][]ledger.Entry
	bytes   []int
	to      []chan []ledger.Entry
	reading sync.WaitGroup
}

// feed starts a reader for each shard; they end with [feeder.close].
func (s shards) feed(take func(*shard, ledger.Entry), end func(*shard)) *feeder {
	f := &feeder{shards: s, batches: make([][]ledger.Entry, len(s)), bytes: make([]int, len(s)), to: make([]chan []ledger.Entry, len(s))}
	for i, one := range s {
		batches := make(chan []ledger.Entry, batchesAhead)
		f.to[i] = batches
		f.reading.Go(func() {
			for batch := range batches {
				for _, e := range batch {
					take(one, e)
				}
			}
			end(one)
		})
	}
	return f
}

func (f *feeder) add(e ledger.Entry) {
	id, _ := events.DomainOfSubject(e.Subject)
	i := uint64(id) % uint64(len(f.shards))
	f.batches[i], f.bytes[i] = append(f.batches[i], e), f.bytes[i]+len(e.Data)
	if len(f.batches[i]) >= batchMessages || f.bytes[i] >= batchBytes {
		f.to[i] <- f.batches[i]
		f.batches[i], f.bytes[i] = nil, 0
	}
}

// close waits until everything was read.
func (f *feeder) close() {
	for i, batches := range f.to {
		batches <- f.batches[i]
		close(batches)
	}
	f.reading.Wait()
}
