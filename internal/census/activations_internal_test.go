package census

import (
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"activation-worker/internal/events"
)

// TestActivationsOverTime, each told as it is stored, the clock going on.
func TestActivationsOverTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // which begins at midnight
		c := New(quiet)
		begin := time.Now()
		wait := func(d time.Duration) { <-time.NewTimer(d).C }
		activate := func(stored time.Time, took time.Duration) {
			b := events.Brief{DomainID: 7, State: events.Activated}
			if took != 0 {
				b.AcceptedAt = stored.Add(-took)
			}
			before := c.Activated()
			c.count(b, message{stored: stored})
			if c.Activated() <= before {
				t.Error("it does not tell that there is another one")
			}
		}
		type total struct{ total, timed, today int }
		wants := func(what string, midnight time.Time, hour, day, week total) {
			t.Helper()
			for span, want := range map[Span]total{Hour: hour, Day: day, Week: week} {
				a := c.Activations(span, midnight, time.Now())
				if got := (total{a.Total, a.Timed, a.Today}); got != want {
					t.Errorf("%s: in span %d there are %+v, want %+v", what, span, got, want)
				}
				sum := 0
				for i, n := range a.Counts {
					sum += n
					if (a.Median[i] >= 0) != (a.P90[i] >= 0) || n == 0 && a.Median[i] >= 0 {
						t.Errorf("%s: point %d has %d, %s, %s", what, i, n, a.Median[i], a.P90[i])
					}
				}
				if sum != a.Total || (a.TotalMedian < 0) != (a.Timed == 0) {
					t.Errorf("%s: points come to %d of %d, median %s", what, sum, a.Total, a.TotalMedian)
				}
			}
		}
		wants("nothing yet", begin, total{}, total{}, total{})
		activate(time.Now(), time.Minute)
		activate(time.Now(), 0)              // of an older worker
		activate(time.Now(), -2*time.Hour)   // accepted by a clock that is ahead
		activate(begin.Add(-1), time.Minute) // yesterday's
		wants("at once", begin, total{4, 3, 3}, total{4, 3, 3}, total{4, 3, 3})
		activate(begin.Add(20*time.Second), time.Minute) // by a server whose clock is ahead
		wants("ahead", begin, total{4, 3, 4}, total{5, 4, 4}, total{5, 4, 4})
		wait(21 * time.Second)
		wants("its time has come", begin, total{5, 4, 4}, total{5, 4, 4}, total{5, 4, 4})
		wait(time.Hour - 21*time.Second - time.Nanosecond)
		wants("just under an hour later", begin, total{4, 3, 4}, total{5, 4, 4}, total{5, 4, 4})
		activate(begin, time.Minute) // late
		wants("told late", begin, total{5, 4, 5}, total{6, 5, 5}, total{6, 5, 5})
		wait(24 * time.Hour)
		activate(time.Now(), time.Second)
		wants("the day after", begin.Add(24*time.Hour), total{1, 1, 1}, total{1, 1, 1}, total{7, 6, 1})
		wants("the day after, where it is still the day before", begin, total{1, 1, 6}, total{1, 1, 6}, total{7, 6, 6})
		wait(6 * 24 * time.Hour)
		wants("a week and an hour later", begin.Add(7*24*time.Hour), total{}, total{}, total{1, 1, 0})
		activate(begin, time.Minute)                      // too late to matter
		activate(time.Now().AddDate(0, 0, 40), time.Hour) // by a clock that is mad
		wants("a mad clock", begin.Add(7*24*time.Hour), total{}, total{}, total{1, 1, 0})
		activate(time.Now(), time.Hour)
		wants("after a mad clock", begin.Add(7*24*time.Hour), total{1, 1, 1}, total{1, 1, 1}, total{2, 2, 1})
	})
}

