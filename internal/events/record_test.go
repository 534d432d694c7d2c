package events_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"activation-worker/internal/events"
)

// moments are whole nanoseconds in UTC, the zero time among them.
func moments() *rapid.Generator[time.Time] {
	return rapid.OneOf(
		rapid.Just(time.Time{}),
		rapid.Map(rapid.Int64Range(-1e18, 1e18), func(n int64) time.Time { return at(0).Add(time.Duration(n)) }),
	)
}

// records are any records of this binary: what a state does not have may be there all the same.
func records() *rapid.Generator[*events.Record] {
	return rapid.Custom(func(t *rapid.T) *events.Record {
		text := rapid.OneOf(rapid.String(), rapid.Just("<&>\u2028\\\"\x00"))
		when := moments()
		count := rapid.IntRange(0, 1<<40)
		reason := rapid.SampledFrom(append(events.Reasons(), ""))
		r := &events.Record{
			State:       rapid.SampledFrom(events.States()).Draw(t, "state"),
			TraceParent: rapid.SampledFrom([]string{"", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}).Draw(t, "trace"),
			DomainID:    rapid.Int64Min(1).Draw(t, "domain id"),
			Domain:      text.Draw(t, "domain"), Reference: text.Draw(t, "reference"),
			Round: count.Draw(t, "round"), Attempt: count.Draw(t, "attempt"), Calls: count.Draw(t, "calls"),
			Event: events.EventRef{
				ID: text.Draw(t, "event id"), Stream: text.Draw(t, "stream"), StreamCreated: when.Draw(t, "created"),
				Sequence: rapid.Uint64().Draw(t, "sequence"), StoredAt: when.Draw(t, "stored"),
			},
			Trigger: events.Trigger{
				Kind: rapid.SampledFrom([]events.TriggerKind{events.TriggerAccepted, events.TriggerDue, events.TriggerReplay, events.TriggerRecovery}).Draw(t, "kind"),
				ID:   text.Draw(t, "trigger id"),
			},
			AcceptedAt: when.Draw(t, "accepted"), FirstAttemptAt: when.Draw(t, "first"), LastCallAt: when.Draw(t, "call"),
			NotBefore: when.Draw(t, "not before"), GiveUpAt: when.Draw(t, "give up"), LeaseExpiresAt: when.Draw(t, "lease"),
			NextAttemptAt: when.Draw(t, "next"), ActivatedAt: when.Draw(t, "activated"),
			Waived: rapid.Int64Min(0).Draw(t, "waived"), Unsettled: rapid.Bool().Draw(t, "unsettled"),
			Worker: text.Draw(t, "worker"), Reason: reason.Draw(t, "reason"),
			Via:             rapid.SampledFrom([]events.Via{"", events.ViaActivate, events.ViaLookup}).Draw(t, "via"),
			CustomerAltered: rapid.Bool().Draw(t, "altered"), CustomerOmitted: count.Draw(t, "omitted"),
			LookFirst: rapid.Bool().Draw(t, "look first"), Queued: rapid.Bool().Draw(t, "queued"),
			By: text.Draw(t, "by"), Why: text.Draw(t, "why"), WasState: rapid.SampledFrom(append(events.States(), events.None)).Draw(t, "was"),
		}
		if rapid.Bool().Draw(t, "dns") {
			r.DNS = &events.DNS{Domain: text.Draw(t, "dns domain"), Wanted: []events.DNSRecord{}, Seen: []events.DNSRecord{}}
			for range rapid.IntRange(0, 2).Draw(t, "dns records") {
				one := events.DNSRecord{Type: text.Draw(t, "type"), Host: text.Draw(t, "host"), Name: text.Draw(t, "name"), Value: text.Draw(t, "value"), Resolver: text.Draw(t, "resolver")}
				r.DNS.Wanted, r.DNS.Seen = append(r.DNS.Wanted, one), append(r.DNS.Seen, one)
			}
		}
		if rapid.Bool().Draw(t, "visibility") {
			r.Visibility = &events.Visibility{Missed: when.Draw(t, "missed"), Since: when.Draw(t, "visible since"), Nos: count.Draw(t, "visible noes")}
		}
		for range rapid.IntRange(0, 3).Draw(t, "reasons seen") {
			if r.Seen == nil {
				r.Seen = map[events.Reason]events.Seen{}
			}
			r.Seen[rapid.SampledFrom(events.Reasons()).Draw(t, "reason seen")] = events.Seen{First: when.Draw(t, "seen"), Tries: count.Draw(t, "tries")}
		}
		if rapid.Bool().Draw(t, "settling") {
			r.Settling = &events.Settling{Since: when.Draw(t, "since"), Noes: count.Draw(t, "noes")}
		}
		if rapid.Bool().Draw(t, "cause") {
			r.Cause = &events.Cause{
				Operation: text.Draw(t, "operation"), HTTPStatus: count.Draw(t, "status"), Code: text.Draw(t, "code"),
				Description: text.Draw(t, "description"), PartnerText: text.Draw(t, "partner text"), RequestID: text.Draw(t, "request id"),
				UnknownOutcome: rapid.Bool().Draw(t, "unknown outcome"),
			}
		}
		if s := rapid.SampledFrom([]string{"", "null", "{}", `{"a":[1e400,"<&>"],"a":1234567890123456789}`, partnerObject}).Draw(t, "customer"); s != "" {
			r.Customer = json.RawMessage(s)
		}
		return r
	})
}

