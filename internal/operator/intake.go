package operator

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
)

// Intake is whether announcements are being taken.
type Intake struct {
	Read   bool   // a worker has read it before
	Unread uint64 // announcements
	InHand int    // announcements that workers hold
	Asking bool   // a worker asks for more
	Alive  bool   // a worker asks for something: announcements, wake-ups or requests
	Lost   bool   // the ledger is gone or was made anew, so that nobody may be activated
	Full   bool   // the ledger has hardly any room, so that nothing may be claimed
	Paused *events.Intake
}

// LastIntake tells the newest event that says whether workers take work.
type LastIntake interface {
	LastIntake(ctx context.Context) (*ledger.Entry, error)
}

// scarce is about what the outcome of one attempt may need, in bytes.
const scarce = 600 << 10

// upper begins a sentence.
func upper(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(first)) + s[size:]
}

// ReadIntake looks at an intake stream and its reader.
func ReadIntake(ctx context.Context, js jetstream.JetStream, said LastIntake, stream string, own events.Streams) (Intake, error) {
	var in Intake
	cons, err := js.Consumer(ctx, stream, events.ConsumerActivator)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound), errors.Is(err, jetstream.ErrConsumerNotFound):
		return in, nil
	case err != nil:
		return in, fmt.Errorf("read consumer %s of stream %s: %w", events.ConsumerActivator, stream, err)
	}
	info := cons.CachedInfo()
	in.Read, in.Unread, in.InHand, in.Asking = true, info.NumPending, info.NumAckPending, info.NumWaiting > 0
	in.Alive = in.Asking || asksForWork(ctx, js, own.Work)
	var is events.Mark
	s, err := js.Stream(ctx, own.Ledger)
	if err == nil {
		is = events.MarkOf(own.Ledger, s.CachedInfo().Created, s.CachedInfo().Config.Metadata)
	}
	if err == nil || errors.Is(err, jetstream.ErrStreamNotFound) {
		was := events.ParseMark(info.Config.Metadata[events.MetadataLedger])
		in.Lost = !was.ContinuedBy(is) || is.IsZero() && info.Delivered.Consumer > 0
	}
	if err == nil {
		most := s.CachedInfo().Config.MaxBytes
		in.Full = most > 0 && most-int64(s.CachedInfo().State.Bytes) < scarce
	}
	last, err := said.LastIntake(ctx)
	if err == nil && last != nil && last.Subject == events.SubjectIntakePaused {
		if paused, err := events.DecodeIntake(last.Data); err == nil {
			in.Paused = &paused
		}
	}
	return in, nil
}

// asksForWork reports whether somebody waits for wake-ups or requests: a worker does at every moment, also while it takes no
// announcements.
func asksForWork(ctx context.Context, js jetstream.JetStream, work string) bool {
	for _, name := range []string{events.ConsumerRequests, events.ConsumerDue, events.ConsumerRedo} {
		if cons, err := js.Consumer(ctx, work, name); err == nil && cons.CachedInfo().NumWaiting > 0 {
			return true
		}
	}
	return false
}

// Sentence says it; at writes a time. What to do is empty where work is taken.
func (in Intake) Sentence(at func(time.Time) string) (is, whatToDo string) {
	unread := fmt.Sprintf("%d announcements wait unread", in.Unread)
	if in.Unread == 1 {
		unread = "1 announcement waits unread"
	}
	switch {
	case !in.Read:
		return "No worker has ever read the intake.", "Start one with worker run."
	case in.Lost:
		return "The ledger is lost: its stream is missing, or was made anew. Who is active is not known without it, so nobody is activated; " + unread + ".",
			"Bring it back, or go on without what it knew: worker setup --accept-ledger."
	case in.Full:
		return "The ledger has hardly any room left, so nothing may be claimed; " + unread + ".",
			"Raise WORKER_STREAM_MAX_BYTES and run worker setup."
	case in.Asking:
		return "A worker is taking work; " + unread + ".", ""
	case in.Paused != nil:
		p := in.Paused
		return fmt.Sprintf("No worker is taking work: %s paused since %s (%s).", p.Worker, at(p.Since), p.Detail), upper(p.WhatToDo) + "."
	case in.Alive && in.InHand > 0:
		return fmt.Sprintf("Workers hold as many announcements as they can, %d; %s.", in.InHand, unread), ""
	case in.Alive:
		return "A worker is running, but takes no announcements; " + unread + ".", "Its /readyz says why."
	case in.InHand > 0:
		return fmt.Sprintf("No worker is taking work; %s, and %d that one held come again.", unread, in.InHand), "Start one with worker run."
	}
	return "No worker is taking work; " + unread + ".", "Start one with worker run."
}
