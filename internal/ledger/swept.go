package ledger

import (
	"context"
	"sync"
	"time"
)

// sweepWhole is after how long a sweep reads everything again, though nothing below what it begins with can wait: an
// operator can delete what nobody else may.
const sweepWhole = time.Hour

// swept is how far the sweeps of this process have come. A customer's record that another has followed never counts again.
type swept struct {
	mu    sync.Mutex
	next  uint64    // nobody waits at a record before it; 0: not known
	last  anchor    // the newest record that was read
	whole time.Time // when all was read
}

// anchor tells a stream from another of its name: a message, and when it was stored.
type anchor struct {
	sequence uint64
	stored   time.Time
}

// from is the sequence to begin a sweep with: the first, where the ledger is another than the last time, or an older state of it.
func (p *swept) from(ctx context.Context, l *Ledger) (uint64, error) {
	p.mu.Lock()
	next, last, whole := p.next, p.last, p.whole
	p.mu.Unlock()
	if next == 0 || l.now().Sub(whole) >= sweepWhole {
		return 1, nil
	}
	m, err := l.get(ctx, l.streams.Ledger, map[string]any{"seq": last.sequence})
	if err != nil {
		return 0, err
	}
	if m == nil || !m.Time.Equal(last.stored) {
		return 1, nil
	}
	return next, nil
}

// done notes a sweep that has read everything from a sequence on.
func (p *swept) done(s *sweeping, from uint64, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.last.sequence == 0 {
		return // nothing was there
	}
	p.next, p.last = s.low, s.last
	if s.low == 0 {
		p.next = s.last.sequence + 1
	}
	if from == 1 {
		p.whole = now
	}
}
