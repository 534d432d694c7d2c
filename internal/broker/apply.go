package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Apply creates and updates until the server has what the layout declares, and reports what it did, also when it
// fails half-way. Consumers keep their state. What JetStream cannot change is listed by a [LayoutError] at the end.
// Further errors to test for: those of [Ensure]; after a [BindingError] or a [LostError] nothing was changed.
func Apply(ctx context.Context, js jetstream.JetStream, l Layout) ([]Change, error) {
	a, err := newAdmin(js, l)
	if err != nil {
		return nil, err
	}
	m := &mender{admin: a}
	err = m.run(ctx, time.Now())
	return m.changes, err
}

// mender makes the differences go away.
type mender struct {
	*admin
	changes []Change
	left    []Drift
}

func (m *mender) run(ctx context.Context, now time.Time) error {
	if err := m.ours(ctx); err != nil {
		return err
	}
	if err := m.sameLedger(ctx); err != nil {
		return err
	}
	has := map[role]*jetstream.StreamInfo{}
	for _, spec := range m.layout.streams() {
		info, err := m.stream(ctx, spec)
		if err := gather(&m.left, err); err != nil {
			return err
		}
		has[spec.role] = info
	}
	if info := has[ledger]; info != nil {
		m.layout.Ledger = markOf(info)
		before, after, err := m.bind(ctx, info.Config)
		if err := gather(&m.left, err); err != nil {
			return err
		}
		if before != after {
			m.changes = append(m.changes, bindingChange(info.Config.Name, before, after))
		}
		if err := gather(&m.left, m.sourceAnew(ctx, info)); err != nil {
			return err
		}
	}
	if has[work] != nil {
		for _, spec := range m.layout.ofWork() {
			if err := gather(&m.left, m.consumer(ctx, spec)); err != nil {
				return err
			}
		}
	}
	if err := gather(&m.left, m.intake(ctx, now)); err != nil {
		return errors.Join(err, layoutError(m.left))
	}
	return layoutError(m.left)
}

// ours refuses to touch a ledger that is bound to another partner tenant. One that is missing or must not be seen is
// told when it is to be changed.
func (m *mender) ours(ctx context.Context) error {
	info, err := m.streamInfo(ctx, m.layout.Streams.Ledger)
	if err == nil {
		if is := bindingOf(info.Config.Metadata); !is.admits(m.layout.Binding) {
			return &BindingError{Stream: info.Config.Name, Is: is, Wants: m.layout.Binding}
		}
	}
	return nil
}

func (m *mender) stream(ctx context.Context, spec streamSpec) (*jetstream.StreamInfo, error) {
	info, made, err := m.makeStream(ctx, spec.config)
	if err != nil {
		return nil, err
	}
	if made {
		m.note(spec.object())
	}
	config := info.Config
	fixed := m.mend(apply(compareStream(spec, info), &config))
	if len(fixed) == 0 {
		return info, nil
	}
	updated, err := m.updateStream(ctx, config)
	if err != nil {
		return info, err
	}
	m.changes = append(m.changes, fixed...)
	return updated, unchanged(compareStream(spec, updated))
}

func (m *mender) consumer(ctx context.Context, spec consumerSpec) error {
	info, made, err := m.makeConsumer(ctx, spec)
	if err != nil {
		return err
	}
	if made {
		m.note(spec.object())
	}
	config := info.Config
	fixed := m.mend(apply(compareConsumer(spec, info), &config))
	if len(fixed) == 0 {
		return nil
	}
	updated, err := m.updateConsumer(ctx, spec, config)
	if err != nil {
		return err
	}
	m.changes = append(m.changes, fixed...)
	return unchanged(compareConsumer(spec, updated))
}

func (m *mender) intake(ctx context.Context, now time.Time) error {
	info, made, err := m.makeIntake(ctx)
	if err != nil {
		return err
	}
	if made {
		m.note("stream " + m.layout.IntakeStream)
	}
	m.left = append(m.left, intakeSubjects(m.layout, info)...)
	if err := m.decided(ctx, now); err != nil {
		return err
	}
	if err := m.consumer(ctx, m.layout.activator()); err != nil {
		return err
	}
	return m.mark(ctx)
}

// mark writes down at the intake's consumer which ledger knows what it has delivered.
func (m *mender) mark(ctx context.Context) error {
	info, was, err := m.readInto(ctx)
	if err != nil || info == nil || was == m.layout.Ledger || m.layout.Ledger.IsZero() {
		return err
	}
	if err := m.writeMark(ctx, info); err != nil {
		return err
	}
	m.changes = append(m.changes, Change{Object: m.layout.activator().object(), Setting: "ledger", From: shownMark(was), To: shownMark(m.layout.Ledger)})
	return nil
}

func (m *mender) note(object string) {
	m.changes = append(m.changes, Change{Object: object, From: "missing", To: "created"})
}

// mend turns the differences that an update takes away into changes, and keeps the others.
func (m *mender) mend(drifts []Drift) []Change {
	var fixed []Change
	for _, d := range drifts {
		if d.Fixable {
			fixed = append(fixed, Change{Object: d.Object, Setting: d.Setting, From: d.Is, To: d.Wants})
		} else {
			m.left = append(m.left, d)
		}
	}
	return fixed
}

// apply mends a configuration as far as JetStream can change it.
func apply[C any](found []finding[C], config *C) []Drift {
	var drifts []Drift
	for _, f := range found {
		if f.mend != nil {
			f.mend(config)
		}
		drifts = append(drifts, f.Drift)
	}
	return drifts
}

// unchanged is an error where an accepted update left something as it was: the server did not understand it.
func unchanged[C any](found []finding[C]) error {
	for _, f := range found {
		if f.Fixable {
			return fmt.Errorf("the server accepted the update and did not make it: %s", f.Drift)
		}
	}
	return nil
}
