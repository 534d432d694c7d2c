package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
	"go.uber.org/zap"

	"activation-worker/internal/events"
	"activation-worker/internal/faults"
)

// Claim writes a started record where the family's last sequence is expected (0 for
// nothing yet), if the ledger can also take the outcome. On [ErrConflict] the record now
// there is returned. On success the attempt holds room until [Ledger.Release].
func (l *Ledger) Claim(ctx context.Context, r *events.Record, expected uint64) (current *events.Record, err error) {
	if err := l.reserve(ctx); err != nil {
		return nil, err
	}
	current, err = l.write(ctx, r, expected)
	if err != nil {
		l.Release()
		return current, err
	}
	l.own.add(current.Sequence)
	return current, nil
}

// Put writes a record without a claim of its own, if the room that outcomes need is not
// touched. On [ErrConflict] the record now there is returned, nil for none.
func (l *Ledger) Put(ctx context.Context, r *events.Record, expected uint64) (current *events.Record, err error) {
	if r.State == events.Forgotten {
		return l.write(ctx, r, expected) // what is erased after it makes more room than it takes
	}
	if err := l.reserve(ctx); err != nil {
		return nil, err
	}
	defer l.Release()
	return l.write(ctx, r, expected)
}

// armMargin is by how much the server's clock may be ahead of ours.
const armMargin = 5 * time.Second

// PutWaiting is [Ledger.Put] of a deferred record with its timer. The timer comes first,
// since one without its record does no harm, and a record without one would wait for the
// sweep. Where it may have fired before the record was there, it is armed again; and where
// another record was written first, whose timer has made way for this one, that customer
// is woken, to get it anew.
func (l *Ledger) PutWaiting(ctx context.Context, r *events.Record, expected uint64, wake time.Time) (current *events.Record, err error) {
	faults.Before(faults.PutTimer)
	if err := l.Arm(ctx, r.DomainID, events.WakeUpSubject(r), wake); err != nil {
		return nil, err
	}
	faults.After(faults.PutTimer)
	faults.Before(faults.Put)
	current, err = l.Put(ctx, r, expected)
	if err == nil {
		faults.After(faults.Put)
	}
	switch {
	case err == nil && l.now().Add(armMargin).After(wake):
		faults.Before(faults.PutTimerAgain)
		err = l.Arm(ctx, r.DomainID, events.WakeUpSubject(r), wake)
		faults.After(faults.PutTimerAgain)
	case errors.Is(err, ErrConflict) && current != nil:
		if _, waits := DueAt(current); waits {
			err = errors.Join(err, l.Arm(ctx, r.DomainID, events.WakeUpSubject(current), l.now()))
		}
	}
	return current, err
}

// Record writes a claim's outcome, and writes it again until it is stored or refused: the
// write is retried, never the call. On [ErrConflict] the record now there is returned.
func (l *Ledger) Record(ctx context.Context, r *events.Record, expected uint64) (current *events.Record, err error) {
	retry := writeBackoff()
	for full := false; ; full = true {
		current, err = l.write(ctx, r, expected)
		if !errors.Is(err, ErrFull) {
			if full {
				l.hasRoom()
			}
			return current, err
		}
		if !full {
			l.log.Warn("ledger full, outcome waits", zap.Int64("domain_id", r.DomainID), zap.String("state", string(r.State)), zap.Error(err))
		}
		if !pause(ctx, retry.NextBackOff()) {
			return nil, err
		}
	}
}

// write stores r by compare-and-set and returns it with its sequence. An unclear publish
// is settled by sending the identical message again until it is acked or refused, and
// then by the token of the record that is there: reading "absent" settles nothing.
func (l *Ledger) write(ctx context.Context, r *events.Record, expected uint64) (*events.Record, error) {
	written := *r
	written.Time = l.now().UTC()
	written.ID = events.RecordID(r.DomainID, expected, r.State)
	data, err := events.EncodeRecord(&written, l.source, expected, written.Time)
	if err != nil {
		return nil, err
	}
	token := nuid.Next()
	family := events.CustomerFamily(r.DomainID)
	subject := events.CustomerSubject(r.DomainID, r.State)
	began, broken := l.chainNow()
	if broken && lost(l.Usable(ctx)) { // it may have been brought back
		return nil, ErrLost
	}
	retry := writeBackoff()
	for {
		msg := &nats.Msg{
			Subject: subject,
			Header: nats.Header{
				"Content-Type":                          {events.ContentType},
				events.HeaderWriteToken:                 {token},
				jetstream.ExpectedLastSubjSeqHeader:     {fmt.Sprint(expected)},
				jetstream.ExpectedLastSubjSeqSubjHeader: {family},
			},
			Data: data,
		}
		events.SetBrief(msg.Header, r)
		ack, err := l.publish(ctx, msg)
		switch {
		case err == nil:
			l.stored(subject)
			if err := l.continues(began, ack.Sequence, token); err != nil {
				return nil, fmt.Errorf("write %s of domain %d: %w", r.State, r.DomainID, err)
			}
			written.Sequence = ack.Sequence
			return &written, nil
		case isConflict(err):
			l.stored(subject)
			m, loadErr := l.last(ctx, l.streams.Ledger, family)
			switch {
			case loadErr != nil:
				err = loadErr // ask again
			case m != nil && tokenOf(m) == token:
				written.Sequence = m.Sequence
				return &written, nil
			case sequenceOf(m) != expected:
				if m == nil {
					return nil, fmt.Errorf("write %s of domain %d: %w", r.State, r.DomainID, ErrConflict)
				}
				current, decodeErr := l.record(m)
				if decodeErr != nil {
					return nil, decodeErr
				}
				return current, fmt.Errorf("write %s of domain %d: %w", r.State, r.DomainID, ErrConflict)
			}
			// A write of this family is under way on the leader; it will be stored or not.
		case isFull(err):
			err = fullError(err)
			l.noRoom(err)
			return nil, fmt.Errorf("write %s of domain %d: %w", r.State, r.DomainID, err)
		case isFinal(err):
			return nil, fmt.Errorf("write %s of domain %d: %w", r.State, r.DomainID, err)
		}
		l.log.Debug("record not stored yet, written again", zap.Int64("domain_id", r.DomainID), zap.String("state", string(r.State)), zap.Error(err))
		l.unstored(subject, err)
		if (r.State == events.Started || expected == 0) && lost(l.Usable(ctx)) {
			return nil, fmt.Errorf("write %s of domain %d: %w", r.State, r.DomainID, err) // nobody must find it in another ledger
		}
		if !pause(ctx, retry.NextBackOff()) {
			return nil, fmt.Errorf("write %s of domain %d: not known whether it was stored: %w", r.State, r.DomainID, errors.Join(context.Cause(ctx), err))
		}
	}
}

