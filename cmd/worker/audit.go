package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/audit"
	"activation-worker/internal/broker"
	"activation-worker/internal/config"
	"activation-worker/internal/events"
)

const (
	// progressAfter is how long an audit may take before it tells how far it has come, and progressEvery is how often it does.
	progressAfter = 2 * time.Second
	progressEvery = 5 * time.Second
	// auditSweeps is after how many intervals of the sweep a customer should have been found whom nothing wakes.
	auditSweeps = 3
)

// auditLedger is worker doctor --audit: the whole ledger against the promises. metrics is a file for Prometheus to be written too, if not empty.
func auditLedger(ctx context.Context, c *config.Config, js jetstream.JetStream, stdout, stderr io.Writer, asJSON bool, metrics string) error {
	var file *textfile
	if metrics != "" {
		var err error
		if file, err = newTextfile(metrics); err != nil {
			return err
		}
		defer file.discard()
	}
	layout := layoutOf(c)
	next := time.Now().Add(progressAfter)
	var report *audit.Report
	err := broker.Permitted(ctx, js.Conn(), func(ctx context.Context) (err error) {
		report, err = audit.Run(ctx, js, audit.Options{
			Streams: layout.Streams, Intake: cmp.Or(layout.IntakeStream, events.DefaultIntakeStream), Decoder: decoderOf(c),
			Overdue: max(audit.DefaultOverdue, auditSweeps*c.Worker.SweepInterval),
		}, func(read, last uint64) {
			if now := time.Now(); now.After(next) {
				next = now.Add(progressEvery)
				fmt.Fprintf(stderr, "read up to %d of %d\n", read, last)
			}
		})
		return err
	})
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		err = fmt.Errorf("%w: run worker setup where there was none yet; where it was lost, worker doctor says what to do", err)
	}
	if errors.Is(err, nats.ErrNoResponders) { // another account's user, to which it is not exported
		err = fmt.Errorf("%w: whoever audits reads the ledger, the rejections, the intake and the publish stream (dave in deploy/nats/README.md)", err)
	}
	if err != nil {
		return err
	}
	if file != nil { // before anything is said: nobody may be listening any more
		if err := file.write(auditMetrics(report)); err != nil {
			return err
		}
	}
	if asJSON {
		err = jsonLines(stdout).Encode(report)
	} else {
		_, err = io.WriteString(stdout, auditText(report))
	}
	if err == nil && report.Breached > 0 {
		err = silent{exitDrift}
	}
	return err
}

// auditText is a report for people.
func auditText(r *audit.Report) string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		b.WriteString(row(cell{name, 13}, cell{fmt.Sprintf(format, args...), 0}))
	}
	l, in := r.Ledger, r.Intake
	line("ledger", "%s up to %d: %s of %s, read in %s", r.Stream, r.LastSequence, plural(l.Records, "record", "records"), plural(l.Customers, "customer", "customers"), r.Took.Round(time.Millisecond))
	states := []string{}
	for _, s := range events.States() {
		if n := l.States[s]; n > 0 {
			states = append(states, fmt.Sprintf("%d %s", n, s))
		}
	}
	line("customers", "%s", cmp.Or(strings.Join(states, ", "), "none"))
	line("attempts", "%s in %s, %d taken over; %s to activate; %d activated by a look-up, %d of them active before us",
		plural(l.Claims, "claim", "claims"), plural(l.Rounds, "round", "rounds"), l.Takeovers, plural(l.Calls, "call", "calls"), l.ByLookUp, l.ActiveBefore)
	line("waiting", "%d with an unknown outcome, %d overdue", l.Unsettled, l.Overdue)
	line("announcements", "%d acknowledged, %d of them again, %d rejected, %d of other types, %d not checked; %d not acknowledged yet",
		in.Read, in.Repeated, in.Rejected, in.OtherTypes, in.Unchecked, in.Unread)
	for _, note := range r.Notes {
		line("note", "%s", note)
	}
	if r.Breached == 0 {
		none := "none: every record that is kept is as promised"
		if len(r.Notes) > 0 || in.Unchecked > 0 {
			none = "none among what could be checked"
		}
		line("breaches", "%s", none)
		return b.String()
	}
	line("breaches", "%d", r.Breached)
	for _, rule := range slices.Sorted(maps.Keys(r.ByRule)) {
		meaning := audit.MeaningOf(rule)
		fmt.Fprintf(&b, "\n%s  %d: %s\n%sto do: %s\n", rule, r.ByRule[rule], meaning.Means, strings.Repeat(" ", len(rule)+2), meaning.Do)
		listed := 0
		for _, breach := range r.Breaches {
			if breach.Rule != rule {
				continue
			}
			listed++
			id, sequence := "", ""
			if breach.DomainID > 0 {
				id = strconv.FormatInt(breach.DomainID, 10)
			}
			if breach.Sequence > 0 {
				sequence = strconv.FormatUint(breach.Sequence, 10)
			}
			b.WriteString(row(cell{"", len(rule)}, cell{id, idColumn}, cell{sequence, 8}, cell{breach.Text, 0}))
		}
		if left := r.ByRule[rule] - listed; left > 0 {
			b.WriteString(row(cell{"", len(rule)}, cell{fmt.Sprintf("and %d more", left), 0}))
		}
	}
	return b.String()
}
