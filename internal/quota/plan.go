package quota

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

const (
	// grace is how long a replica is believed to live beyond the longest request it may have sent.
	grace = 2 * time.Second
	// turnTime is how long places pass from hand to hand within a replica before the others are asked.
	turnTime = 100 * time.Millisecond
	// idleTime is how long a place is kept that nobody here wants, and what has ended is kept to be written down with something else.
	idleTime = 50 * time.Millisecond
	// wantTime is how long somebody waits before the others learn of it, and how often at most they learn that it goes on.
	wantTime  = 20 * time.Millisecond
	wantAgain = 250 * time.Millisecond
	// wantLease is how long who waits stands in the record without a word: the pace can make all wait for as long.
	wantLease = time.Minute
	// lateTime is how long a replica that has not taken what was left to it is left nothing.
	lateTime = 10 * time.Second
	// yieldTime is how long something is left to a replica that should take it.
	yieldTime = 100 * time.Millisecond
	// lookTime is how often those who wait look at the record without having heard of a change.
	lookTime = 250 * time.Millisecond
)

// plan is what the record should become, and what that gives.
type plan struct {
	next   *record
	grants []*waiter
	places int           // of the grants
	due    time.Duration // until it must be written; negative: there is nothing to write
	wait   time.Duration // until there may be more to give
	ended  int           // how many of those noted here are in it
}

// planner fills in a plan. All of it happens under the lock, without a request to anybody.
type planner struct {
	*Pacer
	now        time.Time
	lo, hi     int64
	next       *record
	others     int            // places
	left       map[string]int // leave that is left to others, by operation
	leftPlaces int            // places that are
}

// plan makes the record what it should be now. The caller holds the lock.
func (p *Pacer) plan(now time.Time) plan {
	lo, hi := p.clock.now(now)
	pl := &planner{Pacer: p, now: now, lo: lo, hi: hi, next: p.shared.clone(), left: map[string]int{}}
	pl.next.settle(lo, hi, p.limits)
	me := pl.next.Replicas[p.Replica]
	if me == nil {
		me = &replica{}
	}
	was := *me
	pl.next.Replicas[p.Replica] = me
	me.Open = maps.Clone(p.open)
	maps.DeleteFunc(me.Open, func(_ string, n int) bool { return n == 0 })
	pl.others = pl.next.placesOfOthers(p.Replica)
	for _, e := range p.ended {
		pl.operation(e.operation).end(e.at, e.n)
	}
	said := pl.hear()

	out := plan{next: pl.next, ended: len(p.ended)}
	out.grants, p.rivals = pl.choose(me)
	for _, w := range out.grants {
		if w.lane != again {
			out.places++
		}
	}
	busy := p.busy + out.places
	me.Places = busy
	if spare := min(p.held-p.busy-out.places, p.Concurrency-pl.others-busy-pl.leftPlaces); spare > 0 && !p.rivals && !p.leaving && now.Sub(p.used) < idleTime {
		me.Places += spare
	}
	me.Wants = pl.wants(out.grants)
	if me.Places > 0 || len(me.Open) > 0 {
		me.Term = (p.Timeout + grace).Microseconds()
	} else {
		me.Term = wantLease.Microseconds()
	}
	me.Until = hi + me.Term
	if me.Places == 0 && len(me.Open) == 0 && len(me.Wants) == 0 {
		delete(pl.next.Replicas, p.Replica)
	} else {
		me.Writes = max(me.Writes, pl.writes) + 1 // of no other attempt, stored or not
	}
	out.due = pl.due(&was, me, said || len(out.grants) > 0)
	out.wait = pl.wait(me.Wants)
	return out
}

func (pl *planner) operation(name string) *operation { return pl.next.operation(name, pl.limits) }

// hear puts into the record what the partner has said and what was asked for here, forgets what is no news, and reports
// whether anything is.
func (pl *planner) hear() (news bool) {
	maps.DeleteFunc(pl.asked, func(name string, ask pause) bool {
		op := pl.operation(name)
		if ask.until <= op.Paused {
			return true
		}
		op.Paused, op.Gentle, news = ask.until, max(op.Gentle, ask.gentle), true
		return false
	})
	if pl.gentle > pl.next.Gentle {
		pl.next.Gentle, news = pl.gentle, true
	} else {
		pl.gentle = 0
	}
	maps.DeleteFunc(pl.news, func(name string, said credit) bool {
		op := pl.operation(name)
		// Whether the partner has counted what is under way, we do not know.
		said.Left = max(0, said.Left-max(0, pl.next.open(name)-1))
		switch {
		case said.Until <= pl.lo:
			return true
		case op.Credit == nil || op.Credit.older(said):
			if said.Left >= pl.ownRoom(name) {
				return true
			}
		case said.Left >= op.Credit.Left || said.older(*op.Credit):
			return true
		}
		op.Credit, news = &said, true
		return false
	})
	return news
}

