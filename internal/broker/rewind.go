package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const rewindTries = 10

// Rewind deletes `activator` and makes it again to start with the first message stored at or after from. What was
// recorded meanwhile stays: a message read twice finds its own record. Workers that are running lose their consumer
// and have to open it again.
//
// Errors to test for: [ErrIntakeMissing], [LayoutError] where the user may not.
func Rewind(ctx context.Context, js jetstream.JetStream, l Layout, from time.Time) error {
	l.IntakeFrom = IntakeFromTime(from)
	a, err := newAdmin(js, l)
	if err != nil {
		return err
	}
	if err := a.sameLedger(ctx); err != nil {
		return fmt.Errorf("rewinding the intake: %w", err)
	}
	info, err := a.intakeInfo(ctx)
	if err != nil {
		return fmt.Errorf("rewinding the intake: %w", err)
	}
	if info.Config.Retention == jetstream.WorkQueuePolicy {
		return fmt.Errorf("rewinding the intake: stream %s is a work queue: what was read from it is gone", info.Config.Name)
	}
	if err := a.skipsNothing(ctx, from); err != nil {
		return err
	}
	spec := a.layout.activator()
	for tries := 1; ; tries++ {
		if err := a.deleteConsumer(ctx, spec); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return fmt.Errorf("rewinding the intake: %w", err)
		}
		_, err := a.createConsumer(ctx, spec)
		if err == nil {
			return nil
		}
		// A running worker that misses its consumer may be quicker, and makes one that starts elsewhere.
		if !errors.Is(err, jetstream.ErrConsumerExists) || tries == rewindTries {
			return fmt.Errorf("rewinding the intake: the consumer was deleted and could not be made again, run the same command again: %w", err)
		}
	}
}

// skipsNothing refuses to start later than with the first message that was not read yet: it would never be.
func (a *admin) skipsNothing(ctx context.Context, from time.Time) error {
	spec := a.layout.activator()
	info, err := a.consumerInfo(ctx, spec)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil // nothing was read: where to start is the operator's choice
	}
	if err != nil {
		return fmt.Errorf("rewinding the intake: %w", err)
	}
	if info.NumPending+uint64(info.NumAckPending) == 0 && !from.After(time.Now()) {
		return nil
	}
	next, err := a.message(ctx, spec.stream, a.layout.IntakeSubject, info.AckFloor.Stream+1)
	if err != nil {
		return fmt.Errorf("rewinding the intake: %w", err)
	}
	if next == nil {
		next = &jetstream.RawStreamMsg{Time: time.Now()}
	}
	if from.After(next.Time) {
		return fmt.Errorf("rewinding the intake: %s is later than the first message of stream %s that was not handled yet, of %s, which would never be read: give that time or an earlier one",
			from.Format(time.RFC3339), spec.stream, next.Time.UTC().Format(time.RFC3339Nano))
	}
	return nil
}
