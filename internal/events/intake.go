package events

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Message is an intake message as its stream keeps it.
type Message struct {
	Subject       string
	Header        map[string][]string
	Data          []byte
	Stream        string
	StreamCreated time.Time
	Sequence      uint64
	StoredAt      time.Time
}

// Accepted is a terms-accepted event that can be acted on.
type Accepted struct {
	DomainID         int64
	Domain           string
	Reference        string
	ReferenceDropped bool // there was one, but not a string of at most 200 bytes
	AcceptedAt       time.Time
	Event            EventRef
	Backfill         bool // announced as one of old: it can wait
	TraceParent      string
	TraceState       string
}

// Undecodable says why nobody can act on an intake message. Neither field repeats the message's content.
type Undecodable struct {
	Reason string // one word, for counting
	Detail string // a sentence
}

func (u *Undecodable) Error() string { return u.Reason + ": " + u.Detail }

// ErrOtherType is returned for an event whose type is not one of those wanted.
var ErrOtherType = errors.New("event of another type")

// MaxReference is the longest reference that is kept, in bytes.
const MaxReference = 200

const maxEventID = 512

// Decoder reads intake messages.
type Decoder struct {
	Types   []string // CloudEvents types wanted; none: any, and plain JSON too
	Pointer string   // JSON pointer (RFC 6901) of the domain id; "": /domainId
}

// Decode reads a terms-accepted event: CloudEvents 1.0 structured or binary, else plain
// JSON. The error is an [*Undecodable] or wraps [ErrOtherType].
func (d Decoder) Decode(m Message) (Accepted, error) {
	a := Accepted{AcceptedAt: m.StoredAt, Event: EventRef{
		Stream: m.Stream, StreamCreated: m.StreamCreated.UTC(), Sequence: m.Sequence, StoredAt: m.StoredAt.UTC(),
	}}
	data := m.Data
	ce, err := readCloudEvent(m)
	if err != nil {
		return Accepted{}, err
	}
	traceParent, traceState := header(m.Header, "traceparent"), header(m.Header, "tracestate")
	if ce != nil {
		if len(d.Types) > 0 && !slices.Contains(d.Types, ce.Type()) {
			return Accepted{}, fmt.Errorf("%w: type %.100q", ErrOtherType, ce.Type())
		}
		a.Event.ID = eventID(ce.Source(), ce.ID())
		if recordable(ce.Time()) {
			a.AcceptedAt = ce.Time()
		}
		a.Backfill = ce.Extensions()["backfill"] == true
		if s, ok := ce.Extensions()["traceparent"].(string); ok {
			traceParent = s
			traceState, _ = ce.Extensions()["tracestate"].(string)
		}
		data = ce.Data()
	} else {
		if len(d.Types) > 0 {
			return Accepted{}, fmt.Errorf("%w: plain JSON has none", ErrOtherType)
		}
		a.Event.ID = fmt.Sprintf("%s/%d/%d/%d", m.Stream, m.StreamCreated.UnixNano(), m.Sequence, m.StoredAt.UnixNano())
	}
	if validTraceParent(traceParent) {
		a.TraceParent = traceParent
		if len(traceState) <= 512 {
			a.TraceState = traceState
		}
	}
	pointer := d.Pointer
	if pointer == "" {
		pointer = "/domainId"
	}
	if a.DomainID, err = readDomainID(data, pointer); err != nil {
		return Accepted{}, err
	}
	a.readOptional(data)
	a.AcceptedAt = a.AcceptedAt.UTC()
	return a, nil
}

// readOptional reads the rest of an object that is valid.
func (a *Accepted) readOptional(data []byte) {
	var domain, reference, acceptedAt json.RawMessage // names in exactly this case; a struct would take them in any
	for name, value := range members(data) {
		switch name {
		case "domain":
			domain = value
		case "reference":
			reference = value
		case "acceptedAt":
			acceptedAt = value
		}
	}
	if s, ok := stringOf(domain); ok && len(s) <= 255 {
		a.Domain = s
	}
	if s, ok := stringOf(reference); ok && len(s) <= MaxReference {
		a.Reference = s
	} else if len(reference) > 0 && string(reference) != "null" {
		a.ReferenceDropped = true
	}
	if s, ok := stringOf(acceptedAt); ok {
		if t, err := time.Parse(time.RFC3339, s); err == nil && recordable(t) {
			a.AcceptedAt = t
		}
	}
}

