package events

import (
	"strings"
	"time"
)

// Keys of metadata that tell a ledger from another of the same name.
const (
	MetadataAccepted = "activation-ledger-accepted" // of the ledger: when an operator last said that it is the one to go on with
	MetadataLedger   = "activation-ledger"          // of the consumer on the intake: the [Mark] of the ledger that knows what it has delivered
)

// MetadataSourced stands at the stream that sources the activated events: its last sequence when it was made to source anew.
const MetadataSourced = "activation-sourced-anew"

// Mark tells a ledger from another of the same name. A stream that was deleted and made anew has another one, and
// knows nothing of the customers who were activated before. The zero value marks none.
type Mark struct {
	Stream   string
	Created  time.Time // by the server; a stream restored from a backup has another (nats-server 2.15.2), one in a copied directory the same
	Accepted time.Time // zero: never
}

// MarkOf reads the mark of a stream: its name, the time of its creation and its metadata.
func MarkOf(stream string, created time.Time, metadata map[string]string) Mark {
	accepted, _ := time.Parse(time.RFC3339Nano, metadata[MetadataAccepted]) // what cannot be read was not written by us
	return Mark{Stream: stream, Created: created.UTC(), Accepted: accepted.UTC()}
}

// IsZero reports whether m marks no ledger.
func (m Mark) IsZero() bool { return m.Stream == "" }

// ContinuedBy reports whether a ledger marked is may be worked on by whoever worked on m: it is the same one, or an
// operator has accepted it since.
func (m Mark) ContinuedBy(is Mark) bool {
	switch {
	case m.IsZero():
		return true
	case m.Stream == is.Stream && m.Created.Equal(is.Created):
		return true
	}
	return is.Accepted.After(m.Accepted)
}

// String is the mark as it stands in metadata.
func (m Mark) String() string {
	if m.IsZero() {
		return ""
	}
	text := m.Stream + " " + m.Created.Format(time.RFC3339Nano)
	if !m.Accepted.IsZero() {
		text += " " + m.Accepted.Format(time.RFC3339Nano)
	}
	return text
}

// ParseMark reads what String has written; the zero Mark where that is something else.
func ParseMark(text string) Mark {
	parts := strings.Split(text, " ")
	if len(parts) < 2 || len(parts) > 3 {
		return Mark{}
	}
	m := Mark{Stream: parts[0]}
	var err error
	if m.Created, err = time.Parse(time.RFC3339Nano, parts[1]); err != nil {
		return Mark{}
	}
	if len(parts) == 3 {
		if m.Accepted, err = time.Parse(time.RFC3339Nano, parts[2]); err != nil {
			return Mark{}
		}
	}
	return m
}
