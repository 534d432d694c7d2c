package events_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"

	"activation-worker/internal/events"
)

var update = flag.Bool("update", false, "write the golden files that are not there yet")

const source = "/lineworks/activation"

// sample is a record with every field that all states share.
func sample(state events.State, mods ...func(*events.Record)) *events.Record {
	r := &events.Record{
		State: state, DomainID: 51200931, Domain: "hinode-foods.example", Reference: "order <17> & 18",
		TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", TraceState: "vendor=1",
		Round: 1, Attempt: 2,
		Event:      events.EventRef{ID: "/signup A-1", Stream: "SIGNUP", StreamCreated: at(-3600), Sequence: 7, StoredAt: at(0)},
		Trigger:    events.Trigger{Kind: events.TriggerDue, ID: "51200931-2-deferred"},
		AcceptedAt: at(-60), FirstAttemptAt: at(1), LastCallAt: at(2),
		Calls: 1,
	}
	for _, mod := range mods {
		mod(r)
	}
	return r
}

func started(r *events.Record) {
	r.Worker, r.LeaseExpiresAt = "worker-7f3a", at(70)
	r.Unsettled, r.Settling = true, &events.Settling{Since: at(3), Noes: 1}
	r.Seen = map[events.Reason]events.Seen{events.UnknownOutcome: {First: at(3), Tries: 1}}
	r.GiveUpAt = at(86403)
}

func deferredByLimit(r *events.Record) {
	r.Reason, r.NextAttemptAt, r.NotBefore = events.Transient, at(65), at(63)
	r.Seen = map[events.Reason]events.Seen{
		events.Transient:          {First: at(3), Tries: 1},
		events.PartnerUnavailable: {First: at(1), Tries: 2},
	}
	r.Waived, r.GiveUpAt = 120, at(86523)
	r.Cause = &events.Cause{
		Operation: "activate", HTTPStatus: 429, Code: "TOO_MANY_REQUESTS",
		Description: "the partner's rate limit is reached", PartnerText: "API rate limit exceeded", RequestID: "b1946ac9",
	}
}

// partnerObject is an answer as odd as one may come: numbers that a float64 would round or
// not hold, HTML, line separators, an unknown field, a key twice, a lone surrogate.
const partnerObject = `{"tenantId":1234567890123456789,"domainId":51200931,"enableActiveDomain":true,"quota":1e400,` +
	`"ratio":0.30000000000000000000000000000001,"companyName":"Hinode <Foods> & Co` + "\u2028\u2029" + `","newField":{"x":[null,-0.0,1E+2]},` +
	`"memo":"a","memo":"b","half":"\ud800","slash":"a\/b","nul":"\u0000"}`

func activated(r *events.Record) {
	// The CloudEvents SDK, which must be able to read the published samples, cannot skip over 1e400.
	object := strings.Replace(partnerObject, "1e400", "1e40", 1)
	r.Via, r.ActivatedAt, r.Customer = events.ViaActivate, at(4), json.RawMessage(object)
}

func activatedOddly(r *events.Record) {
	activated(r)
	r.Customer = json.RawMessage(partnerObject)
}

func activatedWithoutObject(r *events.Record) {
	r.Via, r.ActivatedAt, r.Customer, r.CustomerOmitted = events.ViaLookup, at(4), json.RawMessage("null"), 2<<20
	r.CustomerAltered = true
}

func failed(r *events.Record) {
	r.Reason = events.Refused
	r.Seen = map[events.Reason]events.Seen{events.Refused: {First: at(4), Tries: 1}}
	r.Cause = &events.Cause{Operation: "activate", HTTPStatus: 400, Code: "INVALID_PARAMETER", Description: "the partner refuses to activate this customer"}
}

// dnsUnverified waits for ownership records, with a near miss seen.
func dnsUnverified(r *events.Record) {
	r.Reason, r.NextAttemptAt, r.GiveUpAt = events.DNSUnverified, at(3602), at(2592003)
	r.Seen = map[events.Reason]events.Seen{events.DNSUnverified: {First: at(3), Tries: 2}}
	r.Cause = &events.Cause{Operation: "activate", HTTPStatus: 400, Code: "INVALID_PARAMETER", Description: "the partner says no, and the ownership records are not visible in DNS"}
	r.DNS = &events.DNS{
		Domain: "hinode-foods.example",
		Wanted: []events.DNSRecord{
			{Type: "TXT", Host: "@", Name: "hinode-foods.example", Value: "works-verify=7Qm2<&>"},
			{Type: "CNAME", Host: "wm4f1c", Name: "wm4f1c.hinode-foods.example", Value: "verify.works.example"},
		},
		Seen: []events.DNSRecord{{Type: "TXT", Name: "hinode-foods.example", Value: "works-verify=old", Resolver: "192.0.2.1:53"}},
	}
	r.Visibility = &events.Visibility{Missed: at(3), Since: at(1800), Nos: 1}
}

