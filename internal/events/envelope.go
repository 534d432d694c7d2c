package events

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ContentType of every outgoing event.
const ContentType = "application/cloudevents+json"

// envelope is a CloudEvent 1.0 in structured JSON. The SDK would escape HTML and
// re-encode data; the partner's object is passed on as received.
type envelope struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Source          string          `json:"source"`
	Type            Type            `json:"type"`
	Subject         string          `json:"subject"`
	Time            time.Time       `json:"time"`
	DataSchema      string          `json:"dataschema"`
	DataContentType string          `json:"datacontenttype"`
	TraceParent     string          `json:"traceparent,omitempty"`
	TraceState      string          `json:"tracestate,omitempty"`
	Data            json.RawMessage `json:"data"`
}

// schemaOf names what an event's data looks like, in one major version.
func schemaOf(t Type, version int) string {
	return "urn:activation-worker:" + string(t) + "/v" + strconv.Itoa(version)
}

// encodeEnvelope writes an event. A [Record] in data is written by hand, all else by encoding/json.
func encodeEnvelope(e envelope, data any) ([]byte, error) {
	e.SpecVersion = "1.0"
	e.Time = e.Time.UTC()
	e.DataSchema = cmp.Or(e.DataSchema, schemaOf(e.Type, 1))
	e.DataContentType = "application/json"
	o := object{b: make([]byte, 0, 2048)}
	o.envelope(e)
	if r, ok := data.(*Record); ok {
		o.record(r)
	} else {
		o.marshal(data)
	}
	if o.err != nil {
		return nil, fmt.Errorf("encode event %s: %w", e.ID, o.err)
	}
	return append(o.b, '}'), nil
}

// marshal is json.Marshal without HTML escaping.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// Summary is what a reader of any outgoing event sees first.
type Summary struct {
	ID, Source string
	Type       Type
	Subject    string
	Time       time.Time
	Data       json.RawMessage
}

// DecodeSummary reads the attributes of one of our events and leaves its data as it is.
func DecodeSummary(msg []byte) (Summary, error) {
	var e envelope
	if err := json.Unmarshal(msg, &e); err != nil {
		return Summary{}, fmt.Errorf("decode event: %w", err)
	}
	return Summary{ID: e.ID, Source: e.Source, Type: e.Type, Subject: e.Subject, Time: e.Time, Data: e.Data}, nil
}

// validTraceParent keeps a broken header from travelling on, see W3C Trace Context §3.2.
func validTraceParent(s string) bool {
	if len(s) != 55 || strings.ToLower(s) != s {
		return false
	}
	if s[:2] == "ff" || strings.Trim(s[3:35], "0") == "" || strings.Trim(s[36:52], "0") == "" {
		return false // no version, and ids that stand for none
	}
	for i, c := range []byte(s) {
		switch i {
		case 2, 35, 52:
			if c != '-' {
				return false
			}
		default:
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
				return false
			}
		}
	}
	return true
}
