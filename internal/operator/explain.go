package operator

import (
	"strconv"
	"strings"

	"activation-worker/internal/events"
)

// Words are a state in an operator's language.
type Words struct {
	Is       string // one sentence: why the customer is (not) active
	Next     string // what happens next, and when: {when} stands for a time, see [Words.NextAt]
	WhatToDo string // for the operator or the customer
}

// NextAt is the sentence of what happens next with a time in it.
func (w Words) NextAt(when string) string { return strings.ReplaceAll(w.Next, "{when}", when) }

// Explain puts a record into words.
func Explain(r *events.Record) Words {
	w := english[keyOf(r)]
	w.WhatToDo = strings.ReplaceAll(w.WhatToDo, "{id}", strconv.FormatInt(r.DomainID, 10))
	return w
}

// keyOf is the line of the table that fits a record.
func keyOf(r *events.Record) key {
	k := key{state: r.State}
	switch {
	case r.State == events.Deferred && r.Awaits(events.TriggerReplay) && r.Reason != events.Replay:
		return key{events.Deferred, events.Replay, hastened}
	case r.State == events.Deferred || r.State == events.Failed:
		k.reason = r.Reason
		if r.Reason == events.DNSUnverified {
			k.variant = seenOf(r)
		}
	case r.State == events.Activated && r.Via == events.ViaLookup && r.Calls == 0:
		k.variant = before
	case r.State == events.Started && r.Unsettled:
		k.variant = unsettled
	}
	return k
}

// seenOf is how far the ownership records can be seen.
func seenOf(r *events.Record) variant {
	switch {
	case r.Visibility != nil && !r.Visibility.Since.IsZero():
		return visible
	case r.DNS != nil && len(r.DNS.Seen) > 0:
		return nearMiss
	}
	return ""
}
