package broker_test

import (
	"errors"
	"slices"
	"testing"

	"activation-worker/internal/broker"
)

func TestSubjectPatterns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b            string
		covers, overlap bool
	}{
		{"a.b", "a.b", true, true},
		{"a.*", "a.b", true, true},
		{"a.b", "a.*", false, true},
		{"a.>", "a.*.*", true, true},
		{"a.>", "a", false, false},
		{">", "a.b", true, true},
		{"a.*", "a.>", false, true},
		{"a.*", "a.b.c", false, false},
		{"a.*.c", "a.b.*", false, true},
		{"a.b", "a.c", false, false},
		{"*.b", "a.>", false, true},
	} {
		if got := broker.Covers(c.a, c.b); got != c.covers {
			t.Errorf("%s covers %s: %v", c.a, c.b, got)
		}
		if got := broker.Overlap(c.a, c.b); got != c.overlap {
			t.Errorf("%s overlaps %s: %v", c.a, c.b, got)
		}
	}
}

func TestWidenedSubjectsDoNotOverlap(t *testing.T) {
	t.Parallel()
	got := broker.Widened([]string{"a.*.x", "b.>", "mine"}, []string{"a.*.*", "b.*", "c.*"})
	if want := []string{"b.>", "mine", "a.*.*", "c.*"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestServerVersions(t *testing.T) {
	t.Parallel()
	for version, good := range map[string]bool{
		"2.11.9": false, "2.9.0": false, "1.4.1": false, "2.12.0-preview.1": true, "2.15.2": true, "3.0.0": true, "dev": true, "": true,
	} {
		err := broker.CheckVersion(version)
		if _, old := errors.AsType[*broker.VersionError](err); old == good {
			t.Errorf("%q: %v", version, err)
		}
		if !good {
			wantError(t, err, version, "2.12")
		}
	}
}

func TestReconnectWaits(t *testing.T) {
	t.Parallel()
	for attempt := range 100 {
		wait := broker.ReconnectWait(attempt)
		if wait <= 0 || wait > broker.ReconnectLongest {
			t.Fatalf("wait %d is %s", attempt, wait)
		}
	}
}
