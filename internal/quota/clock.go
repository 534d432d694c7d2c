package quota

import "time"

// clock tells the time of the server from ours: the replicas' own clocks may be seconds apart. What it does not know
// exactly, it says in bounds.
type clock struct {
	read   time.Time // ours when it was set
	wall   time.Time // the same without its monotonic part
	lo, hi int64     // the server's then, at least and at most
}

// set takes a time of the server that lies between two of ours.
func (c *clock) set(sent time.Time, server time.Time, received time.Time) {
	*c = clock{read: received, wall: received.Round(0), lo: server.UnixMicro(), hi: server.Add(received.Sub(sent)).UnixMicro() + 1}
}

// now is the server's time at least and at most, given ours. A machine that was suspended has its wall clock set when it
// wakes, while the monotonic one stood still: whichever says more counts for the one bound, and the other for the other.
func (c *clock) now(ours time.Time) (lo, hi int64) {
	passed, wall := c.passed(ours)
	return c.lo + min(passed, wall).Microseconds(), c.hi + max(passed, wall).Microseconds()
}

func (c *clock) passed(ours time.Time) (monotonic, wall time.Duration) {
	return ours.Sub(c.read), ours.Round(0).Sub(c.wall)
}

const (
	clockTime = 30 * time.Second // after which the server's time is asked for again
	clockJump = time.Second      // by which our two clocks may have drifted apart meanwhile
)

// old reports whether the server is to be asked for its time.
func (c *clock) old(ours time.Time) bool {
	passed, wall := c.passed(ours)
	return c.hi == c.lo || passed >= clockTime || (passed-wall).Abs() >= clockJump
}
