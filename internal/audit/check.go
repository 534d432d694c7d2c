package audit

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
)

// checker holds records against the one before them. It is not safe for concurrent use.
type checker struct {
	kept   int
	skew   time.Duration
	now    time.Time
	grace  time.Duration // how old a forgotten record may be beside older ones
	intake *intake
	found  func(Breach)
	counts *LedgerCounts
	claims map[int64][]span // nil: not wanted
}

func (a *auditor) checker(found func(Breach)) *checker {
	return &checker{kept: a.kept, skew: a.Skew, now: a.Now(), grace: a.Overdue, intake: a.intake, found: found}
}

// take looks at the next message of the ledger under a customer's subject.
func (c *checker) take(all families, e ledger.Entry) {
	c.counts.Records++
	id, ok := events.DomainOfSubject(e.Subject)
	if !ok {
		c.found(Breach{RuleSubject, 0, e.Sequence, fmt.Sprintf("subject %.100q is nobody's", e.Subject)})
		return
	}
	f := all[id]
	if f == nil {
		f = &family{}
		all[id] = f
	}
	r, err := events.DecodeRecord(e.Subject, e.Sequence, e.Data)
	if err != nil {
		c.unread(id, f, e, err)
		return
	}
	r.StoredAt = e.StoredAt
	if rule, text := c.wrong(f, r); text != "" {
		c.found(Breach{rule, id, e.Sequence, fmt.Sprintf("%s record: %s", r.State, text)})
	}
	c.note(f, r)
	f.keep(r)
	f.set(elsewhere, !c.intake.has(r.Event))
}

// unread tells records of a newer worker from what is none.
func (c *checker) unread(id int64, f *family, e ledger.Entry, err error) {
	var m struct {
		DataSchema string `json:"dataschema"`
		Data       json.RawMessage
	}
	var data struct {
		DomainID int64 `json:"domainId"`
	}
	tokens := strings.Split(e.Subject, ".")
	known := stateOf(events.State(tokens[len(tokens)-1]))
	rule := RuleReadable
	readable := json.Unmarshal(e.Data, &m) == nil && m.DataSchema != ""
	_, version, versioned := strings.Cut(m.DataSchema, "/v")
	switch dataErr := json.Unmarshal(m.Data, &data); {
	case known == none: // a state that this binary does not know
		rule = ""
	case !readable || !versioned:
	case version != "1":
		rule = ""
	case dataErr == nil && data.DomainID != id:
		rule = RuleSubject
	case dataErr == nil:
		rule = "" // a reason that this binary does not know
	}
	if rule == "" {
		c.counts.Foreign++
	} else {
		c.found(Breach{rule, id, e.Sequence, err.Error()})
	}
	if f.oldest == 0 {
		f.oldest = e.Sequence
	}
	f.count(known)
	if c.claims != nil {
		c.claims[id] = append(c.claims[id], span{sequence: e.Sequence, over: f.sequence, stored: nanos(e.StoredAt), foreign: true})
	}
	f.sequence, f.now = e.Sequence, none
	f.set(foreign, true)
}

// wrong finds the first thing that is wrong with a record after the one before it.
func (c *checker) wrong(f *family, r *events.Record) (Rule, string) {
	expected, ok := expectedOf(r)
	if !ok {
		return RuleSubject, fmt.Sprintf("its id %.100q is not <domain id>-<sequence of the record before>-<state>", r.ID)
	}
	if text := unsound(r); text != "" {
		return RuleReadable, text
	}
	switch {
	case expected < f.sequence:
		return RuleChain, fmt.Sprintf("it was written over record %d, and not over the newest, %d", expected, f.sequence)
	case expected >= r.Sequence:
		return RuleChain, fmt.Sprintf("it names record %d as the one before it, which is not older", expected)
	case expected > f.sequence: // gone; whether that is in order is told by what follows
		f.gap, f.missing, f.beforeGap = r.Sequence, expected, f.bits()
		if f.sequence == 0 && r.State == events.Forgotten {
			f.gap = 0 // erased
		} else {
			f.miss(r)
		}
		f.set(shortened, f.gap != 0)
		return c.wrongAlone(f, r)
	case f.has(foreign):
		return c.wrongAlone(f, r)
	}
	return first(f, r, c)
}

// expectedOf reads from a record's id which one it was written over.
func expectedOf(r *events.Record) (uint64, bool) {
	middle, ok := strings.CutPrefix(r.ID, strconv.FormatInt(r.DomainID, 10)+"-")
	if !ok {
		return 0, false
	}
	if middle, ok = strings.CutSuffix(middle, "-"+string(r.State)); !ok {
		return 0, false
	}
	expected, err := strconv.ParseUint(middle, 10, 64)
	return expected, err == nil
}

