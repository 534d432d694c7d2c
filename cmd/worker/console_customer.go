package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/console"
	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
	"activation-worker/internal/operator"
)

// Customer implements [console.Source].
func (s consoleSource) Customer(ctx context.Context, domainID int64) (console.Customer, error) {
	reader, err := s.reading()
	if err != nil {
		return console.Customer{}, err
	}
	r, entries, err := reader.ledger.Family(ctx, domainID)
	switch {
	case errors.Is(err, events.ErrForeignRecord):
		return foreignCustomer(domainID), nil
	case err != nil && !errors.Is(err, jetstream.ErrStreamNotFound):
		return console.Customer{}, away(err)
	case r == nil:
		return s.withoutRecord(ctx, reader, domainID)
	}
	return reader.withRecord(ctx, r, entries), nil
}

// withoutRecord searches, or gives what was found the last time.
func (s consoleSource) withoutRecord(ctx context.Context, reader *statusReader, domainID int64) (console.Customer, error) {
	began := time.Now()
	if found, good := s.searches.recall(domainID, began); good {
		return found, nil
	}
	found, err := reader.withoutRecord(ctx, domainID)
	if err == nil {
		s.searches.keep(domainID, found, began, time.Now())
	}
	return found, err
}

func (s statusReader) withRecord(ctx context.Context, r *events.Record, entries []ledger.Entry) console.Customer {
	words, paused := operator.Explain(r), s.paused(ctx)
	c := console.Customer{
		Found: true, DomainID: idText(r.DomainID), Domain: printable(r.Domain),
		Is: words.Is, Next: words.Next, NextAt: nextOf(r).UTC(), WhatToDo: words.WhatToDo,
		Expected: printable(s.expected(ctx, r, paused, localView())),
		State:    string(r.State), Reason: string(r.Reason), Since: r.Time.UTC(), Sequence: r.Sequence,
		Facts: consoleFacts(r), Timeline: timelineOf(entries),
	}
	if r.State == events.Deferred || r.State == events.Started {
		c.But = printable(paused)
	}
	if r.Reason == events.DNSUnverified {
		c.DNS = proofOf(r)
	}
	return c
}

// foreignCustomer is one whose newest record is to be left alone.
func foreignCustomer(domainID int64) console.Customer {
	return console.Customer{
		Found: true, DomainID: idText(domainID), State: "unknown",
		Is:       "The newest record is of a newer version of the worker, and is left untouched.",
		Next:     "Nothing, until a worker runs that understands it.",
		WhatToDo: "Update the workers; /readyz names such records too.",
		Facts:    []console.Fact{}, Timeline: []console.Happened{},
	}
}

// withoutRecord says where the announcement is, if there is one.
func (s statusReader) withoutRecord(ctx context.Context, domainID int64) (console.Customer, error) {
	where, err := s.whereabouts(ctx, domainID)
	if err != nil {
		return console.Customer{}, away(err)
	}
	taking, whatToDo := s.taking(ctx)
	c := console.Customer{
		DomainID: idText(domainID), State: where.state, Is: "No record. " + printable(where.text), Next: printable(taking),
		WhatToDo: "Nothing.", Facts: []console.Fact{}, Timeline: []console.Happened{},
	}
	switch {
	case where.sequence > 0 && whatToDo != "":
		c.WhatToDo = whatToDo
	case where.sequence > 0:
		c.Expected = printable(s.announced(ctx, where, localView()))
	case where.whatToDo != "":
		c.WhatToDo = "To do: " + where.whatToDo
	}
	return c, nil
}

// consoleFacts leave out what the page shows at the head, and who cancelled an activation and why.
func consoleFacts(r *events.Record) []console.Fact {
	facts := []console.Fact{}
	for _, f := range factsOf(r) {
		if f.label != "state" && (f.label != "cause" || r.Reason != events.Cancelled) {
			text := strings.Trim(strings.ReplaceAll(f.text, "{when}", ""), ", ")
			facts = append(facts, console.Fact{Label: f.label, Text: text, At: f.at.UTC()})
		}
	}
	return facts
}

func proofOf(r *events.Record) *console.DNS {
	wanted, seen := operator.Proofs(r.DNS)
	proof := &console.DNS{Wanted: recordsOf(wanted), Seen: recordsOf(seen)}
	if v := r.Visibility; v != nil && !v.Since.IsZero() {
		proof.VisibleSince, proof.Nos = v.Since.UTC(), v.Nos
	}
	return proof
}

func recordsOf(proofs []operator.Proof) []console.DNSRecord {
	records := []console.DNSRecord{}
	for _, p := range proofs {
		records = append(records, console.DNSRecord{Name: p.Name, Type: p.Type, Value: p.Value, Zone: p.Zone, Matches: p.Matches, Resolver: p.Resolver})
	}
	return records
}

// timelineOf is what is kept of the past, the newest first, and of records that are not understood only that they are there.
func timelineOf(entries []ledger.Entry) []console.Happened {
	timeline := []console.Happened{}
	for _, e := range slices.Backward(entries) {
		h := console.Happened{Sequence: e.Sequence, At: e.StoredAt.UTC()}
		if past, err := events.DecodeRecord(e.Subject, e.Sequence, e.Data); err == nil {
			h.At, h.State, h.Why = past.Time.UTC(), string(past.State), whyOf(past)
			if past.State != events.Forgotten {
				h.By = string(past.Trigger.Kind)
			}
			if event, err := events.Impersonal(e.Data); err == nil {
				h.Event = event
			}
		}
		timeline = append(timeline, h)
	}
	return timeline
}
