package operator

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"activation-worker/internal/activation"
	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
)

// forget erases customers. Each gets a last record without personal data, so that old
// announcements do not bring the customer back; then everything older goes.
func (j *job) forget(ctx context.Context) error {
	if len(j.request.IDs) == 0 {
		return &refusal{"forget wants domain ids, and nothing else"}
	}
	j.progress.Total = len(j.request.IDs)
	refused := false
	var lines []string
	for _, id := range j.request.IDs {
		said, done, err := j.erase(ctx, id)
		if err != nil {
			return err
		}
		lines = append(lines, said...)
		if refused = refused || !done; done {
			j.step()
		}
	}
	j.end(refused, lines...)
	return nil
}

// erase forgets one customer. It says what it could not reach, or why it was refused.
func (j *job) erase(ctx context.Context, domainID int64) (lines []string, done bool, err error) {
	announced := ""
	for done = false; !done; {
		r, err := j.Ledger.Load(ctx, domainID)
		switch {
		case err != nil:
			return nil, false, err
		case r == nil:
			lines = append(lines, fmt.Sprintf("%d has no record.", domainID))
			done = true
			continue
		case r.State == events.Started && j.Now().Before(r.LeaseExpiresAt):
			return []string{fmt.Sprintf("%d is being attempted by %s until %s: ask again after that.", domainID, r.Worker, r.LeaseExpiresAt.UTC().Format("15:04:05Z"))}, false, nil
		case r.State == events.Forgotten:
			lines = append(lines, fmt.Sprintf("%d was forgotten before; what may have been left is erased.", domainID))
			done = true
		default:
			announced = fmt.Sprintf("message %d of stream %s, and older announcements of the customer there", r.Event.Sequence, r.Event.Stream)
			r, err = j.Ledger.Put(ctx, activation.Forgotten(r, j.request.User, j.request.Why), r.Sequence)
			if errors.Is(err, ledger.ErrConflict) {
				continue
			}
			if err != nil {
				return nil, false, err
			}
			lines = append(lines, fmt.Sprintf("%d is forgotten.", domainID))
			done = true
		}
		if err := j.Ledger.Erase(ctx, r); err != nil {
			return nil, false, err
		}
	}
	for _, part := range []func(context.Context, int64) ([]string, error){j.eraseTimer, j.eraseRequests, j.eraseRejections, j.erasePublished} {
		left, err := part(ctx, domainID)
		if err != nil {
			return nil, false, err
		}
		lines = append(lines, left...)
	}
	if announced == "" {
		announced = "announcements of the customer in stream " + j.Intake
	}
	return append(lines, "Not reached: "+announced+"; copies that others have read from the event stream; backups."), true, nil
}

func (j *job) eraseTimer(ctx context.Context, domainID int64) ([]string, error) {
	return nil, j.Ledger.Disarm(ctx, domainID)
}

// eraseRequests removes pending requests that are about this customer alone.
func (j *job) eraseRequests(ctx context.Context, domainID int64) (left []string, err error) {
	pending, err := j.Ledger.Requests(ctx)
	if err != nil {
		return nil, err
	}
	for _, e := range pending {
		r, err := events.DecodeRequest(e.Subject, e.Data)
		if err != nil || e.Subject == j.subject || !slices.Contains(r.IDs, domainID) {
			continue
		}
		if len(r.IDs) > 1 {
			left = append(left, fmt.Sprintf("Not reached: request %s, which names others too; it goes when it is carried out.", r.ID))
			continue
		}
		if err := j.Ledger.EraseRequest(ctx, e.Sequence); err != nil {
			return nil, err
		}
	}
	return left, nil
}

// eraseRejections removes rejected originals that name the customer.
func (j *job) eraseRejections(ctx context.Context, domainID int64) ([]string, error) {
	digits := strconv.FormatInt(domainID, 10)
	entries, err := j.Ledger.FindRejected(ctx, func(r events.Rejection) bool {
		data, err := base64.StdEncoding.DecodeString(r.Original.DataBase64)
		if err != nil {
			return false
		}
		if HasNumber(data, digits) {
			return true
		}
		for name, values := range r.Original.Headers {
			if HasNumber([]byte(name+": "+strings.Join(values, ", ")), digits) {
				return true
			}
		}
		return false
	})
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if err := j.Ledger.EraseRejection(ctx, e.Sequence); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// erasePublished removes the customer from the stream that sources the activated events, if there is one.
func (j *job) erasePublished(ctx context.Context, domainID int64) ([]string, error) {
	name, err := j.Ledger.PublishStream(ctx)
	if err != nil || name == "" {
		return nil, err
	}
	return nil, j.Ledger.ErasePublished(ctx, name, domainID)
}

// HasNumber finds a whole number in data.
func HasNumber(data []byte, digits string) bool {
	for at := 0; ; {
		i := bytes.Index(data[at:], []byte(digits))
		if i < 0 {
			return false
		}
		start, end := at+i, at+i+len(digits)
		if (start == 0 || !isDigit(data[start-1])) && (end == len(data) || !isDigit(data[end])) {
			return true
		}
		at = start + 1
	}
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