// unsound finds what a record of its state lacks.
func unsound(r *events.Record) string {
	switch {
	case r.Round < 1:
		return "it is of no round"
	case r.State == events.Started && (r.Worker == "" || r.LeaseExpiresAt.IsZero() || r.Attempt < 1):
		return "a claim without worker, lease or number"
	case r.State == events.Deferred && (r.Reason == "" || r.NextAttemptAt.IsZero()):
		return "it does not say why, or until when"
	case r.State == events.Failed && r.Reason == "":
		return "it does not say why"
	case r.State == events.Activated && (len(r.Customer) == 0 || r.Via != events.ViaActivate && r.Via != events.ViaLookup):
		return "it does not say how that was learned, or is without the customer"
	}
	return ""
}

// wrongAlone are the rules that need no record before, or only some.
func (c *checker) wrongAlone(f *family, r *events.Record) (Rule, string) {
	if f.sequence > 0 && r.Round < int(f.round) {
		return RuleRound, fmt.Sprintf("round %d follows on round %d", r.Round, f.round)
	}
	if text := twoOutcomes(f, r); text != "" {
		return RuleOutcome, text
	}
	if text := deadline(r); text != "" {
		return RuleGiveUp, text
	}
	return "", ""
}

// twoOutcomes finds a second outcome of a round.
func twoOutcomes(f *family, r *events.Record) string {
	if (r.State == events.Activated || r.State == events.Failed) && f.outcome == int32(r.Round) {
		return fmt.Sprintf("round %d had an outcome already", r.Round)
	}
	return ""
}

const (
	longestRound = 45 * 24 * time.Hour
	// rounding is by how much times may differ that were added up in whole seconds.
	rounding = 2 * time.Second
)

// deadline finds what is wrong with a record's deadline, or with its giving up.
func deadline(r *events.Record) string {
	if r.GiveUpAt.IsZero() {
		switch r.Reason {
		case events.Transient, events.UnknownOutcome, events.DNSUnverified, events.TermsPending:
			if r.State == events.Failed {
				return fmt.Sprintf("given up for %s, and had no deadline", r.Reason)
			}
		}
	} else if last := r.FirstAttemptAt.Add(longestRound + time.Duration(r.Waived)*time.Second + rounding); r.GiveUpAt.After(last) {
		return fmt.Sprintf("to be given up at %s, more than 45 days after the round began at %s", r.GiveUpAt.UTC().Format(time.RFC3339), r.FirstAttemptAt.UTC().Format(time.RFC3339))
	}
	if r.State != events.Failed {
		return ""
	}
	switch r.Reason {
	case events.Refused, events.Cancelled, events.CustomerNotFound:
		return ""
	case events.PartnerUnavailable, events.Backlog, events.Replay:
		return fmt.Sprintf("given up for %s, which is never the customer's fault", r.Reason)
	}
	if r.Time.Before(r.GiveUpAt) {
		return fmt.Sprintf("given up for %s before its deadline of %s", r.Reason, r.GiveUpAt.UTC().Format(time.RFC3339))
	}
	return ""
}

// note counts a record, and remembers its claim where that is wanted.
func (c *checker) note(f *family, r *events.Record) {
	switch r.State {
	case events.Started:
		c.counts.Claims++
		if r.Trigger.Kind == events.TriggerRecovery {
			c.counts.Takeovers++
			if f.now == started && nanos(r.StoredAt) < f.due && nanos(r.StoredAt.Add(c.skew)) >= f.due {
				c.counts.EarlyTakeovers++
			}
		}
	case events.Activated:
		if r.Via == events.ViaLookup {
			c.counts.ByLookUp++
			if r.Calls == 0 {
				c.counts.ActiveBefore++
			}
		}
	}
	if c.claims != nil {
		c.claims[r.DomainID] = append(c.claims[r.DomainID], spanOf(r))
	}
}

// end looks at a customer after the last of the records.
func (c *checker) end(id int64, f *family) {
	if f.gap > 0 {
		switch c.madeWay(f) {
		case unexplained:
			c.found(Breach{RuleChain, id, f.gap, fmt.Sprintf("record %d, over which it was written, is missing, or one before it, and no newer records of its state explain that", f.missing)})
		case perhaps:
			c.counts.Raised++
		}
	}
	if f.forgotten > 0 && f.oldest < f.forgotten && f.stored < c.now.Add(-c.grace).UnixNano() {
		c.found(Breach{RuleErased, id, f.oldest, fmt.Sprintf("it is older than the forgotten record %d", f.forgotten)})
	}
}
