package operator_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"activation-worker/internal/activation"
	"activation-worker/internal/events"
	"activation-worker/internal/operator"
)

func TestARecordOfANewerWorkerKeepsNobodyElseWaiting(t *testing.T) {
	t.Parallel()
	d := open(t)
	if _, err := d.js.Publish(t.Context(), "activation.customer.2.deferred", []byte(`{"dataschema":"x/v2","data":{}}`)); err != nil {
		t.Fatal(err)
	}
	d.staff()
	for _, verb := range []events.Verb{events.VerbReplay, events.VerbCancel, events.VerbForget} {
		d.customer(1, events.Deferred)
		d.customer(3, events.Deferred)
		p := d.ask(events.Request{Verb: verb, IDs: []int64{1, 2, 3}})
		if said := strings.Join(p.Lines, "\n"); p.Done != 2 || !strings.Contains(said, "2 is left untouched") {
			t.Errorf("%s: %+v", verb, p)
		}
	}
}

func TestForgetGoesOnWhereThePublishStreamIsGone(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.customer(1, events.Failed)
	d.customer(2, events.Failed)
	cfg := mustStream(t, d.js, "ACTIVATION").CachedInfo().Config
	cfg.Metadata = map[string]string{events.MetadataPublish: "CUSTOMER"} // deleted by hand since
	if _, err := d.js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	d.staff()
	p := d.ask(events.Request{Verb: events.VerbForget, IDs: []int64{1, 2}})
	if p.Done != 2 || !strings.Contains(strings.Join(p.Lines, "\n"), "Not reached: stream CUSTOMER") {
		t.Errorf("%+v", p)
	}
}

func TestRequestsThatWouldFillTheLedgerAreRefused(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.customer(1, events.Failed)
	d.staff()
	large := strings.Repeat("0", 200_000)
	for id, r := range map[string]events.Request{
		"code": {Selection: events.Selection{Code: large}}, "rate": {IDs: []int64{1}, Rate: large + "1/m"}, "why": {IDs: []int64{1}, Why: large},
	} {
		r.Verb, r.ID = events.VerbReplay, id
		if p := d.ask(r); !p.Failed || p.Done != 0 {
			t.Errorf("%s: %+v", id, p)
		}
	}
	if got := d.all("ACTIVATION", "activation.replay.*"); len(got) != 0 {
		t.Errorf("%d replays are told", len(got))
	}
}

