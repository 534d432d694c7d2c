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
	broken bool   // a lower one was acknowledged after it
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
	if _, broken := l.chainNow(); broken {
		return nil, ErrLost
	}
	return info, nil
}

// chainNow is the highest sequence that was acknowledged by the ledger that is now worked on.
func (l *Ledger) chainNow() (newest uint64, broken bool) {
	mark := l.Mark()
	c := &l.chain
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of != mark { // accepted by an operator
		c.of, c.newest, c.broken = mark, 0, false
	}
	return c.newest, c.broken
}

// continues notes an acknowledged sequence, and is [ErrLost] where it is not higher than one that was acknowledged
// before its message was sent: then that one is gone, and this is another stream, or an older state of it.
func (l *Ledger) continues(before, sequence uint64) error {
	c := &l.chain
	c.mu.Lock()
	defer c.mu.Unlock()
	if sequence <= before {
		c.broken = true
	}
	if c.broken {
		return ErrLost
	}
	c.newest = max(c.newest, sequence)
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
