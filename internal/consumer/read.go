package consumer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"activation-worker/internal/activation"
	"activation-worker/internal/events"
	"activation-worker/internal/faults"
)

// delivery is a message that is about one customer.
type delivery struct {
	msg      jetstream.Msg
	storedAt time.Time // by the server's clock
	tries    uint64    // deliveries so far, this one included
	pending  uint64    // messages behind it
	domainID int64
	accepted *events.Accepted // nil for a wake-up
	redo     bool             // the wake-up of a replayed customer
	mark     events.Mark      // of the ledger when it was read
	beat     *keepAlive
}

func (d delivery) cue(now time.Time) activation.Cue {
	if d.accepted == nil {
		return activation.Cue{}
	}
	return activation.CueOf(d.accepted, now)
}

// readAccepted reads a terms-accepted event. What nobody can act on is recorded as
// rejected, with its original, then terminated.
func (w *Worker) readAccepted(ctx context.Context, msg jetstream.Msg, from source) (*delivery, error) {
	meta, err := msg.Metadata()
	if err != nil {
		return nil, fmt.Errorf("message on %s is not from JetStream: %w", msg.Subject(), err)
	}
	m := events.Message{
		Subject: msg.Subject(), Header: msg.Headers(), Data: msg.Data(),
		Stream: meta.Stream, StreamCreated: from.streamCreated, Sequence: meta.Sequence.Stream, StoredAt: meta.Timestamp,
	}
	accepted, err := w.Decoder.Decode(m)
	var why *events.Undecodable
	switch {
	case errors.Is(err, events.ErrOtherType):
		w.log.Debug("event of another type passed over", zap.Uint64("sequence", m.Sequence))
		w.ack(msg, faults.AckNothing)
		return nil, nil
	case errors.As(err, &why):
		return nil, w.reject(ctx, msg, m, why)
	case err != nil:
		w.nak(msg, requeueAfter)
		return nil, err
	}
	if accepted.ReferenceDropped {
		w.log.Warn("reference dropped: not a string of at most 200 bytes", zap.Int64("domain_id", accepted.DomainID), traceID(accepted.TraceParent))
	}
	mark := w.Ledger.Mark()
	if m.StoredAt.Before(mark.Accepted) {
		accepted.Backfill = true // the ledger before may have known that the customer is active: that is asked first
	}
	return &delivery{msg: msg, storedAt: meta.Timestamp, tries: meta.NumDelivered, domainID: accepted.DomainID, accepted: &accepted, mark: mark}, nil
}

// rejectTime is how long a rejection is tried to be recorded before its message goes back.
const rejectTime = 10 * time.Second

func (w *Worker) reject(ctx context.Context, msg jetstream.Msg, m events.Message, why *events.Undecodable) error {
	ctx, cancel := context.WithTimeout(ctx, rejectTime)
	defer cancel()
	faults.Before(faults.Reject)
	if err := w.Ledger.Reject(ctx, m, why); err != nil {
		w.nak(msg, requeueAfter)
		return err
	}
	faults.After(faults.Reject)
	w.Observer.Rejected()
	w.log.Warn("announcement rejected", zap.Uint64("sequence", m.Sequence), zap.String("reason", why.Reason), zap.String("detail", why.Detail))
	faults.Before(faults.Terminate)
	if err := msg.TermWithReason(why.Reason); err != nil {
		w.log.Debug("termination not sent, the message comes again", zap.Error(err))
	}
	faults.After(faults.Terminate)
	return nil
}

// readWakeUp reads a fired timer.
func (w *Worker) readWakeUp(_ context.Context, msg jetstream.Msg, _ source) (*delivery, error) {
	meta, err := msg.Metadata()
	if err != nil {
		return nil, fmt.Errorf("message on %s is not from JetStream: %w", msg.Subject(), err)
	}
	domainID, ok := events.DomainOfSubject(msg.Subject())
	if !ok {
		w.log.Error("wake-up for no domain dropped", zap.String("subject", msg.Subject()))
		w.ack(msg, faults.AckNothing)
		return nil, nil
	}
	d := &delivery{msg: msg, storedAt: meta.Timestamp, tries: meta.NumDelivered, pending: meta.NumPending, domainID: domainID, redo: msg.Subject() == events.RedoSubject(domainID), mark: w.Ledger.Mark()}
	w.noteLateness(d)
	return d, nil
}

// strangers remembers records that this binary leaves untouched.
type strangers struct {
	mu   sync.Mutex
	errs map[string]time.Time
}

const (
	maxStrangers   = 20
	strangerMemory = 10 * time.Minute
)

func (s *strangers) add(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.errs == nil {
		s.errs = map[string]time.Time{}
	}
	if _, known := s.errs[err.Error()]; known || len(s.errs) < maxStrangers {
		s.errs[err.Error()] = time.Now()
	}
}

// list names those met lately.
func (s *strangers) list() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name, at := range s.errs {
		if time.Since(at) > strangerMemory {
			delete(s.errs, name)
			continue
		}
		names = append(names, name)
	}
	return names
}
