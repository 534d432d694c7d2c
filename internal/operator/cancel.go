package operator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"activation-worker/internal/activation"
	"activation-worker/internal/events"
	"activation-worker/internal/faults"
	"activation-worker/internal/ledger"
)

// cancel gives up deferred customers: those that are named, or those that a replay has
// queued and nobody has attempted yet. A replay that is still queueing is stopped first.
func (j *job) cancel(ctx context.Context) error {
	if len(j.request.IDs) == 0 && j.request.Selection.Replay == "" {
		return &refusal{"cancel wants domain ids, or a replay"}
	}
	var lines []string
	if len(j.request.IDs) > 0 {
		j.progress.Total = len(j.request.IDs)
		for _, id := range j.request.IDs {
			line, err := j.giveUp(ctx, id, func(*events.Record) bool { return true })
			if err != nil {
				return err
			}
			if line != "" {
				lines = append(lines, line)
				j.progress.Total--
			}
			j.tell(false)
		}
	}
	if id := j.request.Selection.Replay; id != "" {
		line, err := j.cancelReplay(ctx, id)
		if err != nil {
			return err
		}
		lines = append(lines, line)
	}
	j.end(false, lines...)
	return nil
}

func (j *job) cancelReplay(ctx context.Context, replayID string) (string, error) {
	withdrawn, err := j.Ledger.WithdrawReplay(ctx, replayID)
	if err != nil {
		return "", err
	}
	event, sequence, err := j.Ledger.LastReplay(ctx, replayID)
	if err != nil {
		return "", err
	}
	if event == nil && !withdrawn {
		return "", &refusal{"there is no replay " + replayID}
	}
	if event == nil {
		return fmt.Sprintf("Replay %s had queued nobody yet; it is withdrawn.", replayID), nil
	}
	if err := j.giveUpQueued(ctx, replayID); err != nil {
		return "", err
	}
	if event.Phase == events.Done {
		return fmt.Sprintf("Replay %s had queued all its %d customers; those not attempted yet are cancelled.", replayID, event.Scheduled), nil
	}
	// A move that had begun may still have been written; after this it is.
	if !pause(ctx, moveTime+time.Second) {
		return "", ctx.Err()
	}
	if err := j.giveUpQueued(ctx, replayID); err != nil {
		return "", err
	}
	queued, _, err := j.Ledger.Queued(ctx, replayID, sequence)
	if err != nil {
		return "", err
	}
	event.Phase, event.Scheduled, event.Cancelled = events.Done, len(queued), true
	if err := j.announce(ctx, *event); err != nil {
		return "", err
	}
	return fmt.Sprintf("Replay %s is ended: it had queued %d of %d customers; those not attempted yet are cancelled.", replayID, event.Scheduled, event.Planned), nil
}

// giveUpQueued cancels whom a replay has queued and nobody has attempted yet.
func (j *job) giveUpQueued(ctx context.Context, replayID string) error {
	ofReplay := func(r *events.Record) bool {
		return r.Awaits(events.TriggerReplay) && r.Trigger.ID == replayID
	}
	return j.Ledger.Newest(ctx, []events.State{events.Deferred}, ofReplay, nil, func(r *events.Record) error {
		_, err := j.giveUp(ctx, r.DomainID, ofReplay)
		return err
	})
}

// giveUp cancels one customer, if it waits and is meant; else it says why not. Without a record of ours
// the timer that is left does no harm: it finds a failed customer.
func (j *job) giveUp(ctx context.Context, domainID int64, meant func(*events.Record) bool) (line string, err error) {
	for {
		r, err := j.Ledger.Load(ctx, domainID)
		by := fmt.Sprintf("cancelled by %s: %s", j.request.User, j.request.Why)
		switch {
		case errors.Is(err, events.ErrForeignRecord):
			return untouched(domainID, err), nil
		case err != nil:
			return "", err
		case r == nil:
			return fmt.Sprintf("%d has no record: if it was announced, that is not read yet, and will be acted on.", domainID), nil
		case r.State == events.Failed && r.Reason == events.Cancelled && r.Cause != nil && r.Cause.Description == by:
			j.step() // before this request was cut short
			return "", nil
		case r.State != events.Deferred:
			return fmt.Sprintf("%d is %s, not waiting.", domainID, r.State), nil
		case !meant(r):
			return "", nil
		}
		trigger := r.Trigger // what the round came from stays; who cancelled it stands in the cause
		faults.Before(faults.CancelRecord)
		cancelled, err := j.Ledger.Put(ctx, activation.Cancelled(r, trigger, by, j.Now()), r.Sequence)
		switch {
		case err == nil:
			faults.After(faults.CancelRecord)
			j.step()
			return "", j.disarm(ctx, cancelled)
		case !errors.Is(err, ledger.ErrConflict):
			return "", err
		}
	}
}

// disarm drops the timer of a customer who waits for nothing any more, unless somebody else has written since.
func (j *job) disarm(ctx context.Context, r *events.Record) error {
	faults.Before(faults.Disarm)
	if err := j.Ledger.Disarm(ctx, r.DomainID); err != nil {
		return err
	}
	faults.After(faults.Disarm)
	current, err := j.Ledger.Load(ctx, r.DomainID)
	if err != nil || current == nil || current.Sequence == r.Sequence {
		return err
	}
	if _, waits := ledger.DueAt(current); !waits {
		return nil
	}
	return j.Ledger.Arm(ctx, r.DomainID, events.WakeUpSubject(current), j.Now()) // woken, the customer gets the timer anew
}
