package events_test

import (
	"encoding/base64"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"activation-worker/internal/events"
)

func TestDecodeReadsTheDomainIDInEveryAcceptedForm(t *testing.T) {
	t.Parallel()
	const attributes = `"specversion":"1.0","id":"A-1","source":"/signup","type":"terms.accepted"`
	encoded := base64.StdEncoding.EncodeToString([]byte(`{"domainId":51200931,"x":"???"}`))
	for sentence, c := range map[string]struct {
		message events.Message
		decoder events.Decoder
		want    int64 // 0: 51200931
	}{
		"plain JSON without any header":                 {message: intake(`{"domainId":51200931}`)},
		"plain JSON with white space around":            {message: intake(" \r\n{ \"domainId\" : 51200931 }\n\t ")},
		"plain JSON under another content type":         {message: intake(`{"domainId":51200931}`, header("Content-Type", "text/plain"))},
		"plain JSON under a content type that is none":  {message: intake(`{"domainId":51200931}`, header("Content-Type", ";;/"))},
		"plain JSON under the batch content type":       {message: intake(`{"domainId":51200931}`, header("Content-Type", "application/cloudevents-batch+json"))},
		"an id in a string":                             {message: intake(`{"domainId":"51200931"}`)},
		"an id in a string with escapes":                {message: intake(`{"domainId":"\u00351200931"}`)},
		"an id under an escaped key":                    {message: intake(`{"\u0064omainId":51200931}`)},
		"the smallest id":                               {message: intake(`{"domainId":1}`), want: 1},
		"the largest id":                                {message: intake(`{"domainId":9223372036854775807}`), want: math.MaxInt64},
		"the largest id in a string":                    {message: intake(`{"domainId":"9223372036854775807"}`), want: math.MaxInt64},
		"an id that a float64 would round":              {message: intake(`{"domainId":1234567890123456789}`), want: 1234567890123456789},
		"unknown fields":                                {message: intake(`{"a":[1,{"domainId":2}],"domainId":51200931,"z":{"domainId":[]}}`)},
		"a key that differs by case alone":              {message: intake(`{"domainid":1,"domainId":51200931,"DomainId":2}`)},
		"optional fields of the wrong kinds":            {message: intake(`{"domainId":51200931,"domain":5,"reference":{},"acceptedAt":[]}`)},
		"structured":                                    {message: structured(`{` + attributes + `,"data":{"domainId":51200931}}`)},
		"structured, attributes after the data":         {message: structured(`{"data":{"domainId":51200931},` + attributes + `}`)},
		"structured with every attribute and extension": {message: structured(`{` + attributes + `,"subject":"s","time":"2026-03-02T08:00:00Z","datacontenttype":"application/json; charset=utf-8","dataschema":"urn:x","backfill":true,"partition":3,"data":{"domainId":51200931}}`)},
		"structured with null in optional attributes":   {message: structured(`{` + attributes + `,"subject":null,"time":null,"traceparent":null,"data":{"domainId":51200931}}`)},
		"structured, JSON by a +json content type":      {message: structured(`{` + attributes + `,"datacontenttype":"application/vnd.signup+json","data":{"domainId":51200931}}`)},
		"structured, JSON in a string of plain text":    {message: structured(`{` + attributes + `,"datacontenttype":"text/plain","data":"{\"domainId\":51200931}"}`)},
		"structured, data in base64":                    {message: structured(`{` + attributes + `,"data_base64":"` + encoded + `"}`)},
		"structured, data in base64 before attributes":  {message: structured(`{"data_base64":"` + encoded + `",` + attributes + `}`)},
		"structured, data in base64 with escaped slash": {message: structured(`{` + attributes + `,"data_base64":"` + strings.ReplaceAll(encoded, "/", `\/`) + `"}`)},
		"structured, a number that no float64 holds":    {message: structured(`{` + attributes + `,"datacontenttype":"application/json","data":{"domainId":51200931,"x":1e400,"z":{"a":1}}}`)},
		"structured by a content type with parameters":  {message: intake(`{`+attributes+`,"data":{"domainId":51200931}}`, header("content-type", `application/cloudevents+json; charset="utf-8"`))},
		"structured by a content type in capitals":      {message: intake(`{`+attributes+`,"data":{"domainId":51200931}}`, header("CONTENT-TYPE", `Application/CloudEvents+JSON;charset=UTF-8`))},
		"structured by one with broken parameters":      {message: intake(`{`+attributes+`,"data":{"domainId":51200931}}`, header("Content-Type", `application/cloudevents+json; charset`))},
		"binary":                     {message: binary(`{"domainId":51200931}`)},
		"binary with a content type": {message: binary(`{"domainId":51200931}`, header("Content-Type", "application/json; charset=utf-8"))},
		"binary, header names in any case": {message: intake(`{"domainId":51200931}`,
			header("CE-SpecVersion", "1.0"), header("Ce-Id", "A-1"), header("cE-sOURCE", "/signup"), header("CE-TYPE", "terms.accepted"))},
		"elsewhere by a nested pointer": {message: intake(`{"domainId":1,"customer":{"ids":[7,{"n":51200931}]}}`), decoder: events.Decoder{Pointer: "/customer/ids/1/n"}},
		"elsewhere by a pointer with ~1": {
			message: intake(`{"a/b":51200931,"a":{"b":1}}`), decoder: events.Decoder{Pointer: "/a~1b"},
		},
		"elsewhere by a pointer with ~0":         {message: intake(`{"a~b":51200931}`), decoder: events.Decoder{Pointer: "/a~0b"}},
		"~01 in a pointer is ~1, not a slash":    {message: intake(`{"a~1b":51200931,"a/b":1}`), decoder: events.Decoder{Pointer: "/a~01b"}},
		"elsewhere by a pointer to an empty key": {message: intake(`{"":{"id":51200931}}`), decoder: events.Decoder{Pointer: "//id"}},
		"a key that comes twice off the path":    {message: intake(`{"x":{"domainId":1,"domainId":2},"domainId":51200931}`)},
		"a wanted type, structured":              {message: structured(`{` + attributes + `,"data":{"domainId":51200931}}`), decoder: events.Decoder{Types: []string{"x", "terms.accepted"}}},
		"a wanted type, binary":                  {message: binary(`{"domainId":51200931}`), decoder: events.Decoder{Types: []string{"terms.accepted"}}},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			if c.want == 0 {
				c.want = 51200931
			}
			got, err := decode(t, c.decoder, c.message)
			if err != nil {
				t.Fatalf("Decode: %v", err)
			}
			if got.DomainID != c.want {
				t.Errorf("domain id is %d, want %d", got.DomainID, c.want)
			}
		})
	}
}

