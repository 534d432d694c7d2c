package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/activation"
	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
	"activation-worker/internal/operator"
)

// unknown says of a customer without a record where its announcement is, if there is one.
func (s statusReader) unknown(ctx context.Context, id int64, output string, out io.Writer) error {
	where, err := s.whereabouts(ctx, id)
	if err != nil {
		return err
	}
	is, whatToDo := s.taking(ctx)
	taking := strings.TrimSpace(is + " " + whatToDo)
	text := where.text
	if where.whatToDo != "" {
		text += " To do: " + where.whatToDo
	}
	if output == "json" {
		enc := json.NewEncoder(out)
		enc.SetEscapeHTML(false)
		err = enc.Encode(struct {
			DomainID int64  `json:"domainId"`
			State    string `json:"state"`
			Detail   string `json:"detail"`
			Taking   string `json:"taking"`
		}{id, where.state, text, taking})
	} else {
		_, err = fmt.Fprintf(out, "%d: no record. %s\n\n  %s\n", id, text, taking)
		if err == nil && where.sequence > 0 {
			_, err = fmt.Fprintf(out, "\n  expected     %s\n", printable(s.announced(ctx, where, localView())))
		}
	}
	return err
}

type whereabouts struct {
	state, text string
	whatToDo    string // empty: nothing
	sequence    uint64 // of the announcement that is not acknowledged yet; 0 for none
	backlog     bool   // that announcement is an old one
}

// maxUnread bounds how many unread announcements are searched, and maxOneByOne how many where they are read one by one.
const (
	maxUnread   = 20000
	maxOneByOne = 1000
)

func (s statusReader) mostUnread() int {
	if s.oneByOne {
		return maxOneByOne
	}
	return maxUnread
}

func (s statusReader) whereabouts(ctx context.Context, id int64) (whereabouts, error) {
	unread, backlog, complete, err := s.unread(ctx, id)
	if err != nil {
		return whereabouts{}, err
	}
	if unread > 0 {
		where := "waits to be read"
		if cons, err := s.js.Consumer(ctx, s.c.Worker.IntakeStream, events.ConsumerActivator); err == nil && unread <= cons.CachedInfo().Delivered.Stream {
			where = "is in a worker's hands, where it waits for its turn"
		}
		text := fmt.Sprintf("It was announced (stream %s, sequence %d) and %s.", s.c.Worker.IntakeStream, unread, where)
		return whereabouts{state: "unread", text: text, sequence: unread, backlog: backlog}, nil
	}
	last, looked, err := s.rejection(ctx, id)
	if err != nil {
		return whereabouts{}, err
	}
	if last != nil {
		return whereabouts{
			state: "rejected", whatToDo: "publish it corrected, or mend the setting and run worker replay --rejected.",
			text: fmt.Sprintf("An announcement that mentions it was rejected (stream %s, sequence %d): %s.", last.Original.Stream, last.Original.Sequence, last.Detail),
		}, nil
	}
	if !looked {
		return whereabouts{
			state: "none", text: "No unread announcement of it was found; there are too many rejected ones to look through here, it would take too long.",
			whatToDo: fmt.Sprintf("worker status %d looks through all of them.", id),
		}, nil
	}
	if !complete {
		return whereabouts{state: "none", text: fmt.Sprintf("It is not among the first %d unread announcements, and none that mentions it was rejected.", s.mostUnread())}, nil
	}
	if in, err := operator.ReadIntake(ctx, s.js, s.ledger, s.c.Worker.IntakeStream, events.StreamsOf(s.c.Worker.Stream)); err == nil && in.Lost {
		return whereabouts{state: "none", text: "No announcement of it waits unread; what became of those that were read is not known without the ledger."}, nil
	}
	return whereabouts{state: "none", text: "It was not announced: no announcement waits unread and none that mentions it was rejected."}, nil
}

// rejection is the newest one that mentions a customer, nil for none; looked tells whether there was time to look at all.
func (s statusReader) rejection(ctx context.Context, id int64) (last *events.Rejection, looked bool, err error) {
	looking, cancel := ctx, context.CancelFunc(func() {})
	if s.patience > 0 {
		looking, cancel = context.WithTimeout(ctx, s.patience)
	}
	defer cancel()
	err = s.ledger.Rejections(looking, func(e ledger.Entry) error {
		if r, err := events.DecodeRejection(e.Data); err == nil {
			if names, _ := operator.Names(r.Original, id); names {
				last = &r
			}
		}
		return nil
	})
	switch {
	case err == nil, errors.Is(err, jetstream.ErrStreamNotFound):
		return last, true, nil
	case looking.Err() != nil && ctx.Err() == nil:
		return last, false, nil
	}
	return nil, false, err
}

// unread finds the first unread announcement of a customer: its sequence, or 0, and whether it is an old one; complete
// tells whether all were looked at.
func (s statusReader) unread(ctx context.Context, id int64) (sequence uint64, backlog, complete bool, err error) {
	w := s.c.Worker
	start := uint64(1)
	cons, err := s.js.Consumer(ctx, w.IntakeStream, events.ConsumerActivator)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return 0, false, true, nil
	case err == nil:
		start = cons.CachedInfo().AckFloor.Stream + 1
	case !errors.Is(err, jetstream.ErrConsumerNotFound):
		return 0, false, false, fmt.Errorf("read consumer %s of stream %s: %w", events.ConsumerActivator, w.IntakeStream, err)
	}
	decoder := decoderOf(s.c)
	find := s.ledger.FindIntake
	if s.oneByOne {
		find = s.ledger.FindIntakeOneByOne
	}
	sequence, complete, err = find(ctx, w.IntakeStream, w.IntakeSubject, start, s.mostUnread(), func(m events.Message) bool {
		accepted, err := decoder.Decode(m)
		if err != nil || accepted.DomainID != id {
			return false
		}
		backlog = activation.CueOf(&accepted, time.Now()).Backlog
		return true
	})
	return sequence, backlog, complete, err
}

// paused says why no worker attempts anybody at the moment; empty where one does, or that could not be read.
func (s statusReader) paused(ctx context.Context) string {
	in, err := operator.ReadIntake(ctx, s.js, s.ledger, s.c.Worker.IntakeStream, events.StreamsOf(s.c.Worker.Stream))
	if err != nil || !in.Lost && (in.Asking || in.Paused == nil) {
		return ""
	}
	is, _ := in.Sentence(local)
	return is
}

// taking says whether a worker is taking work, and what to do if not.
func (s statusReader) taking(ctx context.Context) (is, whatToDo string) {
	in, err := operator.ReadIntake(ctx, s.js, s.ledger, s.c.Worker.IntakeStream, events.StreamsOf(s.c.Worker.Stream))
	if err != nil {
		return fmt.Sprintf("Whether a worker is taking work could not be read: %v.", err), ""
	}
	return in.Sentence(local)
}
