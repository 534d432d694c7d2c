package broker

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/events"
)

// publishStream is a stream of the activated events alone, under subjects of its own, for
// readers who are to see nothing else. It sources them from the ledger.
func publishStream(l Layout, name string) streamSpec {
	return streamSpec{
		config: jetstream.StreamConfig{
			Name:        name,
			Description: "customers activated, for other programs",
			Storage:     jetstream.FileStorage,
			Retention:   jetstream.LimitsPolicy,
			AllowDirect: true,
			Replicas:    l.Replicas,
			Sources: []*jetstream.StreamSource{{
				Name: l.Streams.Ledger,
				SubjectTransforms: []jetstream.SubjectTransformConfig{{
					Source: events.SubjectState(events.Activated), Destination: events.PublishedSubject("{{wildcard(1)}}"),
				}},
			}},
		},
	}
}

// Publish makes the stream that sources the activated events, if it is missing, and notes
// its name in the ledger's metadata, where erasing a customer finds it.
func Publish(ctx context.Context, js jetstream.JetStream, l Layout, name string) ([]Change, error) {
	a, err := newAdmin(js, l)
	if err != nil {
		return nil, err
	}
	m := &mender{admin: a}
	err = m.publish(ctx, name)
	return m.changes, err
}

func (m *mender) publish(ctx context.Context, name string) error {
	info, err := m.streamInfo(ctx, m.layout.Streams.Ledger)
	if err != nil {
		return fmt.Errorf("publishing the activated events: %w", err)
	}
	before := info.Config.Metadata[events.MetadataPublish]
	if before != "" && before != name {
		// Two would both go on, and who is erased would be found in one of them only.
		if _, err := m.streamInfo(ctx, before); !errors.Is(err, jetstream.ErrStreamNotFound) {
			return errors.Join(fmt.Errorf("publishing the activated events: stream %s has them already: delete it first, or use it", before), err)
		}
	}
	spec := publishStream(m.layout, name)
	spec.config.Metadata = marked(nil, markOf(info))
	is, made, err := m.makeStream(ctx, spec.config)
	switch {
	case err != nil:
		return fmt.Errorf("publishing the activated events: %w", err)
	case made:
		m.note(spec.object())
	case !sourcesFrom(is.Config, m.layout.Streams.Ledger):
		return fmt.Errorf("publishing the activated events: stream %s exists and is something else: name another", name)
	}
	if before == name {
		return nil
	}
	config := info.Config
	config.Metadata = maps.Clone(config.Metadata)
	if config.Metadata == nil {
		config.Metadata = map[string]string{}
	}
	config.Metadata[events.MetadataPublish] = name
	if _, err := m.updateStream(ctx, config); err != nil {
		return err
	}
	m.changes = append(m.changes, Change{Object: "stream " + config.Name, Setting: "publish stream", From: before, To: name})
	return nil
}

// publishedTo is the name of the stream that sources the activated events, empty for none.
func (a *admin) publishedTo(ctx context.Context) (name string, err error) {
	err = a.call(ctx, "the list of streams", []string{"STREAM.LIST"}, func(ctx context.Context) error {
		name = ""
		list := a.js.ListStreams(ctx)
		for info := range list.Info() {
			if sourcesFrom(info.Config, a.layout.Streams.Ledger) && (name == "" || info.Config.Name < name) {
				name = info.Config.Name
			}
		}
		return list.Err()
	})
	return name, err
}

func sourcesFrom(c jetstream.StreamConfig, ledger string) bool {
	return len(c.Sources) == 1 && c.Sources[0].Name == ledger && len(c.Sources[0].SubjectTransforms) == 1 &&
		c.Sources[0].SubjectTransforms[0].Source == events.SubjectState(events.Activated)
}

// published finds the publish stream that the ledger's metadata names and that is not there, or has stalled.
func (p *plan) published(ctx context.Context, ledger *jetstream.StreamInfo) error {
	name := ledger.Config.Metadata[events.MetadataPublish]
	if name == "" {
		return nil
	}
	_, err := p.streamInfo(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		p.drifts = append(p.drifts, Drift{Object: "stream " + name, Is: "missing", Wants: "there", Do: "`worker setup --publish-stream " + name + "`"})
		return nil
	}
	if err != nil {
		return gather(&p.drifts, err)
	}
	s, err := p.stalled(ctx, ledger, name)
	if err == nil && s != nil {
		p.drifts = append(p.drifts, s.drift())
	}
	return gather(&p.drifts, err)
}
