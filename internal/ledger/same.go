package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/events"
)

// ErrLost is returned where the ledger's stream is not the one that was worked on, or not all of it: what it says of a
// customer, and that it says nothing, is not to be believed.
var ErrLost = errors.New("the ledger's stream was made anew, or has lost its newest records: customers who are active may be unknown to it; " +
	"bring it back, or run `worker setup --accept-ledger` to go on without what it knew")

// chain tells a ledger from another of its name: by the mark that the caller knows, and by sequences, which only grow.
type chain struct {
	mu     sync.Mutex
	of     events.Mark
	newest uint64 // the highest sequence that was acknowledged
	token  string // of the record that is stored there
	broken bool   // a lower one was acknowledged after it
}

// link is where the chain was when a write began.
type link struct {
	of     events.Mark
	newest uint64
}

// Mark is that of the ledger worked on, as far as it is known.
func (l *Ledger) Mark() events.Mark {
	if l.mark == nil {
		return events.Mark{}
	}
	return l.mark()
}

// Usable is an error where the ledger's stream is not there, or is another: [ErrLost].
func (l *Ledger) Usable(ctx context.Context) error {
	_, err := l.stream(ctx)
	return err
}

// lost reports whether an error of [Ledger.Usable] says that there is no such ledger, and not only that nobody answers.
func lost(err error) bool {
	return errors.Is(err, ErrLost) || errors.Is(err, jetstream.ErrStreamNotFound)
}

// stream looks at the ledger's stream, and whether it is the right one.
func (l *Ledger) stream(ctx context.Context) (*jetstream.StreamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	s, err := l.js.Stream(ctx, l.streams.Ledger)
	if err != nil {
		return nil, fmt.Errorf("look at stream %s: %w", l.streams.Ledger, err)
	}
	info := s.CachedInfo()
	if mark := l.Mark(); !mark.IsZero() && !mark.Created.Equal(info.Created) {
		return nil, ErrLost
	}
	if now, broken := l.chainNow(); broken && !l.mendChain(ctx, now) {
		return nil, ErrLost
	}
	return info, nil
}

// mendChain reports whether the record is there again that was missing: then the right stream was brought back.
func (l *Ledger) mendChain(ctx context.Context, now link) bool {
	m, err := l.get(ctx, l.streams.Ledger, map[string]any{"seq": now.newest})
	c := &l.chain
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil || m == nil || c.of != now.of || c.newest != now.newest || tokenOf(m) != c.token {
		return false
	}
	c.broken = false
	return true
}

// chainNow is how far the ledger goes that is now worked on.
func (l *Ledger) chainNow() (now link, broken bool) {
	mark := l.Mark()
	c := &l.chain
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of != mark { // accepted by an operator
		c.of, c.newest, c.token, c.broken = mark, 0, "", false
	}
	return link{c.of, c.newest}, c.broken
}

// continues notes an acknowledged sequence, and is [ErrLost] where it is not higher than one that was acknowledged
// before its message was sent: then that one is gone, and this is another stream, or an older state of it. A write that
// began on another ledger than is now worked on is lost for itself alone.
func (l *Ledger) continues(began link, sequence uint64, token string) error {
	mark := l.Mark()
	c := &l.chain
	c.mu.Lock()
	defer c.mu.Unlock()
	if mark != began.of || c.of != began.of {
		return ErrLost
	}
	if sequence <= began.newest {
		c.broken = true
	}
	if c.broken {
		return ErrLost
	}
	if sequence > c.newest {
		c.newest, c.token = sequence, token
	}
	return nil
}

// own are the sequences of the claims that this process has made of late.
type own struct {
	mu   sync.Mutex
	seqs []uint64 // a ring
	next int
}

// mostOwn is more than a process has under way within a lease.
const mostOwn = 1024

func (o *own) add(sequence uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.seqs) < mostOwn {
		o.seqs = append(o.seqs, sequence)
		return
	}
	o.seqs[o.next] = sequence
	o.next = (o.next + 1) % mostOwn
}

// Claimed reports whether this process has written a claim of late.
func (l *Ledger) Claimed(sequence uint64) bool {
	l.own.mu.Lock()
	defer l.own.mu.Unlock()
	return slices.Contains(l.own.seqs, sequence)
}
