package operator

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/broker"
	"activation-worker/internal/events"
)

// slow is a round-trip with which each of the several writes of an attempt takes its time.
const slow = 250 * time.Millisecond

func (d *Doctor) nats(context.Context) Check {
	if d.Connecting != nil {
		return Check{Level: Fail, Detail: d.Connecting.Error(), WhatToDo: "see that the server runs and that NATS_URL and the NATS_ settings are what it wants"}
	}
	rtt, err := d.Link.RTT()
	if err != nil {
		return unread(fmt.Errorf("round-trip to NATS: %w", err))
	}
	c := Check{Level: OK, Detail: fmt.Sprintf("connected to %s, version %s, round-trip %s", d.Link.ConnectedUrlRedacted(), d.Link.ConnectedServerVersion(), rtt.Round(10*time.Microsecond))}
	if rtt > slow {
		c.Level, c.WhatToDo = Warn, "run workers nearer to the NATS servers"
	}
	return c
}

const probeTime = 5 * time.Second // of one request

// ask makes requests to JetStream; what the user may not do is an error that says so, and comes at once.
func (d *Doctor) ask(ctx context.Context, atMost time.Duration, request func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	return broker.Permitted(ctx, d.Link, request)
}

// permissions tries what a worker reads. What it writes cannot be tried without writing it.
func (d *Doctor) permissions(ctx context.Context) Check {
	streams := d.Layout.Streams
	var denied []string
	probe := func(what string, request func(context.Context) error) {
		err := d.ask(ctx, probeTime, request)
		var fromServer jetstream.JetStreamError
		if err != nil && !errors.As(err, &fromServer) { // else the server has answered: what is missing is another check's business
			denied = append(denied, what+": "+err.Error())
		}
	}
	for _, name := range []string{streams.Ledger, streams.Rejected, streams.Work, events.QuotaStream(streams.Quota), d.Layout.IntakeStream} {
		probe("stream "+name, func(ctx context.Context) error {
			_, err := d.JetStream.Stream(ctx, name)
			return err
		})
	}
	for _, c := range []struct{ stream, name string }{
		{streams.Work, events.ConsumerDue},
		{streams.Work, events.ConsumerRedo},
		{streams.Work, events.ConsumerRequests},
		{d.Layout.IntakeStream, events.ConsumerActivator},
	} {
		probe("consumer "+c.name+" of "+c.stream, func(ctx context.Context) error {
			_, err := d.JetStream.Consumer(ctx, c.stream, c.name)
			return err
		})
	}
	probe("messages of "+streams.Ledger, func(ctx context.Context) error {
		_, err := d.Records.LastIntake(ctx)
		return err
	})
	if len(denied) > 0 {
		return Check{Level: Fail, Detail: strings.Join(denied, "; "), WhatToDo: "grant the NATS user what deploy/nats/README.md lists for a worker"}
	}
	return Check{Level: OK, Detail: "streams, consumers and messages can be read; whether they can be written shows only when a worker does"}
}

func (d *Doctor) streams(ctx context.Context) Check {
	drifts, err := broker.Plan(ctx, d.JetStream, d.Layout)
	if err != nil {
		return Check{Level: Fail, Detail: err.Error(), WhatToDo: "mend it, then run worker setup --check"}
	}
	if full := d.storage(ctx); full != nil {
		return *full
	}
	if len(drifts) == 0 {
		return Check{Level: OK, Detail: "streams and consumers are as declared"}
	}
	c := Check{Level: Fail, WhatToDo: "run worker setup"}
	var lines []string
	for _, drift := range drifts {
		lines = append(lines, drift.String())
		if !drift.Fixable {
			c.WhatToDo = "do what is said of each; worker setup mends the rest"
		}
	}
	c.Detail = strings.Join(lines, "; ")
	return c
}

// storage finds an account whose storage is used up; nil where it is not, or nobody says.
func (d *Doctor) storage(ctx context.Context) *Check {
	account, err := d.JetStream.AccountInfo(ctx)
	if err != nil || account.Limits.MaxStore <= 0 || account.Store < uint64(account.Limits.MaxStore) {
		return nil
	}
	return &Check{
		Level:    Fail,
		Detail:   fmt.Sprintf("the NATS account has stored %d bytes and may store %d: nothing more is taken", account.Store, account.Limits.MaxStore),
		WhatToDo: "raise the account's limit (max_file), or delete what else is stored there",
	}
}

const (
	// skewed is a difference between clocks that is worth a look; tooSkewed is more than leases bear.
	skewed    = 2 * time.Second
	tooSkewed = 5 * time.Second
)

// clock compares ours with that of the server, which every answer about a stream tells. A token that the partner refuses for the
// time tells the difference to the partner's.
func (d *Doctor) clock(ctx context.Context) Check {
	asked := d.Now()
	s, err := d.JetStream.Stream(ctx, d.Layout.Streams.Ledger)
	answered := d.Now()
	switch {
	case nothingYet(err):
		return Check{Level: Skipped, Detail: "there is no stream yet to ask for the server's time"}
	case err != nil:
		return unread(fmt.Errorf("the server's time: %w", err))
	}
	ours := asked.Add(answered.Sub(asked) / 2)
	ahead := ours.Sub(s.CachedInfo().TimeStamp)
	which := "ahead of"
	if ahead < 0 {
		ahead, which = -ahead, "behind"
	}
	c := Check{Level: OK, Detail: fmt.Sprintf("this machine's clock is %s %s the NATS server's", ahead.Round(time.Millisecond), which)}
	switch {
	case ahead > tooSkewed:
		c.Level, c.WhatToDo = Fail, "set the clocks of all machines, by NTP: leases bear 5 s at most"
	case ahead > skewed:
		c.Level, c.WhatToDo = Warn, "set the clocks of all machines, by NTP"
	}
	return c
}

// leastDisk is what must be free for the embedded server to write, and to be started again after it could not.
const leastDisk = 64 << 20

// disk looks at the room for the embedded server's files: without any it stops to write, and every other check is content.
func (d *Doctor) disk(context.Context) Check {
	free, err := broker.FreeDisk(d.DataDir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return Check{Level: Skipped, Detail: "WORKER_DATA_DIR is not there yet: worker run makes it"}
	case err != nil:
		return Check{Level: Fail, Detail: err.Error(), WhatToDo: "see that this user may look at WORKER_DATA_DIR"}
	}
	c := Check{Level: OK, Detail: fmt.Sprintf("%d MiB are free in %s", free>>20, d.DataDir)}
	if free < leastDisk {
		c.Level, c.WhatToDo = Fail, fmt.Sprintf("make room, at least %d MiB: the embedded server has stopped to write, or soon will; it starts again by itself", leastDisk>>20)
	}
	return c
}
