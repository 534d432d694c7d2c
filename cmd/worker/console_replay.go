package main

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"activation-worker/internal/console"
	"activation-worker/internal/events"
	"activation-worker/internal/operator"
)

const (
	// previewTime bounds the reading of whom a replay would take, which somebody waits for.
	previewTime = 4 * time.Second
	// previewRows is how many of them are shown, and how many rejected announcements.
	previewRows = 100
)

// Replay implements [console.Source].
func (s consoleSource) Replay(ctx context.Context, sel console.Selection) (console.Replay, error) {
	f := replayFlags{
		reason: sel.Reason, code: sel.Code, since: sel.Since, until: sel.Until, rate: cmp.Or(sel.Rate, events.DefaultReplayRate),
		allFailed: sel.AllFailed, rejected: sel.Rejected, dryRun: true,
	}
	r, err := f.request(sel.IDs, time.Now())
	if err != nil {
		return console.Replay{}, errInput(err)
	}
	reader, err := s.reading()
	if err != nil {
		return console.Replay{}, err
	}
	if r.AsOfSequence, err = reader.ledger.LastSequence(ctx); err != nil {
		return console.Replay{}, away(err)
	}
	counting, rows, complete, err := reader.choices(ctx, r)
	if err != nil {
		return console.Replay{}, away(err)
	}
	out := console.Replay{
		Command: replayCommandOf(sel), Moves: counting.moves, Reasons: []console.ReasonCount{}, Left: []console.LeftCount{},
		Unread: []string{}, Rows: rows, Complete: complete, Takes: counting.sentence(r),
	}
	for _, reason := range slices.Sorted(maps.Keys(counting.reasons)) {
		out.Reasons = append(out.Reasons, console.ReasonCount{Reason: reason, Count: counting.reasons[reason]})
	}
	for _, does := range slices.Sorted(maps.Keys(counting.left)) {
		out.Left = append(out.Left, console.LeftCount{Why: operator.Left(does), Count: counting.left[does]})
	}
	for _, why := range counting.unread {
		out.Unread = append(out.Unread, printable(why))
	}
	if counting.moves > 0 && complete {
		out.Takes += "; " + printable(reader.whenReplayed(ctx, counting, r))
	}
	return out, nil
}

// choices are whom a replay would take, as far as there is time to read.
func (s statusReader) choices(ctx context.Context, r events.Request) (counting preview, rows []console.ReplayRow, complete bool, err error) {
	reading, cancel := context.WithTimeout(ctx, previewTime)
	defer cancel()
	counting, rows = newPreview(), []console.ReplayRow{}
	chooser := operator.Chooser{Ledger: s.ledger, JS: s.js, Decoder: decoderOf(s.c), Now: time.Now}
	unread := func(why string) {
		if len(counting.unread) < previewRows {
			counting.unread = append(counting.unread, why)
		}
	}
	err = chooser.Choose(reading, r, unread, func(c operator.Choice) error {
		line := counting.count(c)
		if len(rows) < previewRows {
			rows = append(rows, replayRowOf(c, line))
		}
		return nil
	})
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return counting, rows, false, nil
	}
	return counting, rows, err == nil, err
}

func replayRowOf(c operator.Choice, line choiceLine) console.ReplayRow {
	row := console.ReplayRow{Does: map[string]string{"to_be_queued": "to be queued", "to_be_due_now": "to be due now"}[line.Replay]}
	if row.Does == "" {
		row.Does = line.Replay
	}
	if c.Record != nil {
		row.Row = rowOf(c.Record)
	}
	row.DomainID = idText(c.DomainID)
	return row
}

// replayCommandOf is what asks for the same on the command line.
func replayCommandOf(sel console.Selection) []string {
	command := append([]string{"worker", "replay"}, sel.IDs...)
	for _, flag := range []struct{ name, value string }{
		{"--reason", sel.Reason},
		{"--code", sel.Code},
		{"--since", sel.Since},
		{"--until", sel.Until},
		{"--rate", sel.Rate},
	} {
		if flag.value != "" {
			command = append(command, flag.name, flag.value)
		}
	}
	if sel.AllFailed {
		command = append(command, "--all-failed")
	}
	if sel.Rejected {
		command = append(command, "--rejected")
	}
	return command
}
