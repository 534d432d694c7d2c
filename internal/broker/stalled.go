package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/events"
)

// headerSource is where the server notes of a sourced message which one of its origin it was.
const headerSource = "Nats-Stream-Source"

// held is where a source starts that is to bring nothing: further than any ledger goes.
const held = 1 << 53

// stalled is a publish stream that has sourced another ledger than is there: that was restored from a backup, or made
// anew. A server before 2.15 goes on after the last sequence that was sourced, so that what is written below it never
// comes; one of 2.15 sees that the origin has another time of creation, and brings all of it once more, after some 20 s.
type stalled struct {
	info *jetstream.StreamInfo
	of   events.Mark // of the ledger that is there
	from uint64      // of the ledger: the first that was not sourced
}

func (s *stalled) drift() Drift {
	return Drift{
		Object: "stream " + s.info.Config.Name, Setting: "source", Fixable: true,
		Is:    "that of the ledger before this one was restored or made anew",
		Wants: fmt.Sprintf("this one, from record %d on", s.from),
	}
}

// stalled holds what was sourced against the ledger, nil where they agree. Of a stream that must not be read, or of which
// nothing is left, nothing is known.
func (a *admin) stalled(ctx context.Context, ledger *jetstream.StreamInfo, name string) (*stalled, error) {
	known := known
	info, err := a.streamInfo(ctx, name)
	if err != nil || !sourcesFrom(info.Config, ledger.Config.Name) {
		return nil, known(err)
	}
	if info.Config.Sources[0].OptStartSeq == held {
		known = func(err error) error { return err } // it stays held otherwise, and nobody hears of it
	}
	s := &stalled{info: info, of: markOf(ledger), from: 1}
	low, high := max(1, info.State.FirstSeq), info.State.LastSeq
	mended, _ := strconv.ParseUint(info.Config.Metadata[events.MetadataSourced], 10, 64)
	// What it has of one who was forgotten is gone, and was the last perhaps: an acceptance is sign enough.
	differs := info.Config.Sources[0].OptStartSeq == held || high > 0 && !s.of.Accepted.IsZero() && events.ParseMark(info.Config.Metadata[events.MetadataLedger]) != s.of
	if high <= mended && !differs {
		return nil, nil
	}
	// What agrees comes first, then what does not: the last that agrees is found by halving, and is mostly the newest.
	for at := high; low <= high; at = low + (high-low)/2 {
		sourced, err := a.message(ctx, name, ">", at)
		if err != nil {
			return nil, known(err)
		}
		if sourced == nil || sourced.Sequence > high { // from here on all is erased
			high = at - 1
			continue
		}
		origin, agrees, err := a.origin(ctx, ledger.Config.Name, sourced)
		switch {
		case err != nil:
			return nil, known(err)
		case origin == 0: // somebody else's, or of a server that says so otherwise
			return nil, nil
		case agrees:
			low, s.from = sourced.Sequence+1, origin+1
		default:
			high, differs = at-1, true
		}
	}
	if !differs {
		return nil, nil
	}
	return s, nil
}

// origin is of which record of the ledger a message was made, and whether that is there.
func (a *admin) origin(ctx context.Context, ledger string, sourced *jetstream.RawStreamMsg) (sequence uint64, agrees bool, err error) {
	fields := strings.Fields(sourced.Header.Get(headerSource)) // stream, sequence, and more
	if len(fields) < 2 {
		return 0, false, nil
	}
	if sequence, err = strconv.ParseUint(fields[1], 10, 64); err != nil {
		return 0, false, nil //nolint:nilerr // not a number: not a header that we know
	}
	m, err := a.message(ctx, ledger, ">", sequence)
	return sequence, m != nil && m.Sequence == sequence && bytes.Equal(m.Data, sourced.Data), err
}

// known drops an error that says only that somebody may not look. Where the API is imported from another account, what was not
// imported has nobody who answers.
func known(err error) error {
	if _, denied := errors.AsType[*LayoutError](err); denied || errors.Is(err, ErrNoJetStream) || errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	return err
}

// sourceAnew lets a publish stream that has stalled go on with the ledger that is there.
func (m *mender) sourceAnew(ctx context.Context, ledger *jetstream.StreamInfo) error {
	name := ledger.Config.Metadata[events.MetadataPublish]
	if name == "" || m.layout.HoldPublish {
		return nil
	}
	s, err := m.stalled(ctx, ledger, name)
	if err != nil || s == nil {
		return err
	}
	config := sourcing(s.info.Config, s.from)
	config.Metadata = withKey(marked(config.Metadata, s.of), events.MetadataSourced, strconv.FormatUint(s.info.State.LastSeq, 10))
	if _, err := m.updateStream(ctx, config); err != nil {
		return err
	}
	d := s.drift()
	m.changes = append(m.changes, Change{Object: d.Object, Setting: d.Setting, From: d.Is, To: d.Wants})
	return nil
}

// Hold lets the stream that sources the activated events take no more of them, until the next [Apply]: a ledger that is
// restored knows again who was forgotten since its backup, and they must be forgotten again before anything is published.
// The change is zero where there is no such stream.
func Hold(ctx context.Context, js jetstream.JetStream, l Layout) (Change, error) {
	a, err := newAdmin(js, l)
	if err != nil {
		return Change{}, err
	}
	name, err := a.publishedTo(ctx)
	if err != nil || name == "" {
		return Change{}, err
	}
	info, err := a.streamInfo(ctx, name)
	if err != nil || info.Config.Sources[0].OptStartSeq == held {
		return Change{}, err
	}
	if _, err := a.updateStream(ctx, sourcing(info.Config, held)); err != nil {
		return Change{}, err
	}
	return Change{Object: "stream " + name, Setting: "source", From: "goes on", To: "held until the next worker setup"}, nil
}

// sourcing is a publish stream that sources from a sequence on.
func sourcing(config jetstream.StreamConfig, from uint64) jetstream.StreamConfig {
	source := *config.Sources[0]
	source.OptStartSeq, source.OptStartTime = from, nil
	// How far it has sourced, the server keeps by the source's transforms: the same source, written otherwise, begins anew.
	transform := source.SubjectTransforms[0]
	transform.Destination = strings.Replace(transform.Destination, "{{wildcard(", "{{wildcard(0", 1)
	source.SubjectTransforms = []jetstream.SubjectTransformConfig{transform}
	config.Sources = []*jetstream.StreamSource{&source}
	return config
}
