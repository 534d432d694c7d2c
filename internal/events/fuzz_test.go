package events_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"activation-worker/internal/events"
)

// FuzzDecode looks for an intake message that is neither accepted, recordable and
// sound, nor rejected by a typed error.
func FuzzDecode(f *testing.F) {
	f.Fuzz(func(t *testing.T, contentType, specVersion, attribute, pointer, data string) {
		m := intake(data, header("Content-Type", contentType))
		if specVersion != "" {
			for name, value := range map[string]string{
				"ce-specversion": specVersion, "ce-id": attribute, "ce-source": "/signup", "ce-type": "t", "ce-time": attribute, "ce-traceparent": attribute,
			} {
				header(name, value)(&m)
			}
		}
		a, err := decode(t, events.Decoder{Pointer: pointer}, m)
		if err != nil {
			u, ok := errors.AsType[*events.Undecodable](err)
			if !ok || u.Reason == "" || u.Detail == "" {
				t.Fatalf("error is %v, want an Undecodable with reason and detail", err)
			}
			if id, ok := soundData(m.Data); ok && contentType == "" && specVersion == "" && (pointer == "" || pointer == "/domainId") {
				t.Fatalf("plain JSON about %d is refused: %v", id, err)
			}
			if len(u.Detail) > 250+len(pointer) {
				t.Errorf("the detail is %q", u.Detail)
			}
			checkRejection(t, m, u)
			return
		}
		checkSound(t, a, m, pointer)
		if a.DomainID < 1 || a.Event.ID == "" || len(a.Event.ID) > 512 || len(a.Reference) > events.MaxReference || !utf8.ValidString(a.Reference) {
			t.Fatalf("accepted %+v", a)
		}
		r := &events.Record{
			State: events.Started, DomainID: a.DomainID, Domain: a.Domain, Reference: a.Reference,
			TraceParent: a.TraceParent, TraceState: a.TraceState, Event: a.Event, AcceptedAt: a.AcceptedAt,
		}
		msg, err := events.EncodeRecord(r, source, 0, at(5))
		if err != nil {
			t.Fatalf("accepted, but cannot be recorded: %v", err)
		}
		if _, err := events.DecodeRecord(events.CustomerSubject(a.DomainID, events.Started), 1, msg); err != nil {
			t.Fatalf("recorded, but cannot be read: %v", err)
		}
	})
}

// FuzzDecodeRecord looks for a ledger message that is neither left alone nor read so
// that writing it again keeps everything.
func FuzzDecodeRecord(f *testing.F) {
	f.Fuzz(func(t *testing.T, subject, msg string) {
		r, err := events.DecodeRecord(subject, 42, []byte(msg))
		if err != nil {
			if !errors.Is(err, events.ErrForeignRecord) {
				t.Fatalf("error is %v, want ErrForeignRecord", err)
			}
			return
		}
		first, err := events.EncodeRecord(r, source, 41, at(5))
		if err != nil {
			t.Fatalf("read, but cannot be written: %v", err)
		}
		checkUntouched(t, r, subject, msg, first)
		again, err := events.DecodeRecord(events.CustomerSubject(r.DomainID, r.State), 42, first)
		if err != nil {
			t.Fatalf("written, but cannot be read: %v", err)
		}
		second, err := events.EncodeRecord(again, source, 41, at(5))
		if err != nil || !bytes.Equal(first, second) {
			t.Fatalf("written twice, error %v:\n%s\n%s", err, first, second)
		}
	})
}

var requestSubject = regexp.MustCompile(`^activation\.request\.(replay|cancel|forget)(\.[A-Za-z0-9_-]{1,64}){2}$`)

// FuzzRequest looks for a request that is neither refused in words nor fit to be carried
// out and to be written again as it is.
func FuzzRequest(f *testing.F) {
	f.Fuzz(func(t *testing.T, subject, msg string) {
		r, err := events.DecodeRequest(subject, []byte(msg))
		if err != nil {
			if text := err.Error(); text == "" || !utf8.ValidString(text) || len(text) > 300+4*len(subject) {
				t.Fatalf("the refusal is %q", text)
			}
			return
		}
		if interval, err := r.Interval(); err != nil || interval <= 0 || strings.TrimSpace(r.Why) == "" || len(r.IDs) > events.MaxRequestIDs || len(r.IDs) == 0 && r.Selection.Empty() {
			t.Fatalf("taken: %+v, interval %v, error %v", r, interval, err)
		}
		if !requestSubject.MatchString(subject) {
			t.Fatalf("taken from %q", subject)
		}
		first, err := events.EncodeRequest(r, at(5))
		if err != nil {
			t.Fatalf("read, but cannot be written: %v", err)
		}
		again, err := events.DecodeRequest(events.RequestSubject(r.Verb, r.User, r.ID), first)
		if err != nil {
			t.Fatalf("written, but refused: %v\n%s", err, first)
		}
		second, err := events.EncodeRequest(again, at(5))
		if err != nil || !bytes.Equal(first, second) {
			t.Fatalf("written twice, error %v:\n%s\n%s", err, first, second)
		}
	})
}

func TestTheSeedFoldersAreNotEmpty(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"FuzzDecode", "FuzzDecodeRecord", "FuzzRequest", "FuzzShown"} {
		seeds, err := filepath.Glob(filepath.Join("testdata", "fuzz", target, "*"))
		if err != nil || len(seeds) == 0 {
			t.Errorf("no seeds for %s, error %v", target, err)
		}
		for _, seed := range seeds {
			if b, err := os.ReadFile(seed); err != nil || !bytes.HasPrefix(b, []byte("go test fuzz v1\n")) {
				t.Errorf("%s is no seed, error %v", seed, err)
			}
		}
	}
}
