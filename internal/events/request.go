package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Verb is what an operator can ask for.
type Verb string

// The verbs.
const (
	VerbReplay Verb = "replay"
	VerbCancel Verb = "cancel"
	VerbForget Verb = "forget"
)

// Selection says which customers a request is about. Fields that are set must all fit;
// a selection with none of them selects nobody.
type Selection struct {
	AllFailed bool      `json:"allFailed,omitempty"`
	Reason    Reason    `json:"reason,omitempty"`
	Code      string    `json:"code,omitempty"`     // the partner's error code
	Since     time.Time `json:"since,omitzero"`     // state reached at or after
	Until     time.Time `json:"until,omitzero"`     // state reached before
	Rejected  bool      `json:"rejected,omitempty"` // intake messages that nobody could act on, read again
	Replay    string    `json:"replay,omitempty"`   // those that a replay has queued; for cancel
}

// Empty reports a selection that says nothing.
func (s Selection) Empty() bool { return s == Selection{} }

// Fits reports whether a record is meant, apart from Rejected and Replay.
func (s Selection) Fits(r *Record) bool {
	switch {
	case s.Reason != "" && r.Reason != s.Reason:
	case s.Code != "" && (r.Cause == nil || r.Cause.Code != s.Code):
	case !s.Since.IsZero() && r.Time.Before(s.Since):
	case !s.Until.IsZero() && !r.Time.Before(s.Until):
	default:
		return true
	}
	return false
}

// Request is what an operator asks for, as the worker reads it.
type Request struct {
	ID   string `json:"-"` // of the CloudEvent, and last token of the subject
	Verb Verb   `json:"-"`
	User string `json:"-"`

	Why          string    `json:"why"`
	IDs          []int64   `json:"ids,omitempty"`
	Selection    Selection `json:"selection,omitzero"`
	AsOfSequence uint64    `json:"asOfSequence,omitempty"` // of the ledger, when the preview was made; 0: now
	Rate         string    `json:"rate,omitempty"`         // replay: as in 30/m
	UnknownToo   bool      `json:"unknownToo,omitempty"`   // forget: those too of whom there is no record, as after a restore
}

// Limits of a request, so that nobody can make a message that cannot be carried out.
const (
	MaxRequestIDs = 20000
	MaxWhy        = 500 // bytes
	maxToken      = 64  // bytes of a user or an id
	maxRate       = 16  // bytes
)

// EncodeRequest writes a request as a CloudEvent from the command line.
func EncodeRequest(r Request, now time.Time) ([]byte, error) {
	return encodeEnvelope(envelope{ID: r.ID, Source: "/worker/" + string(r.Verb), Type: TypeRequested, Subject: r.ID, Time: now}, r)
}

// DecodeRequest reads a request. Who asks for what is told by the subject alone, as that is what permissions pin down.
func DecodeRequest(subject string, msg []byte) (Request, error) {
	tokens := strings.Split(subject, ".")
	if len(tokens) != 5 || tokens[0] != "activation" || tokens[1] != "request" {
		return Request{}, fmt.Errorf("%q is no subject of a request", subject)
	}
	r := Request{Verb: Verb(tokens[2]), User: tokens[3], ID: tokens[4]}
	var e envelope
	if err := json.Unmarshal(msg, &e); err != nil || e.Type != TypeRequested || e.DataSchema != "" && !strings.HasSuffix(e.DataSchema, "/v1") {
		return r, errors.New("it is no CloudEvent " + string(TypeRequested) + " of version 1")
	}
	if err := json.Unmarshal(e.Data, &r); err != nil {
		return r, errors.New("its data cannot be read")
	}
	return r, r.check()
}

func (r Request) check() error {
	switch {
	case r.Verb != VerbReplay && r.Verb != VerbCancel && r.Verb != VerbForget:
		return fmt.Errorf("there is no verb %.40q", r.Verb)
	case r.ID == "" || len(r.ID) > maxToken || strings.ContainsFunc(r.ID, notInToken), r.User == "" || len(r.User) > maxToken || strings.ContainsFunc(r.User, notInToken):
		return fmt.Errorf("user and id are to be of letters, digits, _ and -, at most %d of them", maxToken)
	case strings.TrimSpace(r.Why) == "":
		return errors.New("it does not say why")
	case len(r.Why) > MaxWhy:
		return fmt.Errorf("its why is longer than %d bytes", MaxWhy)
	case len(r.IDs) > MaxRequestIDs:
		return fmt.Errorf("it names more than %d customers", MaxRequestIDs)
	case len(r.IDs) == 0 && r.Selection.Empty():
		return errors.New("it selects nobody")
	case r.Selection.Code != "" && !IsCode(r.Selection.Code):
		return errors.New("its code is none: letters, digits, dot, _ and -, at most 64")
	case len(r.Selection.Replay) > maxToken || strings.ContainsFunc(r.Selection.Replay, notInToken):
		return fmt.Errorf("%.60q is no id of a replay", r.Selection.Replay)
	case r.Selection.Reason != "" && !knownReason(r.Selection.Reason):
		return fmt.Errorf("there is no reason %.40q", r.Selection.Reason)
	}
	for _, id := range r.IDs {
		if id < 1 {
			return fmt.Errorf("%d is no domain id", id)
		}
	}
	if _, err := r.Interval(); err != nil {
		return err
	}
	return nil
}

