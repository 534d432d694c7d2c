package quota

import "time"

// Pause gives no more leave for an operation until then, at any replica: the partner said so. After it leaves are given
// evenly for a while. It reports whether that is news.
func (p *Pacer) Pause(name string, until time.Time) (longer bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.Now()
	wait := until.Sub(now)
	if wait <= 0 {
		return false
	}
	lo, hi := p.clock.now(now)
	known := p.asked[name].until
	if p.shared != nil && p.shared.Operations[name] != nil {
		known = max(known, p.shared.Operations[name].Paused)
	}
	end := hi + wait.Microseconds()
	if end <= known {
		return false
	}
	gently := min(max(wait, leastGently), mostGently)
	p.asked[name] = pause{until: end, gentle: end + gently.Microseconds()}
	p.wake(0)
	return known <= lo
}

// After a pause what has gathered goes out evenly for as long as the pause was, within these bounds.
const (
	leastGently = 10 * time.Second
	mostGently  = time.Minute
)

// Gently keeps the leaves of one operation as far apart as the peak rate has them on average,
// until then: what has gathered in a pause does not go out in one burst. Of several times the
// last counts. Without a peak rate it does nothing.
func (p *Pacer) Gently(until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.Now()
	_, hi := p.clock.now(now)
	p.gentle = max(p.gentle, hi+until.Sub(now).Microseconds())
	p.wake(0)
}

// Answered takes what the partner's answer to a request of an operation says of its own count: how many more it takes
// until its count begins anew. It counts only where that is less than our own limits give. Remaining is negative and
// reset is not positive where the partner does not say, or nothing sensible.
func (p *Pacer) Answered(name string, remaining int, reset time.Duration) {
	if remaining < 0 || reset <= 0 || reset > mostReset {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_, hi := p.clock.now(p.Now())
	c := credit{Left: remaining, Until: hi + reset.Microseconds()}
	if before, ok := p.news[name]; ok && !before.older(c) {
		c.Left = min(c.Left, before.Left)
	}
	p.news[name] = c
}

// mostReset is the longest that a partner's count can last; what is longer is nonsense.
const mostReset = time.Hour

// older reports whether c is about an earlier count than other: seconds are all the partner says.
func (c credit) older(other credit) bool { return other.Until > c.Until+2*time.Second.Microseconds() }
