package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"activation-worker/internal/events"
	"activation-worker/internal/faults"
)

const (
	sweepBatch = 1024
	// sweepWindow is how many claims and waits are kept in mind until it is asked about the oldest: most are overtaken within it,
	// the claims at once, and the waits of those who are active by now.
	sweepWindow = 16 << 10
	// A request that nobody answers is sent again so often, so much later.
	maxSweepBlips = 20
	sweepBlip     = 100 * time.Millisecond
)

// sweeping is one sweep. It is not safe for concurrent use.
type sweeping struct {
	*Ledger
	cons    jetstream.Consumer
	foreign func(error)
	left    uint64 // messages to come
	asked   time.Time

	floors map[string]uint64 // how far the wake-ups' consumers have come; nil: not read yet
	blind  bool              // who will be woken is asked one by one

	// The last claims and waits that were read, in the order of the stream, and which of them are a customer's newest so far.
	window []place
	newest map[int64]uint64

	got   uint64 // messages, as the server counts them
	gap   bool   // one was lost on the way, and with it perhaps somebody who waits
	last  anchor
	low   uint64 // the lowest sequence of somebody who still waits; 0: none
	armed int
}

// place is where a customer's record is in the stream.
type place struct {
	id       int64
	sequence uint64
}

func (s *sweeping) run(ctx context.Context) error {
	for blips := maxSweepBlips; s.left > 0; {
		// No more than there are, so that the last request does not wait for others.
		batch, err := s.cons.Fetch(int(min(sweepBatch, s.left)), jetstream.FetchMaxWait(requestTimeout))
		if err != nil {
			return s.trouble(err)
		}
		got, err := s.take(ctx, batch)
		switch {
		case errors.Is(err, nats.ErrNoResponders) && pause(ctx, sweepBlip):
			if blips--; blips >= 0 {
				continue // on replicated streams a new consumer takes a moment to answer
			}
			fallthrough
		case err != nil:
			return s.trouble(err)
		}
		if got == 0 || ctx.Err() != nil {
			break
		}
		if err := s.settle(ctx, sweepWindow); err != nil {
			return err
		}
	}
	return s.settle(ctx, 0)
}

func (s *sweeping) trouble(err error) error {
	return fmt.Errorf("sweep stream %s: %w", s.streams.Ledger, err)
}

// complete reports whether everything was read that was there when the sweep began, and asked what was to be asked about it.
func (s *sweeping) complete() bool { return s.left == 0 && !s.gap && len(s.window) == 0 }

// take notes what has come.
func (s *sweeping) take(ctx context.Context, batch jetstream.MessageBatch) (got int, err error) {
	s.asked = time.Now()
	for msg := range batch.Messages() {
		got++
		if err == nil {
			err = s.note(ctx, msg)
		}
	}
	s.left -= min(s.left, uint64(got))
	if err == nil {
		err = batch.Error()
	}
	return got, err
}

// note remembers who may have to be woken, and forgets it with the customer's next record.
func (s *sweeping) note(ctx context.Context, msg jetstream.Msg) error {
	meta, err := msg.Metadata()
	if err != nil {
		return err
	}
	s.got++
	s.gap = s.gap || meta.Sequence.Consumer != s.got
	s.last = anchor{meta.Sequence.Stream, meta.Timestamp}
	id, ok := events.DomainOfSubject(msg.Subject())
	if !ok {
		return nil
	}
	switch here := (place{id, meta.Sequence.Stream}); events.State(msg.Subject()[strings.LastIndexByte(msg.Subject(), '.')+1:]) {
	case events.Started, events.Deferred:
		s.newest[id] = here.sequence
		s.window = append(s.window, here)
	case events.Forgotten:
		delete(s.newest, id)
		return s.erase(ctx, here)
	default:
		delete(s.newest, id) // nobody waits for anything
	}
	return nil
}

// erase ends what an interrupted erasure has left, also of a customer who was announced anew since.
func (s *sweeping) erase(ctx context.Context, forgotten place) error {
	first, err := s.get(ctx, s.streams.Ledger, map[string]any{"seq": 1, "next_by_subj": events.CustomerFamily(forgotten.id)})
	if err != nil || first == nil || first.Sequence >= forgotten.sequence {
		return err
	}
	m, err := s.get(ctx, s.streams.Ledger, map[string]any{"seq": forgotten.sequence})
	if err != nil || m == nil {
		return err
	}
	r, err := m.record()
	if err != nil {
		s.foreign(err)
		return nil
	}
	faults.Before(faults.SweepErase)
	err = s.Erase(ctx, r)
	faults.After(faults.SweepErase)
	return err
}

// settle asks about the oldest in the window, until no more than some are left in it.
func (s *sweeping) settle(ctx context.Context, leave int) error {
	for len(s.window) > leave && ctx.Err() == nil {
		began := time.Now()
		var about []place
		for len(s.window) > leave && len(about) < wakersAtOnce {
			oldest := s.window[0]
			s.window = s.window[1:]
			if s.newest[oldest.id] == oldest.sequence {
				delete(s.newest, oldest.id)
				about = append(about, oldest)
			}
		}
		woken, err := s.woken(ctx, about)
		if err != nil {
			return err
		}
		for _, p := range about {
			if woken[p.id] {
				s.waits(p)
			} else if err := s.rearm(ctx, p); err != nil {
				return err
			}
		}
		if err := s.stay(ctx); err != nil {
			return err
		}
		if len(about) == wakersAtOnce {
			pause(ctx, time.Since(began)) // the server is for those too who do not wait
		}
	}
	return nil
}

// stay lets the server know that the sweep goes on.
func (s *sweeping) stay(ctx context.Context) error {
	if time.Since(s.asked) < sweepIdle/3 {
		return nil
	}
	batch, err := s.cons.FetchNoWait(1)
	if err == nil {
		_, err = s.take(ctx, batch)
	}
	if err != nil {
		return s.trouble(err)
	}
	return nil
}

// waits notes somebody whom the next sweep must look at again.
func (s *sweeping) waits(p place) {
	if s.low == 0 || p.sequence < s.low {
		s.low = p.sequence
	}
}

// rearm arms a timer for somebody overdue, if that record is still the newest and nothing will wake the customer.
func (s *sweeping) rearm(ctx context.Context, p place) error {
	m, err := s.Ledger.last(ctx, s.streams.Ledger, events.CustomerFamily(p.id))
	if err != nil || sequenceOf(m) != p.sequence {
		return err
	}
	s.waits(p)
	r, err := m.record()
	if err != nil {
		s.foreign(err)
		return nil
	}
	// Who waits for DNS has looks before the next attempt, of which only the timer knows.
	due, ok := DueAt(r)
	watched := r.State == events.Deferred && r.Reason == events.DNSUnverified
	if !ok || s.now().Sub(due) < sweepGrace && !watched {
		return nil
	}
	attended, err := s.Attended(ctx, r.DomainID, r.Sequence)
	if err != nil || attended {
		return err
	}
	s.log.Debug("timer was lost, armed again", zap.Int64("domain_id", r.DomainID), zap.String("state", string(r.State)))
	faults.Before(faults.SweepArm)
	if err := s.Arm(ctx, r.DomainID, events.WakeUpSubject(r), s.now()); err != nil {
		return err
	}
	faults.After(faults.SweepArm)
	s.armed++
	return nil
}
