package census

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"activation-worker/internal/broker"
	"activation-worker/internal/events"
)

const (
	batch    = 256              // messages asked for at once
	expiry   = 30 * time.Second // of one request for them
	stopTime = time.Second
	// restAtMost bounds the rest after each batch while there is much to read. Work comes first: half of the time is left to it.
	restAtMost = 50 * time.Millisecond
)

// reading is one consumer's worth of messages. It is not safe for concurrent use.
type reading struct {
	*Census
	cons jetstream.Consumer
	name string
	pull *broker.Pull
	got  uint64    // messages, as the server counts them
	left uint64    // messages to come, as last heard
	from time.Time // when the present batch began
}

func (r *reading) run(ctx context.Context) error {
	if r.left = r.cons.CachedInfo().NumPending; r.left == 0 {
		if err := r.caughtUp(ctx); err != nil {
			return err
		}
	}
	r.from = time.Now()
	for {
		if err := r.until(ctx, time.Now().Add(r.o.Interval)); err != nil {
			return err
		}
		if err := r.look(ctx); err != nil {
			return err
		}
	}
}

// until reads for a while.
func (r *reading) until(ctx context.Context, end time.Time) error {
	within, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	for {
		msg, err := r.next(within)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, context.DeadlineExceeded):
			return nil
		case err != nil:
			return err
		}
		if err := r.take(ctx, msg); err != nil {
			return err
		}
		if within.Err() != nil && ctx.Err() == nil {
			return nil
		}
	}
}

// next waits for a message. Where the first does not come it may be that the user may not.
func (r *reading) next(ctx context.Context) (msg jetstream.Msg, err error) {
	if r.got > 0 || r.left == 0 {
		return r.pull.Next(ctx, batch)
	}
	err = r.asked(ctx, r.name, func(ctx context.Context) (err error) {
		msg, err = r.pull.Next(ctx, batch)
		return err
	})
	return msg, err
}

// take counts one message.
func (r *reading) take(ctx context.Context, msg jetstream.Msg) error {
	meta, err := msg.Metadata()
	if err != nil {
		return err
	}
	if r.got++; meta.Sequence.Consumer != r.got {
		return errMissed
	}
	m := message{meta.Sequence.Stream, meta.Timestamp, meta.NumPending}
	if b, ok := events.BriefOf(msg.Subject(), msg.Headers()); ok {
		r.count(b, m)
		delete(r.untold, b.DomainID)
		if b.Untold {
			r.untold[b.DomainID] = m.sequence
		}
		if b.State == events.Forgotten {
			r.forgot = time.Now()
		}
	} else {
		r.pass(msg.Subject(), m)
	}
	r.last = anchor{m.sequence, m.stored}
	switch {
	case meta.NumPending == 0:
		return r.caughtUp(ctx)
	case len(r.untold) >= untoldAtMost:
		return r.settle(ctx)
	case r.got%batch == 0:
		rest(ctx, min(time.Since(r.from), restAtMost))
		r.from = time.Now()
	}
	return nil
}

// caughtUp is called when nothing is left to read.
func (r *reading) caughtUp(ctx context.Context) error {
	r.behind(0)
	if err := r.settle(ctx); err != nil {
		return err
	}
	if r.complete() {
		r.log.Info("customers are counted", zap.Uint64("up_to", r.last.sequence), zap.Duration("took", time.Since(r.began).Round(time.Millisecond)))
	}
	return nil
}

// look finds what no message tells: another stream in the place of this one, a purge, a consumer that is stuck.
func (r *reading) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	stream, err := r.o.JetStream.Stream(ctx, r.o.Stream)
	if err != nil {
		return err
	}
	info := stream.CachedInfo()
	if !info.Created.Equal(r.created) || info.State.LastSeq < r.last.sequence {
		return errAnother // which is seen again when it is attached anew
	}
	consumer, err := r.cons.Info(ctx)
	if err != nil {
		return err
	}
	r.left = consumer.NumPending + consumer.Delivered.Consumer - min(r.got, consumer.Delivered.Consumer)
	r.behind(r.left)
	if r.left == 0 {
		if err := r.caughtUp(ctx); err != nil { // also where what was to come last was purged
			return err
		}
	}
	// Subjects go with what is erased alone, which the record tells that stays. While something is not counted yet they cannot be compared,
	// nor while what that record tells of may still be there.
	if r.left > 0 || info.State.LastSeq != r.last.sequence || time.Since(r.forgot) < 2*r.o.Interval {
		return nil
	}
	others := int64(info.State.NumSubjects) - int64(r.subjects)
	purged := others < r.others
	r.others = others
	if purged {
		r.reset()
		return errPurged
	}
	return nil
}

// rest waits without holding up the end.
func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