// byTheLibrary is a record as encoding/json writes it.
func byTheLibrary(t interface{ Fatal(...any) }, r *events.Record) []byte {
	copied := *r
	if copied.Seen == nil {
		copied.Seen = map[events.Reason]events.Seen{} // always written
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(copied); err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSpace(b.Bytes())
}

func TestRecordsAreWrittenAsTheLibraryWould(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := records().Draw(t, "record")
		if r.State == events.Forgotten {
			r.State = events.Failed // a forgotten one is left to the library
		}
		msg, err := events.EncodeRecord(r, source, 7, at(5))
		if err != nil {
			t.Fatal(err)
		}
		if summary, err := events.DecodeSummary(msg); err != nil || !bytes.Equal(summary.Data, byTheLibrary(t, r)) {
			t.Fatalf("%v\nwritten %s\nwant    %s", err, summary.Data, byTheLibrary(t, r))
		}
	})
}

// TestNoFieldOfARecordIsForgotten: each alone is written as the library would, those too that records do not draw yet.
func TestNoFieldOfARecordIsForgotten(t *testing.T) {
	t.Parallel()
	for _, field := range reflect.VisibleFields(reflect.TypeFor[events.Record]()) {
		if field.Tag.Get("json") == "-" {
			continue
		}
		r := &events.Record{State: events.Failed}
		fill(t, reflect.ValueOf(r).Elem().FieldByIndex(field.Index))
		msg, err := events.EncodeRecord(r, source, 7, at(5))
		if err != nil {
			t.Fatalf("%s: %v", field.Name, err)
		}
		if summary, err := events.DecodeSummary(msg); err != nil || !bytes.Equal(summary.Data, byTheLibrary(t, r)) {
			t.Errorf("%s: %v\nwritten %s\nwant    %s", field.Name, err, summary.Data, byTheLibrary(t, r))
		}
	}
}

// fill sets a value to something that is not its zero.
func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	switch one := v.Addr().Interface().(type) {
	case *time.Time:
		*one = at(1)
		return
	case *json.RawMessage:
		*one = json.RawMessage(`{"a": 1}`)
		return
	}
	switch v.Kind() { //nolint:exhaustive // what records are made of
	case reflect.String:
		v.SetString("x")
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Uint64:
		v.SetUint(7)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	case reflect.Map:
		v.Set(reflect.ValueOf(map[events.Reason]events.Seen{events.Transient: {First: at(1), Tries: 1}}))
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i))
		}
	default:
		t.Fatalf("nothing is known to fill a %s with", v.Type())
	}
}

func TestARecordReadsBackAsItWasWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := records().Draw(t, "record")
		expected := rapid.Uint64().Draw(t, "expected")
		now := at(5).Add(time.Duration(rapid.Int64Range(0, 1e15).Draw(t, "now")))
		msg, err := events.EncodeRecord(want, source, expected, now)
		if err != nil {
			t.Fatalf("EncodeRecord: %v", err)
		}
		got, err := events.DecodeRecord(events.CustomerSubject(want.DomainID, want.State), expected+1, msg)
		if err != nil {
			t.Fatalf("DecodeRecord: %v\n%s", err, msg)
		}
		if want.State == events.Forgotten { // and of nothing else
			want = &events.Record{
				State: events.Forgotten, DomainID: want.DomainID, Round: want.Round, By: want.By, Why: want.Why, WasState: want.WasState,
				Event: want.Event.Hashed(), TraceParent: want.TraceParent,
			}
		} else if want.Seen == nil {
			want.Seen = map[events.Reason]events.Seen{} // always written
		}
		want.Sequence, want.ID, want.Time = expected+1, events.RecordID(want.DomainID, expected, want.State), now
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got  %+v\nwant %+v\nfrom %s", got, want, msg)
		}
		again, err := events.EncodeRecord(got, source, expected, now)
		if err != nil || !bytes.Equal(again, msg) {
			t.Fatalf("written again, error %v:\n%s\nwas\n%s", err, again, msg)
		}
	})
}

