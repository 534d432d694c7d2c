package ledger

import (
	"errors"
	"testing"
	"time"

	"activation-worker/internal/events"
)

// A write that began on the ledger before is lost, and the one that an operator has accepted since is used all the same.
func TestAWriteThatBeganOnAnotherLedgerBreaksNoChain(t *testing.T) {
	t.Parallel()
	mark := events.Mark{Stream: "ACTIVATION", Created: time.Unix(1, 0)}
	l := &Ledger{mark: func() events.Mark { return mark }}
	first, _ := l.chainNow()
	if err := l.continues(first, 5000, "a"); err != nil {
		t.Fatal(err)
	}
	began, _ := l.chainNow()
	mark = events.Mark{Stream: "ACTIVATION", Created: time.Unix(2, 0), Accepted: time.Unix(3, 0)}
	now, _ := l.chainNow()
	if err := l.continues(began, 1, "b"); !errors.Is(err, ErrLost) {
		t.Errorf("the write that began before: %v", err)
	}
	if err := l.continues(now, 2, "c"); err != nil {
		t.Errorf("a write to the accepted ledger: %v", err)
	}
	if _, broken := l.chainNow(); broken {
		t.Error("the accepted ledger is broken for good")
	}
}
