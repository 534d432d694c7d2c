package main

import (
	"math/rand/v2"
	"time"
)

// area is what a blow is struck at. Blows of one area at one place never overlap.
type area string

const (
	workers   area = "worker"         // each of three
	nodes     area = "nodes"          // all three together, so that two remain
	toNodes   area = "worker–nodes"   // the connections of each worker
	toPartner area = "worker–partner" // the same
	between   area = "node–node"      // the routes of the cluster
)

// kind is one way to strike.
type kind struct {
	name  string
	area  area
	share float64       // how many for each kill of the run
	least int           // in any run
	from  time.Duration // it lasts from so long
	to    time.Duration // to so long
	rest  time.Duration // after it, before the next one at this place
	draw  func(*rand.Rand, *Blow)
}

// The kinds that the plan treats in a way of its own, or the striker does.
const (
	workerKilled     = "worker killed"
	workerPoint      = "worker killed at a point"
	workerFrozen     = "worker frozen"
	workerFrozenLong = "worker frozen past its lease"
	workerRestarted  = "worker restarted"
	workerUpgraded   = "worker upgraded"
	workerRolledBack = "worker rolled back"
	nodeKilled       = "node killed"
	nodesKilled      = "all nodes killed"
	nodeFrozen       = "node frozen"
	nodeCut          = "node cut from the others"
	nodeHalfOpen     = "node unheard by the others"
	linkCut          = "worker cut from a node"
	leaderCut        = "worker cut from the leader"
	partnerCut       = "worker cut from the partner"
)

const ms = time.Millisecond

// kinds are all of them. A fleet of workers meets more kills than a cluster of nodes, which needs seconds to elect a leader.
func kinds() []kind {
	return []kind{
		{workerKilled, workers, 0.75, 3, 100 * ms, 2000 * ms, 1000 * ms, nil},
		{workerFrozen, workers, 0.10, 2, 500 * ms, 5000 * ms, 500 * ms, nil},
		{workerFrozenLong, workers, 0.05, 1, lease + 2*time.Second, lease + 6*time.Second, 500 * ms, nil},

		{nodeKilled, nodes, 0.15, 1, 1000 * ms, 4000 * ms, 5000 * ms, oneNode},
		{nodesKilled, nodes, 0.02, 1, 1000 * ms, 3000 * ms, 8000 * ms, nil},
		{nodeFrozen, nodes, 0.05, 1, 2000 * ms, 7000 * ms, 4000 * ms, oneNode},
		{nodeCut, nodes, 0.04, 1, 6000 * ms, 10000 * ms, 5000 * ms, oneNode},
		{nodeHalfOpen, nodes, 0.03, 0, 6000 * ms, 10000 * ms, 5000 * ms, oneNode},

		{linkCut, toNodes, 0.06, 1, 1000 * ms, 6000 * ms, 500 * ms, oneNode},
		{leaderCut, toNodes, 0.06, 1, 2000 * ms, 8000 * ms, 500 * ms, nil},
		{"worker–node half-open", toNodes, 0.05, 1, 2000 * ms, 8000 * ms, 500 * ms, both(oneNode, halfOpen)},
		{"worker–node reset", toNodes, 0.05, 1, 500 * ms, 2000 * ms, 500 * ms, both(anyNode, reset)},
		{"worker–node latency", toNodes, 0.05, 1, 2000 * ms, 8000 * ms, 500 * ms, both(anyNode, latency(10, 200))},
		{"worker–node bandwidth", toNodes, 0.03, 1, 2000 * ms, 8000 * ms, 500 * ms, both(anyNode, bandwidth(20, 100))},
		{"worker–node slices", toNodes, 0.03, 1, 2000 * ms, 8000 * ms, 500 * ms, both(anyNode, sliced)},

		{partnerCut, toPartner, 0.04, 1, 500 * ms, 4000 * ms, 500 * ms, nil},
		{"worker–partner half-open", toPartner, 0.05, 1, 1000 * ms, 4000 * ms, 500 * ms, halfOpen},
		{"worker–partner reset", toPartner, 0.05, 1, 500 * ms, 2000 * ms, 500 * ms, reset},
		{"worker–partner latency", toPartner, 0.05, 1, 2000 * ms, 8000 * ms, 500 * ms, latency(50, 600)},
		{"worker–partner bandwidth", toPartner, 0.03, 1, 2000 * ms, 8000 * ms, 500 * ms, bandwidth(4, 20)},
		{"worker–partner slices", toPartner, 0.03, 1, 2000 * ms, 8000 * ms, 500 * ms, sliced},

		{"node–node latency", between, 0.04, 1, 3000 * ms, 10000 * ms, 500 * ms, both(aRoute, latency(5, 80))},
		{"node–node bandwidth", between, 0.02, 1, 3000 * ms, 8000 * ms, 500 * ms, both(aRoute, bandwidth(100, 400))},
		{"node–node slices", between, 0.02, 1, 3000 * ms, 8000 * ms, 500 * ms, both(aRoute, sliced)},
	}
}

func both(draws ...func(*rand.Rand, *Blow)) func(*rand.Rand, *Blow) {
	return func(draw *rand.Rand, b *Blow) {
		for _, d := range draws {
			d(draw, b)
		}
	}
}

func oneNode(draw *rand.Rand, b *Blow) { b.Node = 1 + draw.IntN(nodeCount) }

// anyNode is one, or all three: 0.
func anyNode(draw *rand.Rand, b *Blow) { b.Node = draw.IntN(nodeCount + 1) }

func aRoute(draw *rand.Rand, b *Blow) {
	b.Node = 1 + draw.IntN(nodeCount)
	b.Peer = 1 + (b.Node+draw.IntN(nodeCount-1))%nodeCount
}

// Toxic is what toxiproxy does to the bytes of a connection, with its own names. Values are milliseconds, KB/s, bytes and,
// for the delay of slices, microseconds.
type Toxic struct {
	Type       string         `json:"type"`
	Stream     string         `json:"stream"`
	Attributes map[string]int `json:"attributes"`
}

// Toxics come in both directions, save where one is enough.
func inBoth(kind string, attributes map[string]int) []Toxic {
	return []Toxic{{kind, "upstream", attributes}, {kind, "downstream", attributes}}
}

// halfOpen swallows everything and closes nothing.
func halfOpen(_ *rand.Rand, b *Blow) { b.Toxics = inBoth("timeout", map[string]int{"timeout": 0}) }

// reset ends connections soon after something has come back on them: a request may have been carried out, or not.
func reset(draw *rand.Rand, b *Blow) {
	stream := []string{"upstream", "downstream"}[draw.IntN(2)]
	b.Toxics = []Toxic{{"reset_peer", stream, map[string]int{"timeout": draw.IntN(300)}}}
}

// latency stays well below the waits after which an unclear request counts as not applied: what is late for longer
// would be a request frozen on its way.
func latency(from, to int) func(*rand.Rand, *Blow) {
	return func(draw *rand.Rand, b *Blow) {
		of := from + draw.IntN(to-from)
		b.Toxics = inBoth("latency", map[string]int{"latency": of, "jitter": of / 2})
	}
}

func bandwidth(from, to int) func(*rand.Rand, *Blow) {
	return func(draw *rand.Rand, b *Blow) {
		b.Toxics = inBoth("bandwidth", map[string]int{"rate": from + draw.IntN(to-from)})
	}
}

func sliced(draw *rand.Rand, b *Blow) {
	size := 50 + draw.IntN(200)
	b.Toxics = inBoth("slicer", map[string]int{"average_size": size, "size_variation": size / 3, "delay": 1000 + draw.IntN(9000)})
}
