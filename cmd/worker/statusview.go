package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
	"activation-worker/internal/operator"
)

func statusJSON(out io.Writer, r *events.Record, entries []ledger.Entry) error {
	if err := jsonLines(out).Encode(lineOf(r)); err != nil {
		return err
	}
	for _, e := range entries {
		event, err := events.WithoutCustomer(e.Data)
		if err != nil {
			return err
		}
		if _, err := out.Write(append(event, '\n')); err != nil {
			return err
		}
	}
	return nil
}

// statusTable answers first: why, what comes next, what to do. What it was found from follows.
// paused is why nobody is attempted at the moment, expected when the customer's turn comes; empty where that is not so.
func statusTable(out io.Writer, r *events.Record, entries []ledger.Entry, paused, expected string, v timeView) error {
	s := statusText{view: v}
	words := operator.Explain(r)
	s.line("%s: %s\n", nameOf(r), words.Is)
	s.row("next", "%s", words.NextAt(v.due(nextOf(r))))
	if paused != "" && (r.State == events.Deferred || r.State == events.Started) {
		s.row("but", "%s", printable(paused))
	}
	if expected != "" {
		s.row("expected", "%s", printable(expected))
	}
	s.row("what to do", "%s", words.WhatToDo)
	if r.Reason == events.DNSUnverified {
		s.proof(r)
	}
	s.line("")
	s.facts(r)
	s.timeline(entries)
	_, err := io.WriteString(out, s.String())
	return err
}

func nameOf(r *events.Record) string {
	name := strconv.FormatInt(r.DomainID, 10)
	if r.Domain != "" {
		name += " (" + printable(r.Domain) + ")"
	}
	return name
}

// statusText is the answer as it is written.
type statusText struct {
	strings.Builder
	view timeView
}

func (s *statusText) line(format string, args ...any) { fmt.Fprintf(s, format+"\n", args...) }

func (s *statusText) row(label, format string, args ...any) {
	s.line("  %-12s %s", label, fmt.Sprintf(format, args...))
}

// proof is what the customer has to publish, and what is there.
func (s *statusText) proof(r *events.Record) {
	wanted := operator.ZoneFile(r.DNS)
	if len(wanted) == 0 {
		s.line("\n  The partner has named no DNS records; its console shows them.")
		return
	}
	s.line("\n  DNS records to set, one of them is enough:\n")
	for _, one := range wanted {
		s.line("%s", one) // as a zone file wants it: a blank at the beginning means something there
	}
	s.line("\n  Seen in DNS:\n")
	seen := operator.SightLines(r.DNS)
	if len(seen) == 0 {
		seen = []string{"nothing at these names"}
	}
	for _, one := range seen {
		s.line("    %s", one)
	}
	if v := r.Visibility; v != nil && !v.Since.IsZero() {
		s.line("    visible since %s; the partner has said no %s since", s.view.at(v.Since), plural(v.Nos, "time", "times"))
	}
}

// fact is something that a record says. {when} in its text stands for a time.
type fact struct {
	label, text string
	at          time.Time
}

// factsOf are what the record says, but for what the partner and the operator have written.
func factsOf(r *events.Record) (facts []fact) {
	add := func(at time.Time, label, format string, args ...any) {
		facts = append(facts, fact{label, fmt.Sprintf(format, args...), at})
	}
	state := string(r.State)
	if r.Reason != "" {
		state += " (" + string(r.Reason) + ")"
	}
	add(r.Time, "state", "%s since {when}", state)
	if r.Reference != "" {
		add(time.Time{}, "reference", "%s", printable(r.Reference))
	}
	if c := r.Cause; c != nil {
		cause := printable(c.Description)
		if c.HTTPStatus != 0 {
			cause += fmt.Sprintf(" (%s)", printable(strings.TrimSpace(fmt.Sprintf("%s: HTTP %d %s", c.Operation, c.HTTPStatus, c.Code))))
		}
		add(time.Time{}, "cause", "%s", cause)
	}
	switch {
	case r.State == events.Activated:
		add(r.ActivatedAt, "learned", "{when}, via %s", r.Via)
	case r.State == events.Forgotten:
		add(time.Time{}, "was", "%s", r.WasState)
		return facts
	case r.State == events.Deferred && !r.GiveUpAt.IsZero():
		add(r.GiveUpAt, "gives up", "after {when}")
	}
	if r.Unsettled {
		add(time.Time{}, "unsettled", "an earlier request may have been applied; the partner is asked before it is called again")
	}
	add(time.Time{}, "tried", "round %d, attempt %d, %s in all", r.Round, r.Attempt, plural(r.Calls, "activate call", "activate calls"))
	return facts
}

// facts are what the record says.
func (s *statusText) facts(r *events.Record) {
	for _, f := range factsOf(r) {
		if f.label == "was" {
			s.row("forgotten by", "%s: %s", printable(r.By), printable(r.Why))
		}
		s.row(f.label, "%s", strings.ReplaceAll(f.text, "{when}", s.view.at(f.at)))
		if c := r.Cause; f.label == "cause" && c.PartnerText != "" {
			s.row("partner says", "%s", printable(c.PartnerText))
		}
	}
}

// timeline is what is kept of the past, oldest first.
func (s *statusText) timeline(entries []ledger.Entry) {
	line := func(when, event, by, why string) {
		s.WriteString("  " + row(cell{when, timeColumn}, cell{event, stateColumn}, cell{by, 14}, cell{why, 0}))
	}
	s.line("")
	line("when", "event", "by", "reason / via")
	for _, e := range entries {
		past, err := events.DecodeRecord(e.Subject, e.Sequence, e.Data)
		if err != nil {
			s.line("  (sequence %d: of a newer version)", e.Sequence)
			continue
		}
		by := string(past.Trigger.Kind)
		if past.State == events.Forgotten {
			by = past.By
		}
		line(s.view.at(past.Time), string(past.State), by, whyOf(past))
	}
}

// whyOf is a record's reason and what the partner answered, or how an activation was learned of.
func whyOf(r *events.Record) string {
	if r.State == events.Activated {
		return string(r.Via)
	}
	why := string(r.Reason)
	if v := r.Visibility; r.Reason == events.DNSUnverified && v != nil && !v.Since.IsZero() {
		why += ", records visible"
	}
	if r.Cause != nil && r.Cause.HTTPStatus != 0 {
		why = strings.TrimSpace(fmt.Sprintf("%s, HTTP %d %s", why, r.Cause.HTTPStatus, r.Cause.Code))
	}
	return why
}

// nextOf is when something happens next to a customer; zero for never.
func nextOf(r *events.Record) (at time.Time) {
	switch r.State {
	case events.Deferred:
		return r.NextAttemptAt
	case events.Started:
		return r.LeaseExpiresAt
	}
	return at
}
