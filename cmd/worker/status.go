package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"activation-worker/internal/config"
	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
	"activation-worker/internal/operator"
)

func statusCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "status <id or domain>",
		Short: "Why is this customer (not) active",
		Long: `Says in words what state a customer is in, what happens next and what to do, with the timeline as far
as it is kept. Without a record it says whether the announcement waits unread or was rejected, and
whether a worker is taking work. JSON has the customer on the first line, then one event a line.`,
		Example: `  worker status 51200931
  worker status hinode-foods.example -o json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("one domain id or domain name is wanted")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if output != "table" && output != "json" {
				return usageError{fmt.Errorf("--output: %q is not table or json", output)}
			}
			if _, ok := events.ParseDomainID(args[0]); !ok && !strings.Contains(args[0], ".") {
				return usageError{fmt.Errorf("%.80q is neither a domain id (decimal digits) nor a domain name", args[0])}
			}
			c, err := config.Load(cmd.Flags(), os.Environ())
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			nc, js, err := connectOnce(ctx, c, "worker status")
			if err != nil {
				return err
			}
			defer nc.Close()
			s := statusReader{
				js: js, c: c,
				ledger: ledger.New(ledger.Options{Conn: nc, JetStream: js, Streams: events.StreamsOf(c.Worker.Stream), Source: c.Worker.EventSource, Log: zap.NewNop()}),
			}
			id, err := s.customer(ctx, args[0])
			if err != nil {
				return err
			}
			entries, err := s.ledger.History(ctx, id)
			if err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) { // no worker has run yet
				return err
			}
			if len(entries) == 0 {
				return s.unknown(ctx, id, output, cmd.OutOrStdout())
			}
			r, err := s.ledger.Load(ctx, id)
			if err != nil {
				return err
			}
			if r == nil {
				return s.unknown(ctx, id, output, cmd.OutOrStdout())
			}
			if output == "json" {
				return statusJSON(cmd.OutOrStdout(), r, entries)
			}
			return statusTable(cmd.OutOrStdout(), r, entries, time.Now())
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	config.Flags(cmd.Flags(), config.GroupNATS, config.GroupStreams)
	return cmd
}

type statusReader struct {
	js     jetstream.JetStream
	c      *config.Config
	ledger *ledger.Ledger
}

// customer is the id meant by an argument, which is one itself or a domain name.
func (s statusReader) customer(ctx context.Context, arg string) (int64, error) {
	if id, ok := events.ParseDomainID(arg); ok {
		return id, nil
	}
	ids, err := s.ledger.FindDomain(ctx, arg)
	switch {
	case err != nil && !errors.Is(err, jetstream.ErrStreamNotFound):
		return 0, err
	case len(ids) == 0:
		return 0, fmt.Errorf("no customer with the domain %s has a record: try its domain id", arg)
	case len(ids) > 1:
		return 0, fmt.Errorf("several customers have the domain %s: %v; say which", arg, ids)
	}
	return ids[0], nil
}

// customerLine is the JSON of a customer.
type customerLine struct {
	DomainID      int64         `json:"domainId"`
	Domain        string        `json:"domain,omitempty"`
	Reference     string        `json:"reference,omitempty"`
	State         events.State  `json:"state"`
	Reason        events.Reason `json:"reason,omitempty"`
	Code          string        `json:"code,omitempty"`
	Attempt       int           `json:"attempt"`
	Round         int           `json:"round"`
	Since         time.Time     `json:"since,omitzero"`
	NextAttemptAt time.Time     `json:"nextAttemptAt,omitzero"`
	GiveUpAt      time.Time     `json:"giveUpAt,omitzero"`
}

func lineOf(r *events.Record) customerLine {
	line := customerLine{
		DomainID: r.DomainID, Domain: r.Domain, Reference: r.Reference, State: r.State, Reason: r.Reason,
		Attempt: r.Attempt, Round: r.Round, Since: r.Time, NextAttemptAt: r.NextAttemptAt, GiveUpAt: r.GiveUpAt,
	}
	if r.Cause != nil {
		line.Code = r.Cause.Code
	}
	return line
}

func statusJSON(out io.Writer, r *events.Record, entries []ledger.Entry) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(lineOf(r)); err != nil {
		return err
	}
	for _, e := range entries {
		event, err := withoutCustomer(e.Data)
		if err != nil {
			return err
		}
		if _, err := out.Write(append(event, '\n')); err != nil {
			return err
		}
	}
	return nil
}

// withoutCustomer leaves the partner's object, which holds personal data, out of an event.
func withoutCustomer(event []byte) ([]byte, error) {
	dec := json.NewDecoder(bytes.NewReader(event))
	dec.UseNumber()
	var e map[string]any
	if err := dec.Decode(&e); err != nil {
		return nil, fmt.Errorf("read event: %w", err)
	}
	if data, ok := e["data"].(map[string]any); ok {
		delete(data, "customer")
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

const clock = "2006-01-02 15:04:05 -07:00"

func local(t time.Time) string { return t.Local().Format(clock) }

func statusTable(out io.Writer, r *events.Record, entries []ledger.Entry, now time.Time) error {
	var b strings.Builder
	words := operator.Explain(r)
	name := strconv.FormatInt(r.DomainID, 10)
	if r.Domain != "" {
		name += " (" + printable(r.Domain) + ")"
	}
	fmt.Fprintf(&b, "%s: %s\n\n", name, words.Is)
	row := func(label, format string, args ...any) {
		fmt.Fprintf(&b, "  %-12s %s\n", label, fmt.Sprintf(format, args...))
	}
	state := string(r.State)
	if r.Reason != "" {
		state += " (" + string(r.Reason) + ")"
	}
	row("state", "%s since %s", state, local(r.Time))
	if r.Reference != "" {
		row("reference", "%s", printable(r.Reference))
	}
	if c := r.Cause; c != nil {
		cause := c.Description
		if c.HTTPStatus != 0 {
			cause += fmt.Sprintf(" (%s: HTTP %d %s)", c.Operation, c.HTTPStatus, c.Code)
		}
		row("cause", "%s", cause)
		if c.PartnerText != "" {
			row("partner says", "%s", printable(c.PartnerText))
		}
	}
	switch r.State {
	case events.Deferred:
		row("next", "attempt at %s (%s)", local(r.NextAttemptAt), inWords(r.NextAttemptAt.Sub(now)))
		if !r.GiveUpAt.IsZero() {
			row("gives up", "after %s", local(r.GiveUpAt))
		}
	case events.Started:
		row("next", "its outcome, or another worker takes over at %s", local(r.LeaseExpiresAt))
	case events.Activated:
		row("learned", "%s, via %s", local(r.ActivatedAt), r.Via)
	}
	if r.Unsettled {
		row("unsettled", "an earlier request may have been applied; the partner is asked before it is called again")
	}
	calls := "activate calls"
	if r.Calls == 1 {
		calls = "activate call"
	}
	row("tried", "round %d, attempt %d, %d %s in all", r.Round, r.Attempt, r.Calls, calls)
	row("what to do", "%s", words.WhatToDo)
	b.WriteString("\n  when                        event      by                reason / via\n")
	for _, e := range entries {
		past, err := events.DecodeRecord(e.Subject, e.Sequence, e.Data)
		if err != nil {
			fmt.Fprintf(&b, "  (sequence %d: of a newer version)\n", e.Sequence)
			continue
		}
		detail := string(past.Reason)
		if past.State == events.Activated {
			detail = string(past.Via)
		}
		line := fmt.Sprintf("  %-27s %-10s %-17s %s", local(past.Time), past.State, past.Trigger.Kind, detail)
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// printable keeps what others wrote from moving a terminal's cursor.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if !strconv.IsPrint(c) {
			return '\uFFFD'
		}
		return c
	}, s)
}

func inWords(d time.Duration) string {
	if d <= 0 {
		return "due now"
	}
	return "in " + d.Round(time.Second).String()
}
