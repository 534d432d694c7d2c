package events

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
)

var errNoEvent = errors.New("not one CloudEvent")

// readCloudEvent returns nil without error for a message that is plain JSON.
func readCloudEvent(m Message) (*cloudevents.Event, error) {
	contentType, _, err := mime.ParseMediaType(header(m.Header, "content-type"))
	if err != nil { // parameters that cannot be read are ignored too
		contentType, _, _ = strings.Cut(header(m.Header, "content-type"), ";")
		contentType = strings.ToLower(strings.TrimSpace(contentType))
	}
	var attributes map[string]string
	data := m.Data
	switch {
	case contentType == ContentType:
		if !utf8.Valid(m.Data) {
			return nil, &Undecodable{"invalid_utf8", "the event is not valid UTF-8"}
		}
		if attributes, data, err = readStructured(m.Data); err != nil {
			return nil, &Undecodable{"invalid_cloudevent", "the structured CloudEvent cannot be read as one JSON event"}
		}
	case header(m.Header, "ce-specversion") != "":
		attributes = binaryAttributes(m.Header)
	default:
		return nil, nil
	}
	return validEvent(attributes, data)
}

// validEvent has the SDK judge the attributes. Reading them is done here: the SDK's own
// decoders panic on some input and refuse or round some numbers.
func validEvent(attributes map[string]string, data []byte) (*cloudevents.Event, error) {
	if attributes["specversion"] != cloudevents.CloudEventsVersionV1 {
		return nil, &Undecodable{"invalid_cloudevent", "the CloudEvent is not of version 1.0"}
	}
	e := cloudevents.New(cloudevents.CloudEventsVersionV1)
	e.SetID(attributes["id"])
	e.SetSource(attributes["source"])
	e.SetType(attributes["type"])
	var timeErr error
	if s := attributes["time"]; s != "" {
		var t time.Time
		if t, timeErr = time.Parse(time.RFC3339, s); timeErr == nil {
			e.SetTime(t)
		}
	}
	for _, name := range []string{"traceparent", "tracestate"} {
		if s := attributes[name]; s != "" {
			e.SetExtension(name, s)
		}
	}
	if attributes["backfill"] == "true" {
		e.SetExtension("backfill", true)
	}
	if timeErr != nil || e.Validate() != nil {
		return nil, &Undecodable{"invalid_cloudevent", "a required attribute of the CloudEvent is missing or malformed"}
	}
	e.DataEncoded = data
	return &e, nil
}

// readStructured reads the attributes that are strings or true, and the data, of an event in the JSON format.
func readStructured(msg []byte) (attributes map[string]string, data []byte, err error) {
	dec := json.NewDecoder(bytes.NewReader(msg))
	if first, err := dec.Token(); err != nil || first != json.Delim('{') {
		return nil, nil, errNoEvent
	}
	attributes = map[string]string{}
	seen := map[string]json.RawMessage{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, nil, errNoEvent
		}
		name, _ := key.(string)
		var value json.RawMessage
		if _, twice := seen[name]; twice || dec.Decode(&value) != nil {
			return nil, nil, errNoEvent
		}
		seen[name] = value
		if s, ok := stringOf(value); ok {
			attributes[name] = s
		} else if string(value) == "true" {
			attributes[name] = "true" // an extension may be a boolean
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, nil, errNoEvent
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, nil, errNoEvent
	}
	for _, name := range []string{"specversion", "id", "source", "type", "time", "datacontenttype", "dataschema", "subject"} {
		if value, ok := seen[name]; ok && value[0] != '"' && string(value) != "null" {
			return nil, nil, errNoEvent // attributes of the standard are strings
		}
	}
	data, err = structuredData(seen, attributes["datacontenttype"])
	return attributes, data, err
}

// structuredData is the data of an event in the JSON format (CloudEvents JSON format §3.1).
func structuredData(members map[string]json.RawMessage, contentType string) ([]byte, error) {
	plain, encoded := members["data"], members["data_base64"]
	switch {
	case plain != nil && encoded != nil:
		return nil, errNoEvent
	case encoded != nil:
		text, ok := stringOf(encoded)
		if !ok {
			return nil, errNoEvent
		}
		return base64.StdEncoding.DecodeString(text)
	}
	if text, ok := stringOf(plain); ok && !isJSON(contentType) {
		return []byte(text), nil
	}
	return plain, nil
}

func isJSON(contentType string) bool {
	kind, _, _ := strings.Cut(strings.ToLower(contentType), ";")
	kind = strings.TrimSpace(kind)
	return kind == "" || strings.HasSuffix(kind, "/json") || strings.HasSuffix(kind, "+json")
}

// binaryAttributes reads the headers that begin with ce-. Values are percent-encoded, as in the HTTP binding §3.1.3.2.
func binaryAttributes(h map[string][]string) map[string]string {
	attributes := map[string]string{}
	for _, key := range sortedKeys(h) {
		name, ok := strings.CutPrefix(strings.ToLower(key), "ce-")
		if _, known := attributes[name]; !ok || known || len(h[key]) == 0 {
			continue
		}
		value := h[key][0]
		if decoded, err := url.PathUnescape(value); err == nil {
			value = decoded
		}
		attributes[name] = value
	}
	return attributes
}
