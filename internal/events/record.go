package events

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// EventRef names a terms-accepted event as the intake stream stored it.
type EventRef struct {
	ID            string    `json:"id"` // CloudEvents source and id, else made of the other fields
	Stream        string    `json:"stream"`
	StreamCreated time.Time `json:"streamCreated"`
	Sequence      uint64    `json:"sequence"`
	StoredAt      time.Time `json:"storedAt"`
}

// NewerThan reports whether e is new to a record that acted on old: another id, stored later.
func (e EventRef) NewerThan(old EventRef) bool {
	return e.ID != old.ID && hashedID(e.ID) != old.ID && e.StoredAt.After(old.StoredAt)
}

// Hashed is what a forgotten record keeps of an event: enough to know it again, and nothing that it says.
func (e EventRef) Hashed() EventRef { return EventRef{ID: hashedID(e.ID), StoredAt: e.StoredAt} }

const hashMark = "sha256:"

func hashedID(id string) string {
	if digest, ok := strings.CutPrefix(id, hashMark); ok && len(digest) == hex.EncodedLen(sha256.Size) && strings.Trim(digest, "0123456789abcdef") == "" {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return hashMark + hex.EncodeToString(sum[:])
}

// Trigger is what made the attempt of a record happen.
type Trigger struct {
	Kind TriggerKind `json:"kind"`
	ID   string      `json:"id"` // of the event, or of the record that was woken
}

// Seen counts a reason within one round.
type Seen struct {
	First time.Time `json:"first"`
	Tries int       `json:"tries"`
}

// Settling is how far an unclear outcome has been asked about.
type Settling struct {
	Since time.Time `json:"since"` // of the unclear answer, or of the last spaced look-up that said no
	Noes  int       `json:"noes"`  // spaced look-ups that have said no
}

// DNS are the ownership records of a domain: one of those wanted is enough.
type DNS struct {
	Domain string      `json:"domain,omitempty"` // whose ownership is to be proven, as the partner spells it
	Wanted []DNSRecord `json:"wanted"`           // read at the last activate attempt
	Seen   []DNSRecord `json:"seen"`             // at the wanted names, near misses too
}

// DNSRecord is one record, wanted or seen.
type DNSRecord struct {
	Type     string `json:"type"`               // TXT or CNAME
	Host     string `json:"host,omitempty"`     // wanted: as the partner writes it
	Name     string `json:"name"`               // full name, without final dot
	Value    string `json:"value"`              // text, or target
	Resolver string `json:"resolver,omitempty"` // seen: by whom
}

// Visibility is what a round has learned of when the ownership records could be seen.
type Visibility struct {
	Missed time.Time `json:"missed,omitzero"` // when they were first looked for in vain
	Since  time.Time `json:"since,omitzero"`  // when they were first seen after that; zero: not seen
	Nos    int       `json:"nos,omitempty"`   // activate calls that said no although they were seen
}

// Cause is the answer that led to a reason, free of secrets and personal data.
type Cause struct {
	Operation      string `json:"operation,omitempty"`
	HTTPStatus     int    `json:"httpStatus,omitempty"`
	Code           string `json:"code,omitempty"`
	Description    string `json:"description,omitempty"` // our own sentence
	PartnerText    string `json:"partnerText,omitempty"` // the partner's, masked and cut
	RequestID      string `json:"requestId,omitempty"`
	UnknownOutcome bool   `json:"unknownOutcome,omitempty"`
}

// Record is the whole state of one customer: the newest message of its family.
// Fields that a state does not have are zero and not written.
type Record struct {
	State    State     `json:"-"` // from the subject
	Sequence uint64    `json:"-"` // in the ledger; 0 for a record not stored yet
	ID       string    `json:"-"` // of the CloudEvent
	Time     time.Time `json:"-"` // of the CloudEvent
	StoredAt time.Time `json:"-"` // by the server's clock; zero where it was not asked for

	TraceParent string `json:"-"` // W3C trace context of the newest event acted on
	TraceState  string `json:"-"`

	DomainID  int64  `json:"domainId"`
	Domain    string `json:"domain,omitempty"`
	Reference string `json:"reference,omitempty"` // the pipeline's own, opaque

	Round   int      `json:"round"`   // 1 for the first
	Attempt int      `json:"attempt"` // in this round
	Event   EventRef `json:"event"`   // newest terms-accepted event acted on
	Trigger Trigger  `json:"trigger"`

	AcceptedAt     time.Time       `json:"acceptedAt,omitzero"`
	FirstAttemptAt time.Time       `json:"firstAttemptAt,omitzero"` // of this round, which began then
	LastCallAt     time.Time       `json:"lastCallAt,omitzero"`     // start of the last activate request
	NotBefore      time.Time       `json:"notBefore,omitzero"`      // a retry time that the partner gave
	Seen           map[Reason]Seen `json:"seen"`
	Waived         int64           `json:"waived"` // seconds added to GiveUpAt
	Calls          int             `json:"calls"`  // activate requests sent or presumed sent, in all rounds
	GiveUpAt       time.Time       `json:"giveUpAt,omitzero"`
	Unsettled      bool            `json:"unsettled"` // while true no activate is sent
	Settling       *Settling       `json:"settling,omitempty"`
	LookFirst      bool            `json:"lookFirst,omitempty"`  // the partner is asked before the next activate: announced long ago, or forgotten before
	Visibility     *Visibility     `json:"visibility,omitempty"` // of the ownership records in this round

	Worker         string    `json:"worker,omitempty"`        // started
	LeaseExpiresAt time.Time `json:"leaseExpiresAt,omitzero"` // started

	Reason        Reason    `json:"reason,omitempty"`       // deferred, failed
	Cause         *Cause    `json:"cause,omitempty"`        // deferred, failed
	NextAttemptAt time.Time `json:"nextAttemptAt,omitzero"` // deferred
	DNS           *DNS      `json:"dns,omitempty"`          // where the reason is dns_unverified
	Queued        bool      `json:"queued,omitempty"`       // deferred: put there without an attempt, by what the trigger says

	Via             Via             `json:"via,omitempty"`        // activated
	ActivatedAt     time.Time       `json:"activatedAt,omitzero"` // activated: when the worker learned of it
	Customer        json.RawMessage `json:"customer,omitempty"`   // activated: the partner's object as received, or null
	CustomerAltered bool            `json:"customerAltered,omitempty"`
	CustomerOmitted int             `json:"customerOmitted,omitempty"` // bytes of an object that was not kept

	By       string `json:"by,omitempty"`       // forgotten: who asked
	Why      string `json:"why,omitempty"`      // forgotten
	WasState State  `json:"wasState,omitempty"` // forgotten; maybe [None]
}

// forgottenData is all that a forgotten record says.
type forgottenData struct {
	DomainID int64 `json:"domainId"`
	Round    int   `json:"round"`
	Event    struct {
		ID       string    `json:"id"`
		StoredAt time.Time `json:"storedAt"`
	} `json:"event"`
	By       string `json:"by"`
	Why      string `json:"why"`
	WasState State  `json:"wasState"`
}

func forgottenOf(r *Record) forgottenData {
	d := forgottenData{DomainID: r.DomainID, Round: r.Round, By: r.By, Why: r.Why, WasState: r.WasState}
	d.Event.ID, d.Event.StoredAt = r.Event.Hashed().ID, r.Event.StoredAt
	return d
}

// Expected is the family's last sequence that a write over r has to expect: r's own, 0 for no record.
func (r *Record) Expected() uint64 {
	if r == nil {
		return 0
	}
	return r.Sequence
}

// Awaits reports whether a deferred record waits for an attempt that such a trigger has asked for.
func (r *Record) Awaits(kind TriggerKind) bool {
	return r.State == Deferred && r.Queued && r.Trigger.Kind == kind
}

// ErrForeignRecord marks a record that this binary must leave untouched: a higher
// major version, or a state or reason that it does not know.
var ErrForeignRecord = errors.New("record of a newer worker")

// RecordID is the deterministic id of the state record written with that expectation.
func RecordID(domainID int64, expected uint64, s State) string {
	return strconv.FormatInt(domainID, 10) + "-" + strconv.FormatUint(expected, 10) + "-" + string(s)
}

// knownVersion reports a data schema of a major version that this binary can read: its own, or an older one.
func knownVersion(schema string) bool {
	at := strings.LastIndex(schema, "/v")
	if at < 0 {
		return false
	}
	n, err := strconv.Atoi(schema[at+len("/v"):])
	return err == nil && n >= 1 && n <= recordVersion
}

// EncodeRecord writes r as a CloudEvent. expected is the family's last sequence that the write will expect.
func EncodeRecord(r *Record, source string, expected uint64, now time.Time) ([]byte, error) {
	var data any = r
	if r.State == Forgotten {
		data = forgottenOf(r)
	}
	return encodeEnvelope(envelope{
		ID:          RecordID(r.DomainID, expected, r.State),
		Source:      source,
		Type:        TypeOf(r.State),
		DataSchema:  schemaOf(TypeOf(r.State), recordVersion),
		Subject:     strconv.FormatInt(r.DomainID, 10),
		Time:        now,
		TraceParent: r.TraceParent,
		TraceState:  r.TraceState,
	}, data)
}

// DecodeRecord reads a state record of the ledger. The error wraps [ErrForeignRecord]
// where the record is to be left alone, whatever else is wrong with it.
func DecodeRecord(subject string, sequence uint64, msg []byte) (*Record, error) {
	tokens := strings.Split(subject, ".")
	if len(tokens) != 4 {
		return nil, fmt.Errorf("%w: %q is no customer subject", ErrForeignRecord, subject)
	}
	state := State(tokens[3])
	domainID, ok := ParseDomainID(tokens[2])
	if !ok || !knownState(state) {
		return nil, fmt.Errorf("%w: subject %q", ErrForeignRecord, subject)
	}
	// Envelope and record at once: a third quicker than one after the other. What is wrong is told by the latter.
	var whole struct {
		envelope
		Data Record `json:"data"`
	}
	e, r := &whole.envelope, &whole.Data
	wrong := json.Unmarshal(msg, &whole)
	if wrong != nil {
		*e = envelope{}
		if err := json.Unmarshal(msg, e); err != nil {
			return nil, fmt.Errorf("%w: %s at sequence %d is no CloudEvent: %w", ErrForeignRecord, subject, sequence, err)
		}
	}
	if !knownVersion(e.DataSchema) {
		return nil, fmt.Errorf("%w: %s at sequence %d has data schema %q", ErrForeignRecord, subject, sequence, e.DataSchema)
	}
	if wrong != nil {
		return nil, fmt.Errorf("%w: %s at sequence %d: %w", ErrForeignRecord, subject, sequence, wrong)
	}
	if r.DomainID != domainID {
		return nil, fmt.Errorf("%w: %s at sequence %d names domain %d", ErrForeignRecord, subject, sequence, r.DomainID)
	}
	if r.Reason != "" && !knownReason(r.Reason) {
		return nil, fmt.Errorf("%w: %s at sequence %d has reason %q", ErrForeignRecord, subject, sequence, r.Reason)
	}
	r.State, r.Sequence, r.ID, r.Time = state, sequence, e.ID, e.Time
	r.TraceParent, r.TraceState = e.TraceParent, e.TraceState
	return r, nil
}
