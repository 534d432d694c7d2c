package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
)

var update = flag.Bool("update", false, "write golden files anew")

// golden compares what a command prints with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("read golden file (go test -update writes it): %v", err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is printed otherwise; it is now:\n%s", path, got)
	}
}

// tokyo is the zone of the golden files, and then their now.
var (
	tokyo = time.FixedZone("JST", 9*60*60)
	then  = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	fixed = timeView{now: then, zone: tokyo}
)

// told is a customer's record with its past.
type told struct {
	name    string
	record  *events.Record
	entries []ledger.Entry
}

// base is a record as all states share it.
func base(state events.State, mods ...func(*events.Record)) *events.Record {
	r := &events.Record{
		State: state, Time: then.Add(-90 * time.Second),
		DomainID: 51200931, Domain: "日の出フーズ.example", Reference: "注文 <17> & 18", Round: 1, Attempt: 2,
		Event:      events.EventRef{ID: "/signup A-1", Stream: "SIGNUP", StreamCreated: then.Add(-time.Hour), Sequence: 7, StoredAt: then.Add(-time.Hour)},
		Trigger:    events.Trigger{Kind: events.TriggerDue, ID: "51200931-2-deferred"},
		AcceptedAt: then.Add(-time.Hour), FirstAttemptAt: then.Add(-time.Hour), LastCallAt: then.Add(-2 * time.Minute), Calls: 2,
	}
	for _, mod := range mods {
		mod(r)
	}
	return r
}

func because(reason events.Reason, cause events.Cause) func(*events.Record) {
	return func(r *events.Record) {
		r.Reason, r.Cause = reason, &cause
		if r.State == events.Deferred {
			r.NextAttemptAt, r.GiveUpAt = then.Add(4*time.Hour+30*time.Second), then.Add(30*24*time.Hour)
		}
	}
}

// causes are what may lead to each reason.
var causes = map[events.Reason]events.Cause{
	events.Transient:          {Operation: "activate", HTTPStatus: 429, Code: "TOO_MANY_REQUESTS", Description: "the partner's rate limit is reached"},
	events.UnknownOutcome:     {Operation: "activate", HTTPStatus: 500, Code: "INTERNAL_SERVER_ERROR", Description: "the answer does not tell whether the request took effect", UnknownOutcome: true},
	events.DNSUnverified:      {Operation: "activate", HTTPStatus: 400, Code: "INVALID_PARAMETER", Description: "the partner says no, and the ownership records are not visible in DNS"},
	events.TermsPending:       {Operation: "activate", HTTPStatus: 403, Code: "TERMS_NOT_AGREED", Description: "the partner says no, and shows that the terms are still to be accepted", PartnerText: "規約に同意していません"},
	events.Replay:             {Description: "an operator has queued the customer again"},
	events.Backlog:            {Description: "the announcement is an old one and waits behind fresh customers"},
	events.PartnerUnavailable: {Operation: "list", HTTPStatus: 403, Code: "ACCESS_DENIED", Description: "the partner denies access to every customer: the scope or the partner right is missing"},
	events.CustomerNotFound:   {Operation: "activate", HTTPStatus: 404, Code: "NOT_FOUND", Description: "the partner does not know this customer"},
	events.Refused:            {Operation: "activate", HTTPStatus: 409, Code: "NOT_ALLOWED", Description: "the partner refuses to activate this customer", PartnerText: "ドメイン\x1b[2Jは利用できません"},
	events.Cancelled:          {Description: "契約が取り消された"},
}

func withDNS(seen ...events.DNSRecord) func(*events.Record) {
	return func(r *events.Record) {
		r.DNS = &events.DNS{Domain: "xn--08j3d450rf1ew1x.example", Seen: seen, Wanted: []events.DNSRecord{
			{Type: "TXT", Host: "@", Name: "xn--08j3d450rf1ew1x.example", Value: `works-verify=7Qm2 "日"`},
			{Type: "CNAME", Host: "wm4f1c", Name: "wm4f1c.xn--08j3d450rf1ew1x.example", Value: "verify.works.example"},
		}}
		r.Visibility = &events.Visibility{Missed: then.Add(-time.Hour)}
	}
}

