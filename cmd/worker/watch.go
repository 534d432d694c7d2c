package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"activation-worker/internal/broker"
	"activation-worker/internal/config"
	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
)

func watchCommand() *cobra.Command {
	var output, since string
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "The event stream, live, one line an event",
		Long: `Shows every event as it is stored: customers' states, replays, workers that pause and resume, rejected
announcements. It begins now, or earlier with --since, goes on over lost connections, and ends with Ctrl-C.
JSON is the event as it is stored, without the partner's customer object.`,
		Example: `  worker watch
  worker watch --since 15m
  worker watch -o json | jq 'select(.type == "customer.activated") | .data.domainId'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, err := momentFlag("since", since, time.Now())
			if err != nil {
				return err
			}
			c, err := config.Load(cmd.Flags(), os.Environ())
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			nc, js, err := connectOnce(ctx, c, "worker watch")
			if err != nil {
				return err
			}
			defer nc.Close()
			defer tellOutages(nc, cmd.ErrOrStderr())()
			l := readerOf(c, nc, js)
			w := watcher{out: cmd.OutOrStdout(), json: output == "json", view: localView()}
			fmt.Fprintf(cmd.ErrOrStderr(), "watching stream %s and its rejections; Ctrl-C ends it\n", c.Worker.Stream)
			err = broker.Permitted(ctx, nc, func(ctx context.Context) error { return l.Follow(ctx, from, w.show) })
			if errors.Is(err, jetstream.ErrStreamNotFound) {
				return fmt.Errorf("%w: no worker has run yet, or WORKER_STREAM names another; worker setup makes the streams", err)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&since, "since", "", "begin at a `TIME` (RFC 3339) or so long ago (15m), not now")
	outputFlag(cmd, &output)
	config.Flags(cmd.Flags(), config.GroupNATS, config.GroupStreams)
	return cmd
}

// tellOutages says when the connection is lost and when it is back.
func tellOutages(nc *nats.Conn, out io.Writer) (stop func()) {
	changed := nc.StatusChanged(nats.RECONNECTING, nats.CONNECTED)
	done, told := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(told)
		for {
			select {
			case <-done:
				return
			case status, open := <-changed:
				if !open {
					return
				}
				text := "worker: the connection to NATS is lost, waiting for it"
				if status == nats.CONNECTED {
					text = "worker: connected to NATS again"
				}
				fmt.Fprintln(out, text)
			}
		}
	}()
	return func() {
		nc.RemoveStatusListener(changed)
		close(done)
		<-told
	}
}

// watcher writes events as they come.
type watcher struct {
	out  io.Writer
	json bool
	view timeView
}

func (w *watcher) show(e ledger.Entry) error {
	if !w.json {
		_, err := io.WriteString(w.out, w.line(e))
		return err
	}
	event, err := events.WithoutCustomer(e.Data)
	if err != nil {
		return fmt.Errorf("%s: %w", e.Subject, err)
	}
	_, err = w.out.Write(append(event, '\n'))
	return err
}

// line is an event for people: when, what, who, why.
func (w *watcher) line(e ledger.Entry) string {
	s, err := events.DecodeSummary(e.Data)
	if err != nil {
		return row(cell{"", timeColumn}, cell{"unreadable", stateColumn}, cell{e.Subject, 0})
	}
	what, who, why := tell(e, s, w.view)
	return row(cell{w.view.at(s.Time), timeColumn}, cell{what, stateColumn}, cell{who, idColumn}, cell{why, 0})
}

// tell is what an event says. One that this binary cannot read is named by its type.
func tell(e ledger.Entry, s events.Summary, v timeView) (what, who, why string) {
	switch s.Type {
	case events.TypeRejected:
		if r, err := events.DecodeRejection(e.Data); err == nil {
			return "rejected", r.Original.Stream + " " + strconv.FormatUint(r.Original.Sequence, 10), r.Reason + ": " + r.Detail
		}
	case events.TypePaused, events.TypeResumed:
		if in, err := events.DecodeIntake(e.Data); err == nil {
			if s.Type == events.TypeResumed {
				return "resumed", in.Worker, in.Detail
			}
			return "paused", in.Worker, fmt.Sprintf("%s: %s; to do: %s", in.Reason, in.Detail, in.WhatToDo)
		}
	case events.TypeReplayed:
		if r, err := events.DecodeReplay(e.Data); err == nil {
			return "replayed", r.ReplayID, tellReplay(r)
		}
	default:
		if r, err := events.DecodeRecord(e.Subject, e.Sequence, e.Data); err == nil {
			return string(r.State), strconv.FormatInt(r.DomainID, 10), tellRecord(r, v)
		}
	}
	return "unknown", s.Subject, string(s.Type) + ", of a newer worker"
}

func tellReplay(r events.ReplayEvent) string {
	progress := fmt.Sprintf("planned for %s", plural(r.Planned, "customer", "customers"))
	if r.Phase == events.Done {
		progress = fmt.Sprintf("done, %d of %s queued", r.Scheduled, plural(r.Planned, "customer", "customers"))
	}
	if r.Cancelled {
		progress += ", cancelled"
	}
	return fmt.Sprintf("%s, by %s: %s", progress, r.By, r.Why)
}

func tellRecord(r *events.Record, v timeView) string {
	parts := []string{whyOf(r)}
	switch r.State {
	case events.Started:
		parts = []string{fmt.Sprintf("attempt %d of round %d, by %s", r.Attempt, r.Round, r.Worker)}
	case events.Activated:
		parts[0] = "via " + parts[0]
	case events.Deferred:
		parts = append(parts, "next "+v.at(r.NextAttemptAt))
	case events.Forgotten:
		parts = []string{"by " + r.By + ": " + r.Why}
	}
	for _, name := range []string{r.Domain, r.Reference} {
		if name != "" {
			parts = append(parts, name)
		}
	}
	return strings.Join(parts, ", ")
}