// TestPointsOfSpans begin where they should, the last one being the present.
func TestPointsOfSpans(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := New(quiet)
		<-time.NewTimer(10*time.Hour + 52*time.Minute + 36*time.Second).C
		now := time.Now()
		for _, took := range []time.Duration{time.Second, 10 * time.Second, 100 * time.Second} {
			c.count(events.Brief{DomainID: 7, State: events.Activated, AcceptedAt: now.Add(-took)}, message{stored: now})
		}
		earlier := now.Add(-45 * time.Minute)
		c.count(events.Brief{DomainID: 8, State: events.Activated, AcceptedAt: earlier.Add(-time.Hour)}, message{stored: earlier})
		at := func(clock string) time.Time {
			is, err := time.Parse("2006-01-02 15:04:05", "2000-01-"+clock)
			if err != nil {
				t.Fatal(err)
			}
			return is
		}
		for span, want := range map[Span]struct {
			points      int
			step        time.Duration
			first, last time.Time
			other       int // where the earlier one is
		}{
			Hour: {240, 15 * time.Second, at("01 09:52:45"), at("01 10:52:30"), 59},
			Day:  {96, 15 * time.Minute, at("01 10:45:00").AddDate(0, 0, -1).Add(15 * time.Minute), at("01 10:45:00"), 92},
			Week: {168, time.Hour, at("01 11:00:00").AddDate(0, 0, -7), at("01 10:00:00"), 167},
		} {
			a := c.Activations(span, now, now)
			last := want.points - 1
			if len(a.Times) != want.points || len(a.Counts) != want.points || len(a.Median) != want.points || len(a.P90) != want.points || a.Step != want.step || !a.Times[0].Equal(want.first) || !a.Times[last].Equal(want.last) {
				t.Errorf("span %d has %d points of %s from %s to %s, want %+v", span, len(a.Times), a.Step, a.Times[0], a.Times[last], want)
			}
			if a.Counts[last]+a.Counts[want.other] < 4 || a.Total != 4 || a.Median[0] >= 0 || a.TotalP90 < 43*time.Minute || a.TotalP90 > 85*time.Minute {
				t.Errorf("span %d: %+v", span, a)
			}
			if span != Week && (a.Counts[last] != 3 || a.Median[last] < 7*time.Second || a.Median[last] > 14200*time.Millisecond || a.P90[last] < 70*time.Second || a.P90[last] > 142*time.Second) {
				t.Errorf("span %d ends with %d, %s, %s", span, a.Counts[last], a.Median[last], a.P90[last])
			}
		}
	})
}

// TestTodayReachesBackAWeek, as the page of somebody who left it open asks for.
func TestTodayReachesBackAWeek(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := New(quiet)
		<-time.NewTimer(time.Hour - time.Nanosecond).C
		begin := time.Now().AddDate(0, 0, -7)
		c.count(events.Brief{DomainID: 7, State: events.Activated}, message{stored: begin})
		c.count(events.Brief{DomainID: 8, State: events.Activated}, message{stored: begin.Add(-15 * time.Minute)})
		if a := c.Activations(Day, begin.Truncate(15*time.Minute), time.Now()); a.Today != 1 || a.Total != 0 {
			t.Errorf("since a week ago there are %d, %d of the last day", a.Today, a.Total)
		}
	})
}

// TestQuantilesAreNearTheTruth: by no more than the comment of Activations says.
func TestQuantilesAreNearTheTruth(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var h histogram
		times := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) time.Duration {
			return time.Duration(math.Exp(rapid.Float64Range(0, math.Log(float64(48*24*time.Hour))).Draw(t, "ln")))
		}), 1, 60).Draw(t, "times")
		for _, d := range times {
			h.add(d)
		}
		slices.Sort(times)
		for _, q := range []float64{0.1, 0.5, 0.9, 1} {
			want := times[int(math.Ceil(q*float64(len(times))))-1]
			got := h.quantile(q)
			off := float64(got) / float64(want)
			if near := want < least && got < least; !near && (off > 1.4143 || off < 0.7071) {
				t.Fatalf("of %v the quantile %g is %s, want %s", times, q, got, want)
			}
		}
	})
	var h histogram
	if got := h.quantile(0.5); got >= 0 {
		t.Errorf("of nothing it is %s", got)
	}
	h.add(0)
	h.add(math.MaxInt64)
	if got := h.quantile(1); got < 34*24*time.Hour || got > 49*24*time.Hour {
		t.Errorf("what took for ever took %s", got)
	}
}

// TestTheRingHoldsWhatAListDoes, whatever the order in which it is told, as long as it is near to our clock.
func TestTheRingHoldsWhatAListDoes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := newRing(15*time.Second, 4, 3)
		now := time.Unix(rapid.Int64Range(-100, 100).Draw(t, "begin"), 0)
		all := map[int64]int{}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 40).Draw(t, "goes on")) * time.Second)
			at := now.Add(time.Duration(rapid.IntRange(-90, 120).Draw(t, "off")) * time.Second)
			r.add(at, now, -1)
			present := r.number(now)
			if n := r.number(at); n > present-4 && n <= present+3 {
				all[n]++
			}
			for n := present - 3; n <= present; n++ {
				var b bucket
				if r.sum(&b, n, n); b.count != all[n] {
					t.Fatalf("bucket %d holds %d, want %d", n, b.count, all[n])
				}
			}
		}
	})
}