func TestRecordsOfANewerWorkerAreForeign(t *testing.T) {
	t.Parallel()
	const subject = "activation.customer.51200931.deferred"
	msg, err := events.EncodeRecord(sample(events.Deferred, deferredByLimit), source, 41, at(5))
	if err != nil {
		t.Fatalf("EncodeRecord: %v", err)
	}
	with := func(old, replacement string) string {
		t.Helper()
		if !strings.Contains(string(msg), old) {
			t.Fatalf("the sample has no %s:\n%s", old, msg)
		}
		return strings.ReplaceAll(string(msg), old, replacement)
	}
	if _, err := events.DecodeRecord(subject, 42, msg); err != nil {
		t.Fatalf("the sample itself cannot be read: %v", err)
	}
	for sentence, c := range map[string]struct{ subject, msg string }{
		"a higher major version":         {subject, with(`.deferred/v1"`, `.deferred/v2"`)},
		"a major version of two digits":  {subject, with(`.deferred/v1"`, `.deferred/v11"`)},
		"no data schema":                 {subject, with(`"dataschema":`, `"other":`)},
		"an unknown state":               {"activation.customer.51200931.paused", string(msg)},
		"a state in other letters":       {"activation.customer.51200931.Deferred", string(msg)},
		"an unknown reason":              {subject, with(`"reason":"transient"`, `"reason":"moon_phase"`)},
		"another domain than its name":   {"activation.customer.51200932.deferred", string(msg)},
		"a subject without a domain id":  {"activation.customer.x.deferred", string(msg)},
		"a subject with leading zeros":   {"activation.customer.051200931.deferred", string(msg)},
		"a subject with a token more":    {subject + ".x", string(msg)},
		"a subject with a token less":    {"activation.customer.51200931", string(msg)},
		"no data":                        {subject, with(`"data":{`, `"atad":{`)},
		"data that is a list":            {subject, `{"dataschema":"urn:activation-worker:x/v1","data":[]}`},
		"data that is null":              {subject, `{"dataschema":"urn:activation-worker:x/v1","data":null}`},
		"a field of another kind":        {subject, with(`"attempt":2`, `"attempt":"two"`)},
		"a time that is none":            {subject, with(`"nextAttemptAt":"2026`, `"nextAttemptAt":"x026`)},
		"no JSON":                        {subject, `nonsense`},
		"nothing":                        {subject, ``},
		"JSON cut off":                   {subject, string(msg[:len(msg)/2])},
		"a domain id that is a fraction": {subject, with(`"domainId":51200931`, `"domainId":51200931.5`)},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			r, err := events.DecodeRecord(c.subject, 42, []byte(c.msg))
			if !errors.Is(err, events.ErrForeignRecord) {
				t.Errorf("error is %v, record %+v; want ErrForeignRecord", err, r)
			}
		})
	}
}

func TestUnknownFieldsOfTheSameVersionAreNoReasonToStop(t *testing.T) {
	t.Parallel()
	msg, err := events.EncodeRecord(sample(events.Deferred, deferredByLimit), source, 41, at(5))
	if err != nil {
		t.Fatalf("EncodeRecord: %v", err)
	}
	more := bytes.Replace(msg, []byte(`"data":{`), []byte(`"extension":1,"data":{"later":{"a":[1]},`), 1)
	r, err := events.DecodeRecord("activation.customer.51200931.deferred", 42, more)
	if err != nil {
		t.Fatalf("DecodeRecord: %v", err)
	}
	if r.Reason != events.Transient || !r.NextAttemptAt.Equal(at(65)) || r.Waived != 120 {
		t.Errorf("read back as %+v", r)
	}
}

func TestNewerThanNeedsAnotherIDStoredLater(t *testing.T) {
	t.Parallel()
	old := events.EventRef{ID: "/signup A-1", StoredAt: at(0)}
	for sentence, c := range map[string]struct {
		event events.EventRef
		want  bool
	}{
		"another id, later":         {events.EventRef{ID: "/signup A-2", StoredAt: at(0).Add(1)}, true},
		"another id, the same time": {events.EventRef{ID: "/signup A-2", StoredAt: at(0)}, false},
		"another id, earlier":       {events.EventRef{ID: "/signup A-2", StoredAt: at(0).Add(-1)}, false},
		"the same id, later":        {events.EventRef{ID: "/signup A-1", StoredAt: at(60)}, false},
		"itself":                    {old, false},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			if got := c.event.NewerThan(old); got != c.want {
				t.Errorf("NewerThan is %v, want %v", got, c.want)
			}
			if got := c.event.NewerThan(old.Hashed()); got != c.want {
				t.Errorf("than what is left of a forgotten one: NewerThan is %v, want %v", got, c.want)
			}
		})
	}
}

