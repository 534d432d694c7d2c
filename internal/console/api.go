package console

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// Source is what the page shows. It only reads. Its answers go to the browser as they are: nothing of the partner's customer
// object, and no text of the partner's, may be in them.
type Source interface {
	// Now is how things stand. It waits for nobody.
	Now(ctx context.Context) Now
	// Activations are those of the time up to now. midnight is when the reader's day began, for [Activations.Today].
	Activations(span Span, midnight time.Time) Activations
	Customers(ctx context.Context, f Filter) (Customers, error)
	// Customer is one of them; also one without a record, who may be announced all the same.
	Customer(ctx context.Context, domainID int64) (Customer, error)
	// Replay is whom a replay would take. It changes nothing.
	Replay(ctx context.Context, s Selection) (Replay, error)
}

// ErrAway is an error of a [Source] that time can mend: NATS is away, or the ledger is being read.
var ErrAway = errors.New("not known at the moment")

// Now is how things stand, as one worker sees it.
type Now struct {
	Worker    string `json:"worker"` // that serves the page
	Version   string `json:"version"`
	Simulated bool   `json:"simulated"` // the partner is a stand-in
	// Trouble is why what follows may be old or missing, and what to do; empty where it is right.
	Trouble  string  `json:"trouble,omitempty"`
	Known    bool    `json:"known"`    // the customers are counted
	Sequence uint64  `json:"sequence"` // of the ledger's last message that is counted
	Lag      uint64  `json:"lag"`      // messages of the ledger to be counted
	Counts   []Count `json:"counts"`   // every state, and every reason that it can have
	// Activated counts the activated records seen: it changes when [Source.Activations] does.
	Activated uint64  `json:"activated"`
	Ready     bool    `json:"ready"`
	Checks    []Check `json:"checks"` // as /readyz has them
	Intake    Intake  `json:"intake"`
	// Rejected is how many announcements are kept that nobody can act on; nil: not known.
	Rejected  *uint64    `json:"rejected,omitempty"`
	Consumers []Consumer `json:"consumers"`
	Lanes     []Lane     `json:"lanes"`
	Quota     *Quota     `json:"quota,omitempty"` // nil: not known yet
	Partner   Partner    `json:"partner"`
	Replicas  []Replica  `json:"replicas"`
	Recent    []Event    `json:"recent"` // state records, the newest first
}

// Count is how many customers are in a state, for a reason if it has one.
type Count struct {
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
	Count  int    `json:"count"`
}

// Intake is whether announcements are taken.
type Intake struct {
	Is       string `json:"is"`                 // a sentence; empty: not known
	WhatToDo string `json:"whatToDo,omitempty"` // empty: nothing
}

// Consumer is how far one of the workers' consumers is behind.
type Consumer struct {
	Name    string `json:"name"`
	Pending uint64 `json:"pending"` // messages that nobody has
	InHand  uint64 `json:"inHand"`  // messages delivered, not yet acknowledged
}

// Lane is how a lane of this worker stands.
type Lane struct {
	Name    string `json:"name"`
	Slots   int    `json:"slots"`
	Busy    int    `json:"busy"`
	Pulling bool   `json:"pulling"`
}

// Quota is what the partner allows, and what all workers together use of it.
type Quota struct {
	Places      int           `json:"places"` // requests at the same time, at most
	PlacesUsed  int           `json:"placesUsed"`
	Windows     []Window      `json:"windows"`
	PausedUntil time.Time     `json:"pausedUntil,omitzero"` // the partner wants no request before
	Waiting     []QuotaWaiter `json:"waiting"`              // for a permit, in this worker
}

// Window is a limit of calls in a sliding time, each operation by itself.
type Window struct {
	Name       string      `json:"name"`       // peak, sustained
	Configured string      `json:"configured"` // as the setting has it, such as 240/m
	Seconds    float64     `json:"seconds"`
	Operations []Operation `json:"operations"`
}

