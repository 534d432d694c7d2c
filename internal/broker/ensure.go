package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Ensure makes the layout ready for a worker that is about to run: it creates what is missing, binds the ledger to the
// partner tenant, names the ledger at an `activator` that names none, and changes nothing else. Any number of workers may
// do so at once.
//
// A ledger that is missing although the intake was read, or is not the one that was worked on, is a [LostError]: it is
// not made anew, and nothing else is touched.
//
// Errors to test for: [LostError]; [LayoutError] lists what would break the ledger or what the user may not do, [BindingError],
// [VersionError], [IntakeFromError] (a setting is missing), [ErrNoJetStream] and [ErrIntakeMissing]. With the last,
// everything but `activator` is ready; once the intake is there, another Ensure makes the rest.
func Ensure(ctx context.Context, js jetstream.JetStream, l Layout) error {
	a, err := newAdmin(js, l)
	if err != nil {
		return err
	}
	if err := a.sameLedger(ctx); err != nil {
		return err
	}
	if err := a.ensureOwn(ctx); err != nil {
		return fmt.Errorf("preparing the streams: %w", err)
	}
	if l.Found != nil {
		l.Found(a.layout.Ledger)
	}
	if err := a.ensureIntake(ctx, time.Now()); err != nil {
		return &intakeTrouble{err}
	}
	return nil
}

// ensureOwn gathers what is wrong with any of the worker's own streams and consumers, so that one look shows all.
func (a *admin) ensureOwn(ctx context.Context) error {
	var wrong []Drift
	has := map[role]*jetstream.StreamInfo{}
	for _, spec := range a.layout.streams() {
		info, err := a.ensureStream(ctx, spec)
		if err := gather(&wrong, err); err != nil {
			return err
		}
		has[spec.role] = info
	}
	if has[work] != nil {
		for _, spec := range a.layout.ofWork() {
			err := a.ensureConsumer(ctx, spec)
			if err := gather(&wrong, err); err != nil {
				return err
			}
		}
	}
	if err := layoutError(wrong); err != nil {
		return err
	}
	a.layout.Ledger = markOf(has[ledger])
	_, _, err := a.bind(ctx, has[ledger].Config)
	return err
}

// gather keeps a list of what is wrong and lets other errors through.
func gather(wrong *[]Drift, err error) error {
	if e, ok := errors.AsType[*LayoutError](err); ok {
		*wrong = append(*wrong, e.Drifts...)
		return nil
	}
	return err
}

// ensureStream returns the stream, made if it is missing; nil where it can neither be seen nor made.
func (a *admin) ensureStream(ctx context.Context, spec streamSpec) (*jetstream.StreamInfo, error) {
	info, _, err := a.makeStream(ctx, spec.config)
	if err != nil {
		return nil, err
	}
	return info, breaking(compareStream(spec, info))
}

// makeStream returns the stream as it is, made if it is missing.
func (a *admin) makeStream(ctx context.Context, config jetstream.StreamConfig) (info *jetstream.StreamInfo, made bool, err error) {
	info, err = a.streamInfo(ctx, config.Name)
	if !errors.Is(err, jetstream.ErrStreamNotFound) {
		return info, false, err
	}
	info, err = a.createStream(ctx, config)
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another worker was quicker, with other settings
		info, err = a.streamInfo(ctx, config.Name)
		return info, false, err
	}
	if err == nil {
		a.made("stream " + config.Name)
	}
	return info, err == nil, err
}

// compareStream holds a stream against its declaration. A number of replicas that nobody chose is right as it is
// where it is at least what a new stream would get.
func compareStream(spec streamSpec, info *jetstream.StreamInfo) []finding[jetstream.StreamConfig] {
	want := spec.config
	if want.Replicas == 0 {
		want.Replicas = info.Config.Replicas
		if info.Cluster != nil && info.Cluster.Name != "" {
			want.Replicas = max(clusterReplicas, want.Replicas)
		}
	}
	return compare(streamRules, spec.role, spec.object(), spec.remedy, info.Config, want)
}

// ensureConsumer makes a consumer if it is missing.
func (a *admin) ensureConsumer(ctx context.Context, spec consumerSpec) error {
	info, _, err := a.makeConsumer(ctx, spec)
	if err != nil {
		return err
	}
	return breaking(compareConsumer(spec, info))
}

// makeConsumer returns the consumer as it is, made if it is missing.
func (a *admin) makeConsumer(ctx context.Context, spec consumerSpec) (info *jetstream.ConsumerInfo, made bool, err error) {
	info, err = a.consumerInfo(ctx, spec)
	if !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return info, false, err
	}
	info, err = a.createConsumer(ctx, spec)
	if errors.Is(err, jetstream.ErrConsumerExists) { // another worker was quicker, with other settings
		info, err = a.consumerInfo(ctx, spec)
		return info, false, err
	}
	if err == nil {
		a.made(spec.object())
	}
	return info, err == nil, err
}

func (a *admin) made(object string) {
	if a.layout.Made != nil {
		a.layout.Made(object)
	}
}

func compareConsumer(spec consumerSpec, info *jetstream.ConsumerInfo) []finding[jetstream.ConsumerConfig] {
	return compare(consumerRules, consumer, spec.object(), spec.remedy, info.Config, spec.config)
}