func TestDecodeReadsTheRest(t *testing.T) {
	t.Parallel()
	const (
		data   = `{"domainId":5,"domain":"hinode-foods.example","reference":"order 17","acceptedAt":"2026-03-02T17:30:00.25+09:00"}`
		parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	)
	want := events.Accepted{
		DomainID: 5, Domain: "hinode-foods.example", Reference: "order 17",
		AcceptedAt: at(-1800).Add(250 * time.Millisecond),
		Event:      events.EventRef{ID: "/signup A-1", Stream: "SIGNUP", StreamCreated: at(-3600), Sequence: 7, StoredAt: at(0)},
	}
	traced := want
	traced.TraceParent, traced.TraceState = parent, "vendor=1"
	for sentence, c := range map[string]struct {
		message events.Message
		want    events.Accepted
	}{
		"binary":                    {binary(data), want},
		"structured":                {structured(`{"specversion":"1.0","id":"A-1","source":"/signup","type":"t","data":` + data + `}`), want},
		"binary, trace as ce-*":     {binary(data, header("ce-traceparent", parent), header("ce-tracestate", "vendor=1")), traced},
		"binary, trace as headers":  {binary(data, header("TraceParent", parent), header("Tracestate", "vendor=1")), traced},
		"structured, trace":         {structured(`{"specversion":"1.0","id":"A-1","source":"/signup","type":"t","traceparent":"` + parent + `","tracestate":"vendor=1","data":` + data + `}`), traced},
		"binary, percent-encoded":   {binary(data, replaceHeader("ce-id", "%41-1"), replaceHeader("ce-source", "%2Fsignup")), want},
		"a broken trace is dropped": {binary(data, header("ce-traceparent", "00-zz"), header("ce-tracestate", "vendor=1")), want},
		"a trace without an id":     {binary(data, header("ce-traceparent", "00-"+strings.Repeat("0", 32)+parent[35:])), want},
		"a span without an id":      {binary(data, header("ce-traceparent", parent[:36]+strings.Repeat("0", 16)+"-01")), want},
		"no version of a trace":     {binary(data, header("ce-traceparent", "ff"+parent[2:])), want},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			got, err := decode(t, events.Decoder{}, c.message)
			if err != nil {
				t.Fatalf("Decode: %v", err)
			}
			if got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

// An announcement says that it is one of old by a CloudEvents extension, hence never in plain JSON.
func TestDecodeKnowsAnAnnouncementOfOld(t *testing.T) {
	t.Parallel()
	const attributes = `"specversion":"1.0","id":"A-1","source":"/signup","type":"t"`
	for sentence, c := range map[string]struct {
		message events.Message
		want    bool
	}{
		"structured, true":             {structured(`{` + attributes + `,"backfill":true,"data":{"domainId":5}}`), true},
		"structured, true as a string": {structured(`{` + attributes + `,"backfill":"true","data":{"domainId":5}}`), true},
		"structured, false":            {structured(`{` + attributes + `,"backfill":false,"data":{"domainId":5}}`), false},
		"structured, null":             {structured(`{` + attributes + `,"backfill":null,"data":{"domainId":5}}`), false},
		"structured, one":              {structured(`{` + attributes + `,"backfill":1,"data":{"domainId":5}}`), false},
		"structured, a list":           {structured(`{` + attributes + `,"backfill":[true],"data":{"domainId":5}}`), false},
		"structured, in capitals":      {structured(`{` + attributes + `,"backfill":"TRUE","data":{"domainId":5}}`), false},
		"structured, in the data":      {structured(`{` + attributes + `,"data":{"domainId":5,"backfill":true}}`), false},
		"structured, a header too":     {intake(`{`+attributes+`,"data":{"domainId":5}}`, header("Content-Type", events.ContentType), header("ce-backfill", "true")), false},
		"structured, not at all":       {structured(`{` + attributes + `,"data":{"domainId":5}}`), false},
		"binary, true":                 {binary(`{"domainId":5}`, header("ce-backfill", "true")), true},
		"binary, in another case":      {binary(`{"domainId":5}`, header("CE-Backfill", "true")), true},
		"binary, false":                {binary(`{"domainId":5}`, header("ce-backfill", "false")), false},
		"binary, empty":                {binary(`{"domainId":5}`, header("ce-backfill", "")), false},
		"binary, in the data":          {binary(`{"domainId":5,"backfill":true}`), false},
		"plain JSON, in the data":      {intake(`{"domainId":5,"backfill":true}`), false},
		"plain JSON, in a header":      {intake(`{"domainId":5}`, header("ce-backfill", "true")), false},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			got, err := decode(t, events.Decoder{}, c.message)
			if err != nil {
				t.Fatalf("Decode: %v", err)
			}
			if got.Backfill != c.want {
				t.Errorf("backfill is %v, want %v", got.Backfill, c.want)
			}
		})
	}
}

