package events_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"activation-worker/internal/events"
	"activation-worker/internal/events/eventstest"
)

// published is a sample of an event as it went out, or came in, in version 1. Its file below testdata/v1 is never edited: a later
// worker has to read it as the one that wrote it did. Where an event gets new fields, a sample is added.
type published struct {
	kind   events.Type
	encode func() ([]byte, error)
	decode func(msg []byte) (any, error)
	want   any // what decode gives
}

// asRecord is a sample of a customer's state.
func asRecord(r *events.Record) published {
	want := *r
	if r.State == events.Forgotten {
		want = events.Record{State: r.State, DomainID: r.DomainID, Round: r.Round, Event: r.Event.Hashed(), By: r.By, Why: r.Why, WasState: r.WasState}
	} else if want.Seen == nil {
		want.Seen = map[events.Reason]events.Seen{}
	}
	want.ID, want.Sequence, want.Time = events.RecordID(r.DomainID, 41, r.State), 42, at(5)
	return published{
		events.TypeOf(r.State),
		func() ([]byte, error) { return events.EncodeRecord(r, source, 41, at(5)) },
		func(msg []byte) (any, error) {
			return events.DecodeRecord(events.CustomerSubject(r.DomainID, r.State), 42, msg)
		}, &want,
	}
}

func asReplay(r events.ReplayEvent) published {
	return published{
		events.TypeReplayed,
		func() ([]byte, error) { _, msg, err := events.EncodeReplay(r, source, at(5)); return msg, err },
		func(msg []byte) (any, error) { return events.DecodeReplay(msg) }, r,
	}
}

func asRequest(r events.Request) published {
	return published{
		events.TypeRequested,
		func() ([]byte, error) { return events.EncodeRequest(r, at(5)) },
		func(msg []byte) (any, error) {
			return events.DecodeRequest(events.RequestSubject(r.Verb, r.User, r.ID), msg)
		}, r,
	}
}

func asIntake(kind events.Type, mods ...func(*events.Intake)) published {
	in := events.Intake{
		Worker: "worker-7f3a", Reason: "partner_unavailable", Detail: "the partner refuses our access token, a new one too",
		Since: at(3), WhatToDo: "check LINEWORKS_CLIENT_ID & <the key>",
	}
	for _, mod := range mods {
		mod(&in)
	}
	return published{
		kind,
		func() ([]byte, error) {
			_, _, msg, err := events.EncodeIntake(in, kind == events.TypePaused, source, at(5))
			return msg, err
		},
		func(msg []byte) (any, error) { return events.DecodeIntake(msg) }, in,
	}
}

func asRejection(m events.Message, why events.Undecodable, want events.Original) published {
	return published{
		events.TypeRejected,
		func() ([]byte, error) {
			_, msg, err := events.EncodeRejection(m, &why, source, 1<<20, at(5))
			return msg, err
		},
		func(msg []byte) (any, error) { return events.DecodeRejection(msg) },
		events.Rejection{Reason: why.Reason, Detail: why.Detail, Original: want},
	}
}

// everything sets all fields that the states share.
func everything(r *events.Record) {
	r.NotBefore, r.GiveUpAt, r.Waived = at(63), at(86403), 120
	r.Unsettled, r.Settling, r.LookFirst = true, &events.Settling{Since: at(3), Noes: 1}, true
	r.Visibility = &events.Visibility{Missed: at(3), Since: at(1800), Nos: 1}
	r.Seen = map[events.Reason]events.Seen{}
	for i, reason := range events.Reasons() {
		r.Seen[reason] = events.Seen{First: at(i), Tries: i + 1}
	}
}

// whole is a record that is not activated, with every field, also those of its cause and of DNS.
func whole(r *events.Record) {
	dnsUnverified(r)
	everything(r)
	r.DNS.Seen[0].Host = "@"
	r.Cause = &events.Cause{
		Operation: "activate", HTTPStatus: 400, Code: "INVALID_PARAMETER", Description: "the partner says no", PartnerText: "ドメインを確認できません",
		RequestID: "b1946ac9", UnknownOutcome: true,
	}
	if r.State == events.Failed {
		r.NextAttemptAt = time.Time{}
	}
}

// bare is a record with no more than its state needs.
func bare(state events.State, mods ...func(*events.Record)) *events.Record {
	r := &events.Record{
		State: state, DomainID: 1, Round: 1,
		Event: events.EventRef{ID: "SIGNUP/1/1/1", Stream: "SIGNUP", StreamCreated: at(-3600), Sequence: 1, StoredAt: at(0)},
	}
	r.Trigger = events.Trigger{Kind: events.TriggerAccepted, ID: r.Event.ID}
	for _, mod := range mods {
		mod(r)
	}
	return r
}