// publish sends one message once and waits for its answer, bounded in time. It goes by the library's asynchronous way, which does
// for a wait a third less; and a lost connection ends it at once.
func (l *Ledger) publish(ctx context.Context, m *nats.Msg) (*jetstream.PubAck, error) {
	if err := ctx.Err(); err != nil {
		return nil, err // the library knows of no context, and would send it all the same
	}
	answer, err := l.publisher.PublishMsgAsync(m, jetstream.WithRetryAttempts(0), jetstream.WithStallWait(requestTimeout))
	if err != nil {
		return nil, err
	}
	select {
	case ack := <-answer.Ok():
		return ack, nil
	case err := <-answer.Err():
		if errors.Is(err, jetstream.ErrAsyncPublishTimeout) {
			err = fmt.Errorf("no answer within %s: %w", requestTimeout, context.DeadlineExceeded)
		}
		return nil, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// publishUntil repeats a message that may safely be stored twice until it is acked; a full stream is [ErrFull].
func (l *Ledger) publishUntil(ctx context.Context, m *nats.Msg) error {
	retry := writeBackoff()
	for {
		_, err := l.publish(ctx, m)
		if isFull(err) {
			return fmt.Errorf("publish on %s: %w", kindOf(m.Subject), fullError(err))
		}
		if err == nil || isFinal(err) {
			if err == nil || apiError(err) != nil {
				l.stored(m.Subject)
			}
			return err
		}
		l.log.Debug("message not stored yet, published again", zap.String("subject", m.Subject), zap.Error(err))
		l.unstored(m.Subject, err)
		if !pause(ctx, retry.NextBackOff()) {
			return fmt.Errorf("publish on %s: %w", m.Subject, errors.Join(context.Cause(ctx), err))
		}
	}
}

// writeBackoff never ends by itself: the context does.
func writeBackoff() *backoff.ExponentialBackOff {
	return backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(25*time.Millisecond),
		backoff.WithMaxInterval(2*time.Second),
		backoff.WithMaxElapsedTime(0),
	)
}

// pause waits and reports whether the context is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// codeConflictReplicated is the refusal of replicated streams, where 10071 is that of single ones.
const codeConflictReplicated jetstream.ErrorCode = 10164

// Refusals for lack of room: of the stream, which discards new, and of the account or the server.
const (
	codeStoreFailed      jetstream.ErrorCode = 10077 // also for other failures of the store
	codeAccountExceeded  jetstream.ErrorCode = 10002
	codeMemoryOrStorage  jetstream.ErrorCode = 10023
	codeStorageExhausted jetstream.ErrorCode = 10047
)

func apiError(err error) *jetstream.APIError {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api
	}
	return nil
}

func isConflict(err error) bool {
	api := apiError(err)
	return api != nil && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == codeConflictReplicated)
}

func isFull(err error) bool {
	api := apiError(err)
	if api == nil {
		return false
	}
	switch api.ErrorCode {
	case codeAccountExceeded, codeMemoryOrStorage, codeStorageExhausted:
		return true
	case codeStoreFailed:
		return strings.Contains(api.Description, "maximum")
	}
	return false
}

// isFinal reports an answer that sending again cannot change.
func isFinal(err error) bool {
	api := apiError(err)
	return errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, nats.ErrConnectionClosed) ||
		api != nil && api.Code == 400 && !isConflict(err) && !isFull(err)
}

func tokenOf(m *stored) string {
	h, err := nats.DecodeHeadersMsg(m.Header)
	if err != nil {
		return ""
	}
	return h.Get(events.HeaderWriteToken)
}

func sequenceOf(m *stored) uint64 {
	if m == nil {
		return 0
	}
	return m.Sequence
}