// recordable reports a time that JSON can carry in UTC: years 1 to 9999.
func recordable(t time.Time) bool {
	year := t.UTC().Year()
	return !t.IsZero() && year >= 1 && year <= 9999
}

func stringOf(raw json.RawMessage) (string, bool) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	return unquoted(raw), true
}

// eventID joins source and id, which together are unique (CloudEvents 1.0 §3.1.1); a source has no blanks.
func eventID(source, id string) string {
	joined := source + " " + id
	if len(joined) <= maxEventID {
		return joined
	}
	sum := sha256.Sum256([]byte(joined))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// readDomainID insists on one JSON object with one domain id at the pointer.
func readDomainID(data []byte, pointer string) (int64, error) {
	if !utf8.Valid(data) {
		return 0, &Undecodable{"invalid_utf8", "the data is not valid UTF-8"}
	}
	if !isObject(data) {
		return 0, noObject(data)
	}
	f := idFinder{path: PointerTokens(pointer)}
	f.object(data, 0)
	switch {
	case f.twice:
		return 0, &Undecodable{"domain_id_twice", "the domain id at " + pointer + " is there more than once"}
	case f.found == nil && f.event:
		return 0, &Undecodable{"domain_id_missing", "there is no domain id at " + pointer + "; it looks like a CloudEvent, which needs the header Content-Type: " + ContentType}
	case f.found == nil:
		return 0, &Undecodable{"domain_id_missing", "there is no domain id at " + pointer}
	}
	text := string(f.found) // a number, or something that is none
	if s, ok := stringOf(f.found); ok {
		text = s
	}
	id, ok := ParseDomainID(text)
	if !ok {
		return 0, &Undecodable{"domain_id_invalid", "the domain id at " + pointer + " is not a whole number from 1 to 9223372036854775807 in plain decimal digits"}
	}
	return id, nil
}

// noObject says what data is that is not one JSON object.
func noObject(data []byte) error {
	first, err := json.NewDecoder(bytes.NewReader(data)).Token()
	switch {
	case err != nil:
		return &Undecodable{"invalid_json", "the data is not JSON"}
	case first != json.Delim('{'):
		return &Undecodable{"not_an_object", "the data is not a JSON object"}
	}
	var object json.RawMessage
	if json.NewDecoder(bytes.NewReader(data)).Decode(&object) != nil {
		return &Undecodable{"invalid_json", "the data is not JSON"}
	}
	return &Undecodable{"trailing_data", "something follows the JSON object"}
}

// idFinder follows a path through an object that is valid. It sees where a name on the path comes twice.
type idFinder struct {
	path  []string
	found json.RawMessage
	twice bool
	event bool // the object has a specversion, as a CloudEvent has
}

// object looks at the members of an object to which depth tokens of the path have led.
func (f *idFinder) object(object []byte, depth int) {
	seen := false
	for name, value := range members(object) {
		f.event = f.event || depth == 0 && name == "specversion"
		if name == f.path[depth] {
			f.twice = f.twice || seen
			seen = true
			f.value(value, depth+1)
		}
	}
}

func (f *idFinder) array(array []byte, depth int) {
	i := 0
	for value := range elements(array) {
		if f.path[depth] == strconv.Itoa(i) {
			f.value(value, depth+1)
		}
		i++
	}
}

func (f *idFinder) value(value json.RawMessage, depth int) {
	switch {
	case depth == len(f.path):
		f.found = value
	case value[0] == '{':
		f.object(value, depth)
	case value[0] == '[':
		f.array(value, depth)
	}
}

// PointerTokens are the reference tokens of a JSON pointer (RFC 6901).
func PointerTokens(pointer string) []string {
	tokens := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	for i, t := range tokens {
		tokens[i] = strings.ReplaceAll(strings.ReplaceAll(t, "~1", "/"), "~0", "~")
	}
	return tokens
}

// header finds a header whatever the case of its name; of several the first in order.
func header(h map[string][]string, name string) string {
	first := ""
	for key, values := range h {
		if len(values) > 0 && strings.EqualFold(key, name) && (first == "" || key < first) {
			first = key
		}
	}
	if first == "" {
		return ""
	}
	return h[first][0]
}

func sortedKeys(h map[string][]string) []string {
	return slices.Sorted(maps.Keys(h))
}