// samples are all that is below testdata/v1, by name.
func samples() map[string]published {
	everySelection := events.Selection{AllFailed: true, Reason: events.Refused, Code: "INVALID_PARAMETER", Since: at(-3600), Until: at(0), Rejected: true, Replay: "01JNAB3T"}
	odd := "{\"domainId\":\"<\xff>\"}"
	return map[string]published{
		"started":          asRecord(sample(events.Started, started)),
		"started_full":     asRecord(sample(events.Started, started, everything)),
		"started_bare":     asRecord(bare(events.Started, func(r *events.Record) { r.Attempt, r.Worker, r.LeaseExpiresAt = 1, "w", at(60) })),
		"deferred":         asRecord(sample(events.Deferred, deferredByLimit)),
		"deferred_dns":     asRecord(sample(events.Deferred, dnsUnverified)),
		"deferred_backlog": asRecord(sample(events.Deferred, backlog)),
		"deferred_replay":  asRecord(sample(events.Deferred, replayed)),
		"deferred_full":    asRecord(sample(events.Deferred, whole, func(r *events.Record) { r.Queued = true })),
		"deferred_bare":    asRecord(bare(events.Deferred, func(r *events.Record) { r.Reason, r.Cause, r.NextAttemptAt = events.Transient, &events.Cause{}, at(60) })),
		"activated":        asRecord(sample(events.Activated, activated)),
		"activated_full":   asRecord(sample(events.Activated, everything, activatedWithoutObject)),
		"activated_bare": asRecord(bare(events.Activated, func(r *events.Record) {
			r.Via, r.ActivatedAt, r.Customer = events.ViaLookup, at(4), json.RawMessage("{}")
		})),
		"failed":            asRecord(sample(events.Failed, failed)),
		"failed_full":       asRecord(sample(events.Failed, whole)),
		"failed_bare":       asRecord(bare(events.Failed, func(r *events.Record) { r.Reason, r.Cause = events.Cancelled, &events.Cause{} })),
		"forgotten":         asRecord(sample(events.Forgotten, forgotten)),
		"forgotten_unknown": asRecord(&events.Record{State: events.Forgotten, DomainID: 1, Round: 1, By: "u", Why: "w", WasState: events.None}),
		"replay_planned":    asReplay(replayEvent(events.Planned)),
		"replay_done":       asReplay(replayEvent(events.Done)),
		"replay_full":       asReplay(events.ReplayEvent{ReplayID: "1", By: "u", Why: "w", Phase: events.Done, Planned: 2, Scheduled: 1, Rate: "10/s", Cancelled: true, Selection: events.ReplaySelection{Named: 1, Selection: everySelection}}),
		"replay_bare":       asReplay(events.ReplayEvent{ReplayID: "1", By: "u", Why: "w", Phase: events.Planned}),
		"requested":         asRequest(request()),
		"requested_full":    asRequest(request(func(r *events.Request) { r.Selection = everySelection })),
		"requested_bare":    asRequest(events.Request{ID: "1", Verb: events.VerbForget, User: "u", Why: "w", IDs: []int64{1}}),
		"requested_unknown": asRequest(events.Request{ID: "1", Verb: events.VerbForget, User: "u", Why: "w", IDs: []int64{1}, UnknownToo: true}),
		"requested_replay":  asRequest(events.Request{ID: "1", Verb: events.VerbCancel, User: "u", Why: "w", Selection: events.Selection{Replay: "01JNAB3T"}}),
		"paused":            asIntake(events.TypePaused),
		"resumed":           asIntake(events.TypeResumed),
		"resumed_by_another": asIntake(events.TypeResumed, func(in *events.Intake) {
			in.Reason, in.Detail, in.WhatToDo = "starting", "this worker has started and takes work", ""
		}),
		"activated_customer_absent": asRecord(sample(events.Activated, activatedWithoutObject)),
		"rejected": asRejection(
			intake(odd, header("Nats-Expected-Stream", "SIGNUP"), header("X-Text", "<a> & \u2028")),
			events.Undecodable{Reason: "invalid_utf8", Detail: "the data is not valid UTF-8"},
			events.Original{
				Stream: "SIGNUP", Sequence: 7, Subject: "signup.terms.accepted", Size: 18,
				Headers: map[string][]string{"Nats-Expected-Stream": {"SIGNUP"}, "X-Text": {"<a> & \u2028"}},
				SHA256:  "f8d8e4c63e08bb403070e784d1e2a83ee098f89014d9de8b236db6317c96178c", DataBase64: "eyJkb21haW5JZCI6Ijz/PiJ9",
			}),
		"rejected_bare": asRejection(
			intake(""), events.Undecodable{Reason: "invalid_json", Detail: "the data is not JSON"},
			events.Original{
				Stream: "SIGNUP", Sequence: 7, Subject: "signup.terms.accepted",
				SHA256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
			}),
	}
}

