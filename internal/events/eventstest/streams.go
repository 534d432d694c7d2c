package eventstest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/events"
)

// Of a long stream the first and the last so many messages are looked at.
const most = 1000

// At the end of a test no more than this is waited for a server that the test has left in a bad way.
const patience = 20 * time.Second

// AtEnd holds every message that a worker or a command has left in the ledger, among the rejections and among the requests against
// the schemas when the test ends, before clean-ups that were asked for earlier. Of messages without any mark of ours it says
// nothing: tests put there what no worker would write. Where no server answers any more, it says so in the test's log.
func AtEnd(t testing.TB, js jetstream.JetStream) {
	t.Helper()
	t.Cleanup(func() { Now(t, js) })
}

// Now does so at once, and says how many messages of each type it has looked at.
func Now(t testing.TB, js jetstream.JetStream) map[events.Type]int {
	t.Helper()
	if !js.Conn().IsConnected() {
		t.Log("events not looked at: the connection is gone")
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	seen, err := look(ctx, js)
	if stopped := !js.Conn().IsConnected() || ctx.Err() != nil; stopped && err != nil {
		t.Log("not all events looked at: ", err)
	} else if err != nil {
		t.Error("not all events looked at: ", err)
	}
	for _, wrong := range seen.wrong {
		t.Error(wrong)
	}
	t.Logf("events held against their schemas: %v", seen.counts)
	return seen.counts
}

// findings are what a look has found.
type findings struct {
	counts map[events.Type]int
	wrong  []string
}

func look(ctx context.Context, js jetstream.JetStream) (findings, error) {
	f := findings{counts: map[events.Type]int{}}
	names := events.StreamsOf(events.DefaultStream)
	return f, errors.Join(
		f.ledger(ctx, js, names.Ledger),
		f.subjects(ctx, js, names.Rejected, events.SubjectRejected),
		f.subjects(ctx, js, names.Work, events.SubjectRequests),
	)
}

// ledger looks at the first and the last messages of the ledger.
func (f *findings) ledger(ctx context.Context, js jetstream.JetStream, name string) error {
	stream, err := js.Stream(ctx, name)
	if err != nil {
		return unlessNone(name, err)
	}
	state := stream.CachedInfo().State
	for _, from := range []uint64{state.FirstSeq, state.FirstSeq + most} {
		if from > state.LastSeq || state.Msgs == 0 {
			continue
		}
		if from != state.FirstSeq && state.LastSeq > most {
			from = max(from, state.LastSeq-most+1)
		}
		if err := f.batch(ctx, js.Conn(), name, from); err != nil {
			return fmt.Errorf("read the stream %s from %d on: %w", name, from, err)
		}
	}
	return nil
}

// batch looks at messages from a sequence on, which the server sends at once.
func (f *findings) batch(ctx context.Context, nc *nats.Conn, stream string, sequence uint64) error {
	answers, err := nc.SubscribeSync(nats.NewInbox())
	if err != nil {
		return err
	}
	defer func() { _ = answers.Unsubscribe() }()
	ask, err := json.Marshal(map[string]any{"batch": most, "max_bytes": 16 << 20, "seq": sequence, "next_by_subj": "activation.>"})
	if err != nil {
		return err
	}
	if err := nc.PublishRequest(jetstream.DefaultAPIPrefix+"DIRECT.GET."+stream, answers.Subject, ask); err != nil {
		return err
	}
	for {
		m, err := answers.NextMsgWithContext(ctx)
		if err != nil {
			return err
		}
		switch status := m.Header.Get("Status"); status {
		case "":
			f.message(m.Header.Get(jetstream.SubjectHeader), m.Header.Get(jetstream.SequenceHeader), m.Header, m.Data)
		case "204", "404": // no more, none
			return nil
		default:
			return fmt.Errorf("the server says %s %s", status, m.Header.Get("Description"))
		}
	}
}

// subjects looks at messages one after the other: they are few.
func (f *findings) subjects(ctx context.Context, js jetstream.JetStream, name, subjects string) error {
	stream, err := js.Stream(ctx, name)
	for next := uint64(1); err == nil; {
		var m *jetstream.RawStreamMsg
		if m, err = stream.GetMsg(ctx, next, jetstream.WithGetMsgSubject(subjects)); err == nil {
			f.message(m.Subject, strconv.FormatUint(m.Sequence, 10), m.Header, m.Data)
			next = m.Sequence + 1
		}
	}
	return unlessNone(name, err)
}

// unlessNone is nil where there is no message, no stream or no JetStream.
func unlessNone(stream string, err error) error {
	for _, none := range []error{jetstream.ErrMsgNotFound, jetstream.ErrStreamNotFound, nats.ErrNoResponders} {
		if errors.Is(err, none) {
			return nil
		}
	}
	return fmt.Errorf("read the stream %s: %w", stream, err)
}

func (f *findings) message(subject, sequence string, header nats.Header, data []byte) {
	if !marked(header) || header.Get(events.HeaderVersion) != "" { // a later version has schemas of its own
		return
	}
	want, _ := formOf(subject)
	f.counts[want.kind]++
	if wrong := Message(subject, header, data); wrong != nil {
		f.wrong = append(f.wrong, fmt.Sprintf("%s at sequence %s is not as published: %v\n%.4000s", subject, sequence, wrong, data))
	}
}

// marked reports a message with one of the headers that only a worker or a command of ours writes there.
func marked(h nats.Header) bool {
	return h.Get(events.HeaderWriteToken) != "" || h.Get(jetstream.MsgIDHeader) != "" || h.Get("Content-Type") == events.ContentType
}
