package main

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"activation-worker/internal/census"
	"activation-worker/internal/console"
	"activation-worker/internal/events"
)

// rowsAtOnce is how many records are read at the same time for a page of the list.
const rowsAtOnce = 16

// Customers implements [console.Source].
func (s consoleSource) Customers(ctx context.Context, f console.Filter) (console.Customers, error) {
	wanted, err := filterOf(f)
	if err != nil {
		return console.Customers{}, err
	}
	reader, err := s.reading()
	if err != nil {
		return console.Customers{}, err
	}
	page, known := s.census.Load().Page(wanted)
	if !known {
		return console.Customers{}, fmt.Errorf("%w: %s", console.ErrAway, s.trouble())
	}
	rows, err := reader.rows(ctx, page.Customers)
	return console.Customers{Total: page.Total, Ahead: page.Ahead, Counts: counted(page.Counts), Rows: rows}, err
}

func filterOf(f console.Filter) (wanted census.Filter, err error) {
	wanted = census.Filter{Since: f.Since, Until: f.Until, IDPrefix: f.IDPrefix, Before: placeOf(f.Before), After: placeOf(f.After), Limit: f.Limit}
	if wanted.States, err = knownWords("state", f.States, append(events.States(), census.Unknown)); err == nil {
		wanted.Reasons, err = knownWords("reason", f.Reasons, events.Reasons())
	}
	return wanted, err
}

func placeOf(c *console.Cursor) *census.Place {
	if c == nil {
		return nil
	}
	return &census.Place{Time: c.Time, DomainID: c.DomainID}
}

// rows are what the newest records say, in the order of the list.
func (s statusReader) rows(ctx context.Context, customers []census.Customer) ([]console.Row, error) {
	rows := make([]console.Row, len(customers))
	reading, ctx := errgroup.WithContext(ctx)
	reading.SetLimit(rowsAtOnce)
	for i, c := range customers {
		reading.Go(func() (err error) {
			rows[i], err = s.row(ctx, c)
			return err
		})
	}
	return rows, reading.Wait()
}

func (s statusReader) row(ctx context.Context, c census.Customer) (console.Row, error) {
	id := idText(c.DomainID)
	row := console.Row{DomainID: id, State: string(c.Key.State), Reason: string(c.Key.Reason), Since: c.At.UTC()}
	r, err := s.ledger.Load(ctx, c.DomainID)
	switch {
	case errors.Is(err, events.ErrForeignRecord):
	case err != nil:
		return row, away(err)
	case r != nil:
		row = rowOf(r)
	}
	row.Cursor = fmt.Sprintf("%d.%s", c.At.Unix(), id)
	return row, nil
}
