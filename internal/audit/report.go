package audit

import (
	"slices"
	"sync"
	"time"

	"activation-worker/internal/events"
)

// Breach is one thing that is not as promised.
type Breach struct {
	Rule     Rule   `json:"rule"`
	DomainID int64  `json:"domainId,omitempty"` // 0: of nobody in particular
	Sequence uint64 `json:"sequence,omitempty"` // of the record in the ledger, or of the announcement in the intake; 0: of none
	Text     string `json:"text"`
}

// Report is what an audit has found. Numbers are of what is kept, as the streams were when it began.
type Report struct {
	Stream       string        `json:"stream"`
	LastSequence uint64        `json:"lastSequence"` // up to which the ledger was read
	At           time.Time     `json:"at"`           // when it began
	Took         time.Duration `json:"tookNanoseconds"`

	Ledger  LedgerCounts  `json:"ledger"`
	Intake  IntakeCounts  `json:"intake"`
	Partner PartnerCounts `json:"partner"`

	Breached int          `json:"breached"` // breaches, exact
	ByRule   map[Rule]int `json:"byRule"`   // exact
	Breaches []Breach     `json:"breaches"` // the first of them, see [Options.Most]
	Notes    []string     `json:"notes"`    // what could not be checked, and what is worth knowing
}

// LedgerCounts are numbers of the ledger.
type LedgerCounts struct {
	Records   int                  `json:"records"`
	Customers int                  `json:"customers"`
	States    map[events.State]int `json:"states"` // customers by their newest record
	Rounds    int                  `json:"rounds"`
	Calls     int                  `json:"calls"` // activate requests sent or presumed sent
	Foreign   int                  `json:"foreign"`

	Claims         int `json:"claims"`
	Takeovers      int `json:"takeovers"`      // claims over an expired lease
	EarlyTakeovers int `json:"earlyTakeovers"` // of these before its end by the server's clock, within the skew allowed
	ByLookUp       int `json:"byLookUp"`       // activated records that a look-up led to
	ActiveBefore   int `json:"activeBefore"`   // of these without a call of ours
	Shortened      int `json:"shortened"`      // customers whose oldest records have made way for newer ones
	Raised         int `json:"raised"`         // customers whose oldest records are missing as if fewer had been kept at the time
	Unsettled      int `json:"unsettled"`      // customers with an outcome that is not known yet
	Overdue        int `json:"overdue"`        // customers who should have been looked at by now; a breach only where nothing will
	Read           int `json:"readAgain"`      // customers who looked wrong at first and were read again
}

// add sums up what was counted while reading.
func (l *LedgerCounts) add(o LedgerCounts) {
	l.Records += o.Records
	l.Foreign += o.Foreign
	l.Claims += o.Claims
	l.Takeovers += o.Takeovers
	l.EarlyTakeovers += o.EarlyTakeovers
	l.Raised += o.Raised
	l.ByLookUp += o.ByLookUp
	l.ActiveBefore += o.ActiveBefore
}

// IntakeCounts are numbers of the announcements that are kept.
type IntakeCounts struct {
	Read       int `json:"read"`       // acknowledged announcements that were looked at
	Unread     int `json:"unread"`     // not acknowledged yet
	OtherTypes int `json:"otherTypes"` // events of types that are not wanted
	Rejected   int `json:"rejected"`   // undecodable ones
	Repeated   int `json:"repeated"`   // of a customer who was active already, or of an event acted on
	PassedOver int `json:"passedOver"` // old ones, of a customer who waited already
	Unchecked  int `json:"unchecked"`  // from before the consumer's time, or too old for their rejection to be kept
	Rejections int `json:"rejections"` // kept in the stream of rejections
}

// PartnerCounts are numbers of what the partner saw.
type PartnerCounts struct {
	Calls      int `json:"calls"`
	Activates  int `json:"activates"`
	LookUps    int `json:"lookUps"`
	Applied    int `json:"applied"`
	Frozen     int `json:"frozen"`     // activate calls that were on their way so long that they are counted by their start
	Unchecked  int `json:"unchecked"`  // activate calls from before what is kept of their customer
	Unfinished int `json:"unfinished"` // customers whom the partner has activated and who are on record as not yet so
	AtOnce     int `json:"atOnce"`     // the most calls of one worker, or of all, that were certainly under way at once
}

// findings gathers breaches. It is safe for concurrent use.
type findings struct {
	mu     sync.Mutex
	most   int
	report *Report
}

func (f *findings) add(b Breach) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.report.Breached++
	f.report.ByRule[b.Rule]++
	if len(f.report.Breaches) < f.most {
		f.report.Breaches = append(f.report.Breaches, b)
	}
}

func (f *findings) note(text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Contains(f.report.Notes, text) {
		f.report.Notes = append(f.report.Notes, text)
	}
}
