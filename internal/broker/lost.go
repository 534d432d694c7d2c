package broker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/events"
)

// LostError says that the ledger is not the one into which the intake was read: it is gone, or was made anew. A new
// one would know nothing of the customers who were activated, and call the partner for them again. Worth a retry: the
// ledger may be brought back, or an operator may accept the one that is there.
type LostError struct {
	Stream  string      // the ledger's name
	Was, Is events.Mark // Is zero: there is none; Was without a time: not known of when
}

func (e *LostError) Error() string {
	what := fmt.Sprintf("stream %s does not exist, and announcements were read into it", e.Stream)
	switch {
	case e.Stream != e.Was.Stream:
		what = fmt.Sprintf("announcements were read into stream %s, and the settings name %s", e.Was.Stream, e.Stream)
	case !e.Is.IsZero():
		what = fmt.Sprintf("stream %s was made anew at %s; the one before was of %s", e.Is.Stream, shownTime(e.Is.Created), shownTime(e.Was.Created))
	}
	return "the ledger is lost: " + what + "; which customers are active is not known without it, so nobody is called. " +
		"Bring it back (the NATS server's data directory; of a backup docs/upgrade-and-backup.md says how); or, to go on without what it knew, run `worker setup --accept-ledger`"
}

// shownMark names a ledger for an operator.
func shownMark(m events.Mark) string {
	if m.Created.IsZero() {
		return "not named"
	}
	return fmt.Sprintf("%s of %s", m.Stream, shownTime(m.Created))
}

func shownTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// sameLedger is a [LostError] where the ledger is not the one that the caller or the intake's consumer knows. What is
// there is the layout's ledger from then on.
func (a *admin) sameLedger(ctx context.Context) error {
	// First the consumer: it is made after its ledger, by whoever else may be at it now.
	_, readBefore, err := a.readInto(ctx)
	if err != nil {
		return err
	}
	var is events.Mark
	info, err := a.streamInfo(ctx, a.layout.Streams.Ledger)
	switch {
	case err == nil:
		is = markOf(info)
	case !errors.Is(err, jetstream.ErrStreamNotFound):
		return err
	}
	for _, was := range []events.Mark{a.layout.Ledger, readBefore} {
		if !was.ContinuedBy(is) && !(was.Created.IsZero() && !is.IsZero()) {
			return &LostError{Was: was, Is: is, Stream: a.layout.Streams.Ledger}
		}
	}
	a.layout.Ledger = is
	return nil
}

func markOf(info *jetstream.StreamInfo) events.Mark {
	return events.MarkOf(info.Config.Name, info.Created, info.Config.Metadata)
}

// readInto is the intake's consumer, nil for none, and the mark of the ledger into which it was read. That of a
// consumer without a mark, made by an older worker, says only that there was one. What must not be looked at says nothing.
func (a *admin) readInto(ctx context.Context) (*jetstream.ConsumerInfo, events.Mark, error) {
	info, err := a.consumerInfo(ctx, a.layout.activator())
	switch _, denied := errors.AsType[*LayoutError](err); {
	case err == nil:
	case denied, errors.Is(err, jetstream.ErrConsumerNotFound), errors.Is(err, jetstream.ErrStreamNotFound):
		return nil, events.Mark{}, nil
	default:
		return nil, events.Mark{}, err
	}
	m := events.ParseMark(info.Config.Metadata[events.MetadataLedger])
	if m.IsZero() && info.Delivered.Consumer > 0 {
		m = events.Mark{Stream: a.layout.Streams.Ledger}
	}
	return info, m, nil
}

func withKey(base map[string]string, key, value string) map[string]string {
	m := maps.Clone(base)
	if m == nil {
		m = map[string]string{}
	}
	m[key] = value
	return m
}

// marked is the metadata of the intake's consumer with the ledger's mark in it.
func marked(base map[string]string, m events.Mark) map[string]string {
	if m.IsZero() {
		return base
	}
	return withKey(base, events.MetadataLedger, m.String())
}

// writeMark marks the intake's consumer as read into the ledger that is there.
func (a *admin) writeMark(ctx context.Context, info *jetstream.ConsumerInfo) error {
	config := info.Config
	config.Metadata = marked(config.Metadata, a.layout.Ledger)
	_, err := a.updateConsumer(ctx, a.layout.activator(), config)
	return err
}
