package simulator

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strconv"
)

// script decides which fault a request meets.
type script struct {
	seed   uint64
	queues map[place][]*entry
	seen   map[place]int // requests of a customer and operation so far
	rate   float64
	mix    []*plan
}

// place is a customer and an operation; 0 and "" stand for any.
type place struct {
	id int64
	op Operation
}

// entry is a fault in a queue.
type entry struct {
	plan *plan
	left int // uses; below 0: without end
}

// due is the fault that a request would meet, and where it comes from.
type due struct {
	plan *plan
	draw *rand.Rand
	from place
	one  *entry // nil: of the mix, or none
}

func newScript(seed uint64) script {
	return script{seed: seed, queues: map[place][]*entry{}, seen: map[place]int{}}
}

func (b *script) forget(id int64) {
	of := func(p place) bool { return p.id == id }
	maps.DeleteFunc(b.queues, func(p place, _ []*entry) bool { return of(p) })
	maps.DeleteFunc(b.seen, func(p place, _ int) bool { return of(p) })
}

// Script sets the next faults for a customer and an operation, in order; afterwards all is normal again. They replace what was left
// of an earlier call, so that a call without faults clears. Domain id 0 stands for every customer and operation "" for every API
// operation; the more particular script comes first, the customer before the operation. A fault that [ParseFault] refuses is a panic.
func (s *Simulator) Script(domainID int64, op Operation, faults ...Fault) {
	queue := make([]*entry, 0, len(faults))
	for _, f := range faults {
		p, times, err := compile(f)
		if err != nil {
			panic(fmt.Sprintf("simulator: script for %q: %v", op, err))
		}
		queue = append(queue, &entry{plan: p, left: times})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script.queues[place{domainID, op}] = queue
}

// SetTokenFaults sets the next faults of the token endpoint, in order, as [Simulator.Script] does for the API.
func (s *Simulator) SetTokenFaults(faults ...Fault) { s.Script(0, OpToken, faults...) }

// SetMix gives each request that no script concerns one of the faults with the probability rate, from 0 to 1. Which one depends on
// the seed, the customer, the operation and the number of such requests before. A fault concerns every API operation that it makes sense for,
// or the one named before an @ as in "activate@lost"; faults of tokens alone, and those with "token@", concern the token
// endpoint. A fault that [ParseFault] refuses is a panic.
func (s *Simulator) SetMix(rate float64, faults ...Fault) {
	mix := make([]*plan, 0, len(faults))
	for _, f := range faults {
		p, _, err := compile(f)
		if err != nil {
			panic(fmt.Sprintf("simulator: mix: %v", err))
		}
		mix = append(mix, p)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script.rate, s.script.mix = rate, mix
}

// peek finds the fault that the next request of the operation meets.
func (b *script) peek(op Operation, id int64) due {
	n := b.seen[place{id, op}]
	draw := rand.New(rand.NewPCG(b.seed, mark(id, string(op)+"/"+strconv.Itoa(n))))
	places := []place{{id, op}, {id, ""}, {0, op}, {0, ""}}
	if op == OpToken {
		places = places[:1]
	}
	for _, at := range places {
		if queue := b.queues[at]; len(queue) > 0 {
			return due{plan: queue[0].plan, draw: draw, from: at, one: queue[0]}
		}
	}
	next := due{plan: &plan{}, draw: draw}
	if draw.Float64() >= b.rate {
		return next
	}
	var fitting []*plan
	for _, p := range b.mix {
		if p.concerns(op) {
			fitting = append(fitting, p)
		}
	}
	if len(fitting) > 0 {
		next.plan = fitting[draw.IntN(len(fitting))]
	}
	return next
}

// use notes that a request has met what peek found.
func (b *script) use(op Operation, id int64, d due) {
	b.seen[place{id, op}]++
	if d.one == nil || d.one.left < 0 {
		return
	}
	if d.one.left--; d.one.left == 0 {
		b.queues[d.from] = b.queues[d.from][1:]
	}
}
