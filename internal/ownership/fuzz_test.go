package ownership_test

import (
	"encoding/binary"
	"os"
	"testing"
	"unicode"
	"unicode/utf8"

	"activation-worker/internal/ownership"
)

// FuzzAnswer: whatever a server sends, a look survives it, calls nothing visible that is not there, shows only what is fit to be shown,
// and not too much of it.
func FuzzAnswer(f *testing.F) {
	seeds, err := os.ReadDir("testdata/fuzz/FuzzAnswer")
	if err != nil || len(seeds) == 0 {
		f.Fatalf("testdata/fuzz/FuzzAnswer holds no seeds: %v", err)
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		var id uint16
		if len(packet) >= 2 {
			id = binary.BigEndian.Uint16(packet)
		}
		s := ownership.ReadAnswer(wanted(), id, packet)
		if len(s.Seen) > 6 {
			t.Errorf("saw %d records", len(s.Seen))
		}
		if s.Visible && (len(s.Seen) == 0 || !stands(packet, wanted())) {
			t.Errorf("visible, seen are %+v", s.Seen)
		}
		for _, r := range s.Seen {
			if len(r.Value) > 255 || !utf8.ValidString(r.Value) {
				t.Errorf("value %q", r.Value)
			}
			for _, c := range r.Value {
				if !unicode.IsPrint(c) && c != utf8.RuneError {
					t.Errorf("value %q holds %q", r.Value, c)
				}
			}
		}
	})
}
