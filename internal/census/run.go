package census

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
	"go.uber.org/zap"

	"activation-worker/internal/broker"
	"activation-worker/internal/events"
)

const (
	again       = 500 * time.Millisecond // after trouble, doubled each time
	againAtMost = 10 * time.Second
	// deniedAgain is after how long it is tried again whether the user may by now.
	deniedAgain = time.Hour

	requestTimeout = 3 * time.Second
	// idle is after how long the server forgets the consumer of a worker that is no more; as it looks at such only as often, others take it for
	// alive for up to twice that. Who was only cut off makes another consumer and goes on where it was.
	idle = 15 * time.Second
)

// Run counts until ctx ends. It waits for nobody and fails nobody: what it cannot read it tries again, and where the NATS
// user may not have a consumer on the ledger it says so once and knows nothing.
func (c *Census) Run(ctx context.Context) {
	wait, said := again, ""
	for {
		read, err := c.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		if read {
			wait = again
		}
		pause := wait
		var api *jetstream.APIError
		switch text := err.Error(); {
		case errors.Is(err, errDenied):
			pause = deniedAgain
			if !c.denied {
				c.log.Warn("customers are not counted: the NATS user may not read the ledger by a consumer of its own; grant it as deploy/nats/accounts.conf does", zap.Error(err))
				c.denied = true
			}
		case errors.As(err, &api) && api.Code == http.StatusBadRequest && text != said: // the server would, and cannot: a limit of the account
			said = text
			c.log.Warn("customers cannot be counted, tried again and again", zap.Error(err))
		default:
			c.log.Debug("the count goes on after a pause", zap.Error(err))
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		wait = min(2*wait, againAtMost)
	}
}

var (
	errDenied  = errors.New("the NATS user may not")
	errMissed  = errors.New("a message was missed")
	errAnother = errors.New("the ledger is another one, or an older state of it")
	errPurged  = errors.New("something was purged from the ledger")
)

// follow reads from behind the last message that was counted until there is trouble; read tells whether something came.
func (c *Census) follow(ctx context.Context) (read bool, err error) {
	if err := c.recognize(ctx); err != nil {
		return false, err
	}
	name := events.ConsumerCensus + nuid.Next()
	var cons jetstream.Consumer
	err = c.asked(ctx, name, func(ctx context.Context) (err error) {
		ctx, cancel := context.WithTimeout(ctx, requestTimeout)
		defer cancel()
		cons, err = c.o.JetStream.CreateConsumer(ctx, c.o.Stream, jetstream.ConsumerConfig{
			Name:        name,
			Description: "counts customers for one worker",
			// Of all subjects, so that the sequence tells whether all is counted; few are no customer's. And from a sequence on: to
			// find the last of each subject holds up whoever writes, for seconds where there are millions.
			DeliverPolicy:     jetstream.DeliverByStartSequencePolicy,
			OptStartSeq:       c.last.sequence + 1,
			HeadersOnly:       true,
			AckPolicy:         jetstream.AckNonePolicy,
			InactiveThreshold: idle,
			Metadata:          c.metadata(),
			MemoryStorage:     true,
			Replicas:          1,
		})
		return err
	})
	if err != nil {
		return false, fmt.Errorf("make a consumer on stream %s: %w", c.o.Stream, err)
	}
	defer c.drop(ctx, name)
	pull, err := broker.NewPull(c.o.JetStream, c.o.Stream, name, batch, expiry)
	if err != nil {
		return false, err
	}
	defer pull.Stop(stopTime)
	r := &reading{Census: c, cons: cons, name: name, pull: pull}
	err = r.run(ctx)
	return r.got > 0, fmt.Errorf("read stream %s: %w", c.o.Stream, err)
}

// recognize forgets everything where the stream is not the one that was counted, or goes less far.
func (c *Census) recognize(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	stream, err := c.o.JetStream.Stream(ctx, c.o.Stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		c.reset()
	}
	if err != nil {
		return fmt.Errorf("read stream %s: %w", c.o.Stream, err)
	}
	info := stream.CachedInfo()
	same := info.Created.Equal(c.created) && info.State.LastSeq >= c.last.sequence
	if same && c.last.sequence > 0 {
		m, err := c.o.Ledger.At(ctx, c.last.sequence)
		if err != nil {
			return err
		}
		// It can also have made way for newer ones of its subject: then more is read than need be.
		same = m != nil && m.StoredAt.Equal(c.last.stored)
	}
	if !same {
		c.reset()
		c.created = info.Created
	}
	if c.began.IsZero() {
		c.began = time.Now()
	}
	return nil
}

// asked makes a request about the consumer and tells where the user may not make it. A refusal of something else at the same time is no answer.
func (c *Census) asked(ctx context.Context, name string, request func(context.Context) error) error {
	err := broker.Permitted(ctx, c.o.JetStream.Conn(), request)
	if errors.Is(err, nats.ErrPermissionViolation) && strings.Contains(err.Error(), "."+name) { // the only place where the server says what it refuses
		return fmt.Errorf("%w: %w", errDenied, err)
	}
	return err
}

// drop deletes the consumer, which the server would otherwise keep for minutes.
func (c *Census) drop(ctx context.Context, name string) {
	if !c.o.JetStream.Conn().IsConnected() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	if err := c.o.JetStream.DeleteConsumer(ctx, c.o.Stream, name); err != nil {
		c.log.Debug("the consumer of the count was not deleted", zap.Error(err))
	}
}
