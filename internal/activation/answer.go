package activation

import (
	"encoding/json"
	"time"

	"activation-worker/internal/events"
)

// Operation is a question to the partner.
type Operation string

// Operations. [Nothing] ends an attempt.
const (
	Nothing  Operation = ""
	Activate Operation = "activate"
	LookUp   Operation = "customer"
	List     Operation = "list"           // may we read customers at all?
	DNSData  Operation = "upgrade_domain" // which ownership records does the partner want to see?
	LookDNS  Operation = "dns"            // can they be seen? Asks DNS, not the partner
)

// Kind is how an operation ended.
type Kind int

// Kinds of answers.
const (
	_        Kind = iota
	Active        // 2xx: our domain, and it is active
	Inactive      // 2xx of a look-up: our domain, not active
	Listed        // 2xx of a list
	NotSent       // no connection or no TLS: nothing reached the partner
	NotAsked      // not sent by our own choice: no time left in the lease, no permit, stopping
	Redirect      // answered with a redirect that was not followed
	Refusal       // HTTP 4xx
	Unclear       // time-out, reset, 5xx, a 2xx that shows something else: it may have been applied
	NoToken       // no usable access token
	Shown         // 2xx of the ownership records wanted
	Looked        // DNS answered
	Blind         // DNS gave no answer, or is not to be asked
)

// Answer is what one operation within an attempt brought, requests repeated for a blip included.
type Answer struct {
	Operation   Operation
	Kind        Kind
	Status      int // HTTP
	Code        string
	PartnerText string // masked and cut
	RequestID   string
	NoSuchAPI   bool          // 404 that means the address, not the customer
	RetryAfter  time.Duration // the partner's; negative: none given
	Sent        int           // requests written
	StartedAt   time.Time     // of the last request
	At          time.Time     // when the answer was there

	Domain  string             // Active, Inactive, Shown
	Pending bool               // Inactive: the partner's status says that the terms are still to be accepted
	NoProof bool               // Inactive: a customer whose domain needs no proof
	Proven  bool               // Shown: the partner counts the ownership as proven
	Wanted  []events.DNSRecord // Shown
	Seen    []events.DNSRecord // Looked
	Visible bool               // Looked: one of those wanted is there as wanted
	Silent  []string           // Looked: resolvers that gave no answer
	Object  json.RawMessage    // Active: as received; nil if not kept
	Omitted int                // bytes of an object that was not kept
	Altered bool
}

// Answered reports whether the partner said something definite, whatever it was.
func (a Answer) Answered() bool {
	switch a.Kind {
	case Active, Inactive, Listed, Shown:
		return true
	case Refusal:
		return a.Status != 429 && a.Status != 408
	}
	return false
}

// Unanswered reports whether nobody said anything definite: it did not arrive, or what became of it is unclear.
func (a Answer) Unanswered() bool {
	return a.Kind == NotSent || a.Kind == Unclear || a.Kind == Refusal && a.Status == 408
}

// Verdict is what the answers of an attempt come to.
type Verdict struct {
	State  events.State  // Activated, Deferred or Failed
	Reason events.Reason // Deferred, Failed
	Via    events.Via    // Activated
	Cause  Answer        // the answer to blame, or to praise
	Text   string        // our own sentence
}

// meaning is what an answer that is not a yes stands for.
type meaning struct {
	reason    events.Reason
	unclear   bool      // the operation may have been applied
	ask       Operation // look further before deciding
	known     bool      // the operator's own word
	otherwise string    // our own sentence
}

// rule is one line of the answer table; the first that matches counts.
type rule struct {
	kind      Kind
	status    int  // 0: any
	noSuchAPI bool // only where the answer says so
	meaning   meaning
}

