// Package operator is what operators see and ask for: a customer's state in words.
package operator

import (
	"activation-worker/internal/events"
)

// Words are a state in an operator's language.
type Words struct {
	Is       string // one sentence: why the customer is (not) active
	WhatToDo string // for the operator or the customer
}

// states are the words of states that have no reason.
var states = map[events.State]Words{
	events.Started:   {"An attempt is under way.", "Nothing; look again in a minute."},
	events.Activated: {"The customer is active.", "Nothing."},
}

// reasons are the words of a deferred customer, by reason; failed ones differ in what to do.
var reasons = map[events.Reason]Words{
	events.Transient:          {"The partner could not take the request just now.", "Nothing; the worker tries again by itself."},
	events.UnknownOutcome:     {"An answer was lost, so whether the partner activated the customer is not known yet.", "Nothing; the worker asks the partner before it calls again."},
	events.DNSUnverified:      {"The customer's ownership records are not visible in DNS yet.", "Ask the customer to publish the TXT or CNAME record."},
	events.TermsPending:       {"The customer has not accepted the terms yet.", "Ask the customer to accept the terms of service."},
	events.Replay:             {"The activation is queued again by an operator.", "Nothing; it is attempted at its paced time."},
	events.Backlog:            {"The announcement is old and waits behind fresh ones.", "Nothing; it is attempted at its paced time."},
	events.PartnerUnavailable: {"The partner cannot be used at all at the moment; this is not the customer's fault.", "See what /readyz says of credentials and partner."},
	events.CustomerNotFound:   {"The partner does not know this customer, or it is not ours.", "Check the domain id against the partner's list of customers."},
	events.Refused:            {"The partner refuses to activate this customer.", "Read the cause, mend it with the customer or the partner, and announce the customer again."},
	events.Cancelled:          {"An operator cancelled the activation.", "Announce the customer again if it is to be activated after all."},
}

// Explain puts a record into words.
func Explain(r *events.Record) Words {
	w, ok := states[r.State]
	if !ok {
		w = reasons[r.Reason]
	}
	if r.State == events.Failed && r.Reason != events.Refused && r.Reason != events.Cancelled {
		w.Is += " The worker has given up."
		w.WhatToDo = "Mend the cause, then announce the customer again: worker submit starts a new round."
	}
	return w
}
