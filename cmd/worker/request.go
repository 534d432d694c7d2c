package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/user"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/broker"
	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
)

// An operator's command publishes a request and follows how a worker carries it out.
const (
	// unheard is how long a request may go without a sign of a worker before it is looked whether there is one.
	unheard = 10 * time.Second
	// followTick is how often it is looked whether the request is still there: its end may have been missed.
	followTick = 2 * time.Second
)

// asker publishes requests as somebody.
type asker struct {
	nc     *nats.Conn
	js     jetstream.JetStream
	ledger *ledger.Ledger
	work   string // stream of requests
	as     string // name that NATS permissions pin down; "": the operating system's
	out    io.Writer
	errOut io.Writer
}

// newRequestID is one token of a subject.
func newRequestID() string { return uuid.NewString() }

// userToken names who asks: as NATS permissions let it be checked, else as the operating system says, marked as unverified.
func (a asker) userToken() string {
	if a.as != "" {
		return events.Token(a.as)
	}
	name := "unknown"
	if u, err := user.Current(); err == nil && u.Username != "" {
		name = u.Username
	}
	return "unverified-" + events.Token(name)
}

// ask publishes a request, follows it to its end, and prints what came of it. The
// request lasts: where no worker takes it now, one does as soon as it runs.
func (a asker) ask(ctx context.Context, r events.Request, bar bool) (events.Progress, error) {
	r.User = a.userToken()
	heard := make(chan *nats.Msg, 1024)
	sub, err := a.nc.ChanSubscribe(events.ProgressSubject(r.ID), heard)
	if err != nil {
		return events.Progress{}, fmt.Errorf("listen for the worker's progress: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	err = broker.Permitted(ctx, a.nc, func(ctx context.Context) error { return publishRequest(ctx, a.js, r) })
	if errors.Is(err, nats.ErrPermissionViolation) {
		return events.Progress{}, fmt.Errorf("NATS does not let this user ask for %s as %s: %w; --as says under which name, and who may do what is for the server to say", r.Verb, r.User, err)
	}
	if errors.Is(err, jetstream.ErrNoStreamResponse) {
		err = fmt.Errorf("%w: no stream takes requests: where there are three NATS servers, see that two are up; else run worker setup", err)
	}
	if err != nil {
		return events.Progress{}, fmt.Errorf("ask for %s: %w", r.Verb, err)
	}
	p, err := a.follow(ctx, heard, r, bar)
	if err != nil {
		return p, err
	}
	for _, line := range p.Lines {
		fmt.Fprintln(a.out, printable(line))
	}
	if p.Failed {
		return p, silent{exitFailed}
	}
	return p, nil
}

// publishRequest asks the workers.
func publishRequest(ctx context.Context, js jetstream.JetStream, r events.Request) error {
	data, err := events.EncodeRequest(r, time.Now())
	if err != nil {
		return err
	}
	_, err = js.PublishMsg(ctx, &nats.Msg{
		Subject: events.RequestSubject(r.Verb, r.User, r.ID), Data: data,
		Header: nats.Header{"Content-Type": {events.ContentType}, jetstream.MsgIDHeader: {r.ID}},
	})
	return err
}

func (a asker) follow(ctx context.Context, heard <-chan *nats.Msg, r events.Request, bar bool) (events.Progress, error) {
	var p events.Progress
	began, last := time.Now(), time.Now()
	tick := time.NewTicker(followTick)
	defer tick.Stop()
	draw := func(end string) {
		if bar && p.Total > 0 {
			fmt.Fprintf(a.errOut, "\r%s\x1b[K%s", progressLine(p, time.Since(began)), end)
		}
	}
	for {
		select {
		case <-ctx.Done():
			draw("\n")
			fmt.Fprintf(a.errOut, "worker: not waiting any longer; the request %s stands, and a worker carries it out\n", r.ID)
			return p, context.Cause(ctx)
		case m := <-heard:
			last = time.Now()
			if err := json.Unmarshal(m.Data, &p); err != nil {
				return p, fmt.Errorf("what a worker says of its progress cannot be read: %w", err)
			}
			if p.Ended {
				draw("\n")
				return p, nil
			}
			draw("")
		case <-tick.C:
			if time.Since(last) < followTick {
				continue
			}
			stands, err := a.ledger.RequestStands(ctx, events.RequestSubject(r.Verb, r.User, r.ID))
			switch {
			case err == nil && !stands:
				fmt.Fprintf(a.errOut, "worker: request %s is not there any more: it was carried out, or withdrawn; worker watch and worker status tell\n", r.ID)
				return p, nil
			case time.Since(last) > unheard && !a.served(ctx):
				return p, fmt.Errorf("no worker is taking requests: request %s waits in stream %s and is carried out as soon as one runs (worker run)", r.ID, a.work)
			}
		}
	}
}

// served reports whether a worker is there that takes requests, or is busy with one.
func (a asker) served(ctx context.Context) bool {
	cons, err := a.js.Consumer(ctx, a.work, events.ConsumerRequests)
	return err == nil && (cons.CachedInfo().NumWaiting > 0 || cons.CachedInfo().NumAckPending > 0)
}

// progressLine is a bar with what is left, for a terminal.
func progressLine(p events.Progress, since time.Duration) string {
	filled := barWidth * p.Done / max(1, p.Total)
	line := fmt.Sprintf("[%s%s] %d of %d", strings.Repeat("#", min(filled, barWidth)), strings.Repeat(".", max(0, barWidth-filled)), p.Done, p.Total)
	if p.Done > 0 && p.Done < p.Total {
		left := time.Duration(float64(since) / float64(p.Done) * float64(p.Total-p.Done))
		line += fmt.Sprintf(", about %s left", left.Round(time.Second))
	}
	return line
}