// IsCode reports whether a text can be one of the partner's error codes as the ledger keeps them.
func IsCode(s string) bool {
	return s != "" && len(s) <= maxToken && !strings.ContainsFunc(s, func(c rune) bool { return c != '.' && notInToken(c) })
}

// Token makes of a text what can stand in one token of a subject as a user or an id: other characters become _.
func Token(s string) string {
	return strings.Map(func(c rune) rune {
		if notInToken(c) {
			return '_'
		}
		return c
	}, s)
}

// notInToken reports what cannot stand in an id: it becomes a token of a subject, where * and > would mean others.
func notInToken(c rune) bool {
	return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-')
}

// DefaultReplayRate is that of a replay which names none.
const DefaultReplayRate = "30/m"

// Interval is the time between two moves of a replay.
func (r Request) Interval() (time.Duration, error) {
	text := r.Rate
	if text == "" {
		text = DefaultReplayRate
	}
	if len(text) > maxRate {
		return 0, fmt.Errorf("rate %.40q is none: wanted something like %s", text, DefaultReplayRate)
	}
	number, unit, _ := strings.Cut(text, "/")
	n, err := strconv.Atoi(number)
	per := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[unit]
	if err != nil || n < 1 || n > 100_000 || per == 0 {
		return 0, fmt.Errorf("rate %.40q is none: wanted something like %s (units s, m, h)", text, DefaultReplayRate)
	}
	return per / time.Duration(n), nil
}

// ReplayEvent is one replay as its events tell it. Ids are counted, not named: each customer's own record names the replay.
type ReplayEvent struct {
	ReplayID  string          `json:"replayId"`
	By        string          `json:"by"`
	Why       string          `json:"why"`
	Selection ReplaySelection `json:"selection"`
	Phase     Phase           `json:"phase"`
	Planned   int             `json:"planned"`   // customers to be queued
	Scheduled int             `json:"scheduled"` // customers queued; of phase done
	Rate      string          `json:"rate"`
	Cancelled bool            `json:"cancelled,omitempty"` // ended by an operator before all were queued
}

// ReplaySelection is a selection with the number of ids that were named.
type ReplaySelection struct {
	Named int `json:"named,omitempty"`
	Selection
}

// Phase of a replay.
type Phase string

// The phases: before the first customer is queued, and after the last.
const (
	Planned Phase = "planned"
	Done    Phase = "done"
)

// EncodeReplay writes a replay's event and returns its id, which is the same for the same phase of the same replay.
func EncodeReplay(r ReplayEvent, source string, now time.Time) (id string, msg []byte, err error) {
	id = "replay-" + r.ReplayID + "-" + string(r.Phase)
	msg, err = encodeEnvelope(envelope{ID: id, Source: source, Type: TypeReplayed, Subject: r.ReplayID, Time: now}, r)
	return id, msg, err
}

// DecodeReplay reads a replay's event.
func DecodeReplay(msg []byte) (ReplayEvent, error) {
	var e envelope
	var r ReplayEvent
	if err := json.Unmarshal(msg, &e); err != nil {
		return r, fmt.Errorf("decode replay: %w", err)
	}
	if err := json.Unmarshal(e.Data, &r); err != nil {
		return r, fmt.Errorf("decode replay %s: %w", e.ID, err)
	}
	return r, nil
}

// Progress is how far the worker has come with a request. It is sent as plain JSON on [ProgressSubject], which no stream keeps.
type Progress struct {
	Worker string   `json:"worker"`
	Done   int      `json:"done"`
	Total  int      `json:"total"`
	Lines  []string `json:"lines,omitempty"`  // for people
	Ended  bool     `json:"ended,omitempty"`  // nothing follows
	Failed bool     `json:"failed,omitempty"` // the request was refused, or could not be carried out whole
}

// ProgressSubject is where the worker tells whoever asked how far it has come.
func ProgressSubject(requestID string) string { return "activation.progress." + requestID }
