package powercut_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"activation-worker/internal/broker/powercut"
)

// promised are the disks on which a server that syncs always loses nothing.
var promised = []powercut.Model{
	{Data: powercut.DataKept, Names: powercut.NamesKept},
	{Data: powercut.DataLost, Names: powercut.NamesKept},
	{Data: powercut.DataTorn, Names: powercut.NamesKept},
	{Data: powercut.DataLost, Names: powercut.NamesOwn},
	{Data: powercut.DataTorn, Names: powercut.NamesOwn},
}

// TestPowerCut cuts the power of servers that sync always, at many moments and on disks from kind to harsh.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind    string
		settled bool
	}{
		{"embedded", false}, {"deploy", true}, {"tidying", true},
	} {
		t.Run(c.kind, func(t *testing.T) {
			t.Parallel()
			r := work(t, c.kind, c.settled)
			for _, m := range promised {
				s := r.cuts(t, m, many(8))
				t.Logf("%s: %s", m, s)
				if s.broken > 0 {
					t.Errorf("%s: %d of %d cuts broke a promise", m, s.broken, s.cuts)
				}
			}
		})
	}
}

// TestPowerCutSetup cuts the power after every name that a server writes while streams and consumers are made, and
// while one is changed. What was there stays, what is missing can be made, and both are there at the next start.
func TestPowerCutSetup(t *testing.T) {
	t.Parallel()
	r, changed := setup(t, "embedded")
	seed := uint64(0)
	for _, s := range r.trace.Steps {
		if s.Call != "rename" && s.Call != "mkdir" {
			continue
		}
		seed++
		if testing.Short() && seed%4 != 0 {
			continue
		}
		for _, m := range []powercut.Model{{}, {Data: powercut.DataLost, Names: powercut.NamesOwn}} {
			dir := scratch(t)
			restore(t, r.trace, dir, s.Ended, m, seed)
			if wrong := r.setUpAgain(t, dir, s.Ended, changed); wrong != nil {
				t.Errorf("cut after %s of %s, %s: %q", s.Call, s.Path, m, wrong)
			}
		}
	}
}

// TestPowerCutTwice cuts the power once more while the server reads what the first cut has left.
func TestPowerCutTwice(t *testing.T) {
	t.Parallel()
	r := work(t, "embedded", false)
	m := powercut.Model{Data: powercut.DataTorn, Names: powercut.NamesOwn}
	for i := range many(4) {
		seed := uint64(100 + i)
		cut := r.moment(i, draw(seed))
		left := scratch(t)
		restore(t, r.trace, left, cut, m, seed)
		recording, _, kill := record(t, "embedded", left)
		kill()
		second, err := recording.Wait()
		if err != nil {
			t.Fatal(err)
		}
		for j := range many(3) {
			again := scratch(t)
			restore(t, second, again, powercut.Moment(1+draw(seed+uint64(j)).Int64N(int64(second.Last))), m, seed)
			if v := r.restart(t, again, cut, false); len(v.faults) > 0 {
				t.Errorf("cut at %d, and again in the start after it: %q", cut, v.faults)
			}
		}
	}
}

// TestPowerCutUnsynced measures what the setting is for, and shows that the check sees a loss.
func TestPowerCutUnsynced(t *testing.T) {
	t.Parallel()
	r := work(t, "unsynced", true)
	s := r.cuts(t, powercut.Model{Data: powercut.DataLost, Names: powercut.NamesOwn}, 6)
	t.Log(s)
	if s.lost == 0 {
		t.Error("nothing is lost without syncing: the check sees nothing")
	}
}

// TestPowerCutStrict measures the limit that the README names: the server does not sync the directory in which it has
// begun a new file of messages, so that a file system on which a synced file can lose its name loses all that is in it.
func TestPowerCutStrict(t *testing.T) {
	t.Parallel()
	r := work(t, "embedded", true)
	s := r.cuts(t, powercut.Model{Data: powercut.DataLost, Names: powercut.NamesStrict}, 6)
	t.Log(s)
	if s.lost == 0 {
		t.Error("nothing is lost: the server now syncs the directories itself, and the README may say so")
	}
}

// many is how many cuts are tried; POWERCUT_TIMES multiplies them for a long run.
func many(n int) int {
	if times, err := strconv.Atoi(os.Getenv("POWERCUT_TIMES")); err == nil {
		return n * times
	}
	if testing.Short() {
		return max(2, n/3)
	}
	return n
}

// sum is the result of many cuts.
type sum struct {
	cuts, broken      int
	acked, lost, most int // messages; most: by one cut
	first             []string
}

func (s sum) String() string {
	return fmt.Sprintf("%d cuts, %d broke a promise; of %d acknowledged messages %d were lost, by one cut at most %d; %q",
		s.cuts, s.broken, s.acked, s.lost, s.most, s.first)
}

// cuts cuts the power at moments spread over the run.
func (r *run) cuts(t *testing.T, m powercut.Model, n int) sum {
	t.Helper()
	s := sum{cuts: n}
	for i := range n {
		seed := uint64(i + 1)
		cut := r.moment(i, draw(seed))
		dir := scratch(t)
		restore(t, r.trace, dir, cut, m, seed)
		v := r.restart(t, dir, cut, i%4 == 0)
		s.acked += v.acked
		s.lost += v.lost
		s.most = max(s.most, v.lost)
		if len(v.faults) > 0 {
			s.broken++
			if s.broken == 1 {
				s.first = append([]string{fmt.Sprintf("cut at %d of %d, %s", cut, r.trace.Last, r.trace.Unsynced(cut))}, v.faults...)
			}
		}
	}
	return s
}

// moment is one right after an acknowledgement, first the last of all, one in the middle of a call, one after a change of
// names such as a new file of messages, or any.
func (r *run) moment(i int, draw *rand.Rand) powercut.Moment {
	steps := r.trace.Steps
	switch {
	case i == 0:
		return r.trace.Last
	case i%4 == 0:
		written := r.stored[r.before:]
		return written[draw.IntN(len(written))].acked
	case i%4 == 1:
		return steps[draw.IntN(len(steps))].Began
	case i%4 == 2:
		names := slices.DeleteFunc(slices.Clone(steps), func(s powercut.Step) bool {
			return s.Call == "write" || s.Call == "sync" || s.Ended > r.trace.Last
		})
		return names[draw.IntN(len(names))].Ended
	}
	return powercut.Moment(1 + draw.Int64N(int64(r.trace.Last)))
}