// An id is hashed once, whatever it looks like, and nothing of it can be read afterwards.
func TestAForgottenEventsIDIsHashed(t *testing.T) {
	t.Parallel()
	long := "sha256:" + strings.Repeat("0123456789abcdef", 4) // the id of an event whose own would be too long
	for sentence, id := range map[string]string{
		"source and id":             "/signup A-1",
		"none":                      "",
		"a source that says sha256": "sha256:mori@mail.example A-1",
		"one with as many letters":  "sha256:" + strings.Repeat("mori@mail.ex ", 5)[:64],
		"one with capitals":         strings.ToUpper(long),
	} {
		e := events.EventRef{ID: id, Stream: "SIGNUP", StreamCreated: at(-60), Sequence: 7, StoredAt: at(0)}
		got := e.Hashed()
		if len(got.ID) != 71 || !strings.HasPrefix(got.ID, "sha256:") || got.ID == id || strings.Contains(got.ID, "mori") {
			t.Errorf("%s: %q becomes %q", sentence, id, got.ID)
		}
		if got.Stream != "" || !got.StreamCreated.IsZero() || got.Sequence != 0 || !got.StoredAt.Equal(at(0)) {
			t.Errorf("%s: there is left %+v", sentence, got)
		}
		if again := got.Hashed(); again != got {
			t.Errorf("%s: hashed twice it is %+v", sentence, again)
		}
	}
	if e := (events.EventRef{ID: long}); e.Hashed().ID != long {
		t.Errorf("what was a hash already becomes %q", e.Hashed().ID)
	}
}

func TestAForgottenRecordSaysNothingElse(t *testing.T) {
	t.Parallel()
	msg, err := events.EncodeRecord(sample(events.Forgotten, forgotten), source, 41, at(5))
	if err != nil {
		t.Fatalf("EncodeRecord: %v", err)
	}
	var e struct {
		Data map[string]json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(msg, &e); err != nil {
		t.Fatalf("unmarshal: %v", err)
	}
	var event map[string]json.RawMessage
	if err := json.Unmarshal(e.Data["event"], &event); err != nil {
		t.Fatalf("unmarshal the event: %v", err)
	}
	if got, want := slices.Sorted(maps.Keys(e.Data)), []string{"by", "domainId", "event", "round", "wasState", "why"}; !slices.Equal(got, want) {
		t.Errorf("its data has %q, want %q", got, want)
	}
	if got, want := slices.Sorted(maps.Keys(event)), []string{"id", "storedAt"}; !slices.Equal(got, want) {
		t.Errorf("its event has %q, want %q", got, want)
	}
	for _, secret := range []string{"hinode", "order", "A-1", "SIGNUP", "works-verify"} {
		if bytes.Contains(msg, []byte(secret)) {
			t.Errorf("it still says %s:\n%s", secret, msg)
		}
	}
}

// The wake-ups of a replay move in a lane of their own, those of everybody else do not.
func TestWhereARecordIsWoken(t *testing.T) {
	t.Parallel()
	for sentence, c := range map[string]struct {
		record *events.Record
		want   string
	}{
		"deferred":                       {sample(events.Deferred, deferredByLimit), "activation.due.51200931"},
		"an announcement of old":         {sample(events.Deferred, backlog), "activation.due.51200931"},
		"queued by a replay":             {sample(events.Deferred, replayed), "activation.redo.51200931"},
		"attempted by a replay since":    {sample(events.Deferred, replayed, func(r *events.Record) { r.Queued = false }), "activation.due.51200931"},
		"under the lease of that replay": {sample(events.Started, replayed), "activation.due.51200931"},
	} {
		if got := events.WakeUpSubject(c.record); got != c.want {
			t.Errorf("%s: it is %s, want %s", sentence, got, c.want)
		}
	}
}

func TestSubjectsNameTheDomain(t *testing.T) {
	t.Parallel()
	for subject, want := range map[string]int64{
		events.CustomerSubject(51200931, events.Activated): 51200931,
		events.TimerSubject(51200931):                      51200931,
		events.DueSubject(9223372036854775807):             9223372036854775807,
		events.RedoSubject(51200931):                       51200931,
		"activation.due.*":                                 0,
		"activation.due.05":                                0,
		"activation.due":                                   0,
		"signup.terms.5":                                   0,
		"":                                                 0,
	} {
		got, ok := events.DomainOfSubject(subject)
		if got != want || ok != (want != 0) {
			t.Errorf("DomainOfSubject(%q) is %d, %v; want %d", subject, got, ok, want)
		}
	}
}