// plenty is how much the partner must have left that nobody needs to count it where we have no limit.
func (p *Pacer) plenty() int { return max(20, 4*p.Concurrency) }

// ownRoom is how many requests our own limits admit now.
func (pl *planner) ownRoom(name string) int {
	room, op := pl.plenty(), pl.operation(name)
	if len(pl.limits) > 0 {
		room = pl.limits[0].N
	}
	for _, limit := range pl.limits {
		room = min(room, limit.N-op.window(limit.Per).count()-pl.next.open(name))
	}
	return room
}

// reserve is the part of the half hour's quota that is kept for customers just announced: without it, a backlog that
// has used up all of it would make them wait for a quarter of an hour.
const reserve = 20

// limitFor is how many requests a lane may bring a window to.
func limitFor(limit Rate, lane Lane) int {
	if limit.Per >= SustainedOver && (lane == Waiting || lane == Replay) {
		return limit.N - limit.N/reserve
	}
	return limit.N
}

// free is when there may be room for one more request of an operation in a lane: now or before if there is, never if
// only the end of others will tell.
func (pl *planner) free(name string, lane Lane) int64 {
	op := pl.operation(name)
	free := op.Paused
	if pl.apart > 0 && pl.lo < max(op.Gentle, pl.next.Gentle) {
		free = max(free, min(op.Latest+pl.apart.Microseconds(), max(op.Gentle, pl.next.Gentle)))
	}
	if op.Credit != nil && op.Credit.Left-pl.left[name] <= 0 {
		free = max(free, op.Credit.Until)
	}
	out := pl.next.open(name) + pl.left[name]
	for _, limit := range pl.limits {
		w := op.window(limit.Per)
		over := w.count() + out + 1 - limitFor(limit, lane)
		if over <= 0 {
			continue
		}
		at, ok := w.free(over)
		if !ok {
			return never
		}
		free = max(free, at)
	}
	return free
}

const never = int64(1) << 62

// choose gives leave to as many as can have it, in the order of all who wait anywhere, and notes it in the record. What
// is others' turn is left to them.
func (pl *planner) choose(me *replica) (grants []*waiter, rivals bool) {
	lines, elsewhere := pl.lines(pl.now), pl.elsewhere(pl.next, pl.now, yieldTime.Microseconds())
	rivals = len(elsewhere) > 0
	if len(lines) == 0 || pl.leaving {
		return nil, rivals
	}
	given, all := pl.next.passed(pl.limits), pl.next.Passed
	operations := map[string]*counts{}
	as := passed{&all, func(name string) *counts { // as if all had taken what is left to them
		if operations[name] == nil {
			c := *given.of(name)
			operations[name] = &c
		}
		return operations[name]
	}}
	busy := pl.busy
	c := choice{lines: append(lines, elsewhere...), passed: as}
	c.room = func(name string, lane Lane) bool { return pl.free(name, lane) <= pl.lo }
	c.paced = func(name string) bool { return pl.operation(name).Paused <= pl.lo }
	for {
		c.places = pl.others+busy+pl.leftPlaces < pl.Concurrency
		l, could := c.next()
		if l == nil {
			break
		}
		c.pass(as, l, could)
		if l.replica != "" {
			pl.leaveTo(l)
			if l.n--; l.n == 0 {
				c.lines = without(c.lines, l)
			}
			continue
		}
		c.pass(given, l, could)
		w, op := l.waiters[0], pl.operation(l.operation)
		grants = append(grants, w)
		if w.lane != again {
			busy++
		}
		me.Open[l.operation]++
		op.Latest = pl.lo
		if op.Credit != nil {
			op.Credit.Left--
		}
		if l.waiters = l.waiters[1:]; !pl.trim(l, pl.now) {
			c.lines = without(c.lines, l)
		}
	}
	return grants, rivals
}

func without(lines []*line, l *line) []*line {
	return slices.DeleteFunc(lines, func(other *line) bool { return other == l })
}

