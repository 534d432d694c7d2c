package operator_test

import (
	"strings"
	"testing"
	"time"

	"activation-worker/internal/operator"
)

// Announcements in hand say nothing of who holds them: a worker that was killed has left them there. That one is alive,
// is seen by what it waits for.
func TestWhoHoldsAnnouncements(t *testing.T) {
	t.Parallel()
	d := open(t)
	for range 3 {
		if _, err := d.js.Publish(t.Context(), "signup.terms.accepted", nil); err != nil {
			t.Fatal(err)
		}
	}
	cons, err := d.js.Consumer(t.Context(), "SIGNUP", "activator")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cons.Next(); err != nil {
		t.Fatal(err)
	}
	says := func() string {
		in, err := operator.ReadIntake(t.Context(), d.js, d.ledger, "SIGNUP", d.layout.Streams)
		if err != nil {
			t.Fatal(err)
		}
		is, do := in.Sentence(func(at time.Time) string { return at.String() })
		return is + " " + do
	}
	if got := says(); got != "No worker is taking work; 2 announcements wait unread, and 1 that one held come again. Start one with worker run." {
		t.Error(got)
	}
	d.staff()
	eventually(t, "somebody is seen to hold it", func() bool { return strings.HasPrefix(says(), "Workers hold") })
	if _, err := cons.Next(); err != nil {
		t.Fatal(err)
	}
	if got := says(); got != "Workers hold as many announcements as they can, 2; 1 announcement waits unread. " {
		t.Error(got)
	}
}

func TestAWorkerThatTakesNothing(t *testing.T) {
	t.Parallel()
	is, do := operator.Intake{Read: true, Alive: true, Unread: 5}.Sentence(func(at time.Time) string { return at.String() })
	if is != "A worker is running, but takes no announcements; 5 announcements wait unread." || do != "Its /readyz says why." {
		t.Error(is, do)
	}
}