// Operation is what is used of a window by one of the partner's operations.
type Operation struct {
	Operation string `json:"operation"`
	Used      int    `json:"used"`
	Limit     int    `json:"limit"` // the partner's own count may make it lower than configured
}

// QuotaWaiter is how many wait in a lane.
type QuotaWaiter struct {
	Lane  string `json:"lane"` // fresh, waiting, replay
	Count int    `json:"count"`
}

// Partner is whether the partner works, and what stopped the workers lately.
type Partner struct {
	OK    bool    `json:"ok"`
	Pause *Pause  `json:"pause,omitempty"` // of this worker
	Story []Pause `json:"story"`           // of all workers, the newest first
}

// Pause is a worker's pause, or its end.
type Pause struct {
	At       time.Time `json:"at"` // when it was told
	Worker   string    `json:"worker"`
	Resumed  bool      `json:"resumed"`
	Reason   string    `json:"reason"`
	Detail   string    `json:"detail,omitempty"`
	Since    time.Time `json:"since,omitzero"`
	WhatToDo string    `json:"whatToDo,omitempty"`
}

// Replica is a worker on the same ledger.
type Replica struct {
	Worker  string    `json:"worker"`
	Version string    `json:"version,omitempty"`
	Since   time.Time `json:"since,omitzero"` // when it began to read the ledger
	Self    bool      `json:"self"`           // it serves this page
}

// Event is a state record as its subject and headers tell it.
type Event struct {
	Sequence uint64    `json:"sequence"`
	At       time.Time `json:"at"`
	DomainID string    `json:"domainId"` // a string, as JavaScript has no integers above 2^53
	State    string    `json:"state"`
	Reason   string    `json:"reason,omitempty"`
}

// Span is a time up to now.
type Span string

// Spans, and how long each point of them is.
const (
	SpanHour Span = "1h"  // 240 points of 15 s
	SpanDay  Span = "24h" // 96 points of 15 min
	SpanWeek Span = "7d"  // 168 points of 1 h
)

// Activations are columns of a graph, oldest first, and what they come to.
type Activations struct {
	Step   int        `json:"step"`   // seconds of one point
	Times  []int64    `json:"times"`  // Unix seconds at which points begin
	Counts []int      `json:"counts"` // activations
	Median []*float64 `json:"median"` // seconds from acceptance to activation; nil where there is none
	P90    []*float64 `json:"p90"`

	Total       int      `json:"total"`       // activations in the span
	Timed       int      `json:"timed"`       // of them with a known time to activate
	TotalMedian *float64 `json:"totalMedian"` // seconds
	TotalP90    *float64 `json:"totalP90"`
	Today       int      `json:"today"` // activations since midnight
}

// Filter says which customers are meant; what is not set lets everybody through.
type Filter struct {
	States       []string
	Reasons      []string
	Since, Until time.Time // when the state was reached; Until is not included
	IDPrefix     string    // decimal digits that the domain id begins with
	Before       *Cursor   // only rows after this one in the list, which goes from the newest to the oldest
	After        *Cursor   // only rows before this one
	Limit        int       // rows, 1 to 200
}

// Cursor is a place in the list of customers.
type Cursor struct {
	Time     int64 // Unix seconds
	DomainID int64
}

// Customers is a page of the list.
type Customers struct {
	Total  int     `json:"total"`  // customers that fit
	Ahead  int     `json:"ahead"`  // of them before the first row
	Counts []Count `json:"counts"` // by state and reason, of all that fit but for their state and reason
	Rows   []Row   `json:"rows"`
}

// Row is a customer in the list.
type Row struct {
	Cursor        string    `json:"cursor"`
	DomainID      string    `json:"domainId"`
	Domain        string    `json:"domain,omitempty"`
	Reference     string    `json:"reference,omitempty"`
	State         string    `json:"state"`
	Reason        string    `json:"reason,omitempty"`
	Code          string    `json:"code,omitempty"`
	Attempt       int       `json:"attempt"`
	Since         time.Time `json:"since,omitzero"`
	NextAttemptAt time.Time `json:"nextAttemptAt,omitzero"`
}

