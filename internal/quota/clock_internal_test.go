package quota

import (
	"testing"
	"time"
)

// A machine that slept for an hour has a wall clock that knows, and a monotonic one that does not: our leases may have ended.
func TestClockAfterASuspension(t *testing.T) {
	t.Parallel()
	now := time.Now()
	var c clock
	c.set(now, now, now)
	if c.old(now.Add(time.Second)) {
		t.Error("a second after it was asked for the time is old")
	}
	c.wall = c.wall.Add(-time.Hour)
	if lo, hi := c.now(now); lo > now.UnixMicro() || hi < now.Add(time.Hour).UnixMicro() {
		t.Errorf("it is between %d and %d, but one clock says %d and the other an hour more", lo, hi, now.UnixMicro())
	}
	if !c.old(now) {
		t.Error("an hour by the one clock and none by the other, and the time is not old")
	}
}
