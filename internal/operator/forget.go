package operator

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/activation"
	"activation-worker/internal/events"
	"activation-worker/internal/faults"
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
	var last *events.Record
	for done = false; !done; {
		r, err := j.Ledger.Load(ctx, domainID)
		if err == nil && r == nil && j.request.UnknownToo {
			r = activation.Unknown(domainID)
		}
		switch {
		case errors.Is(err, events.ErrForeignRecord):
			return []string{untouched(domainID, err)}, false, nil
		case err != nil:
			return nil, false, err
		case r == nil:
			lines = append(lines, fmt.Sprintf("%d has no record: if it was announced, that is not read yet, and will be acted on.", domainID))
			done = true
			continue
		case r.State == events.Started && j.Now().Before(r.LeaseExpiresAt):
			return []string{fmt.Sprintf("%d is being attempted by %s until %s: ask again after that.", domainID, r.Worker, r.LeaseExpiresAt.UTC().Format("15:04:05Z"))}, false, nil
		case r.State == events.Forgotten:
			lines = append(lines, fmt.Sprintf("%d was forgotten before; what may have been left is erased.", domainID))
			done = true
		default:
			if r.Event.Stream != "" {
				announced = fmt.Sprintf("message %d of stream %s, and older announcements of the customer there", r.Event.Sequence, r.Event.Stream)
			}
			faults.Before(faults.ForgetRecord)
			r, err = j.Ledger.Put(ctx, activation.Forgotten(r, j.request.User, j.request.Why), r.Sequence)
			if errors.Is(err, ledger.ErrConflict) {
				continue
			}
			if err != nil {
				return nil, false, err
			}
			faults.After(faults.ForgetRecord)
			lines = append(lines, fmt.Sprintf("%d is forgotten.", domainID))
			done = true
		}
		faults.Before(faults.Erase)
		if err := j.Ledger.Erase(ctx, r); err != nil {
			return nil, false, err
		}
		faults.After(faults.Erase)
		last = r
	}
	if last != nil {
		err = j.disarm(ctx, last)
	} else {
		err = j.Ledger.Disarm(ctx, domainID)
	}
	if err != nil {
		return nil, false, err
	}
	for _, part := range []func(context.Context, int64) ([]string, error){j.eraseRequests, j.eraseRejections, j.erasePublished} {
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
func (j *job) eraseRejections(ctx context.Context, domainID int64) (said []string, err error) {
	var ours []uint64
	untold := 0
	err = j.Ledger.Rejections(ctx, func(e ledger.Entry) error {
		r, err := events.DecodeRejection(e.Data)
		if err != nil {
			untold++
			return nil //nolint:nilerr // counted
		}
		switch names, unclear := Names(r.Original, domainID); {
		case names:
			ours = append(ours, e.Sequence)
		case unclear:
			untold++
		}
		return nil
	})
	if err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, err
	}
	for _, sequence := range ours {
		if err := j.Ledger.EraseRejection(ctx, sequence); err != nil {
			return nil, err
		}
	}
	if len(ours) > 0 {
		said = append(said, fmt.Sprintf("Rejected announcements that named it, erased: %d.", len(ours)))
	}
	if untold > 0 {
		said = append(said, fmt.Sprintf("Not reached: %d rejected announcements were kept only in part, and may be about it all the same.", untold))
	}
	return said, nil
}

// erasePublished removes the customer from the stream that sources the activated events, if there is one.
func (j *job) erasePublished(ctx context.Context, domainID int64) ([]string, error) {
	name, err := j.Ledger.PublishStream(ctx)
	if err != nil || name == "" {
		return nil, err
	}
	faults.Before(faults.ErasePublished)
	err = j.Ledger.ErasePublished(ctx, name, domainID)
	faults.After(faults.ErasePublished)
	var refused *jetstream.APIError
	if errors.As(err, &refused) { // it is not there, or not ours to change: trying again does not help
		return []string{fmt.Sprintf("Not reached: stream %s, where activated events are published: %s.", name, refused.Description)}, nil
	}
	return nil, err
}
