package events

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"
)

// Records are written by hand, to the byte as encoding/json would from the tags of [Record]: two are written for each event, and the
// standard library takes four times as long for them, most of it for times, each of which it takes apart again. What is rare is left to it.

// object is a JSON object that is being written.
type object struct {
	b   []byte
	err error // the first
}

// name begins a member.
func (o *object) name(name string) {
	if last := o.b[len(o.b)-1]; last != '{' {
		o.b = append(o.b, ',')
	}
	o.b = append(append(append(o.b, '"'), name...), '"', ':')
}

func (o *object) text(name, s string) {
	o.name(name)
	o.quoted(s)
}

// quoted writes a string. Most are plain ASCII.
func (o *object) quoted(s string) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			o.marshal(s)
			return
		}
	}
	o.b = append(append(append(o.b, '"'), s...), '"')
}

func (o *object) number(name string, n int64) {
	o.name(name)
	o.b = strconv.AppendInt(o.b, n, 10)
}

func (o *object) flag(name string, is bool) {
	o.name(name)
	o.b = strconv.AppendBool(o.b, is)
}

func (o *object) time(name string, t time.Time) {
	o.name(name)
	_, offset := t.Zone()
	if year := t.Year(); year < 0 || year > 9999 || offset <= -24*3600 || offset >= 24*3600 {
		o.marshal(t) // which says what is wrong with it
		return
	}
	o.b = append(t.AppendFormat(append(o.b, '"'), time.RFC3339Nano), '"')
}

// raw writes JSON as it came, but for blanks.
func (o *object) raw(name string, value json.RawMessage) {
	o.name(name)
	var compact bytes.Buffer
	compact.Grow(len(value))
	if err := json.Compact(&compact, value); err != nil {
		o.fail(err)
		return
	}
	o.b = append(o.b, compact.Bytes()...)
}

func (o *object) other(name string, v any) {
	o.name(name)
	o.marshal(v)
}

func (o *object) marshal(v any) {
	b, err := marshal(v)
	o.fail(err)
	o.b = append(o.b, b...)
}

func (o *object) fail(err error) {
	if o.err == nil {
		o.err = err
	}
}

// Members that are left out where they say nothing.

func (o *object) textIf(name, s string) {
	if s != "" {
		o.text(name, s)
	}
}

func (o *object) numberIf(name string, n int) {
	if n != 0 {
		o.number(name, int64(n))
	}
}

func (o *object) flagIf(name string, is bool) {
	if is {
		o.flag(name, is)
	}
}

func (o *object) timeIf(name string, t time.Time) {
	if !t.IsZero() {
		o.time(name, t)
	}
}

// record writes the data of a record of any state but forgotten.
func (o *object) record(r *Record) {
	o.b = append(o.b, '{')
	o.number("domainId", r.DomainID)
	o.textIf("domain", r.Domain)
	o.textIf("reference", r.Reference)
	o.number("round", int64(r.Round))
	o.number("attempt", int64(r.Attempt))
	o.name("event")
	o.event(&r.Event)
	o.name("trigger")
	o.b = append(o.b, '{')
	o.text("kind", string(r.Trigger.Kind))
	o.text("id", r.Trigger.ID)
	o.b = append(o.b, '}')
	o.timeIf("acceptedAt", r.AcceptedAt)
	o.timeIf("firstAttemptAt", r.FirstAttemptAt)
	o.timeIf("lastCallAt", r.LastCallAt)
	o.timeIf("notBefore", r.NotBefore)
	if o.name("seen"); len(r.Seen) == 0 {
		o.b = append(o.b, "{}"...)
	} else {
		o.marshal(r.Seen)
	}
	o.number("waived", r.Waived)
	o.number("calls", int64(r.Calls))
	o.timeIf("giveUpAt", r.GiveUpAt)
	o.flag("unsettled", r.Unsettled)
	if r.Settling != nil {
		o.other("settling", r.Settling)
	}
	o.flagIf("lookFirst", r.LookFirst)
	if r.Visibility != nil {
		o.other("visibility", r.Visibility)
	}
	o.textIf("worker", r.Worker)
	o.timeIf("leaseExpiresAt", r.LeaseExpiresAt)
	o.textIf("reason", string(r.Reason))
	if r.Cause != nil {
		o.other("cause", r.Cause)
	}
	o.timeIf("nextAttemptAt", r.NextAttemptAt)
	if r.DNS != nil {
		o.other("dns", r.DNS)
	}
	o.flagIf("queued", r.Queued)
	o.textIf("via", string(r.Via))
	o.timeIf("activatedAt", r.ActivatedAt)
	if len(r.Customer) > 0 {
		o.raw("customer", r.Customer)
	}
	o.flagIf("customerAltered", r.CustomerAltered)
	o.numberIf("customerOmitted", r.CustomerOmitted)
	o.textIf("by", r.By)
	o.textIf("why", r.Why)
	o.textIf("wasState", string(r.WasState))
	o.b = append(o.b, '}')
}

func (o *object) event(e *EventRef) {
	o.b = append(o.b, '{')
	o.text("id", e.ID)
	o.text("stream", e.Stream)
	o.time("streamCreated", e.StreamCreated)
	o.name("sequence")
	o.b = strconv.AppendUint(o.b, e.Sequence, 10)
	o.time("storedAt", e.StoredAt)
	o.b = append(o.b, '}')
}

// envelope writes the attributes of an event and leaves it open for its data.
func (o *object) envelope(e envelope) {
	o.b = append(o.b, '{')
	o.text("specversion", e.SpecVersion)
	o.text("id", e.ID)
	o.text("source", e.Source)
	o.text("type", string(e.Type))
	o.text("subject", e.Subject)
	o.time("time", e.Time)
	o.text("dataschema", e.DataSchema)
	o.text("datacontenttype", e.DataContentType)
	o.textIf("traceparent", e.TraceParent)
	o.textIf("tracestate", e.TraceState)
	o.name("data")
}
