package events_test

import (
	"testing"
	"time"

	"activation-worker/internal/events"
)

func TestMarks(t *testing.T) {
	t.Parallel()
	then := time.Date(2026, 11, 1, 9, 0, 0, 123456789, time.UTC)
	later := then.Add(time.Hour)
	accepted := map[string]string{events.MetadataAccepted: later.Format(time.RFC3339Nano)}
	first := events.MarkOf("ACTIVATION", then, nil)
	for name, c := range map[string]struct {
		was, is events.Mark
		want    bool
	}{
		"nothing was known":         {events.Mark{}, first, true},
		"nothing was, nothing is":   {events.Mark{}, events.Mark{}, true},
		"the same":                  {first, events.MarkOf("ACTIVATION", then, nil), true},
		"the same, accepted since":  {first, events.MarkOf("ACTIVATION", then, accepted), true},
		"gone":                      {first, events.Mark{}, false},
		"made anew":                 {first, events.MarkOf("ACTIVATION", later, nil), false},
		"made anew and accepted":    {first, events.MarkOf("ACTIVATION", later, accepted), true},
		"another name":              {first, events.MarkOf("OTHER", then, nil), false},
		"made anew, nonsense":       {first, events.MarkOf("ACTIVATION", later, map[string]string{events.MetadataAccepted: "yes"}), false},
		"accepted, then made again": {events.MarkOf("ACTIVATION", then, accepted), events.MarkOf("ACTIVATION", later, accepted), false},
	} {
		if got := c.was.ContinuedBy(c.is); got != c.want {
			t.Errorf("%s: %t, want %t", name, got, c.want)
		}
	}
	for _, m := range []events.Mark{{}, first, events.MarkOf("ACTIVATION", then, accepted)} {
		if got := events.ParseMark(m.String()); got != m {
			t.Errorf("%q is read as %+v, want %+v", m, got, m)
		}
	}
	for _, text := range []string{"ACTIVATION", "ACTIVATION yesterday", "ACTIVATION 2026-11-01T09:00:00Z soon", "a b c d"} {
		if m := events.ParseMark(text); !m.IsZero() {
			t.Errorf("%q is read as %+v", text, m)
		}
	}
}
