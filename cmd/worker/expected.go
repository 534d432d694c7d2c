package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/broker"
	"activation-worker/internal/config"
	"activation-worker/internal/events"
	"activation-worker/internal/operator"
)

// aheadTime bounds the looks that an estimate takes: the answer that it belongs to does not need it.
const aheadTime = 5 * time.Second

// readAhead looks at who waits for the partner's pace. unknown is why nothing can be said of when; empty where it can.
func readAhead(ctx context.Context, c *config.Config, nc *nats.Conn, js jetstream.JetStream, said operator.LastIntake) (a operator.Ahead, unknown string) {
	ctx, cancel := context.WithTimeout(ctx, aheadTime)
	defer cancel()
	w := c.Worker
	var in operator.Intake
	err := broker.Permitted(ctx, nc, func(ctx context.Context) (err error) {
		if in, err = operator.ReadIntake(ctx, js, said, w.IntakeStream, events.StreamsOf(w.Stream)); err == nil {
			a, err = operator.ReadAhead(ctx, js, quotaBucket(c, js, ""), limitsOf(c), events.StreamsOf(w.Stream), w.IntakeStream)
		}
		return err
	})
	is, whatToDo := in.Sentence(local)
	switch {
	case err != nil:
		return a, fmt.Sprintf("not known: %v", err)
	case whatToDo != "":
		return a, "nobody knows when: " + strings.ToLower(is[:1]) + is[1:]
	}
	return a, ""
}

// expected says when a deferred customer's turn comes who waits for the partner's pace; empty for others. paused is why
// nobody is attempted, which is said already.
func (s statusReader) expected(ctx context.Context, r *events.Record, paused string, v timeView) string {
	switch {
	case !operator.WaitsForPace(r, v.now):
		return ""
	case paused != "":
		return "nobody knows when, as long as that is so"
	}
	return s.estimate(ctx, v, func(a operator.Ahead) (operator.Expected, error) {
		var fired uint64
		var armed time.Time
		err := broker.Permitted(ctx, s.nc, func(ctx context.Context) (err error) {
			fired, armed, err = s.ledger.WakeUp(ctx, r)
			return err
		})
		return a.Deferred(r, fired, armed, v.now), err
	})
}

// announced says when a customer's turn comes whose announcement is not acknowledged yet.
func (s statusReader) announced(ctx context.Context, where whereabouts, v timeView) string {
	return s.estimate(ctx, v, func(a operator.Ahead) (operator.Expected, error) {
		return a.Announced(where.sequence, where.backlog), nil
	})
}

func (s statusReader) estimate(ctx context.Context, v timeView, of func(operator.Ahead) (operator.Expected, error)) string {
	a, unknown := readAhead(ctx, s.c, s.nc, s.js, s.ledger)
	if unknown != "" {
		return unknown
	}
	e, err := of(a)
	if err != nil {
		return fmt.Sprintf("not known: %v", err)
	}
	return e.Sentence(v.now, v.at)
}