func TestDecodeTakesTheAcceptanceTimeFromTheBestSource(t *testing.T) {
	t.Parallel()
	withTime := header("ce-time", "2026-03-02T08:50:00Z")
	for sentence, c := range map[string]struct {
		message events.Message
		want    time.Time
	}{
		"the field": {binary(`{"domainId":5,"acceptedAt":"2026-03-02T08:40:00Z"}`, withTime), at(-1200)},
		"the event's time where the field is absent":      {binary(`{"domainId":5}`, withTime), at(-600)},
		"the event's time where the field is null":        {binary(`{"domainId":5,"acceptedAt":null}`, withTime), at(-600)},
		"the event's time where the field is no date":     {binary(`{"domainId":5,"acceptedAt":"yesterday"}`, withTime), at(-600)},
		"the event's time where the field is a number":    {binary(`{"domainId":5,"acceptedAt":1772441000}`, withTime), at(-600)},
		"the stored time where a plain event has none":    {intake(`{"domainId":5}`), at(0)},
		"the stored time where neither can be had":        {binary(`{"domainId":5,"acceptedAt":"2026-13-01T00:00:00Z"}`), at(0)},
		"an offset is turned into UTC":                    {intake(`{"domainId":5,"acceptedAt":"2026-03-02T17:40:00+09:00"}`), at(-1200)},
		"a field that differs by case alone is unknown":   {intake(`{"domainId":5,"AcceptedAt":"2026-03-02T08:40:00Z"}`), at(0)},
		"a plain event does not look at a CE time header": {intake(`{"domainId":5}`, withTime), at(0)},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			got, err := decode(t, events.Decoder{}, c.message)
			if err != nil {
				t.Fatalf("Decode: %v", err)
			}
			if !got.AcceptedAt.Equal(c.want) || got.AcceptedAt.Location() != time.UTC {
				t.Errorf("accepted at %v, want %v", got.AcceptedAt, c.want)
			}
		})
	}
}

func TestAnAcceptanceTimeOutsideTheYearsOfRFC3339CanBeRecorded(t *testing.T) {
	t.Parallel()
	for sentence, m := range map[string]events.Message{
		"the field, year 10000 in UTC": intake(`{"domainId":5,"acceptedAt":"9999-12-31T23:59:59-01:00"}`),
		"the field, year -1 in UTC":    intake(`{"domainId":5,"acceptedAt":"0000-01-01T00:00:00+01:00"}`),
		"the event's time, binary":     binary(`{"domainId":5}`, header("ce-time", "9999-12-31T23:59:59-01:00")),
		"the event's time, structured": structured(`{"specversion":"1.0","id":"A-1","source":"/s","type":"t","time":"9999-12-31T23:59:59-01:00","data":{"domainId":5}}`),
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			got, err := decode(t, events.Decoder{}, m)
			if err != nil {
				return // rejecting it is as good: what must not be is an event that is accepted and can never be recorded
			}
			r := &events.Record{State: events.Started, DomainID: got.DomainID, Event: got.Event, AcceptedAt: got.AcceptedAt}
			if _, err := events.EncodeRecord(r, "/lineworks/activation", 0, at(1)); err != nil {
				t.Errorf("accepted with the time %v, but no record can hold it: %v", got.AcceptedAt, err)
			}
		})
	}
}

