package events_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"activation-worker/internal/events"
)

// readRejection encodes the rejection of m and reads it back.
func readRejection(t interface {
	Helper()
	Fatalf(string, ...any)
}, m events.Message, maxPayload int,
) (msg []byte, r events.Rejection) {
	t.Helper()
	why := &events.Undecodable{Reason: "domain_id_missing", Detail: "there is no domain id at /domainId"}
	_, msg, err := events.EncodeRejection(m, why, source, maxPayload, at(5))
	if err != nil {
		t.Fatalf("EncodeRejection: %v", err)
	}
	summary, err := events.DecodeSummary(msg)
	if err != nil {
		t.Fatalf("DecodeSummary: %v", err)
	}
	if err := json.Unmarshal(summary.Data, &r); err != nil {
		t.Fatalf("the rejection's data: %v", err)
	}
	return msg, r
}

func TestARejectionHoldsItsOriginal(t *testing.T) {
	t.Parallel()
	m := intake("{\"domainId\":\"\xff\"}", header("X-Text", "<a> & \u2028"), header("X-Text", "twice"), header("Nats-Msg-Id", "A-1"))
	_, got := readRejection(t, m, 1<<20)
	sum := sha256.Sum256(m.Data)
	want := events.Rejection{
		Reason: "domain_id_missing", Detail: "there is no domain id at /domainId",
		Original: events.Original{
			Stream: "SIGNUP", Sequence: 7, Subject: "signup.terms.accepted",
			Headers: map[string][]string{"X-Text": {"<a> & \u2028", "twice"}, "Nats-Msg-Id": {"A-1"}},
			Size:    len(m.Data), SHA256: hex.EncodeToString(sum[:]), DataBase64: base64.StdEncoding.EncodeToString(m.Data),
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestARejectionsIDIsThatOfItsMessage(t *testing.T) {
	t.Parallel()
	id := func(mods ...func(*events.Message)) string {
		t.Helper()
		id, _, err := events.EncodeRejection(intake(`x`, mods...), &events.Undecodable{Reason: "r", Detail: "d"}, source, 1<<20, at(5))
		if err != nil {
			t.Fatalf("EncodeRejection: %v", err)
		}
		return id
	}
	first := id()
	if again := id(); again != first {
		t.Errorf("one message has the ids %s and %s", first, again)
	}
	for sentence, mod := range map[string]func(*events.Message){
		"another sequence":     func(m *events.Message) { m.Sequence++ },
		"another stream":       func(m *events.Message) { m.Stream = "OTHER" },
		"the stream made anew": func(m *events.Message) { m.StreamCreated = at(-1) },
	} {
		if other := id(mod); other == first {
			t.Errorf("%s: the id is %s as well", sentence, other)
		}
	}
}

// What the server refuses for its size would make a bad message come back for ever.
func TestTheLargestRejectionFitsIntoAMessage(t *testing.T) {
	t.Parallel()
	const maxPayload = 1 << 20
	values := map[string]string{
		"plain":           strings.Repeat("x", 900),
		"escaped":         strings.Repeat("\"\\\n", 300),
		"line separators": strings.Repeat("\u2028", 300),
		"controls":        strings.Repeat("\x01", 900),
		"invalid UTF-8":   strings.Repeat("\xff", 900),
		"HTML":            strings.Repeat("<&>", 300),
	}
	for sentence, value := range values {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			m := intake(strings.Repeat("\xff", maxPayload))
			for i := range 145 { // 128 KiB in names and values
				header(fmt.Sprintf("X-%03d", i), value)(&m)
			}
			msg, r := readRejection(t, m, maxPayload)
			const room = 4 << 10 // the headers that the event itself is published with
			if len(msg) > maxPayload-room {
				t.Errorf("the event has %d bytes, the server takes %d with headers", len(msg), maxPayload)
			}
			kept, err := base64.StdEncoding.DecodeString(r.Original.DataBase64)
			if err != nil || len(kept) != 512<<10 || !bytes.HasPrefix(m.Data, kept) {
				t.Errorf("%d bytes of data kept, error %v; want the first %d", len(kept), err, 512<<10)
			}
			if r.Original.Size != maxPayload {
				t.Errorf("the size is %d, want %d", r.Original.Size, maxPayload)
			}
		})
	}
}

func TestARejectionKeepsWholeHeadersWithinAnEighthAndDataWithinAHalf(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		maxPayload := rapid.SampledFrom([]int{16 << 10, 64 << 10, 1 << 20, 8 << 20}).Draw(t, "max payload")
		m := intake(strings.Repeat("\x00", rapid.IntRange(0, maxPayload).Draw(t, "data")))
		m.Header = map[string][]string{}
		name := rapid.StringMatching(`[A-Za-z-]{1,20}`)
		value := rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 200), func(b []byte) string {
			return strings.Repeat(string(b), 1+len(b)%30)
		})
		for range rapid.IntRange(0, 30).Draw(t, "headers") {
			n := name.Draw(t, "name")
			m.Header[n] = append(m.Header[n], value.Draw(t, "value"))
		}
		msg, r := readRejection(t, m, maxPayload)
		if len(msg) > maxPayload-1<<10 {
			t.Errorf("the event has %d bytes, max_payload is %d", len(msg), maxPayload)
		}
		for name, values := range r.Original.Headers {
			if want := validUTF8(t, m.Header[name]); !slices.Equal(values, want) {
				t.Errorf("header %s is %q, want %q", name, values, want)
			}
		}
		if _, encoded, _ := bytes.Cut(msg, []byte(`"headers":`)); len(r.Original.Headers) > 0 {
			if n := bytes.Index(encoded, []byte(`,"size":`)); n > maxPayload/8 {
				t.Errorf("headers take %d bytes, an eighth is %d", n, maxPayload/8)
			}
		}
		if data, _ := base64.StdEncoding.DecodeString(r.Original.DataBase64); len(data) != min(len(m.Data), 512<<10, maxPayload/2) {
			t.Errorf("%d bytes of data kept of %d, max_payload %d", len(data), len(m.Data), maxPayload)
		}
	})
}

// validUTF8 is what JSON makes of strings.
func validUTF8(t *rapid.T, in []string) (out []string) {
	b, err := json.Marshal(in)
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	if err != nil {
		t.Fatalf("marshal headers: %v", err)
	}
	return out
}

func TestAnIntakeEventKnowsItsSubjectAndID(t *testing.T) {
	t.Parallel()
	for _, paused := range []bool{true, false} {
		subject, id, _, err := events.EncodeIntake(events.Intake{Worker: "w", Since: at(3)}, paused, source, at(5))
		if err != nil {
			t.Fatalf("EncodeIntake: %v", err)
		}
		word := map[bool]string{true: "paused", false: "resumed"}[paused]
		if subject != "activation.intake."+word || !strings.HasSuffix(id, "-"+word) || !strings.HasPrefix(id, "intake-w-") {
			t.Errorf("%s: subject %s, id %s", word, subject, id)
		}
	}
}