// everyState are customers in every state, for every reason, with what may be told of them.
func everyState(t *testing.T) []told {
	t.Helper()
	records := []*events.Record{
		base(events.Started, func(r *events.Record) { r.Worker, r.LeaseExpiresAt = "worker-7f3a", then.Add(40*time.Second) }),
		base(events.Started, func(r *events.Record) {
			r.Worker, r.LeaseExpiresAt, r.Unsettled, r.Trigger.Kind = "worker-7f3a", then.Add(-3*time.Second), true, events.TriggerRecovery
		}),
		base(events.Activated, func(r *events.Record) {
			r.Via, r.ActivatedAt = events.ViaActivate, then.Add(-90*time.Second)
			r.Customer = json.RawMessage(`{"companyName":"日の出フーズ","administrator":{"lastName":"森","cellphone":"090-5550-0142"},"enableActiveDomain":true}`)
		}),
		base(events.Activated, func(r *events.Record) {
			r.Via, r.ActivatedAt, r.Calls, r.Customer = events.ViaLookup, then.Add(-90*time.Second), 0, json.RawMessage("null")
		}),
		{
			State: events.Forgotten, Time: then.Add(-90 * time.Second), DomainID: 51200931, Round: 1, By: "unverified-tani", Why: "退会のため消去",
			WasState: events.Activated, Event: events.EventRef{ID: "/signup A-1", StoredAt: then},
		},
	}
	for _, state := range []events.State{events.Deferred, events.Failed} {
		for _, reason := range events.Reasons() {
			r := base(state, because(reason, causes[reason]))
			r.Unsettled = reason == events.UnknownOutcome
			if reason == events.DNSUnverified {
				withDNS()(r)
			}
			records = append(records, r)
		}
	}
	wrong := events.DNSRecord{Type: "TXT", Host: "@", Name: "xn--08j3d450rf1ew1x.example", Value: "works-verify=old", Resolver: "system"}
	right := events.DNSRecord{Type: "CNAME", Host: "wm4f1c", Name: "wm4f1c.xn--08j3d450rf1ew1x.example", Value: "verify.works.example", Resolver: "192.0.2.53:53"}
	unverified := because(events.DNSUnverified, causes[events.DNSUnverified])
	records = append(records,
		base(events.Deferred, unverified, withDNS(wrong)),
		base(events.Deferred, unverified, withDNS(wrong, right), func(r *events.Record) {
			r.Visibility.Since, r.Visibility.Nos, r.NextAttemptAt = then.Add(-10*time.Minute), 1, then.Add(-time.Second)
		}),
		base(events.Deferred, unverified),
		base(events.Failed, unverified, withDNS(wrong)),
		base(events.Deferred, because(events.TermsPending, causes[events.TermsPending]), func(r *events.Record) {
			r.Queued, r.Trigger = true, events.Trigger{Kind: events.TriggerReplay, ID: "r-1"}
		}),
	)
	var all []told
	for i, r := range records {
		r.DomainID += int64(i)
		r.Sequence = 40
		name := fmt.Sprintf("%s %s", r.State, r.Reason)
		one := told{name: name, record: r}
		if r.State != events.Forgotten { // whose past is erased
			first := base(events.Started, func(first *events.Record) {
				first.DomainID, first.Attempt, first.Calls, first.Time = r.DomainID, 1, 0, then.Add(-time.Hour)
				first.Worker, first.LeaseExpiresAt, first.Trigger.Kind = "worker-7f3a", then.Add(-59*time.Minute), events.TriggerAccepted
			})
			one.entries = append(one.entries, entry(t, first, 0))
		}
		one.entries = append(one.entries, entry(t, r, 12))
		all = append(all, one)
	}
	return all
}

