package operator

import "activation-worker/internal/events"

// key is a line of the table of sentences.
type key struct {
	state   events.State
	reason  events.Reason // deferred, failed
	variant variant
}

// variant tells apart what reads differently in the same state for the same reason.
type variant string

// The variants; most lines have none.
const (
	hastened  variant = "hastened"  // an operator asked for a deferred customer by id
	visible   variant = "visible"   // the ownership records are seen
	nearMiss  variant = "near miss" // something else is seen where they should be
	before    variant = "before"    // active without a call of ours
	unsettled variant = "unsettled" // an earlier request may have been applied
)

// sentences are all that is said of customers, in one language. A second language is a second value with the same keys.
type sentences map[key]Words

// What many lines have in common.
const (
	wait       = "Nothing; the worker tries again by itself."
	again      = "It is attempted again {when}."
	final      = "Nothing, unless the customer is replayed or announced again."
	mendReplay = `, then run: worker replay {id} --why "…"`
)

var english = sentences{
	{state: events.Started}: {
		"An attempt is under way.",
		"Its outcome is recorded, or another worker takes over {when}.",
		"Nothing; look again in a minute.",
	},
	{state: events.Started, variant: unsettled}: {
		"An attempt is under way, and an earlier request may have been applied already.",
		"The partner is asked before it is called; the outcome is recorded, or another worker takes over {when}.",
		"Nothing; look again in a minute.",
	},
	{state: events.Activated}: {
		"The customer is active.", "Nothing; this is the end.", "Nothing.",
	},
	{state: events.Activated, variant: before}: {
		"The customer was active already before the worker called the partner.", "Nothing; this is the end.",
		"Nothing. If customers are greeted on activation, leave this one out.",
	},
	{state: events.Forgotten}: {
		"The customer was forgotten on request; what was known is erased.", "Nothing, unless the customer is announced anew.", "Nothing.",
	},

	{state: events.Deferred, reason: events.Transient}: {
		"The partner could not take the request just now.", again, wait,
	},
	{state: events.Deferred, reason: events.UnknownOutcome}: {
		"An answer was lost, so whether the partner activated the customer is not known yet.",
		"The partner is asked {when}.",
		"Nothing; the worker asks the partner before it calls again.",
	},
	{state: events.Deferred, reason: events.DNSUnverified}: {
		"The customer's ownership records are not visible in DNS yet.",
		"DNS is watched meanwhile, and the partner is called when one of the records is seen; without that, {when}.",
		"Ask the customer to publish one of the DNS records below.",
	},
	{state: events.Deferred, reason: events.DNSUnverified, variant: nearMiss}: {
		"The customer's ownership records are not in DNS as they are wanted: something else stands there.",
		"DNS is watched meanwhile, and the partner is called when one of the records is seen; without that, {when}.",
		"Compare what was seen with the DNS records below, and ask the customer to correct one of them.",
	},
	{state: events.Deferred, reason: events.DNSUnverified, variant: visible}: {
		"The customer's ownership records are visible in DNS, but the partner does not see them yet.",
		"The partner is called again {when}.",
		"Nothing; the partner's DNS may remember for a while that they were missing.",
	},
	{state: events.Deferred, reason: events.TermsPending}: {
		"The customer has not accepted the terms yet.", again, "Ask the customer to accept the terms of service.",
	},
	{state: events.Deferred, reason: events.Replay}: {
		"The activation is queued again by an operator.", "It is attempted {when}.", "Nothing; it is attempted at its paced time.",
	},
	{state: events.Deferred, reason: events.Replay, variant: hastened}: {
		"An operator has asked for another attempt now.", "It is attempted {when}.", "Nothing; look again in a minute.",
	},
	{state: events.Deferred, reason: events.Backlog}: {
		"The announcement is old and waits behind fresh ones.", "It is attempted {when}.", "Nothing; it is attempted at its paced time.",
	},
	{state: events.Deferred, reason: events.PartnerUnavailable}: {
		"The partner cannot be used at all at the moment; this is not the customer's fault.",
		"It is attempted again {when}, or when the partner can be used.",
		"See what /readyz says of credentials and partner, or run: worker doctor",
	},
	{state: events.Deferred, reason: events.CustomerNotFound}: {
		"The partner does not know this customer, or it is not ours.", again, "Check the domain id against the partner's list of customers.",
	},
	{state: events.Deferred, reason: events.Refused}: {
		"The partner refuses to activate this customer.", again, "Read the cause and mend it with the customer or the partner.",
	},
	{state: events.Deferred, reason: events.Cancelled}: {
		"An operator cancelled the activation.", again, "Nothing.",
	},

	{state: events.Failed, reason: events.Transient}: {
		"The partner could not take the request for so long that the worker has given up.", final,
		"Check with worker doctor that the partner can be reached" + mendReplay,
	},
	{state: events.Failed, reason: events.UnknownOutcome}: {
		"Whether the partner activated the customer could not be found out, and the worker has given up.", final,
		"Look the customer up in the partner's console; if it is not active there" + mendReplay,
	},
	{state: events.Failed, reason: events.DNSUnverified}: {
		"The customer's ownership records were not visible in DNS for so long that the worker has given up.", final,
		"Have the customer publish one of the DNS records below" + mendReplay,
	},
	{state: events.Failed, reason: events.DNSUnverified, variant: nearMiss}: {
		"The customer's ownership records were not in DNS as they are wanted for so long that the worker has given up.", final,
		"Have the customer correct one of the DNS records below" + mendReplay,
	},
	{state: events.Failed, reason: events.DNSUnverified, variant: visible}: {
		"The customer's ownership records are visible in DNS, but the partner did not see them, and the worker has given up.", final,
		"Ask the partner what it misses" + mendReplay,
	},
	{state: events.Failed, reason: events.TermsPending}: {
		"The customer has not accepted the terms for so long that the worker has given up.", final,
		"Have the customer accept the terms of service" + mendReplay,
	},
	{state: events.Failed, reason: events.Replay}: {
		"The activation was queued again by an operator, and the worker has given up before it was attempted.", final,
		"Find out why in the timeline" + mendReplay,
	},
	{state: events.Failed, reason: events.Backlog}: {
		"The announcement was old and waited behind fresh ones, and the worker has given up before it was attempted.", final,
		"Find out why in the timeline" + mendReplay,
	},
	{state: events.Failed, reason: events.PartnerUnavailable}: {
		"The partner could not be used at all, and the worker has given up; this was not the customer's fault.", final,
		"Mend what worker doctor names" + mendReplay,
	},
	{state: events.Failed, reason: events.CustomerNotFound}: {
		"The partner does not know this customer, or it is not ours, and the worker has given up.", final,
		"Check the domain id against the partner's list of customers; if it is right" + mendReplay,
	},
	{state: events.Failed, reason: events.Refused}: {
		"The partner has refused to activate this customer.", final,
		"Read the cause and mend it with the customer or the partner" + mendReplay,
	},
	{state: events.Failed, reason: events.Cancelled}: {
		"An operator has cancelled the activation.", final,
		`If it is to be activated after all, run: worker replay {id} --why "…"`,
	},
}
