package events

import "slices"

// State is the last token of a record's subject.
type State string

// The states that this binary knows. A record in any other is left untouched.
const (
	Started   State = "started"   // an attempt was claimed, under a lease
	Deferred  State = "deferred"  // not activated yet, waits for its next attempt
	Activated State = "activated" // done
	Failed    State = "failed"    // given up
	Forgotten State = "forgotten" // erased on request; only that it was is kept
)

// None is what a forgotten record was where there was no record before it; no record is in this state.
const None State = "none"

// States lists every state.
func States() []State { return []State{Started, Deferred, Activated, Failed, Forgotten} }

// Reason says why a customer is not active. Logs, records and the command line use the same word.
type Reason string

// The closed list of reasons.
const (
	Transient          Reason = "transient"           // 429, not sent, a redirect not followed
	UnknownOutcome     Reason = "unknown_outcome"     // the partner may have activated; nobody could tell yet
	DNSUnverified      Reason = "dns_unverified"      // ownership records not visible
	TermsPending       Reason = "terms_pending"       // the customer has not accepted the terms
	Replay             Reason = "replay"              // queued by an operator
	Backlog            Reason = "backlog"             // announced long ago
	PartnerUnavailable Reason = "partner_unavailable" // not the customer's fault: credentials, address, outage
	CustomerNotFound   Reason = "customer_not_found"  // the partner does not know the id, or it is not ours
	Refused            Reason = "refused"             // a definite no
	Cancelled          Reason = "cancelled"           // an operator's decision
)

// Reasons lists every reason.
func Reasons() []Reason {
	return []Reason{
		Transient, UnknownOutcome, DNSUnverified, TermsPending, Replay, Backlog,
		PartnerUnavailable, CustomerNotFound, Refused, Cancelled,
	}
}

// TriggerKind is what made an attempt happen.
type TriggerKind string

// Kinds of trigger.
const (
	TriggerAccepted TriggerKind = "terms_accepted"
	TriggerDue      TriggerKind = "due"
	TriggerReplay   TriggerKind = "replay"
	TriggerRecovery TriggerKind = "recovery" // took over an expired lease
)

// Via is how an activation was learned of.
type Via string

// Ways to learn of an activation.
const (
	ViaActivate Via = "activate" // the answer to our call
	ViaLookup   Via = "lookup"   // the partner said so when asked; with zero calls it was active before us
)

// Type is a CloudEvents type.
type Type string

// Types of outgoing events.
const (
	TypeStarted   Type = "customer.activation.started"
	TypeDeferred  Type = "customer.activation.deferred"
	TypeActivated Type = "customer.activated"
	TypeFailed    Type = "customer.activation.failed"
	TypeForgotten Type = "customer.activation.forgotten"
	TypeRejected  Type = "customer.activation.rejected"
	TypeReplayed  Type = "customer.activation.replayed"
	TypePaused    Type = "customer.activation.paused"
	TypeResumed   Type = "customer.activation.resumed"
	TypeRequested Type = "customer.activation.requested" // incoming: what an operator asks for
)

// TypeOf is the event type of a state record.
func TypeOf(s State) Type {
	if s == Activated {
		return TypeActivated
	}
	return Type("customer.activation." + string(s))
}

func knownState(s State) bool   { return slices.Contains(States(), s) }
func knownReason(r Reason) bool { return slices.Contains(Reasons(), r) }
