package broker

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
)

// Link is a connection that remembers what went wrong last.
type Link interface{ LastError() error }

// Permitted makes a request and ends it as soon as the server says that the connection's user may not make it: a
// refusal comes beside the request, not as its answer, which would be waited for in vain. The error then wraps
// [nats.ErrPermissionViolation] and names the subject. Of two requests at the same time each may get the other's refusal.
func Permitted(ctx context.Context, link Link, request func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	before := link.LastError()
	answered := make(chan error, 1)
	go func() { answered <- request(ctx) }()
	tick := time.NewTicker(deniedPoll)
	defer tick.Stop()
	for {
		select {
		case err := <-answered:
			return err
		case <-tick.C:
		}
		last := link.LastError()
		if errors.Is(last, nats.ErrPermissionViolation) && last != before { //nolint:errorlint // the same words again are a new refusal
			cancel()
			return errors.Join(last, passed(<-answered))
		}
	}
}

// passed drops what only says that nobody waits any more.
func passed(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