// rules is the answer table for any operation (partner sheet §4). A reason of refused
// or customer_not_found is about the customer asked about.
var rules = []rule{
	{kind: NotSent, meaning: meaning{reason: events.Transient, otherwise: "the partner could not be reached; nothing was sent"}},
	{kind: NotAsked, meaning: meaning{reason: events.Transient, otherwise: "the request did not fit into what was left of the lease or of the worker's time, and was not sent"}},
	{kind: Redirect, meaning: meaning{reason: events.Transient, otherwise: "the partner redirected to a place that is not followed"}},
	{kind: NoToken, meaning: meaning{reason: events.PartnerUnavailable, otherwise: "no access token could be had"}},
	{kind: Unclear, meaning: meaning{reason: events.UnknownOutcome, unclear: true, ask: LookUp, otherwise: "the answer does not tell whether the request took effect"}},

	{kind: Refusal, status: 401, meaning: meaning{reason: events.PartnerUnavailable, otherwise: "the partner refuses our access token, a new one too"}},
	{kind: Refusal, status: 403, meaning: meaning{reason: events.Refused, ask: LookUp, otherwise: "the partner denies access"}},
	{kind: Refusal, status: 404, noSuchAPI: true, meaning: meaning{reason: events.PartnerUnavailable, otherwise: "the partner knows no such API: LINEWORKS_API_URL is wrong"}},
	{kind: Refusal, status: 404, meaning: meaning{reason: events.CustomerNotFound, ask: LookUp, otherwise: "the partner does not know this customer"}},
	{kind: Refusal, status: 405, meaning: meaning{reason: events.PartnerUnavailable, otherwise: "the partner does not allow this request at all"}},
	{kind: Refusal, status: 408, meaning: meaning{reason: events.UnknownOutcome, unclear: true, ask: LookUp, otherwise: "the partner gave up waiting for the request"}},
	{kind: Refusal, status: 413, meaning: meaning{reason: events.PartnerUnavailable, otherwise: "the partner does not accept the form of our request"}},
	{kind: Refusal, status: 415, meaning: meaning{reason: events.PartnerUnavailable, otherwise: "the partner does not accept the form of our request"}},
	{kind: Refusal, status: 429, meaning: meaning{reason: events.Transient, otherwise: "the partner's rate limit is reached"}},
	{kind: Refusal, meaning: meaning{reason: events.Refused, ask: LookUp, otherwise: "the partner refuses to activate this customer"}},
}

// Classify says what an answer stands for, by its HTTP status first.
func Classify(a Answer) (reason events.Reason, unclear bool) {
	m := classify(a)
	return m.reason, m.unclear
}

// Known is one line of an operator's own table: what a definite no to activate stands for.
type Known struct {
	Status int
	Code   string // "": any that has no line of its own
	Reason events.Reason
}

// known looks an answer up in the operator's table. What is unclear stays so, a 408 too.
func (p Policy) known(a Answer) (meaning, bool) {
	if a.Operation != Activate || a.Kind != Refusal || classify(a).unclear {
		return meaning{}, false
	}
	best := -1
	for i, k := range p.Table {
		if k.Status == a.Status && (k.Code == a.Code || k.Code == "" && best < 0) {
			best = i
		}
	}
	if best < 0 {
		return meaning{}, false
	}
	m := meaning{reason: p.Table[best].Reason, known: true, otherwise: "WORKER_CLASSIFICATION says what this answer means"}
	switch m.reason {
	case events.DNSUnverified, events.TermsPending, events.CustomerNotFound, events.Refused:
		m.ask = LookUp // whatever the no means, the customer may be active already
	}
	return m, true
}

// meaningOf is what an answer stands for: by the operator's table, else by ours.
func (p Policy) meaningOf(a Answer) meaning {
	if m, ok := p.known(a); ok {
		return m
	}
	return classify(a)
}

func classify(a Answer) meaning {
	for _, r := range rules {
		if r.kind == a.Kind && (r.status == 0 || r.status == a.Status) && (!r.noSuchAPI || a.NoSuchAPI) {
			return r.meaning
		}
	}
	return meaning{reason: events.UnknownOutcome, unclear: true, ask: LookUp, otherwise: "the answer is of no known kind"}
}
