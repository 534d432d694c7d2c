package main

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

const (
	workerCount = 3
	nodeCount   = 3

	// clockSpread is how far the clocks of two workers are apart at most: what a lease's margin allows for.
	clockSpread = 5 * time.Second
	// perKill is the least time of a run for each of its kills.
	perKill = 2500 * ms
	// leastTime is the least time of blows in any run.
	leastTime = 40 * time.Second
	// stagger is between the workers of a rolling restart.
	stagger = 2500 * ms
)

// Start is how a worker is started.
type Start struct {
	Clock   time.Duration // off by so much
	Version int           // of the records that it writes
	Point   string        // where it kills itself; "": nowhere
}

// Blow is one entry of the plan.
type Blow struct {
	At     time.Duration // since the first announcement
	Kind   string
	Area   area
	Worker int // from 1; 0: none
	Node   int // from 1; 0: the leader, or all three
	Peer   int // the other end of a route
	For    time.Duration
	Toxics []Toxic
	Start  Start // of the worker, after it
}

// Plan is everything that a run draws.
type Plan struct {
	First  [workerCount]Start
	Blows  []Blow // by time
	End    time.Duration
	Guests []Guest
}

// drawer is the source of chance for one subject, so that a change to one leaves the others as they are.
func drawer(seed uint64, subject string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(subject)) // never fails
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// newPlan draws a plan. points are the places at which a worker can be told to kill itself; none: it never does.
func newPlan(o options, points []string) Plan {
	p := planner{options: o, points: points, clock: drawer(o.seed, "clock")}
	p.slowest = -time.Duration(p.clock.Int64N(int64(clockSpread)))
	var plan Plan
	for i := range plan.First {
		plan.First[i] = p.start(1)
	}
	length := max(leastTime, time.Duration(o.kills)*perKill)
	// Only the workers' own blows have to wait for a roll; what they hit in other ways goes on meanwhile.
	own, end := p.workers(length)
	plan.Blows = own
	for _, lane := range p.lanes() {
		laid, over := lay(drawer(o.seed, "times of "+lane.name), lane.blows, 0, end)
		plan.Blows = append(plan.Blows, laid...)
		plan.End = max(plan.End, over)
	}
	plan.End = max(plan.End, end)
	slices.SortStableFunc(plan.Blows, func(a, b Blow) int { return cmp.Compare(a.At, b.At) })
	plan.Guests = guests(o, plan.Blows, plan.End)
	return plan
}

// rate is what all workers together may do of each operation in a second: half as much again as there are customers to announce, so
// that it is enough for what has to be repeated, and too little for what has gathered in an outage.
func (p Plan) rate() int {
	return max(1, int(math.Ceil(1.5*float64(len(p.Guests))/p.End.Seconds())))
}

// planner draws the parts of a plan.
type planner struct {
	options
	points  []string
	clock   *rand.Rand
	slowest time.Duration // no worker's clock is behind by more
}

func (p *planner) start(version int) Start {
	s := Start{Version: version}
	if p.clocks {
		s.Clock = (p.slowest + time.Duration(p.clock.Int64N(int64(clockSpread)))).Truncate(ms)
	}
	return s
}

// lane is a place with all that is to happen there.
type lane struct {
	name  string
	blows []waiting
}

// waiting is a blow that has no time yet.
type waiting struct {
	Blow
	rest time.Duration
}

// some draws the blows of an area.
func (p *planner) some(of area) []waiting {
	draw := drawer(p.seed, "blows at "+string(of))
	var all []waiting
	for _, k := range kinds() {
		if k.area != of {
			continue
		}
		for range max(k.least, int(math.Round(k.share*float64(p.kills)))) {
			w := waiting{Blow: Blow{Kind: k.name, Area: of}, rest: k.rest}
			w.For = (k.from + time.Duration(draw.Int64N(int64(k.to-k.from)))).Truncate(ms)
			if k.draw != nil {
				k.draw(draw, &w.Blow)
			}
			all = append(all, w)
		}
	}
	draw.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// perWorker deals the blows of an area out to the workers.
func (p *planner) perWorker(of area) [workerCount][]waiting {
	var dealt [workerCount][]waiting
	for i, w := range p.some(of) {
		w.Worker = 1 + i%workerCount
		dealt[i%workerCount] = append(dealt[i%workerCount], w)
	}
	return dealt
}

// lanes are all places save the workers themselves.
func (p *planner) lanes() []lane {
	all := []lane{{string(nodes), p.some(nodes)}, {string(between), p.some(between)}}
	for _, of := range []area{toNodes, toPartner} {
		for i, blows := range p.perWorker(of) {
			all = append(all, lane{fmt.Sprint(of, i+1), blows})
		}
	}
	return all
}

// roll is a restart of all workers, one after the other.
type roll struct {
	kind    string
	version int
}

// rolls are those of a run. Everything ends with the newer version, which reads what both have written.
func (p *planner) rolls() []roll {
	all := []roll{{workerRestarted, 1}}
	if p.versions {
		all = []roll{{workerUpgraded, 2}, {workerRolledBack, 1}, {workerUpgraded, 2}}
	}
	if p.versions && p.kills >= 50 {
		all = slices.Insert(all, 1, roll{workerRestarted, 2})
	}
	return all
}

// workers draws what happens to the workers themselves: between two rolls, to each on its own.
func (p *planner) workers(length time.Duration) ([]Blow, time.Duration) {
	rolls := p.rolls()
	parts := len(rolls) + 1
	dealt := p.perWorker(workers)
	draw, pointed := drawer(p.seed, "times of workers"), drawer(p.seed, "points")
	var all []Blow
	var free [workerCount]time.Duration // when each can be struck at again
	version, now := 1, time.Duration(0)
	for part := range parts {
		until := now + length/time.Duration(parts)
		end := until
		for i := range dealt {
			some := share(dealt[i], part, parts)
			for j := range some {
				some[j].Start = p.start(version)
				if some[j].Kind == workerKilled && len(p.points) > 0 && pointed.IntN(4) == 0 {
					some[j].Kind = workerPoint
					some[j].Start.Point = fmt.Sprintf("%s:%d", p.points[pointed.IntN(len(p.points))], 1+pointed.IntN(2))
				}
			}
			laid, over := lay(draw, some, free[i], until)
			all, end = append(all, laid...), max(end, over)
		}
		now = end
		if part == len(rolls) {
			break
		}
		version = rolls[part].version
		for i := range dealt {
			b := Blow{At: now, Kind: rolls[part].kind, Area: workers, Worker: i + 1, Start: p.start(version)}
			all = append(all, b)
			now += stagger
			free[i] = now
		}
	}
	return all, now
}

// share is one of so many about equal parts.
func share[T any](all []T, part, parts int) []T {
	return all[len(all)*part/parts : len(all)*(part+1)/parts]
}

// lay gives the blows of one place their times, in order, with drawn pauses, and says when the last has passed. Where the time is too
// short they follow one another at once and take longer.
func lay(draw *rand.Rand, blows []waiting, from, until time.Duration) ([]Blow, time.Duration) {
	spare := until - from
	for _, w := range blows {
		spare -= w.For + w.rest
	}
	weights, sum := make([]float64, len(blows)+1), 0.0
	for i := range weights {
		weights[i] = draw.ExpFloat64()
		sum += weights[i]
	}
	laid, now := make([]Blow, 0, len(blows)), from
	for i, w := range blows {
		now += time.Duration(float64(max(0, spare)) * weights[i] / sum).Truncate(ms)
		w.At = now
		laid = append(laid, w.Blow)
		now += w.For + w.rest
	}
	return laid, now
}
