package audit

import (
	"context"
	"fmt"
	"strings"

	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
)

// checkPublished compares the stream that sources the activated events, if the ledger names one, with who is activated.
func (a *auditor) checkPublished(ctx context.Context) error {
	if a.publish == "" {
		return nil
	}
	stream, err := a.js.Stream(ctx, a.publish)
	if missing(err) {
		a.add(Breach{RulePublished, 0, 0, "stream " + a.publish + " is missing, and the ledger names it"})
		return nil
	}
	if err != nil {
		return fmt.Errorf("read stream %s: %w", a.publish, err)
	}
	var failed error
	settled := a.Now().Add(-a.Overdue).UnixNano() // what is younger may still be on its way
	err = a.ledger.Scan(ctx, a.publish, []string{events.PublishedSubject("*")}, 0, func(e ledger.Entry) bool {
		id, ok := events.ParseDomainID(strings.TrimPrefix(e.Subject, events.PublishedSubject("")))
		if !ok {
			a.add(Breach{RulePublished, 0, 0, fmt.Sprintf("message %d of stream %s is nobody's: %.100q", e.Sequence, a.publish, e.Subject)})
			return true
		}
		f := a.shards.find(id)
		if f == nil || f.now != activated {
			if f, _, _, failed = a.again(ctx, id); failed != nil {
				return false
			}
		}
		switch {
		case f != nil && f.now == activated:
			f.set(published, true)
		case e.StoredAt.Before(a.accepted) && (f == nil || f.forgotten == 0):
			a.former.published++
		case f == nil:
			a.add(Breach{RulePublished, id, 0, "published as activated, and there is no record of the customer"})
		case f.has(foreign), f.stored > settled:
		case f.forgotten > 0:
			a.add(Breach{RulePublished, id, f.forgotten, "forgotten, and still published as activated"})
		default:
			a.add(Breach{RulePublished, id, f.sequence, fmt.Sprintf("published as activated, and %s", f.now)})
		}
		return true
	})
	if failed != nil || err != nil {
		return fmt.Errorf("read stream %s: %w", a.publish, firstOf(failed, err))
	}
	if c := stream.CachedInfo().Config; c.MaxAge > 0 || c.MaxMsgs > 0 || c.MaxBytes > 0 {
		a.note("stream " + a.publish + " does not keep everything: whether all who are activated were published was not checked")
		return nil
	}
	for id, f := range a.shards.all() {
		if f.now == activated && f.stored < settled && !f.has(published) {
			a.add(Breach{RulePublished, id, f.sequence, fmt.Sprintf("activated since %s, and not published", stamp(f.stored))})
		}
	}
	return nil
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
