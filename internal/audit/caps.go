package audit

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Caps are what workers were configured to keep. A call that arrives while nobody holds a claim on its customer was frozen on its way,
// or is a breach already: when it was sent its sender alone knows, and so it is held against no cap.
type Caps struct {
	Concurrency int           // calls at once; 0: not checked
	Windows     []Window      // of each operation by itself
	Jitter      time.Duration // by how much calls may arrive closer together than they were sent
	// Waited is how long after its arrival a call is surely still waited for: LINEWORKS_TIMEOUT less the longest time on the
	// way. Zero: until its answer goes out, which holds where nothing stands between worker and partner.
	Waited time.Duration
	Fleet  bool // they are of all workers together, else of each
}

// Window is at most so many calls of an operation in any span of that length.
type Window struct {
	Calls int
	Per   time.Duration
}

// checkCaps counts the calls of each worker, which is told by the claim that they lie in, or of all. What a worker asks about
// nobody in particular counts for all alone.
func (a *auditor) checkCaps() {
	if a.Caps.Concurrency == 0 && len(a.Caps.Windows) == 0 {
		return
	}
	byWorker := map[string][]Call{}
	for _, c := range a.Calls {
		name := a.holder(c)
		if name == "" && (!a.Caps.Fleet || c.DomainID != 0) {
			continue
		}
		if a.Caps.Fleet {
			name = "all workers"
		}
		byWorker[name] = append(byWorker[name], c)
	}
	for _, name := range slices.Sorted(maps.Keys(byWorker)) {
		a.checkConcurrency(name, byWorker[name])
		byOp := map[Op][]Call{}
		for _, c := range byWorker[name] {
			byOp[c.Op] = append(byOp[c.Op], c)
		}
		for _, op := range slices.Sorted(maps.Keys(byOp)) {
			for _, w := range a.Caps.Windows {
				a.checkWindow(name, op, w, byOp[op])
			}
		}
	}
}

// holder is the worker under whose lease a call lies; empty for none.
func (a *auditor) holder(c Call) string {
	holder := ""
	for _, s := range a.shards.of(c.DomainID).claims[c.DomainID] {
		if s.stored > nanos(c.At) {
			break
		}
		if holder = ""; s.state == started && nanos(c.At) <= s.lease {
			holder = s.worker
		}
	}
	return holder
}

// checkConcurrency counts what was certainly under way at once. A call whose answer was lost counts at its arrival alone: its
// caller may have gone at any time since.
func (a *auditor) checkConcurrency(name string, calls []Call) {
	if a.Caps.Concurrency == 0 {
		return
	}
	var ends []time.Time // of those under way
	worst, at := 0, time.Time{}
	for _, c := range calls {
		ends = slices.DeleteFunc(ends, func(end time.Time) bool { return !end.After(c.At) })
		if n := len(ends) + 1; n > worst {
			worst, at = n, c.At
		}
		if c.Lost || c.EndedAt.IsZero() {
			continue
		}
		end := c.EndedAt
		if last := c.At.Add(a.Caps.Waited); a.Caps.Waited > 0 && last.Before(end) {
			end = last
		}
		ends = append(ends, end)
	}
	a.report.Partner.AtOnce = max(a.report.Partner.AtOnce, worst)
	if worst > a.Caps.Concurrency {
		a.add(Breach{RuleConcurrency, 0, 0, fmt.Sprintf("%s: %d calls under way at %s, at most %d are allowed", name, worst, stamp(nanos(at)), a.Caps.Concurrency)})
	}
}

func (a *auditor) checkWindow(name string, op Op, w Window, calls []Call) {
	per := w.Per - a.Caps.Jitter
	worst, at := 0, time.Time{}
	for first, last := 0, 0; last < len(calls); last++ {
		for calls[last].At.Sub(calls[first].At) >= per {
			first++
		}
		if n := last - first + 1; n > worst {
			worst, at = n, calls[first].At
		}
	}
	if w.Calls > 0 && worst > w.Calls {
		a.add(Breach{RuleRate, 0, 0, fmt.Sprintf("%s: %d %s calls in %s from %s, at most %d are allowed in %s", name, worst, op, per, stamp(nanos(at)), w.Calls, w.Per)})
	}
}
