package console

import (
	"context"
	"time"
)

const (
	rows    = 50 // unless asked for otherwise
	rowsMax = 200
	idsMax  = 200
)

func (p *page) activations(f *form) question {
	spans := []string{string(SpanHour), string(SpanDay), string(SpanWeek)}
	span := SpanHour
	if given := f.among("span", spans); len(given) == 1 {
		span = Span(given[0])
	} else if len(given) > 1 {
		f.wrong("span is there %d times; wanted it once", len(given))
	}
	now := time.Now()
	// A reader's day began at most a day ago, or their clock is wrong, or the page was left open.
	midnight := f.number("midnight", now.Truncate(24*time.Hour).Unix(), now.AddDate(0, 0, -8).Unix(), now.AddDate(0, 0, 1).Unix())
	return func(context.Context) (any, error) {
		return p.source.Activations(span, time.Unix(midnight, 0)), nil
	}
}

func (p *page) customers(f *form) question {
	now := time.Now()
	filter := Filter{
		States: f.among("state", p.states), Reasons: f.among("reason", p.reasons),
		Since: f.moment("since", now), Until: f.moment("until", now),
		IDPrefix: f.one("id"),
		Before:   f.cursor("before"), After: f.cursor("after"),
		Limit: int(f.number("limit", rows, 1, rowsMax)),
	}
	if id := filter.IDPrefix; id != "" {
		if _, err := domainIDOf(id); err != nil {
			f.wrong("id=%.40q begins no domain id; wanted digits, such as 4711", id)
		}
	}
	if !filter.Since.IsZero() && !filter.Until.IsZero() && !filter.Since.Before(filter.Until) {
		f.wrong("since is not before until; nobody fits")
	}
	if filter.Before != nil && filter.After != nil {
		f.wrong("before and after are both there; wanted one of them")
	}
	return func(ctx context.Context) (any, error) { return p.source.Customers(ctx, filter) }
}

func (p *page) customer(id string) func(*form) question {
	return func(f *form) question {
		domainID, err := domainIDOf(id)
		if err != nil {
			f.wrong("%w", err)
		}
		return func(ctx context.Context) (any, error) { return p.source.Customer(ctx, domainID) }
	}
}

// replay passes texts on: they are the words of a command, which the source understands as the command does.
func (p *page) replay(f *form) question {
	selection := Selection{
		IDs: f.all("id", idsMax), Reason: f.one("reason"), Code: f.one("code"),
		Since: f.one("since"), Until: f.one("until"), Rate: f.one("rate"),
		AllFailed: f.flag("all-failed"), Rejected: f.flag("rejected"),
	}
	return func(ctx context.Context) (any, error) { return p.source.Replay(ctx, selection) }
}
