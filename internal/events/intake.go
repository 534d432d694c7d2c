package events

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	a.Event.ID = fmt.Sprintf("%s/%d/%d/%d", m.Stream, m.StreamCreated.UnixNano(), m.Sequence, m.StoredAt.UnixNano())
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
	} else if len(d.Types) > 0 {
		return Accepted{}, fmt.Errorf("%w: plain JSON has none", ErrOtherType)
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

func (a *Accepted) readOptional(data []byte) {
	var fields map[string]json.RawMessage // a struct would take names in any case
	if json.Unmarshal(data, &fields) != nil {
		return // the object itself was read already; what is optional is then not there
	}
	if s, ok := stringOf(fields["domain"]); ok && len(s) <= 255 {
		a.Domain = s
	}
	reference := fields["reference"]
	if s, ok := stringOf(reference); ok && len(s) <= MaxReference {
		a.Reference = s
	} else if len(reference) > 0 && string(reference) != "null" {
		a.ReferenceDropped = true
	}
	if s, ok := stringOf(fields["acceptedAt"]); ok {
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
	var s string
	err := json.Unmarshal(raw, &s)
	return s, err == nil
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
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	f := idFinder{dec: dec, path: PointerTokens(pointer)}
	first, err := dec.Token()
	if err != nil {
		return 0, &Undecodable{"invalid_json", "the data is not JSON"}
	}
	if first != json.Delim('{') {
		return 0, &Undecodable{"not_an_object", "the data is not a JSON object"}
	}
	if err := f.object(0); err != nil {
		return 0, &Undecodable{"invalid_json", "the data is not JSON"}
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return 0, &Undecodable{"trailing_data", "something follows the JSON object"}
	}
	switch {
	case f.twice:
		return 0, &Undecodable{"domain_id_twice", "the domain id at " + pointer + " is there more than once"}
	case f.found == nil && f.event:
		return 0, &Undecodable{"domain_id_missing", "there is no domain id at " + pointer + "; it looks like a CloudEvent, which needs the header Content-Type: " + ContentType}
	case f.found == nil:
		return 0, &Undecodable{"domain_id_missing", "there is no domain id at " + pointer}
	}
	var text string
	switch v := f.found.(type) {
	case json.Number:
		text = v.String()
	case string:
		text = v
	}
	id, ok := ParseDomainID(text)
	if !ok {
		return 0, &Undecodable{"domain_id_invalid", "the domain id at " + pointer + " is not a whole number from 1 to 9223372036854775807 in plain decimal digits"}
	}
	return id, nil
}

// idFinder walks one JSON value token by token, so that a key that comes twice is seen.
type idFinder struct {
	dec   *json.Decoder
	path  []string
	found any
	twice bool
	depth int  // of nesting
	event bool // the object has a specversion, as a CloudEvent has
}

// maxNesting keeps a hostile message from growing the stack; encoding/json's own limit is the same.
const maxNesting = 10000

var errNesting = errors.New("nested too deeply")

// object reads the members after an opening brace. depth is how many path tokens led here, -1 when off the path.
func (f *idFinder) object(depth int) error {
	seen := false
	for f.dec.More() {
		key, err := f.dec.Token()
		if err != nil {
			return err
		}
		next := -1
		f.event = f.event || key == "specversion" && depth == 0
		if name, ok := key.(string); ok && depth >= 0 && depth < len(f.path) && name == f.path[depth] {
			if seen {
				f.twice = true
			}
			seen, next = true, depth+1
		}
		if err := f.value(next); err != nil {
			return err
		}
	}
	_, err := f.dec.Token()
	return err
}

func (f *idFinder) array(depth int) error {
	for i := 0; f.dec.More(); i++ {
		next := -1
		if depth >= 0 && depth < len(f.path) && f.path[depth] == strconv.Itoa(i) {
			next = depth + 1
		}
		if err := f.value(next); err != nil {
			return err
		}
	}
	_, err := f.dec.Token()
	return err
}

func (f *idFinder) value(depth int) error {
	if depth < 0 {
		// Nothing in it can be the id. Walking through a deep one as well would cost milliseconds of a hostile message.
		var passed json.RawMessage
		return f.dec.Decode(&passed)
	}
	v, err := f.dec.Token()
	if err != nil {
		return err
	}
	if depth == len(f.path) {
		if v == nil {
			v = false // there, but no id
		}
		f.found = v
	}
	if f.depth++; f.depth > maxNesting {
		return errNesting
	}
	defer func() { f.depth-- }()
	switch v {
	case json.Delim('{'):
		return f.object(depth)
	case json.Delim('['):
		return f.array(depth)
	}
	return nil
}

// PointerTokens are the reference tokens of a JSON pointer (RFC 6901).
func PointerTokens(pointer string) []string {
	tokens := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	for i, t := range tokens {
		tokens[i] = strings.ReplaceAll(strings.ReplaceAll(t, "~1", "/"), "~0", "~")
	}
	return tokens
}

// header finds a header whatever the case of its name.
func header(h map[string][]string, name string) string {
	for _, key := range sortedKeys(h) {
		if strings.EqualFold(key, name) && len(h[key]) > 0 {
			return h[key][0]
		}
	}
	return ""
}

func sortedKeys(h map[string][]string) []string {
	return slices.Sorted(maps.Keys(h))
}
