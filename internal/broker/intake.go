package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/nats-io/nats.go/jetstream"
)

// backlogAge is how old a message must be for the start of a new `activator` to need a decision.
const backlogAge = time.Hour

// ensureIntake makes `activator`, and the intake stream where that is ours to make.
func (a *admin) ensureIntake(ctx context.Context, now time.Time) error {
	info, _, err := a.makeIntake(ctx)
	if err != nil {
		return err
	}
	if err := layoutError(intakeSubjects(a.layout, info)); err != nil {
		return err
	}
	// Just made on a cluster, the stream may be unknown for a moment to the node that is asked next.
	waits := backoff.NewExponentialBackOff(backoff.WithInitialInterval(50*time.Millisecond), backoff.WithMaxElapsedTime(settleTimeout))
	return backoff.Retry(func() error {
		err := a.decided(ctx, now)
		if err == nil {
			err = a.ensureConsumer(ctx, a.layout.activator())
		}
		if err == nil {
			err = a.ensureMark(ctx)
		}
		if err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			return backoff.Permanent(err)
		}
		return err
	}, backoff.WithContext(waits, ctx))
}

// ensureMark marks a consumer that an older worker has made. Who may not change it works on without: `worker setup` marks it.
func (a *admin) ensureMark(ctx context.Context) error {
	info, was, err := a.readInto(ctx)
	if err != nil || info == nil || !was.Created.IsZero() || a.layout.Ledger.IsZero() {
		return err
	}
	err = a.writeMark(ctx, info)
	if _, denied := errors.AsType[*LayoutError](err); denied {
		return nil
	}
	return err
}

// makeIntake returns the intake stream, made if it is missing and ours to make.
func (a *admin) makeIntake(ctx context.Context) (info *jetstream.StreamInfo, made bool, err error) {
	if a.layout.WithIntake {
		return a.makeStream(ctx, a.layout.intake().config)
	}
	info, err = a.intakeInfo(ctx)
	return info, false, err
}

func (a *admin) intakeInfo(ctx context.Context) (*jetstream.StreamInfo, error) {
	info, err := a.streamInfo(ctx, a.layout.IntakeStream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, fmt.Errorf("%w: %s; the signup pipeline creates it, or `worker setup --with-intake`; WORKER_INTAKE_STREAM names another",
			ErrIntakeMissing, a.layout.IntakeStream)
	}
	return info, err
}

// intakeSubjects finds a filter under which nothing can ever arrive. What a stream sources has subjects of its own.
func intakeSubjects(l Layout, info *jetstream.StreamInfo) []Drift {
	c := info.Config
	if c.Mirror != nil || len(c.Sources) > 0 {
		return nil
	}
	for _, s := range c.Subjects {
		if overlap(s, l.IntakeSubject) {
			return nil
		}
	}
	return []Drift{{
		Object: "stream " + c.Name, Setting: "subjects", Is: list(c.Subjects), Wants: "such that it takes " + l.IntakeSubject,
		Do: "set WORKER_INTAKE_STREAM and WORKER_INTAKE_SUBJECT to what the signup pipeline uses",
	}}
}

// decided is an [IntakeFromError] where `activator` does not exist, nobody said where it should start, and the intake
// holds messages for it that are older than [backlogAge].
func (a *admin) decided(ctx context.Context, now time.Time) error {
	if a.layout.IntakeFrom.set {
		return nil
	}
	if _, err := a.consumerInfo(ctx, a.layout.activator()); !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return err
	}
	name, subject := a.layout.IntakeStream, a.layout.IntakeSubject
	info, err := a.streamInfo(ctx, name)
	if err != nil {
		return err
	}
	oldest, err := a.message(ctx, name, subject, max(1, info.State.FirstSeq))
	if err != nil || oldest == nil || oldest.Time.After(now.Add(-backlogAge)) {
		return err
	}
	var held uint64
	err = a.call(ctx, "stream "+name, []string{"STREAM.INFO." + name}, func(ctx context.Context) error {
		stream, err := a.js.Stream(ctx, name)
		if err != nil {
			return err
		}
		info, err := stream.Info(ctx, jetstream.WithSubjectFilter(subject))
		if err != nil {
			return err
		}
		held = 0
		for _, n := range info.State.Subjects {
			held += n
		}
		return nil
	})
	if err != nil {
		return err
	}
	return &IntakeFromError{Stream: name, Subject: subject, Messages: held, Oldest: oldest.Time}
}
