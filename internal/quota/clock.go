package quota

import "time"

// clock tells the time of the server from ours: the replicas' own clocks may be seconds apart. What it does not know
// exactly, it says in bounds.
type clock struct {
	read   time.Time // ours when it was set
	lo, hi int64     // the server's then, at least and at most
}

// set takes a time of the server that lies between two of ours.
func (c *clock) set(sent time.Time, server time.Time, received time.Time) {
	*c = clock{read: received, lo: server.UnixMicro(), hi: server.Add(received.Sub(sent)).UnixMicro() + 1}
}

// now is the server's time at least and at most, given ours.
func (c *clock) now(ours time.Time) (lo, hi int64) {
	passed := ours.Sub(c.read).Microseconds()
	return c.lo + passed, c.hi + passed
}

// width is how exactly the server's time is known; 0 for not at all.
func (c *clock) width() time.Duration { return time.Duration(c.hi-c.lo) * time.Microsecond }
