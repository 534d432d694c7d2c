package operator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"activation-worker/internal/activation"
	"activation-worker/internal/events"
	"activation-worker/internal/faults"
	"activation-worker/internal/ledger"
)

// moveTime bounds the writing of one customer's move. Who cancels a replay waits for that
// long, and then knows that nothing more is written.
const moveTime = 5 * time.Second

// replay queues failed customers again, one after the other at the rate asked for. Its
// first event is written before the first move, its last one after the last. Taken up
// again after a crash, it finds in the ledger whom it has queued already.
func (j *job) replay(ctx context.Context) error {
	interval, err := j.request.Interval()
	if err != nil {
		return &refusal{err.Error()}
	}
	event, sequence, err := j.Ledger.LastReplay(ctx, j.request.ID)
	switch {
	case err != nil:
		return err
	case event != nil && event.By != j.request.User:
		return &refusal{"there is a replay with this id, of " + event.By}
	case event != nil && event.Phase == events.Done:
		j.progress.Done, j.progress.Total = event.Scheduled, event.Planned
		j.end(false, "This replay was carried out already.")
		return nil
	}
	var queued []int64
	start := j.Now()
	if event != nil {
		var last time.Time
		if queued, last, err = j.Ledger.Queued(ctx, j.request.ID, sequence); err != nil {
			return err
		}
		if next := last.Add(interval); next.After(start) {
			start = next // the rest follows those who are queued already, at the same pace
		}
	}
	choices, lines, err := j.choose(ctx)
	if err != nil {
		return err
	}
	choices = slices.DeleteFunc(choices, func(c Choice) bool {
		_, is := slices.BinarySearch(queued, c.DomainID)
		return is
	})
	stands, err := j.standing(ctx)
	if err != nil {
		return err
	}
	if !stands {
		j.end(true, "The replay was cancelled before it went on.")
		return nil
	}
	if event == nil {
		event = &events.ReplayEvent{
			ReplayID: j.request.ID, By: j.request.User, Why: j.request.Why, Phase: events.Planned, Planned: len(choices),
			Selection: events.ReplaySelection{Named: len(j.request.IDs), Selection: j.request.Selection},
			Rate:      rateOf(j.request),
		}
		if err := j.announce(ctx, *event); err != nil {
			return err
		}
	}
	j.progress.Done, j.progress.Total = len(queued), len(queued)+len(choices)
	j.tell(true)
	for i, c := range choices {
		stands, err := j.standing(ctx)
		if err != nil {
			return err
		}
		if !stands {
			j.end(true, fmt.Sprintf("The replay was cancelled after %d customers.", j.progress.Done))
			return nil
		}
		if err := j.move(ctx, c, start.Add(time.Duration(i)*interval)); err != nil {
			return err
		}
	}
	event.Phase, event.Scheduled = events.Done, j.progress.Done
	if err := j.announce(ctx, *event); err != nil {
		return err
	}
	j.end(false, lines...)
	return nil
}

// announce tells the event stream what the replay is about to do, or has done.
func (j *job) announce(ctx context.Context, event events.ReplayEvent) error {
	faults.Before(faults.AnnounceReplay)
	err := j.Ledger.AnnounceReplay(ctx, event)
	faults.After(faults.AnnounceReplay)
	return err
}

// choose lists whom the replay moves, without what else it needs to know of them, and says of the others why not.
func (j *job) choose(ctx context.Context) (moves []Choice, lines []string, err error) {
	others, chosen := map[activation.Replayed]int{}, map[int64]bool{}
	err = j.chooser().Choose(ctx, j.request, func(why string) { lines = append(lines, why) }, func(c Choice) error {
		if !c.Moves() {
			others[c.Does]++
			return nil
		}
		if chosen[c.DomainID] {
			return nil // announced twice
		}
		chosen[c.DomainID] = true
		c.Record = nil // read again when its turn comes
		moves = append(moves, c)
		return nil
	})
	for _, does := range slices.Sorted(maps.Keys(others)) {
		lines = append(lines, fmt.Sprintf("%d %s", others[does], Left(does)))
	}
	return moves, lines, err
}

// Left says in words why a replay leaves customers as they are.
func Left(does activation.Replayed) string {
	return map[activation.Replayed]string{
		activation.NoCustomer:  "without a record: nothing to replay",
		activation.InProgress:  "being attempted right now",
		activation.AlreadyDone: "done already",
		activation.Waits:       "waiting already, due by itself",
	}[does]
}

// move queues one customer, if that is still to be done.
func (j *job) move(ctx context.Context, c Choice, at time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, moveTime)
	defer cancel()
	for {
		record, err := j.Ledger.Load(ctx, c.DomainID)
		if errors.Is(err, events.ErrForeignRecord) {
			j.progress.Total--
			return nil
		}
		if err != nil {
			return err
		}
		next := j.moved(record, c, at)
		if next == nil && record != nil && record.Awaits(events.TriggerReplay) && record.Trigger.ID == j.request.ID {
			j.step() // by a write of ours that was not known to be stored
			return nil
		}
		if next == nil {
			j.progress.Total-- // somebody else was here
			j.tell(false)
			return nil
		}
		_, err = j.Ledger.PutWaiting(ctx, next, record.Expected(), next.NextAttemptAt)
		switch {
		case err == nil:
			j.step()
			return nil
		case !errors.Is(err, ledger.ErrConflict):
			return err
		}
	}
}

// moved is the record that queues a customer; nil where there is nothing to do any more.
func (j *job) moved(record *events.Record, c Choice, at time.Time) *events.Record {
	now := j.Now()
	switch does := activation.ReplayOf(record); {
	case c.Accepted != nil:
		step := activation.Next(record, activation.Cue{Event: &c.Accepted.Event}, now).Step
		if step == activation.Claim || step == activation.NewRound || step == activation.Anew {
			return activation.Queued(record, c.Accepted, c.DomainID, events.Replay, j.trigger(), at)
		}
	case does == activation.Requeued:
		return activation.Queued(record, nil, c.DomainID, events.Replay, j.trigger(), at)
	case c.Hastens && does == activation.Waits && activation.CanHasten(record, now):
		return activation.Hastened(record, j.trigger(), now)
	}
	return nil
}

func (j *job) chooser() Chooser {
	return Chooser{Ledger: j.Ledger, JS: j.JetStream, Decoder: j.Decoder, Now: j.Now}
}

func rateOf(r events.Request) string {
	if r.Rate == "" {
		return events.DefaultReplayRate
	}
	return r.Rate
}
