package events

import (
	"encoding/base64"
	"encoding/json"
	"errors"
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
	contentType := header(m.Header, "content-type")
	if contentType != ContentType {
		contentType = mediaType(contentType)
	}
	var err error
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

// mediaType is a content type without its parameters, which are ignored also where they cannot be read.
func mediaType(contentType string) string {
	if kind, _, err := mime.ParseMediaType(contentType); err == nil {
		return kind
	}
	kind, _, _ := strings.Cut(contentType, ";")
	return strings.ToLower(strings.TrimSpace(kind))
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
	if !isObject(msg) {
		return nil, nil, errNoEvent
	}
	attributes = make(map[string]string, 12)
	seen := make(map[string]json.RawMessage, 12)
	for name, value := range members(msg) {
		if _, twice := seen[name]; twice {
			return nil, nil, errNoEvent
		}
		seen[name] = value
		if s, ok := stringOf(value); ok {
			attributes[name] = s
		} else if string(value) == "true" {
			attributes[name] = "true" // an extension may be a boolean
		}
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
