package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/events"
)

// acceptTries is how often it is written again what another has written over.
const acceptTries = 5

// Accept declares the ledger that is there the one to go on with, and makes a new one where there is none. Workers
// that have known another go on, and look every customer up who was announced before. After a [BindingError] nothing
// was changed.
func Accept(ctx context.Context, js jetstream.JetStream, l Layout) (Change, error) {
	a, err := newAdmin(js, l)
	if err != nil {
		return Change{}, err
	}
	change := Change{Object: "stream " + a.layout.Streams.Ledger, Setting: "accepted", From: "no"}
	for _, spec := range a.layout.streams() {
		if spec.role != ledger {
			continue
		}
		mark, err := a.accept(ctx, spec.config)
		if err != nil {
			return Change{}, err
		}
		change.To = mark.Accepted.Format(time.RFC3339)
	}
	return change, nil
}

// accept writes at the ledger when it was accepted. A new one is made with it: a worker that reads it before it is
// written, to bind the ledger, would write it away.
func (a *admin) accept(ctx context.Context, config jetstream.StreamConfig) (events.Mark, error) {
	_, readInto, err := a.readInto(ctx)
	if err != nil {
		return events.Mark{}, err
	}
	now, err := a.clock(ctx)
	if err != nil {
		return events.Mark{}, err
	}
	publish, err := a.publishedTo(ctx)
	if err := known(err); err != nil {
		return events.Mark{}, err
	}
	for range acceptTries {
		info, err := a.streamInfo(ctx, config.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			anew := accepted(config, acceptedAt(now, a.layout.Ledger, readInto), publish)
			info, err = a.createStream(ctx, anew)
			if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
				continue // another was quicker: then that one is accepted
			}
			if err != nil {
				return events.Mark{}, err
			}
			a.made("stream " + config.Name)
			return markOf(info), nil
		}
		if err != nil {
			return events.Mark{}, err
		}
		if is := bindingOf(info.Config.Metadata); !is.admits(a.layout.Binding) {
			return events.Mark{}, &BindingError{Stream: config.Name, Is: is, Wants: a.layout.Binding}
		}
		at := acceptedAt(info.TimeStamp, a.layout.Ledger, readInto, markOf(info))
		if _, err := a.updateStream(ctx, accepted(info.Config, at, publish)); err != nil {
			return events.Mark{}, err
		}
		// A worker that has read the stream before may have written it after us, as it was.
		if info, err = a.streamInfo(ctx, config.Name); err != nil {
			return events.Mark{}, err
		}
		if is := markOf(info); !is.Accepted.Before(at) {
			return is, nil
		}
	}
	return events.Mark{}, fmt.Errorf("stream %s: somebody else changes it all the time: it is not accepted, run the same command again", config.Name)
}

// accepted is a ledger that was accepted. What has sourced from the one before sources from it, and must be found when
// a customer is to be forgotten.
func accepted(config jetstream.StreamConfig, at time.Time, publish string) jetstream.StreamConfig {
	config.Metadata = withKey(config.Metadata, events.MetadataAccepted, at.Format(time.RFC3339Nano))
	if publish != "" && config.Metadata[events.MetadataPublish] == "" {
		config.Metadata[events.MetadataPublish] = publish
	}
	return config
}

// acceptedAt is the time of an acceptance: by the server's clock, which also stamps the announcements that are held
// against it, and after each acceptance before, which it is to replace.
func acceptedAt(now time.Time, before ...events.Mark) time.Time {
	for _, m := range before {
		if !now.After(m.Accepted) {
			now = m.Accepted.Add(time.Nanosecond)
		}
	}
	return now.UTC()
}

// clock is the time of the server that holds the intake. Where nothing was announced there yet, ours does as well.
func (a *admin) clock(ctx context.Context) (time.Time, error) {
	info, err := a.streamInfo(ctx, a.layout.IntakeStream)
	switch _, denied := errors.AsType[*LayoutError](err); {
	case err == nil:
		return info.TimeStamp, nil
	case denied, errors.Is(err, jetstream.ErrStreamNotFound):
		return time.Now(), nil
	}
	return time.Time{}, err
}