// Customer answers why one customer is (not) active, as worker status does.
type Customer struct {
	Found    bool   `json:"found"` // there is a record
	DomainID string `json:"domainId"`
	Domain   string `json:"domain,omitempty"`

	Is       string    `json:"is"`                 // one sentence
	Next     string    `json:"next"`               // what happens next; {when} stands for NextAt
	NextAt   time.Time `json:"nextAt,omitzero"`    // zero: never
	But      string    `json:"but,omitempty"`      // why nobody is attempted at the moment
	Expected string    `json:"expected,omitempty"` // when its turn comes, where it waits for the partner's pace
	WhatToDo string    `json:"whatToDo"`

	State  string    `json:"state,omitempty"`
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since,omitzero"`
	Facts  []Fact    `json:"facts"`
	DNS    *DNS      `json:"dns,omitempty"` // where ownership records are waited for

	Sequence uint64     `json:"sequence"` // of the newest record
	Timeline []Happened `json:"timeline"` // as far as it is kept, the newest first
}

// Fact is something that the record says, in words. A time stands apart, so that the reader's clock can show it.
type Fact struct {
	Label string    `json:"label"`
	Text  string    `json:"text,omitempty"`
	At    time.Time `json:"at,omitzero"`
}

// DNS is what the customer has to publish, one of the records wanted, and what can be seen.
type DNS struct {
	Wanted       []DNSRecord `json:"wanted"`
	Seen         []DNSRecord `json:"seen"`
	VisibleSince time.Time   `json:"visibleSince,omitzero"`
	Nos          int         `json:"nos"` // how often the partner has said no since
}

// DNSRecord is a record as it is wanted or was seen.
type DNSRecord struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Value    string `json:"value"`
	Zone     string `json:"zone"`               // the whole as a line of a zone file
	Matches  bool   `json:"matches"`            // wanted: it is visible; seen: it is as wanted
	Resolver string `json:"resolver,omitempty"` // who saw it
}

// Happened is a record of the past.
type Happened struct {
	Sequence uint64          `json:"sequence"`
	At       time.Time       `json:"at"`
	State    string          `json:"state"` // empty: of a newer version
	By       string          `json:"by,omitempty"`
	Why      string          `json:"why,omitempty"`
	Event    json.RawMessage `json:"event,omitempty"` // without the partner's customer object and texts
}

// Selection is whom a replay is about, in the words of worker replay's flags.
type Selection struct {
	IDs                              []string
	Reason, Code, Since, Until, Rate string
	AllFailed, Rejected              bool
}

// Replay is what a replay would do.
type Replay struct {
	Command  []string      `json:"command"`         // but for --why
	Moves    int           `json:"moves"`           // customers it would queue or hasten
	Reasons  []ReasonCount `json:"reasons"`         // of those who failed
	Left     []LeftCount   `json:"left"`            // customers that stay as they are
	Unread   []string      `json:"unread"`          // rejected announcements that still cannot be acted on
	Rows     []ReplayRow   `json:"rows"`            // the first of them
	Complete bool          `json:"complete"`        // all were looked at; else it took too long
	Takes    string        `json:"takes,omitempty"` // a sentence: how long it takes
}

// ReasonCount is how many failed for a reason.
type ReasonCount struct {
	Reason string `json:"reason"`
	Count  int    `json:"count"`
}

// LeftCount is how many a replay leaves alone, and why.
type LeftCount struct {
	Why   string `json:"why"`
	Count int    `json:"count"`
}

// ReplayRow is a customer that a replay is about.
type ReplayRow struct {
	Row
	Does string `json:"does"` // what becomes of it, in words
}

// InputError is an error of a [Source] about what was asked for; the reader can mend it.
type InputError struct{ Err error }

func (e InputError) Error() string { return e.Err.Error() }
func (e InputError) Unwrap() error { return e.Err }
