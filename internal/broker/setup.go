package broker

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/events"
)

// Plan compares the layout with what the server has and changes nothing. The list is empty where all is as declared.
// Errors to test for: [VersionError], [ErrNoJetStream].
func Plan(ctx context.Context, js jetstream.JetStream, l Layout) ([]Drift, error) {
	a, err := newAdmin(js, l)
	if err != nil {
		return nil, err
	}
	p := &plan{admin: a}
	err = p.run(ctx, time.Now())
	return p.drifts, err
}

// plan gathers the differences, in the order in which they are mended.
type plan struct {
	*admin
	drifts []Drift
}

func (p *plan) run(ctx context.Context, now time.Time) error {
	lost, err := p.lost(ctx)
	if err != nil {
		return err
	}
	for _, spec := range p.layout.streams() {
		if lost != nil && spec.role == ledger {
			continue
		}
		info, err := p.streamInfo(ctx, spec.config.Name)
		if err := p.missing(spec.object(), err, jetstream.ErrStreamNotFound); err != nil {
			return err
		}
		if info == nil {
			continue
		}
		note(p, compareStream(spec, info))
		if spec.role == ledger {
			p.binding(info.Config)
			if err := p.published(ctx, info); err != nil {
				return err
			}
		}
	}
	for _, spec := range p.layout.ofWork() {
		if err := p.consumer(ctx, spec); err != nil {
			return err
		}
	}
	return p.intake(ctx, now)
}

// lost notes a ledger that is gone or was made anew.
func (p *plan) lost(ctx context.Context) (*LostError, error) {
	err := p.sameLedger(ctx)
	lost, is := errors.AsType[*LostError](err)
	if !is {
		return nil, gather(&p.drifts, err)
	}
	drift := Drift{Object: "stream " + lost.Stream, Is: "missing", Wants: "the one that the intake was read into, " + shownMark(lost.Was), Do: lost.Error()}
	if !lost.Is.IsZero() {
		drift.Is = "another one, " + shownMark(lost.Is)
	}
	p.drifts = append(p.drifts, drift)
	return lost, nil
}

// missing notes an object that does not exist or must not be seen, and lets other errors through.
func (p *plan) missing(object string, err error, notFound ...error) error {
	for _, target := range notFound {
		if errors.Is(err, target) {
			p.drifts = append(p.drifts, Drift{Object: object, Is: "missing", Wants: "there", Fixable: true})
			return nil
		}
	}
	return gather(&p.drifts, err)
}

func note[C any](p *plan, found []finding[C]) {
	for _, f := range found {
		p.drifts = append(p.drifts, f.Drift)
	}
}

func (p *plan) binding(config jetstream.StreamConfig) {
	is, wants := bindingOf(config.Metadata), p.layout.Binding
	drift := Drift{Object: "stream " + config.Name, Setting: "partner", Is: is.shown(), Wants: is.completed(wants).shown(), Fixable: true}
	if !is.admits(wants) {
		drift.Wants, drift.Fixable, drift.Do = wants.shown(), false, "`worker setup --rebind-partner` if the ledger is to move"
	}
	if drift.Is != drift.Wants {
		p.drifts = append(p.drifts, drift)
	}
}

func (p *plan) consumer(ctx context.Context, spec consumerSpec) error {
	info, err := p.consumerInfo(ctx, spec)
	if err := p.missing(spec.object(), err, jetstream.ErrConsumerNotFound, jetstream.ErrStreamNotFound); err != nil {
		return err
	}
	if info != nil {
		note(p, compareConsumer(spec, info))
	}
	if info != nil && spec.config.Durable == events.ConsumerActivator {
		p.marked(spec, info)
	}
	return nil
}

// marked notes a consumer on the intake that does not say which ledger it was read into, or names one before.
func (p *plan) marked(spec consumerSpec, info *jetstream.ConsumerInfo) {
	is, wants := events.ParseMark(info.Config.Metadata[events.MetadataLedger]), p.layout.Ledger
	if is == wants || wants.IsZero() {
		return
	}
	p.drifts = append(p.drifts, Drift{Object: spec.object(), Setting: "ledger", Is: shownMark(is), Wants: shownMark(wants), Fixable: true})
}

func (p *plan) intake(ctx context.Context, now time.Time) error {
	info, err := p.intakeInfo(ctx)
	if errors.Is(err, ErrIntakeMissing) {
		drift := Drift{Object: "stream " + p.layout.IntakeStream, Is: "missing", Wants: "there", Fixable: p.layout.WithIntake}
		if !drift.Fixable {
			drift.Do = "the signup pipeline creates it, or `worker setup --with-intake`"
		}
		p.drifts = append(p.drifts, drift)
	} else if err := gather(&p.drifts, err); err != nil {
		return err
	}
	if info == nil {
		return p.consumer(ctx, p.layout.activator())
	}
	p.drifts = append(p.drifts, intakeSubjects(p.layout, info)...)
	err = p.decided(ctx, now)
	if from, ok := errors.AsType[*IntakeFromError](err); ok {
		p.drifts = append(p.drifts, Drift{Object: p.layout.activator().object(), Is: "missing", Wants: "there", Do: from.Error()})
		return nil
	}
	if err := gather(&p.drifts, err); err != nil {
		return err
	}
	return p.consumer(ctx, p.layout.activator())
}
