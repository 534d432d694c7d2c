package events_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"activation-worker/internal/events"
)

// What may be accepted is told here a second time, by other means than the product's: [encoding/json] on whole values, a pattern and a
// big number.

var plainDigits = regexp.MustCompile(`^[1-9][0-9]*$`)

// members are the top-level members of the one JSON object that data is, each name as often as it is there.
func members(data []byte) (map[string][]json.RawMessage, bool) {
	if !utf8.Valid(data) || !json.Valid(data) || !bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{")) {
		return nil, false
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	if _, err := dec.Token(); err != nil {
		return nil, false
	}
	all := map[string][]json.RawMessage{}
	for dec.More() {
		name, err := dec.Token()
		var value json.RawMessage
		if err != nil || dec.Decode(&value) != nil {
			return nil, false
		}
		text, _ := name.(string)
		all[text] = append(all[text], value)
	}
	return all, true
}

// soundData tells whether the contract lets data be accepted, and for whom: one object with one domain id in plain digits.
func soundData(data []byte) (id int64, ok bool) {
	all, ok := members(data)
	if !ok || len(all["domainId"]) != 1 {
		return 0, false
	}
	value := all["domainId"][0]
	digits := string(value)
	if value[0] == '"' && json.Unmarshal(value, &digits) != nil || !plainDigits.MatchString(digits) {
		return 0, false
	}
	n, _ := new(big.Int).SetString(digits, 10)
	return n.Int64(), n.IsInt64()
}

// checkSound: what is accepted is what the contract calls decodable.
func checkSound(t *testing.T, a events.Accepted, m events.Message, pointer string) {
	t.Helper()
	data := m.Data
	if isStructured(m) {
		event, ok := members(data)
		if !ok {
			t.Fatalf("accepted as an event: %q", data)
		}
		attributes := map[string]string{}
		for name, values := range event {
			if len(values) != 1 {
				t.Fatalf("%s is there %d times: %q", name, len(values), data)
			}
			var s string
			if json.Unmarshal(values[0], &s) == nil {
				attributes[name] = s
			}
		}
		if attributes["specversion"] != "1.0" || attributes["id"] == "" || attributes["source"] == "" || attributes["type"] == "" {
			t.Fatalf("accepted as an event: %q", data)
		}
		switch text, isText := attributes["data"]; {
		case event["data_base64"] != nil:
			decoded, err := base64.StdEncoding.DecodeString(attributes["data_base64"])
			if err != nil || event["data"] != nil {
				t.Fatalf("accepted as an event: %q", data)
			}
			data = decoded
		case isText:
			data = []byte(text)
		case event["data"] != nil:
			data = event["data"][0]
		}
	}
	if versions := m.Header["ce-specversion"]; len(versions) > 0 && !isStructured(m) && versions[0] != "1.0" && !strings.Contains(versions[0], "%") {
		t.Fatalf("accepted in version %q", versions[0])
	}
	if pointer != "" && pointer != "/domainId" {
		if _, ok := members(data); !ok {
			t.Fatalf("accepted: %q", data)
		}
		return
	}
	if id, ok := soundData(data); !ok || id != a.DomainID {
		t.Fatalf("accepted for %d: %q", a.DomainID, data)
	}
}

func isStructured(m events.Message) bool {
	kind, _, _ := strings.Cut(m.Header["Content-Type"][0], ";")
	return strings.EqualFold(strings.TrimSpace(kind), events.ContentType)
}

// checkRejection: a rejection fits into a message with its original, which can be read back.
func checkRejection(t *testing.T, m events.Message, why *events.Undecodable) {
	t.Helper()
	const maxPayload = 8 << 10
	_, msg, err := events.EncodeRejection(m, why, source, maxPayload, at(5))
	if err != nil || len(msg) > maxPayload+6*len(why.Detail) {
		t.Fatalf("the rejection has %d bytes, error %v", len(msg), err)
	}
	r, err := events.DecodeRejection(msg)
	kept, undone := base64.StdEncoding.DecodeString(r.Original.DataBase64)
	if err != nil || undone != nil || r.Reason != why.Reason || r.Original.Size != len(m.Data) || !bytes.Equal(kept, m.Data[:min(len(m.Data), maxPayload/2)]) {
		t.Fatalf("read back as %+v, errors %v and %v", r, err, undone)
	}
	for name := range r.Original.Headers {
		if utf8.ValidString(name) && m.Header[name] == nil {
			t.Fatalf("a header %q is made up", name)
		}
	}
}

// storedRecord is what matters here of a record as it is stored.
type storedRecord struct {
	DataSchema string
	Data       struct{ Customer json.RawMessage }
}

// checkUntouched: a record is of this version, about the customer of its subject, and holds the partner's object byte for byte; written
// anew, it does so but for blanks.
func checkUntouched(t *testing.T, r *events.Record, subject, msg string, anew []byte) {
	t.Helper()
	var stored, written storedRecord
	if err := json.Unmarshal([]byte(msg), &stored); err != nil || !strings.HasSuffix(stored.DataSchema, "/v1") {
		t.Fatalf("taken: %s, error %v", msg, err)
	}
	if !bytes.Equal(r.Customer, stored.Data.Customer) {
		t.Fatalf("the partner's object %s became %s", stored.Data.Customer, r.Customer)
	}
	var compact bytes.Buffer
	if err := json.Unmarshal(anew, &written); err != nil {
		t.Fatal(err)
	}
	if r.Customer != nil && r.State != events.Forgotten {
		if err := json.Compact(&compact, r.Customer); err != nil || !bytes.Equal(compact.Bytes(), written.Data.Customer) {
			t.Fatalf("the partner's object %s is written as %s, error %v", r.Customer, written.Data.Customer, err)
		}
	}
	if tokens := strings.Split(subject, "."); tokens[2] != strconv.FormatInt(r.DomainID, 10) || tokens[3] != string(r.State) {
		t.Fatalf("%s is read as %s of %d", subject, r.State, r.DomainID)
	}
}

// FuzzShown: what is shown of any event lacks the partner's object, which holds personal data, and nothing else; and no reader of our
// own events fails on what it cannot understand.
func FuzzShown(f *testing.F) {
	f.Fuzz(func(t *testing.T, event []byte) {
		if _, err := events.DecodeSummary(event); err == nil {
			_, errReplay := events.DecodeReplay(event)
			_, errIntake := events.DecodeIntake(event)
			_, errRejection := events.DecodeRejection(event)
			for _, err := range []error{errReplay, errIntake, errRejection} {
				if err != nil && !utf8.ValidString(err.Error()) {
					t.Errorf("the error reads %q", err)
				}
			}
		}
		shown, err := events.WithoutCustomer(event)
		if err != nil {
			if _, ok := members(event); ok {
				t.Fatalf("an object that is not shown: %v", err)
			}
			return
		}
		if bytes.ContainsAny(shown, "\n\r") || !json.Valid(shown) {
			t.Fatalf("shown is %q", shown)
		}
		before, after := inOrder(t, event), inOrder(t, shown)
		if len(before) != len(after) {
			t.Fatalf("%s became %s", event, shown)
		}
		for i, was := range before {
			is := after[i]
			if was.name == "data" && strings.HasPrefix(was.value, "{") && is.name == "data" {
				want := slices.DeleteFunc(inOrder(t, []byte(was.value)), func(m member) bool { return m.name == "customer" })
				if !slices.Equal(want, inOrder(t, []byte(is.value))) {
					t.Fatalf("the data %s became %s", was.value, is.value)
				}
			} else if was != is {
				t.Fatalf("%s became %s", was, is)
			}
		}
	})
}

type member struct{ name, value string }

// inOrder are the members of an object with their values as written, without blanks.
func inOrder(t *testing.T, object []byte) (all []member) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(object))
	if _, err := dec.Token(); err != nil {
		t.Fatal(err)
	}
	for dec.More() {
		name, err := dec.Token()
		var value json.RawMessage
		if err != nil || dec.Decode(&value) != nil {
			t.Fatalf("%s: %v", object, err)
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, value); err != nil {
			t.Fatal(err)
		}
		text, _ := name.(string)
		all = append(all, member{text, compact.String()})
	}
	return all
}
