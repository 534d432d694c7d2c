package ledger

import (
	"context"
	"fmt"

	"activation-worker/internal/events"
)

// RequestStands reports whether an operator's request is still in its stream: neither carried out nor withdrawn.
func (l *Ledger) RequestStands(ctx context.Context, subject string) (bool, error) {
	m, err := l.last(ctx, l.streams.Work, subject)
	return m != nil, err
}

// WithdrawReplay removes the request of a replay, so that whoever carries it out stops, and nobody takes it up again.
// withdrawn tells whether there was one.
func (l *Ledger) WithdrawReplay(ctx context.Context, replayID string) (withdrawn bool, err error) {
	for subject := events.RequestSubject(events.VerbReplay, "*", replayID); ; withdrawn = true { // the id may be another's too
		if found, err := l.takeOut(ctx, subject); err != nil || !found {
			return withdrawn, err
		}
	}
}

// maxRequests bounds how many pending requests are looked through.
const maxRequests = 1000

// Requests are the operators' requests that nobody has carried out yet, oldest first.
func (l *Ledger) Requests(ctx context.Context) ([]Entry, error) {
	var all []Entry
	for next := uint64(1); len(all) < maxRequests; {
		// A work queue takes no second reader, so they are read one by one.
		m, err := l.get(ctx, l.streams.Work, map[string]any{"seq": next, "next_by_subj": events.SubjectRequests})
		if err != nil {
			return all, fmt.Errorf("read the requests of stream %s: %w", l.streams.Work, err)
		}
		if m == nil {
			break
		}
		all = append(all, *m.entry())
		next = m.Sequence + 1
	}
	return all, nil
}

// EraseRequest removes a pending request.
func (l *Ledger) EraseRequest(ctx context.Context, sequence uint64) error {
	return l.delete(ctx, l.streams.Work, sequence)
}