// backlog waits its turn and was never attempted.
func backlog(r *events.Record) {
	r.Attempt, r.Calls, r.FirstAttemptAt, r.LastCallAt = 0, 0, time.Time{}, time.Time{}
	r.Trigger = events.Trigger{Kind: events.TriggerAccepted, ID: r.Event.ID}
	r.Reason, r.NextAttemptAt, r.Queued, r.LookFirst = events.Backlog, at(600), true, true
	r.Cause = &events.Cause{Description: "the announcement is an old one and waits behind fresh customers"}
}

// replayed waits for the turn that a replay has given it.
func replayed(r *events.Record) {
	backlog(r)
	r.Round, r.Reason, r.LookFirst = 2, events.Replay, false
	r.Trigger = events.Trigger{Kind: events.TriggerReplay, ID: "01JNAB3T"}
	r.Cause = &events.Cause{Description: "an operator has queued the customer again"}
}

// forgotten has every field that must not be written.
func forgotten(r *events.Record) {
	dnsUnverified(r)
	r.By, r.Why, r.WasState = "mori", "asked by letter of <2 March>", events.Deferred
	r.TraceParent, r.TraceState = "", ""
}

func replayEvent(phase events.Phase) events.ReplayEvent {
	e := events.ReplayEvent{
		ReplayID: "01JNAB3T", By: "mori", Why: "the partner <fixed> it", Phase: phase, Planned: 2, Rate: "30/m",
		Selection: events.ReplaySelection{Named: 1, Selection: events.Selection{Reason: events.Refused, Code: "INVALID_PARAMETER", Since: at(-3600), Until: at(0)}},
	}
	if phase == events.Done {
		e.Scheduled = 2
	}
	return e
}

func request(mods ...func(*events.Request)) events.Request {
	r := events.Request{
		ID: "01JNAB3T", Verb: events.VerbReplay, User: "mori", Why: "the partner <fixed> it", IDs: []int64{51200931, 9223372036854775807},
		Selection: events.Selection{Reason: events.Refused, Code: "INVALID_PARAMETER", Since: at(-3600), Until: at(0)}, AsOfSequence: 42, Rate: "10/s",
	}
	for _, mod := range mods {
		mod(&r)
	}
	return r
}

