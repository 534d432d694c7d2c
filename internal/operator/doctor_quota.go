package operator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"activation-worker/internal/quota"
)

// spent adds to the check of the quota what is used of it now, who holds and who waits, and what is wrong with it.
func (d *Doctor) spent(ctx context.Context, c *Check) {
	var a Ahead
	err := d.ask(ctx, probeTime, func(ctx context.Context) (err error) {
		a, err = ReadAhead(ctx, d.JetStream, d.Quota, d.Limits, d.Layout.Streams, d.Layout.IntakeStream)
		return err
	})
	switch {
	case nothingYet(err):
		c.Detail += "; no worker shares it yet"
	case errors.Is(err, quota.ErrNewer):
		c.warn(err.Error(), "use the newest version of the worker everywhere")
	case err != nil:
		c.warn("how much is used and who waits is not known: "+err.Error(),
			"let this user read the bucket (deploy/nats/README.md); run worker setup where its stream is missing")
	default:
		d.describe(a, c)
	}
}

func (d *Doctor) describe(a Ahead, c *Check) {
	var used, paused []string
	now := d.Now()
	for _, use := range a.Outlook.Uses() {
		of := d.usedOf(use)
		if of != "" {
			used = append(used, use.Operation+" "+of)
		}
		if use.Paused > 0 {
			paused = append(paused, fmt.Sprintf("no %s before %s", use.Operation, d.At(now.Add(use.Paused))))
		}
	}
	c.Detail += "; used now: " + cmp.Or(strings.Join(used, ", "), "nothing")
	held, replicas := a.Outlook.Places()
	c.Detail += fmt.Sprintf("; %d of %d places held by %d workers", held, d.Concurrency, replicas)
	if e, waiting := a.All(); waiting == 0 {
		c.Detail += "; nobody waits"
	} else {
		c.Detail += fmt.Sprintf("; %d wait, the last of them for a turn %s", waiting, lastTurn(e, now, d.At))
	}
	if len(paused) > 0 {
		c.warn("the partner wants "+strings.Join(paused, ", "), "wait: workers go on by themselves then; where it comes again and again, lower LINEWORKS_RATE")
	}
}

// usedOf says how much of its limits an operation uses.
func (d *Doctor) usedOf(use quota.Use) string {
	var parts []string
	if d.Peak.N > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d in %s", use.Peak, d.Peak.N, unitOf(d.Peak.Per)))
	}
	if d.Sustained.N > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d in half an hour", use.Sustained, d.InHalfAnHour()))
	}
	return strings.Join(parts, " and ")
}

func unitOf(per time.Duration) string {
	if name, ok := map[time.Duration]string{time.Second: "a second", time.Minute: "a minute", time.Hour: "an hour"}[per]; ok {
		return name
	}
	return per.String()
}

// lastTurn says when the last of those who wait now has had its turn.
func lastTurn(e Expected, now time.Time, at func(time.Time) string) string {
	if e.In <= soon {
		return "at once"
	}
	return fmt.Sprintf("about %s (in %s)", at(now.Add(e.In)), e.In.Round(time.Second))
}

// warn adds what somebody should look at; what was found before stays.
func (c *Check) warn(detail, whatToDo string) {
	c.Level, c.Detail = Warn, c.Detail+"; "+detail
	if c.WhatToDo != "" {
		whatToDo = c.WhatToDo + "; " + whatToDo
	}
	c.WhatToDo = whatToDo
}
