package eventstest

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"activation-worker/internal/broker"
	"activation-worker/internal/broker/brokertest"
	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// started is a record that a worker could have written.
func started(id int64) *events.Record {
	now := time.Now()
	return &events.Record{
		State: events.Started, DomainID: id, Round: 1, Attempt: 1, Worker: "w1", LeaseExpiresAt: now.Add(time.Minute), FirstAttemptAt: now,
		Event:   events.EventRef{ID: "/signup 1", Stream: "SIGNUP", StreamCreated: now, Sequence: 1, StoredAt: now},
		Trigger: events.Trigger{Kind: events.TriggerAccepted, ID: "/signup 1"},
	}
}

// TestLookFindsWhatIsNotAsPublished in a ledger longer than what is looked at, in its last messages too, and in the other streams.
func TestLookFindsWhatIsNotAsPublished(t *testing.T) {
	t.Parallel()
	conn, js := brokertest.Connect(t, brokertest.Start(t).URL())
	streams := events.StreamsOf(events.DefaultStream)
	if err := broker.Ensure(t.Context(), js, broker.Layout{Streams: streams, WithIntake: true}); err != nil {
		t.Fatal(err)
	}
	l := ledger.New(ledger.Options{Conn: conn, JetStream: js, Streams: streams, Source: "/test", Log: zap.NewNop(), Lease: time.Minute})
	write := func(r *events.Record) {
		t.Helper()
		if _, err := l.Put(t.Context(), r, 0); err != nil {
			t.Fatal(err)
		}
	}
	const customers = 2*most + 50
	for id := range int64(customers) {
		if _, err := js.PublishMsgAsync(stored(t, started(id+1), 0)); err != nil {
			t.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
	if _, err := js.Publish(t.Context(), "activation.customer.1.deferred", []byte("what a test puts there")); err != nil {
		t.Fatal(err)
	}
	request, err := events.EncodeRequest(events.Request{ID: "r1", Verb: events.VerbForget, User: "mori", Why: "w", IDs: []int64{1}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	publish := func(data []byte) {
		t.Helper()
		if _, err := js.PublishMsg(t.Context(), &nats.Msg{
			Subject: events.RequestSubject(events.VerbForget, "mori", "r1"), Data: data,
			Header: nats.Header{"Content-Type": {events.ContentType}, jetstream.MsgIDHeader: {"r1"}},
		}); err != nil {
			t.Fatal(err)
		}
	}
	publish(request)
	m := events.Message{Subject: "signup.terms.accepted", Stream: "SIGNUP", StreamCreated: time.Now(), Sequence: 7, Data: []byte("1")}
	if err := l.Reject(t.Context(), m, &events.Undecodable{Reason: "not_an_object", Detail: "it is none"}); err != nil {
		t.Fatal(err)
	}
	seen, err := look(t.Context(), js)
	if err != nil || len(seen.wrong) > 0 {
		t.Fatalf("error %v, wrong: %s", err, seen.wrong)
	}
	// The message without a mark is one of the last.
	for kind, want := range map[events.Type]int{events.TypeStarted: 2*most - 1, events.TypeRequested: 1, events.TypeRejected: 1} {
		if seen.counts[kind] != want {
			t.Errorf("%d of %s were looked at, want %d", seen.counts[kind], kind, want)
		}
	}

	bad := started(customers + 1)
	bad.Worker = ""
	write(bad)
	if err := l.Reject(t.Context(), events.Message{Stream: "SIGNUP", StreamCreated: time.Now(), Sequence: 8}, &events.Undecodable{Reason: "odd", Detail: "it is"}); err != nil {
		t.Fatal(err)
	}
	seen, err = look(t.Context(), js)
	if err != nil || len(seen.wrong) != 2 {
		t.Errorf("error %v, %d messages found wrong, want 2: %s", err, len(seen.wrong), seen.wrong)
	}
}

// stored is a record as the ledger writes it.
func stored(t *testing.T, r *events.Record, expected uint64) *nats.Msg {
	t.Helper()
	data, err := events.EncodeRecord(r, "/test", expected, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return &nats.Msg{Subject: events.CustomerSubject(r.DomainID, r.State), Data: data, Header: nats.Header{
		"Content-Type": {events.ContentType}, events.HeaderWriteToken: {"T"}, jetstream.ExpectedLastSubjSeqHeader: {"0"},
		jetstream.ExpectedLastSubjSeqSubjHeader: {events.CustomerFamily(r.DomainID)},
	}}
}

// TestMessageSeesEachFault of an event that is right but for it.
func TestMessageSeesEachFault(t *testing.T) {
	t.Parallel()
	replaced := func(old, with string) func(*nats.Msg) {
		return func(m *nats.Msg) {
			if !bytes.Contains(m.Data, []byte(old)) {
				t.Fatalf("%s does not have %s", m.Data, old)
			}
			m.Data = bytes.Replace(m.Data, []byte(old), []byte(with), 1)
		}
	}
	headed := func(name, value string) func(*nats.Msg) {
		return func(m *nats.Msg) { m.Header.Set(name, value) }
	}
	for sentence, c := range map[string]struct {
		change func(*nats.Msg)
		want   string
	}{
		"nothing is wrong":                {func(*nats.Msg) {}, ""},
		"it is no JSON":                   {replaced("{", "}"), "invalid character"},
		"a field that no schema lists":    {replaced(`"round":1`, `"round":1,"phone":"090"`), "phone"},
		"an attribute that no one lists":  {replaced(`"subject"`, `"sequence":"1","subject"`), "sequence"},
		"a field that has to be there":    {replaced(`"calls":0,`, ""), "calls"},
		"a field in a list":               {replaced(`"storedAt"`, `"subject":"s","storedAt"`), "subject"},
		"a time that is none":             {replaced(`"leaseExpiresAt":"2`, `"leaseExpiresAt":"X`), "leaseExpiresAt"},
		"a value that no schema lists":    {replaced(`"kind":"terms_accepted"`, `"kind":"whim"`), "kind"},
		"another type than the subject's": {func(m *nats.Msg) { m.Subject = "activation.customer.7.failed" }, "type is"},
		"another customer's subject":      {func(m *nats.Msg) { m.Subject = "activation.customer.8.started" }, "subject is"},
		"no public subject":               {func(m *nats.Msg) { m.Subject = "activation.timer.7" }, "no public subject"},
		"another version":                 {replaced("started/v1", "started/v2"), "dataschema is"},
		"another id":                      {replaced("7-0-started", "7-1-started"), "id is"},
		"no content type":                 {headed("Content-Type", ""), "Content-Type"},
		"no token":                        {headed(events.HeaderWriteToken, ""), events.HeaderWriteToken},
		"deduplicated":                    {headed(jetstream.MsgIDHeader, "7-0-started"), jetstream.MsgIDHeader},
		"no expectation":                  {headed(jetstream.ExpectedLastSubjSeqHeader, ""), jetstream.ExpectedLastSubjSeqHeader},
		"an expectation for one subject":  {headed(jetstream.ExpectedLastSubjSeqSubjHeader, "activation.customer.7.started"), jetstream.ExpectedLastSubjSeqSubjHeader},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			m := stored(t, started(7), 0)
			c.change(m)
			err := Message(m.Subject, m.Header, m.Data)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want one about %q", err, c.want)
			}
		})
	}
}

// What a later worker adds is no reason for a reader to stop: as published, the schemas let it pass.
func TestSchemasAsPublishedLetNewFieldsPass(t *testing.T) {
	t.Parallel()
	data := []byte(`{"worker":"w","reason":"partner_down","detail":"d","since":"2026-03-02T09:00:00Z","whatToDo":"nothing","new":{"x":1}}`)
	if err := Valid(string(events.TypePaused), false, data); err != nil {
		t.Error(err)
	}
	if err := Valid(string(events.TypePaused), true, data); err == nil {
		t.Error("held strictly, an unknown field passes")
	}
}