func sampleFile(name string) string { return filepath.Join("testdata", "v1", name+".json") }

// What was published once is written in the same way, to the byte, and is read for ever as it was meant.
func TestPublishedEventsStayReadable(t *testing.T) {
	t.Parallel()
	all := samples()
	files, err := filepath.Glob(sampleFile("*"))
	if err != nil || len(files) != len(all) && !*update {
		t.Errorf("there are %d files and %d samples (error %v): a sample that was published stays", len(files), len(all), err)
	}
	for name, p := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			msg, err := p.encode()
			if err != nil {
				t.Fatalf("encode: %v", err)
			}
			compareGolden(t, sampleFile(name), msg)
			file, err := os.ReadFile(sampleFile(name))
			if err != nil {
				t.Fatal(err)
			}
			got, err := p.decode(bytes.TrimSpace(file))
			if err != nil {
				t.Fatalf("the sample cannot be read any more: %v", err)
			}
			if !reflect.DeepEqual(got, p.want) {
				t.Errorf("the sample is read otherwise:\ngot  %+v\nwant %+v", got, p.want)
			}
			if err := valid(p.kind, file); err != nil {
				t.Errorf("the sample is not as its schema says: %v", err)
			}
		})
	}
}

// valid holds a whole event against the schemas of its attributes and of its data, strictly.
func valid(kind events.Type, msg []byte) error {
	if err := eventstest.Valid(eventstest.Envelope, true, msg); err != nil {
		return err
	}
	summary, err := events.DecodeSummary(msg)
	if err != nil {
		return err
	}
	return eventstest.Valid(string(kind), true, summary.Data)
}

// Each field that a schema lists is in a sample, so that there is one to hold its reading against.
func TestEveryPublishedFieldIsInASample(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for name, p := range samples() {
		msg, err := p.encode()
		if err != nil {
			t.Fatal(err)
		}
		var event map[string]any
		if err := json.Unmarshal(msg, &event); err != nil && !strings.Contains(name, "activated") { // whose numbers are odd
			t.Fatal(err)
		}
		collect(seen, eventstest.Envelope, event)
		collect(seen, string(p.kind), event["data"])
		if seen["has "+string(p.kind)] = true; p.kind == events.TypeActivated {
			seen["customer.activated customer domainId"], seen["customer.activated customer enableActiveDomain"] = true, true
		}
	}
	for _, name := range eventstest.Names() {
		schema, err := eventstest.Published(name)
		if err != nil {
			t.Fatal(err)
		}
		if name != eventstest.Envelope && !seen["has "+name] {
			continue // no event of ours
		}
		defs, _ := schema["$defs"].(map[string]any)
		for _, field := range fields(name, schema, defs) {
			if !seen[field] {
				t.Errorf("no sample has %s", field)
			}
		}
	}
}

// collect notes the path of each member; names in seen, whose reasons are names too, count as one.
func collect(seen map[string]bool, at string, value any) {
	switch v := value.(type) {
	case map[string]any:
		for name, member := range v {
			seen[at+" "+name] = true
			collect(seen, at+" "+name, member)
			if strings.HasSuffix(at, " seen") {
				collect(seen, at, member)
			}
		}
	case []any:
		for _, element := range v {
			collect(seen, at, element)
		}
	}
}

// fields are the paths of all members that a schema lists.
func fields(at string, schema, defs map[string]any) []string {
	if ref, ok := schema["$ref"].(string); ok {
		schema, _ = defs[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any)
	}
	var all []string
	properties, _ := schema["properties"].(map[string]any)
	for name, sub := range properties {
		path := fmt.Sprintf("%s %s", at, name)
		object, _ := sub.(map[string]any)
		all = append(append(all, path), fields(path, object, defs)...)
	}
	for _, keyword := range []string{"items", "additionalProperties"} {
		if sub, ok := schema[keyword].(map[string]any); ok {
			all = append(all, fields(at, sub, defs)...)
		}
	}
	return all
}