// entry is a record as the ledger holds it.
func entry(t *testing.T, r *events.Record, expected uint64) ledger.Entry {
	t.Helper()
	data, err := events.EncodeRecord(r, "/lineworks/activation", expected, r.Time)
	if err != nil {
		t.Fatal(err)
	}
	return ledger.Entry{Subject: events.CustomerSubject(r.DomainID, r.State), Sequence: r.Sequence, Data: data}
}

func TestGoldenStatus(t *testing.T) {
	t.Parallel()
	var table, asJSON bytes.Buffer
	for _, one := range everyState(t) {
		fmt.Fprintf(&table, "== %s\n\n", one.name)
		fmt.Fprintf(&asJSON, "== %s\n\n", one.name)
		if err := statusTable(&table, one.record, one.entries, "", "", fixed); err != nil {
			t.Fatal(err)
		}
		if err := statusJSON(&asJSON, one.record, one.entries); err != nil {
			t.Fatal(err)
		}
		table.WriteString("\n")
		asJSON.WriteString("\n")
	}
	golden(t, "status.txt", table.Bytes())
	golden(t, "status-json.txt", asJSON.Bytes())
	for _, personal := range []string{"森", "090-5550", "\x1b"} {
		if bytes.Contains(table.Bytes(), []byte(personal)) || bytes.Contains(asJSON.Bytes(), []byte(personal)) {
			t.Errorf("status shows %q", personal)
		}
	}
}

func TestGoldenList(t *testing.T) {
	t.Parallel()
	for name, asJSON := range map[string]bool{"list.txt": false, "list.jsonl": true} {
		var out bytes.Buffer
		l := lister{out: &out, json: asJSON, view: fixed}
		if err := l.head(); err != nil {
			t.Fatal(err)
		}
		for _, one := range everyState(t) {
			if err := l.customer(one.record); err != nil {
				t.Fatal(err)
			}
		}
		golden(t, name, out.Bytes())
	}
}

func TestGoldenWatch(t *testing.T) {
	t.Parallel()
	var entries []ledger.Entry
	for _, one := range everyState(t) {
		entries = append(entries, one.entries[len(one.entries)-1])
	}
	add := func(subject string, data []byte, err error) {
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, ledger.Entry{Subject: subject, Sequence: 50, Data: data})
	}
	in := events.Intake{Worker: "worker-7f3a", Reason: "credentials", Detail: "the token endpoint refuses us", Since: then, WhatToDo: "check LINEWORKS_CLIENT_SECRET"}
	for _, paused := range []bool{true, false} {
		subject, _, data, err := events.EncodeIntake(in, paused, "/lineworks/activation", then)
		add(subject, data, err)
	}
	replay := events.ReplayEvent{ReplayID: "r-1", By: "unverified-tani", Why: "規約の同意を確認", Phase: events.Planned, Planned: 12}
	_, data, err := events.EncodeReplay(replay, "/lineworks/activation", then)
	add(events.ReplaySubject("r-1"), data, err)
	replay.Phase, replay.Scheduled, replay.Cancelled = events.Done, 11, true
	_, data, err = events.EncodeReplay(replay, "/lineworks/activation", then)
	add(events.ReplaySubject("r-1"), data, err)
	m := events.Message{Stream: "SIGNUP", Sequence: 5, StreamCreated: then, Data: []byte("日の出フーズ")}
	_, data, err = events.EncodeRejection(m, &events.Undecodable{Reason: "not_json", Detail: "it is no JSON object"}, "/lineworks/activation", 1<<20, then)
	add(events.RejectedSubject(5), data, err)
	add("activation.customer.7.vanished", []byte(`{"specversion":"1.0","type":"customer.activation.vanished","subject":"7","time":"2026-03-02T09:00:00Z","data":{}}`), nil)
	for name, asJSON := range map[string]bool{"watch.txt": false, "watch.jsonl": true} {
		var out bytes.Buffer
		w := watcher{out: &out, json: asJSON, view: fixed}
		for _, e := range entries {
			if err := w.show(e); err != nil {
				t.Fatal(err)
			}
		}
		golden(t, name, out.Bytes())
	}
}