func TestOutgoingEventsAreCloudEvents(t *testing.T) {
	t.Parallel()
	record := func(r *events.Record) func() ([]byte, error) {
		return func() ([]byte, error) { return events.EncodeRecord(r, source, 41, at(5)) }
	}
	intakeEvent := func(paused bool) func() ([]byte, error) {
		return func() ([]byte, error) {
			_, _, msg, err := events.EncodeIntake(events.Intake{
				Worker: "worker-7f3a", Reason: "partner_unavailable", Detail: "the partner refuses our access token, a new one too",
				Since: at(3), WhatToDo: "check LINEWORKS_CLIENT_ID & <the key>",
			}, paused, source, at(5))
			return msg, err
		}
	}
	replay := func(phase events.Phase) func() ([]byte, error) {
		return func() ([]byte, error) {
			_, msg, err := events.EncodeReplay(replayEvent(phase), source, at(5))
			return msg, err
		}
	}
	for name, c := range map[string]struct {
		encode   func() ([]byte, error)
		id, kind string
		subject  string
	}{
		"started":                   {record(sample(events.Started, started)), "51200931-41-started", "customer.activation.started", "51200931"},
		"deferred":                  {record(sample(events.Deferred, deferredByLimit)), "51200931-41-deferred", "customer.activation.deferred", "51200931"},
		"deferred_dns":              {record(sample(events.Deferred, dnsUnverified)), "51200931-41-deferred", "customer.activation.deferred", "51200931"},
		"deferred_backlog":          {record(sample(events.Deferred, backlog)), "51200931-41-deferred", "customer.activation.deferred", "51200931"},
		"deferred_replay":           {record(sample(events.Deferred, replayed)), "51200931-41-deferred", "customer.activation.deferred", "51200931"},
		"forgotten":                 {record(sample(events.Forgotten, forgotten)), "51200931-41-forgotten", "customer.activation.forgotten", "51200931"},
		"replay_planned":            {replay(events.Planned), "replay-01JNAB3T-planned", "customer.activation.replayed", "01JNAB3T"},
		"replay_done":               {replay(events.Done), "replay-01JNAB3T-done", "customer.activation.replayed", "01JNAB3T"},
		"activated":                 {record(sample(events.Activated, activated)), "51200931-41-activated", "customer.activated", "51200931"},
		"activated_customer_absent": {record(sample(events.Activated, activatedWithoutObject)), "51200931-41-activated", "customer.activated", "51200931"},
		"failed":                    {record(sample(events.Failed, failed)), "51200931-41-failed", "customer.activation.failed", "51200931"},
		"rejected": {func() ([]byte, error) {
			_, msg, err := events.EncodeRejection(
				intake("{\"domainId\":\"<\xff>\"}", header("Nats-Expected-Stream", "SIGNUP"), header("X-Text", "<a> & \u2028")),
				&events.Undecodable{Reason: "invalid_utf8", Detail: "the data is not valid UTF-8"}, source, 1<<20, at(5))
			return msg, err
		}, "rejected-SIGNUP-1772438400000000000-7", "customer.activation.rejected", "7"},
		"paused":  {intakeEvent(true), "intake-worker-7f3a-1772442003000-paused", "customer.activation.paused", "paused"},
		"resumed": {intakeEvent(false), "intake-worker-7f3a-1772442003000-resumed", "customer.activation.resumed", "resumed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			msg, err := c.encode()
			if err != nil {
				t.Fatalf("encode: %v", err)
			}
			var e cloudevents.Event
			if err := json.Unmarshal(msg, &e); err != nil {
				t.Fatalf("the CloudEvents SDK cannot read the event: %v", err)
			}
			if err := e.Validate(); err != nil {
				t.Fatalf("the CloudEvents SDK finds the event invalid: %v", err)
			}
			for field, pair := range map[string][2]string{
				"id": {e.ID(), c.id}, "type": {e.Type(), c.kind}, "subject": {e.Subject(), c.subject}, "source": {e.Source(), source},
				"dataschema": {e.DataSchema(), "urn:activation-worker:" + c.kind + "/v1"},
			} {
				if pair[0] != pair[1] {
					t.Errorf("%s is %q, want %q", field, pair[0], pair[1])
				}
			}
			if !e.Time().Equal(at(5)) {
				t.Errorf("time is %v, want %v", e.Time(), at(5))
			}
			summary, err := events.DecodeSummary(msg)
			if err != nil || summary.ID != c.id || string(summary.Type) != c.kind || summary.Subject != c.subject || !bytes.Equal(summary.Data, e.Data()) {
				t.Errorf("DecodeSummary: %+v, error %v", summary, err)
			}
		})
	}
}

// compareGolden compares with a file that is never written anew: it was published.
func compareGolden(t *testing.T, path string, got []byte) {
	t.Helper()
	got = append(bytes.Clone(got), '\n')
	want, err := os.ReadFile(path)
	if *update && errors.Is(err, fs.ErrNotExist) {
		want, err = got, os.WriteFile(path, got, 0o644)
	}
	if err != nil {
		t.Fatalf("read golden file (go test -update writes it): %v", err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is published otherwise:\ngot  %swant %s", path, got, want)
	}
}

func TestThePartnersObjectIsPassedOnAsReceived(t *testing.T) {
	t.Parallel()
	msg, err := events.EncodeRecord(sample(events.Activated, activatedOddly), source, 41, at(5))
	if err != nil {
		t.Fatalf("EncodeRecord: %v", err)
	}
	if !bytes.Contains(msg, []byte(`"customer":`+partnerObject)) {
		t.Errorf("the event does not hold the object byte by byte:\n%s\nwant %s", msg, partnerObject)
	}
	r, err := events.DecodeRecord(events.CustomerSubject(51200931, events.Activated), 42, msg)
	if err != nil {
		t.Fatalf("DecodeRecord: %v", err)
	}
	if string(r.Customer) != partnerObject {
		t.Errorf("read back as %s, want %s", r.Customer, partnerObject)
	}
}

func TestAnObjectThatIsNotKeptIsNullWithItsSize(t *testing.T) {
	t.Parallel()
	msg, err := events.EncodeRecord(sample(events.Activated, activatedWithoutObject), source, 41, at(5))
	if err != nil {
		t.Fatalf("EncodeRecord: %v", err)
	}
	for _, want := range []string{`"customer":null`, `"customerOmitted":2097152`, `"customerAltered":true`} {
		if !bytes.Contains(msg, []byte(want)) {
			t.Errorf("the event lacks %s:\n%s", want, msg)
		}
	}
	r, err := events.DecodeRecord(events.CustomerSubject(51200931, events.Activated), 42, msg)
	if err != nil {
		t.Fatalf("DecodeRecord: %v", err)
	}
	if string(r.Customer) != "null" || r.CustomerOmitted != 2<<20 || !r.CustomerAltered {
		t.Errorf("read back as customer %s, omitted %d, altered %v", r.Customer, r.CustomerOmitted, r.CustomerAltered)
	}
}
