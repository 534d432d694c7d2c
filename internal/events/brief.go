package events

import (
	"strconv"
	"strings"
	"time"
)

// Brief is what the subject and the headers of a state record tell, without what it says.
type Brief struct {
	DomainID int64
	State    State  // as the subject spells it; whether it is a known one, Foreign tells
	Reason   Reason // of deferred and failed records; empty: see Untold
	// Foreign marks a record of a newer worker: a higher major version, or a state or reason that this binary does not know.
	Foreign bool
	// Untold marks a record that has a reason which no header names, as older workers wrote them: it must be read to know.
	Untold bool
	// AcceptedAt is when the customer accepted whom an activated record is about; zero where no header tells it.
	AcceptedAt time.Time
}

// BriefOf reads a message of the ledger; ok is false where it is no customer's.
func BriefOf(subject string, header map[string][]string) (b Brief, ok bool) {
	family, isCustomer := strings.CutPrefix(subject, "activation.customer.")
	token, state, whole := strings.Cut(family, ".")
	if !isCustomer || !whole || strings.Contains(state, ".") {
		return Brief{}, false
	}
	if b.DomainID, ok = ParseDomainID(token); !ok {
		return Brief{}, false
	}
	b.State = State(state)
	if version := first(header, HeaderVersion); version != "" {
		n, err := strconv.Atoi(version)
		b.Foreign = err != nil || n < 1 || n > recordVersion
	}
	switch {
	case b.Foreign:
	case !knownState(b.State):
		b.Foreign = true
	case b.State == Deferred, b.State == Failed:
		b.Reason = Reason(first(header, HeaderReason))
		b.Untold = b.Reason == ""
		b.Foreign = !b.Untold && !knownReason(b.Reason)
	case b.State == Activated:
		if at, err := time.Parse(time.RFC3339, first(header, HeaderAcceptedAt)); err == nil {
			b.AcceptedAt = at
		}
	}
	return b, true
}

// SetBrief adds to the headers of a message with r what [BriefOf] reads.
func SetBrief(header map[string][]string, r *Record) {
	if r.Reason != "" {
		header[HeaderReason] = []string{string(r.Reason)}
	}
	if r.State == Activated && r.Calls > 0 && !r.AcceptedAt.IsZero() { // without a call of ours the customer was active before
		header[HeaderAcceptedAt] = []string{r.AcceptedAt.UTC().Format(time.RFC3339Nano)}
	}
	if version := recordVersion; version > 1 {
		header[HeaderVersion] = []string{strconv.Itoa(version)}
	}
}

func first(header map[string][]string, name string) string {
	if values := header[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}