func TestNobodyActsUnderAnothersReplay(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.customer(1, events.Failed)
	if err := d.ledger.AnnounceReplay(t.Context(), events.ReplayEvent{ReplayID: "theirs", By: "mori", Why: "partner fixed", Phase: events.Planned, Planned: 1}); err != nil {
		t.Fatal(err)
	}
	d.staff()
	if p := d.ask(events.Request{Verb: events.VerbReplay, ID: "theirs", IDs: []int64{1}}); !p.Failed || p.Done != 0 {
		t.Errorf("an id that is taken: %+v", p)
	}
	data, err := events.EncodeRequest(events.Request{Verb: events.VerbReplay, ID: "*", Why: "mischief", IDs: []int64{1}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.js.Publish(t.Context(), "activation.request.replay.aki.*", data); err != nil {
		t.Fatal(err)
	}
	d.awaitNoWork()
	if got := d.replays("theirs"); len(got) != 1 || d.load(1).State != events.Failed {
		t.Errorf("%+v, the customer is %s", got, d.load(1).State)
	}
}

// rejected records a rejection of a message with that sequence.
func (d *desk) rejected(sequence uint64, data string) {
	d.t.Helper()
	m := events.Message{
		Subject: "signup.terms.accepted", Data: []byte(data), Stream: "SIGNUP", StreamCreated: time.Now(), Sequence: sequence, StoredAt: time.Now(),
		Header: map[string][]string{"ce-specversion": {"1.0"}, "ce-id": {"20260302"}},
	}
	if err := d.ledger.Reject(d.t.Context(), m, &events.Undecodable{Reason: "not_an_object", Detail: "d"}); err != nil {
		d.t.Fatal(err)
	}
}

func TestForgetErasesTheRejectionsThatNameTheCustomerAndNoOthers(t *testing.T) {
	t.Parallel()
	d := open(t)
	encoded := base64.StdEncoding.EncodeToString([]byte(`{"domainId":51200931,"domainId":51200931,"email":"aki@mail.example"}`))
	for i, data := range []string{
		`{"specversion":"1.0","id":"a","source":"/s","type":"t","data_base64":"` + encoded + `"}`,
		`{"domainId":51200931.0}`, `{"domainId":"051200931"}`, `{"domainId":5.1200931e7}`, `{"domainId":51200931`,
		`{"domainId":"x","when":"20260302T090000Z","note":"we have 77 seats"}`, `{"domainId":512009310}`,
	} {
		d.rejected(uint64(i+1), data)
	}
	d.staff()
	p := d.ask(events.Request{Verb: events.VerbForget, IDs: []int64{51200931, 1, 2026}})
	var left []string
	for _, m := range d.all("ACTIVATION_REJECTED", "activation.rejected.*") {
		left = append(left, m.Subject())
	}
	if strings.Join(left, " ") != "activation.rejected.6 activation.rejected.7" || !strings.Contains(strings.Join(p.Lines, "\n"), "erased: 5") {
		t.Errorf("left are %v; said %q", left, p.Lines)
	}
}

func TestTheEndOfALargeRequestIsTold(t *testing.T) {
	t.Parallel()
	d := open(t)
	var ids []int64
	for i := range int64(1500) {
		ids = append(ids, 1_000_000_000_000_000_000+i)
	}
	d.staff()
	p := d.ask(events.Request{Verb: events.VerbCancel, IDs: ids})
	if len(p.Lines) == 0 || len(p.Lines) > 300 || !strings.Contains(strings.Join(p.Lines, "\n"), "lines more") {
		t.Errorf("%d lines are said", len(p.Lines))
	}
}

func TestAResumedReplayKeepsItsPace(t *testing.T) {
	t.Parallel()
	d := open(t)
	for id := int64(1); id <= 4; id++ {
		d.customer(id, events.Failed)
	}
	if err := d.ledger.AnnounceReplay(t.Context(), events.ReplayEvent{ReplayID: "ours", By: "unverified-aki", Why: "w", Phase: events.Planned, Planned: 4, Rate: "1/m"}); err != nil {
		t.Fatal(err)
	}
	for id := int64(1); id <= 2; id++ { // before it was cut short
		r := d.load(id)
		q := activation.Queued(r, nil, id, events.Replay, events.Trigger{Kind: events.TriggerReplay, ID: "ours"}, time.Now().Add(time.Duration(id-1)*time.Minute))
		if _, err := d.ledger.PutWaiting(t.Context(), q, r.Sequence, q.NextAttemptAt); err != nil {
			t.Fatal(err)
		}
	}
	d.staff()
	if p := d.ask(events.Request{Verb: events.VerbReplay, ID: "ours", IDs: []int64{1, 2, 3, 4}, Rate: "1/m"}); p.Done != 4 {
		t.Errorf("%+v", p)
	}
	for id := int64(2); id <= 4; id++ {
		if apart := d.load(id).NextAttemptAt.Sub(d.load(id - 1).NextAttemptAt); apart < 59*time.Second {
			t.Errorf("%d is due %v after the one before", id, apart)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]bool{
		`{"domainId":51200931}`: true,
		`{"specversion":"1.0","subject":"customers/51200931","data":{}}`:                  true,
		`{"domainId":"51200931 "}`:                                                        true,
		`{"data_base64":"` + base64.StdEncoding.EncodeToString([]byte("51200931")) + `"}`: true,
		`domain 51200931, please`:                                                         true,
		`{"domainId":51200932,"version":"51200931.7"}`:                                    false,
		`{"domainId":51200932,"price":51200931.5}`:                                        false,
		`{"when":"51200931T090000Z"}`:                                                     false,
	} {
		o := events.Original{DataBase64: base64.StdEncoding.EncodeToString([]byte(data)), Size: len(data)}
		if names, untold := operator.Names(o, 51200931); names != want || untold {
			t.Errorf("%s: %v, untold %v; want %v", data, names, untold, want)
		}
	}
	header := events.Original{Headers: map[string][]string{"Ce-Subject": {"customers/51200931"}}}
	if names, _ := operator.Names(header, 51200931); !names {
		t.Error("a header that names the customer is passed over")
	}
	if names, untold := operator.Names(events.Original{DataBase64: "e30=", Size: 9}, 51200931); names || !untold {
		t.Error("of a part it is said that nobody is named")
	}
}
