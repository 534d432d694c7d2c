package quota

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// steps is into how many a window is divided: an end counts as at the end of its step, so that the record stays small
// whatever the limit. Of the quota that costs at most one part in so many.
const steps = 250

// window is what ended within a limit's unit of time.
type window struct {
	Per  int64 // its length in microseconds
	ends []end // ascending
}

// end is how many requests ended at a time.
type end struct {
	at int64
	n  int
}

func (w *window) endOfStep(at int64) int64 {
	step := max(1, w.Per/steps)
	return (at + step - 1) / step * step
}

// add notes ends, in whatever order they come.
func (w *window) add(at int64, n int) {
	if n <= 0 {
		return
	}
	at = w.endOfStep(at)
	i, found := slices.BinarySearchFunc(w.ends, at, func(e end, at int64) int { return int(e.at - at) })
	if found {
		w.ends[i].n += n
		return
	}
	w.ends = slices.Insert(w.ends, i, end{at, n})
}

// settle drops what is older than the window at a time, known at least and at most. A step may end a little later, but what is
// beyond that was set by another clock.
func (w *window) settle(now, most int64) {
	i := 0
	for i < len(w.ends) && w.ends[i].at <= now-w.Per {
		i++
	}
	w.ends = slices.Delete(w.ends, 0, i)
	last := w.endOfStep(most)
	for n := len(w.ends); n > 0 && w.ends[n-1].at > last; n-- {
		if n > 1 && w.ends[n-2].at >= last {
			w.ends[n-2].n += w.ends[n-1].n
			w.ends = w.ends[:n-1]
			continue
		}
		w.ends[n-1].at = last
	}
}

// count is how many ended within the window that ends now.
func (w *window) count() (n int) {
	for _, e := range w.ends {
		n += e.n
	}
	return n
}

// free is when so many have left the window; ok tells whether so many are in it.
func (w *window) free(n int) (at int64, ok bool) {
	for _, e := range w.ends {
		if n -= e.n; n <= 0 {
			return e.at + w.Per, true
		}
	}
	return 0, false
}

// MarshalJSON writes the ends as one list: time, count, time since the one before, count, and so on.
func (w *window) MarshalJSON() ([]byte, error) {
	list := make([]int64, 0, 2*len(w.ends))
	last := int64(0)
	for _, e := range w.ends {
		list = append(list, e.at-last, int64(e.n))
		last = e.at
	}
	return json.Marshal(windowJSON{w.Per, list})
}

type windowJSON struct {
	Per  int64   `json:"micros"`
	Ends []int64 `json:"ends"`
}

// UnmarshalJSON reads what MarshalJSON writes.
func (w *window) UnmarshalJSON(data []byte) error {
	var got windowJSON
	if err := json.Unmarshal(data, &got); err != nil {
		return err
	}
	if got.Per <= 0 || got.Per > longestWindow.Microseconds() || len(got.Ends)%2 != 0 {
		return fmt.Errorf("a window of %d µs with %d numbers", got.Per, len(got.Ends))
	}
	w.Per, w.ends = got.Per, nil
	at := int64(0)
	for pair := range slices.Chunk(got.Ends, 2) {
		at += pair[0]
		if pair[0] < 0 || at > latestTime || pair[1] <= 0 || pair[1] > mostAtATime {
			return fmt.Errorf("%d requests at %d µs", pair[1], at)
		}
		w.add(at, int(pair[1]))
	}
	return nil
}

// What is beyond these was written by nobody sane, and would only overflow.
const (
	longestWindow = 24 * time.Hour
	latestTime    = int64(1) << 52 // in microseconds since 1970: the year 2112
	mostAtATime   = 1 << 20
)
