package census

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"activation-worker/internal/events"
)

const (
	// untoldAtMost is how many customers wait at most for their record to be read. Most of those that are overtaken are so before.
	untoldAtMost = 16 << 10
	// readAtOnce is how many records are read at the same time.
	readAtOnce = 16
)

// newest is where a customer's newest record is.
type newest struct {
	id       int64
	sequence uint64
}

// settle reads the records whose reason no header names.
func (c *Census) settle(ctx context.Context) error {
	var some []newest
	for len(c.untold) > 0 {
		began := time.Now()
		some = some[:0]
		for id, sequence := range c.untold {
			if some = append(some, newest{id, sequence}); len(some) == 4*readAtOnce {
				break
			}
		}
		found, err := c.read(ctx, some)
		if err != nil {
			return err
		}
		for i, p := range some {
			delete(c.untold, p.id)
			if found[i] != nil {
				c.settled(p, *found[i])
			}
		}
		if len(c.untold) > 0 {
			rest(ctx, min(time.Since(began), restAtMost))
		}
	}
	return nil
}

// read finds out where records count; nil for one that is gone: it has made way for another of its customer, which is still to come.
func (c *Census) read(ctx context.Context, some []newest) ([]*uint8, error) {
	found := make([]*uint8, len(some))
	reading, ctx := errgroup.WithContext(ctx)
	reading.SetLimit(readAtOnce)
	for i, p := range some {
		reading.Go(func() error {
			m, err := c.o.Ledger.At(ctx, p.sequence)
			if err != nil || m == nil {
				return err
			}
			index := uint8(indexUnknown)
			if r, err := events.DecodeRecord(m.Subject, m.Sequence, m.Data); err == nil {
				index = indexes[Key{r.State, r.Reason}]
			}
			found[i] = &index
			return nil
		})
	}
	return found, reading.Wait()
}
