package events_test

import (
	"errors"
	"testing"
	"time"

	"activation-worker/internal/events"
)

// TestBriefSaysWhatTheRecordSays, for each state with each reason that it can have, as it is written.
func TestBriefSaysWhatTheRecordSays(t *testing.T) {
	t.Parallel()
	for _, state := range events.States() {
		reasons := []events.Reason{""}
		if state == events.Deferred || state == events.Failed {
			reasons = events.Reasons()
		}
		for _, reason := range reasons {
			r := sample(state, func(r *events.Record) { r.Reason = reason })
			data, err := events.EncodeRecord(r, source, 7, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			subject, header := events.CustomerSubject(r.DomainID, r.State), map[string][]string{}
			events.SetBrief(header, r)
			whole, err := events.DecodeRecord(subject, 8, data)
			if err != nil {
				t.Fatal(err)
			}
			want := events.Brief{DomainID: whole.DomainID, State: whole.State, Reason: whole.Reason}
			if state == events.Activated {
				want.AcceptedAt = whole.AcceptedAt
			}
			if b, ok := events.BriefOf(subject, header); !ok || b != want {
				t.Errorf("in brief %s, %q is %+v", state, reason, b)
			}
			if b, _ := events.BriefOf(subject, nil); b.Untold != (reason != "") || b.Foreign {
				t.Errorf("without headers %s, %q is %+v", state, reason, b)
			}
		}
	}
}

// TestBriefKnowsWhatToLeaveAlone, as reading the whole record does.
func TestBriefKnowsWhatToLeaveAlone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		state, header, value string
		foreign              bool
	}{
		"a state of a newer worker":    {"suspended", "", "", true},
		"a reason of a newer worker":   {"deferred", events.HeaderReason, "bored", true},
		"a reason that no state has":   {"started", events.HeaderReason, "bored", false},
		"its version, written out":     {"started", events.HeaderVersion, "1", false},
		"a higher major version":       {"activated", events.HeaderVersion, "2", true},
		"a version that is no number":  {"activated", events.HeaderVersion, "v1", true},
		"a version that nobody writes": {"activated", events.HeaderVersion, "0", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			subject := "activation.customer.7." + c.state
			b, ok := events.BriefOf(subject, map[string][]string{c.header: {c.value}})
			if !ok || b.Foreign != c.foreign || b.DomainID != 7 || string(b.State) != c.state {
				t.Errorf("it is %+v, %t", b, ok)
			}
		})
	}
	for _, subject := range []string{
		"", "activation.customer", "activation.customer.7", "activation.customer.seven.started", "activation.customer.07.started", "activation.customer.7.started.now",
		"activation.timer.7", "activation.intake.paused", "x.activation.customer.7.started",
	} {
		if b, ok := events.BriefOf(subject, nil); ok {
			t.Errorf("%q is a customer's: %+v", subject, b)
		}
		if _, err := events.DecodeRecord(subject, 1, []byte("{}")); !errors.Is(err, events.ErrForeignRecord) {
			t.Errorf("%q: %v", subject, err)
		}
	}
	header := map[string][]string{}
	events.SetBrief(header, sample(events.Started))
	if len(header) != 0 {
		t.Errorf("a started record has headers %v, want none", header)
	}
}

// TestBriefSaysWhenTheCustomerAccepted of who was activated by a call of ours.
func TestBriefSaysWhenTheCustomerAccepted(t *testing.T) {
	t.Parallel()
	precise := at(0).Add(123456789)
	for name, c := range map[string]struct {
		r    *events.Record
		want time.Time
	}{
		"to the nanosecond, in UTC": {sample(events.Activated, func(r *events.Record) { r.AcceptedAt = precise.In(time.FixedZone("", 9*3600)) }), precise},
		"active before any call":    {sample(events.Activated, func(r *events.Record) { r.Calls = 0 }), time.Time{}},
		"never told":                {sample(events.Activated, func(r *events.Record) { r.AcceptedAt = time.Time{} }), time.Time{}},
		"not active":                {sample(events.Started), time.Time{}},
	} {
		header := map[string][]string{}
		events.SetBrief(header, c.r)
		if value := header[events.HeaderAcceptedAt]; (len(value) > 0) == c.want.IsZero() {
			t.Errorf("%s: the header is %q", name, value)
		}
		if b, ok := events.BriefOf(events.CustomerSubject(c.r.DomainID, c.r.State), header); !ok || b.AcceptedAt != c.want {
			t.Errorf("%s: accepted at %s, want %s", name, b.AcceptedAt, c.want)
		}
	}
	for _, value := range []string{"yesterday", "", "1772442000"} {
		b, ok := events.BriefOf("activation.customer.7.activated", map[string][]string{events.HeaderAcceptedAt: {value}})
		if !ok || b.Foreign || !b.AcceptedAt.IsZero() {
			t.Errorf("with %q it is %+v, %t", value, b, ok)
		}
	}
}
