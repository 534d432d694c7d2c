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
	info, err := a.intakeInfo(ctx)
	if err != nil {
		return fmt.Errorf("rewinding the intake: %w", err)
	}
	if info.Config.Retention == jetstream.WorkQueuePolicy {
		return fmt.Errorf("rewinding the intake: stream %s is a work queue: what was read from it is gone", info.Config.Name)
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