func TestDecodeKeepsOnlyAReferenceThatIsAShortString(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("あ", 66) + "ab" // 200 bytes
	for sentence, c := range map[string]struct {
		data    string
		want    string
		dropped bool
	}{
		"none":                                {`{"domainId":5}`, "", false},
		"null":                                {`{"domainId":5,"reference":null}`, "", false},
		"empty":                               {`{"domainId":5,"reference":""}`, "", false},
		"short":                               {`{"domainId":5,"reference":"<a>&\u2028"}`, "<a>&\u2028", false},
		"200 bytes":                           {`{"domainId":5,"reference":"` + long + `"}`, long, false},
		"201 bytes":                           {`{"domainId":5,"reference":"` + long + `c"}`, "", true},
		"a number":                            {`{"domainId":5,"reference":17}`, "", true},
		"an object":                           {`{"domainId":5,"reference":{"a":"b"}}`, "", true},
		"a field that differs by case is not": {`{"domainId":5,"reference":"ours","Reference":"other"}`, "ours", false},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			got, err := decode(t, events.Decoder{}, intake(c.data))
			if err != nil {
				t.Fatalf("Decode: %v", err)
			}
			if got.Reference != c.want || got.ReferenceDropped != c.dropped {
				t.Errorf("reference is %q, dropped %v; want %q, %v", got.Reference, got.ReferenceDropped, c.want, c.dropped)
			}
		})
	}
}

func TestDecodeLeavesOtherTypesAlone(t *testing.T) {
	t.Parallel()
	decoder := events.Decoder{Types: []string{"terms.accepted"}}
	for sentence, m := range map[string]events.Message{
		"another type, binary":               binary(`{"domainId":5}`, replaceHeader("ce-type", "terms.refused")),
		"another type, structured":           structured(`{"specversion":"1.0","id":"A-1","source":"/s","type":"terms.refused","data":{"domainId":5}}`),
		"another type with undecodable data": binary(`nonsense`, replaceHeader("ce-type", "terms.refused")),
		"a type that differs by case":        binary(`{"domainId":5}`, replaceHeader("ce-type", "Terms.Accepted")),
		"plain JSON":                         intake(`{"domainId":5}`),
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			if _, err := decode(t, decoder, m); !errors.Is(err, events.ErrOtherType) {
				t.Errorf("error is %v, want ErrOtherType", err)
			}
		})
	}
}

func TestAnEventIsKnownByItsSourceAndID(t *testing.T) {
	t.Parallel()
	id := func(m events.Message) string {
		t.Helper()
		a, err := decode(t, events.Decoder{}, m)
		if err != nil {
			t.Fatalf("Decode: %v", err)
		}
		return a.Event.ID
	}
	stored := func(sequence uint64, seconds int) func(*events.Message) {
		return func(m *events.Message) { m.Sequence, m.StoredAt = sequence, at(seconds) }
	}
	if a, b := id(binary(`{"domainId":5}`)), id(binary(`{"domainId":5}`, stored(8, 60))); a != b {
		t.Errorf("the same CloudEvent stored twice has the ids %q and %q", a, b)
	}
	if a, b := id(binary(`{"domainId":5}`)), id(binary(`{"domainId":5}`, replaceHeader("ce-source", "/other"))); a == b {
		t.Errorf("two CloudEvents of two sources share the id %q", a)
	}
	if a, b := id(intake(`{"domainId":5}`)), id(intake(`{"domainId":5}`)); a != b {
		t.Errorf("one plain message has the ids %q and %q", a, b)
	}
	if a, b := id(intake(`{"domainId":5}`)), id(intake(`{"domainId":5}`, stored(8, 0))); a == b {
		t.Errorf("two plain messages share the id %q", a)
	}
	endless := strings.Repeat("x", 5000)
	a := id(binary(`{"domainId":5}`, replaceHeader("ce-id", endless+"1")))
	b := id(binary(`{"domainId":5}`, replaceHeader("ce-id", endless+"2")))
	if a == b || len(a) > 512 {
		t.Errorf("ids of 5001 characters become %q and %q, want two of at most 512", a, b)
	}
}
