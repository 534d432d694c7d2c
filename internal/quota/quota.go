// Package quota paces the requests to the partner over all replicas: never more than the peak rate in any sliding unit of
// time, nor than the sustained rate over half an hour, each operation by itself, and never more than so many at once over
// all operations. Who goes first among those that wait is a matter of their lanes, see [Lane].
//
// The replicas share one small record, which each changes by compare-and-set (see [Store]): what has ended lately, what
// each holds, and who waits. What a replica holds is leased. When it dies, its places come back when every request that it
// may have sent has timed out, and no earlier. Who cannot reach the record gets no leave.
//
// When a request arrives at the partner is not known, only that it is between its being
// written and its answer. So it fills a place from the leave given until a window after
// its end: then no two arrivals can be nearer than they may, whatever delays them.
package quota

import (
	"sync"
	"time"

	"go.uber.org/zap"
)

// Rate is so many in any sliding unit of time; the zero value is no limit.
type Rate struct {
	N   int
	Per time.Duration
}

// distance is the time from one request to the next if all are equally far apart; 0 without a limit.
func (r Rate) distance() time.Duration {
	if r.N <= 0 {
		return 0
	}
	return r.Per / time.Duration(r.N)
}

// SustainedOver is the time over which the sustained rate is an average (partner sheet §5).
const SustainedOver = 30 * time.Minute

// margin keeps two requests apart that would otherwise be a window apart to the tick.
const margin = 2 * time.Millisecond

// Limits are what a partner allows all replicas together.
type Limits struct {
	Peak        Rate
	Sustained   Rate
	Concurrency int // simultaneous requests, at least 1
}

// windows are the limits of each operation, a margin longer than the partner's.
func (l Limits) windows() (limits []Rate) {
	if l.Peak.N > 0 {
		limits = append(limits, Rate{l.Peak.N, l.Peak.Per + margin})
	}
	if l.Sustained.N > 0 {
		limits = append(limits, Rate{l.inHalfAnHour(), SustainedOver + margin})
	}
	return limits
}

// inHalfAnHour is the sustained rate over its time: N per unit on average is that many more units' worth.
func (l Limits) inHalfAnHour() int {
	return max(1, int(int64(l.Sustained.N)*int64(SustainedOver)/int64(l.Sustained.Per)))
}

// Interval is the average time from one request of an operation to the next in a long run,
// as far as the rates decide it; 0 without rates. So n requests take about n times as long.
func (l Limits) Interval() time.Duration {
	interval := l.Peak.distance()
	if l.Sustained.N > 0 {
		interval = max(interval, Rate{l.inHalfAnHour(), SustainedOver}.distance())
	}
	return interval
}

// Options of a [Pacer]. Limits and Store are required.
type Options struct {
	Limits
	Store   Store
	Replica string        // unique among the processes that ever share the record; empty: a random one
	Timeout time.Duration // of one request, redirects included; 0: half a minute
	Log     *zap.Logger
	Now     func() time.Time
	// Waited is told of each leave given and how long it was waited for; nil: nobody is. It must not block.
	Waited func(Lane, time.Duration)
}

// Pacer gives leave for requests. It is safe for concurrent use. It gives none before [Pacer.Run].
type Pacer struct {
	Options
	limits  []Rate
	apart   time.Duration // of requests after a pause
	kick    chan struct{} // something is to be looked at anew
	stopped chan struct{} // closed when Run has ended

	mu       sync.Mutex
	clock    clock
	shared   *record // as last read or written, with what was done here since; nil: not known
	version  uint64  // of it in the store
	looked   time.Time
	stale    bool  // somebody has written since, it is said
	outdated bool  // somebody has written since for sure, or the last write ended in the unknown
	trouble  error // why the record cannot be used

	queues map[string]*queues
	queued int
	came   uint64 // how many ever waited

	held, busy int            // places: of this replica in the record, and of them in use
	open       map[string]int // leave out
	ended      []ended        // not yet in the record
	asked      map[string]pause
	news       map[string]credit
	gentle     int64

	writes  uint64    // so far
	unsure  int       // how many of ended are in a write of which it is not known whether it was stored
	wrote   time.Time // when last
	lease   int64     // by the server's clock: until when what is held is held
	turn    time.Time // until when places pass from hand to hand here, whoever waits elsewhere
	rivals  bool      // somebody waits elsewhere
	leaving bool      // nothing is kept for anybody here
	yielded map[string]yielded
	used    time.Time // when somebody last came or ended
	next    time.Time // when Run looks again
}

// ended is how many requests of an operation ended at a time of the server's clock.
type ended struct {
	operation string
	end
}

// pause is until when the partner wants to be left alone, and until when to go gently after it.
type pause struct{ until, gentle int64 }

// yielded is since when, and at which of its writes, a replica was left something that it has not taken.
type yielded struct {
	since  time.Time
	writes uint64
}

// New returns a pacer.
func New(o Options) *Pacer {
	o.Concurrency = max(1, o.Concurrency)
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Replica == "" {
		o.Replica = randomID()
	}
	p := &Pacer{
		Options: o, limits: o.windows(), apart: o.Peak.distance(),
		kick: make(chan struct{}, 1), stopped: make(chan struct{}), stale: true,
		queues: map[string]*queues{}, open: map[string]int{}, asked: map[string]pause{}, news: map[string]credit{}, yielded: map[string]yielded{},
	}
	now := o.Now()
	p.clock = clock{read: now, wall: now.Round(0), lo: now.UnixMicro(), hi: now.UnixMicro()} // until the server was asked
	return p
}