// elsewhere are those who wait at other replicas, but for replicas that do not take what is left to them; all as if
// they had come so much later than they did.
func (p *Pacer) elsewhere(r *record, now time.Time, later int64) (lines []*line) {
	maps.DeleteFunc(p.yielded, func(id string, y yielded) bool {
		rep := r.Replicas[id]
		return rep == nil || rep.Writes != y.writes || now.Sub(y.since) >= lateTime
	})
	for id, rep := range r.Replicas {
		if id == p.Replica {
			continue
		}
		if y, ok := p.yielded[id]; ok && now.Sub(y.since) >= yieldTime {
			continue
		}
		for _, w := range rep.Wants {
			if w.N > 0 {
				lines = append(lines, &line{operation: w.Operation, lane: w.Lane, since: w.Since + later, replica: id, n: min(w.N, p.Concurrency)}) // no more can have leave at once
			}
		}
	}
	return lines
}

// leaveTo leaves the next leave to another replica, for a while.
func (pl *planner) leaveTo(l *line) {
	pl.left[l.operation]++
	if l.lane != again {
		pl.leftPlaces++
	}
	if _, ok := pl.yielded[l.replica]; !ok {
		pl.yielded[l.replica] = yielded{pl.now, pl.next.Replicas[l.replica].Writes}
	}
}

// wants is who waits here beyond those who get leave.
func (pl *planner) wants(grants []*waiter) (wants []want) {
	for _, l := range pl.lines(pl.now) {
		l.waiters = slices.DeleteFunc(slices.Clone(l.waiters), func(w *waiter) bool { return w.promised || slices.Contains(grants, w) })
		if pl.trim(l, pl.now) {
			wants = append(wants, want{l.operation, l.lane, l.since, len(l.waiters)})
		}
	}
	slices.SortFunc(wants, func(a, b want) int { return cmp.Or(cmp.Compare(a.Operation, b.Operation), cmp.Compare(a.Lane, b.Lane)) })
	return wants
}

// due is until when the record must be written, given what was in it about us; negative for never. urgent says that
// somebody waits for it.
func (pl *planner) due(was, me *replica, urgent bool) time.Duration {
	holds := me.Places > 0 || len(me.Open) > 0
	switch {
	case urgent,
		holds && pl.lease < pl.hi+(pl.Timeout+grace/2).Microseconds(),
		me.Places < was.Places && (pl.rivals || pl.now.Sub(pl.used) >= idleTime):
		return 0
	}
	due := time.Duration(-1)
	by := func(in time.Duration) {
		if in = max(0, in); due < 0 || in < due {
			due = in
		}
	}
	since := func(at int64) time.Duration { return time.Duration(pl.hi-at) * time.Microsecond }
	if holds {
		by(time.Duration(pl.lease-pl.hi)*time.Microsecond - pl.Timeout - grace/2)
	} else if len(me.Wants) > 0 {
		by(time.Duration(was.Until-pl.hi)*time.Microsecond - wantLease/2)
	}
	if len(pl.ended) > 0 {
		by(idleTime - since(pl.ended[0].at))
	}
	if me.Places != was.Places || !maps.Equal(me.Open, was.Open) || len(me.Wants) == 0 && len(was.Wants) > 0 {
		by(idleTime - pl.now.Sub(pl.used))
	}
	for _, w := range me.Wants {
		i := slices.IndexFunc(was.Wants, func(other want) bool { return other.Operation == w.Operation && other.Lane == w.Lane })
		switch {
		case i < 0:
			by(wantTime - since(w.Since))
		case was.Wants[i] != w:
			by(wantAgain - pl.now.Sub(pl.wrote))
		}
	}
	return due
}

// wait is until when somebody here who waits may get leave without our hearing of a change.
func (pl *planner) wait(wants []want) time.Duration {
	wait := longest
	for _, want := range wants {
		lane := want.Lane
		if patient(lane, &pl.operation(want.Operation).Passed) {
			lane = Fresh
		}
		at := pl.free(want.Operation, lane)
		switch {
		case at > pl.lo && at != never:
			wait = min(wait, time.Duration(at-pl.lo)*time.Microsecond)
			if pl.next.open(want.Operation) > pl.Pacer.open[want.Operation] {
				wait = min(wait, lookTime) // others may give back what they do not use
			}
		default: // others' requests must end, or it is left to others
			wait = min(wait, lookTime)
		}
	}
	for _, y := range pl.yielded {
		if left := yieldTime - pl.now.Sub(y.since); left > 0 {
			wait = min(wait, left)
		}
	}
	return wait
}

// longest is for how long nobody looks where nothing is to be expected.
const longest = time.Hour
