package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"activation-worker/internal/broker"
	"activation-worker/internal/config"
	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
	"activation-worker/internal/operator"
)

// stateRejected lists announcements that nobody can act on. It is no state of a customer: which one is meant is not known.
const stateRejected = "rejected"

func listCommand() *cobra.Command {
	var output, since string
	var states, reasons []string
	var f listFilter
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Customers by state",
		Long: `Lists customers with their state, reason, next attempt, domain and reference, in the order in which they
reached it; --state rejected lists announcements that nobody could act on. Filters add up. It streams: a
million customers need no more memory than a few thousand. The count comes last, on stderr.`,
		Example: `  worker list --state failed --since 24h
  worker list --reason dns_unverified --reason terms_pending -o json
  worker list --domain hinode-foods.example
  worker list --state rejected`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.read(states, reasons, since, time.Now()); err != nil {
				return err
			}
			c, err := config.Load(cmd.Flags(), os.Environ())
			if err != nil {
				return err
			}
			nc, js, err := connectOnce(cmd.Context(), c, "worker list")
			if err != nil {
				return err
			}
			defer nc.Close()
			l := readerOf(c, nc, js)
			out := bufio.NewWriter(cmd.OutOrStdout())
			list := lister{out: out, json: output == "json", view: localView(), filter: f}
			err = broker.Permitted(cmd.Context(), nc, func(ctx context.Context) error {
				if f.rejected {
					return list.rejections(ctx, l)
				}
				return list.customers(ctx, l)
			})
			if errors.Is(err, jetstream.ErrStreamNotFound) { // no worker has run yet
				err = nil
			}
			if err := errors.Join(err, out.Flush()); err != nil {
				return err
			}
			fmt.Fprintln(cmd.ErrOrStderr(), list.summary())
			in, err := operator.ReadIntake(cmd.Context(), js, l, c.Worker.IntakeStream, events.StreamsOf(c.Worker.Stream))
			if err != nil {
				return err
			}
			is, whatToDo := in.Sentence(list.view.at) // who is not listed yet, and why
			fmt.Fprintln(cmd.ErrOrStderr(), strings.TrimSpace(is+" "+whatToDo))
			return nil
		},
	}
	fs := cmd.Flags()
	fs.StringSliceVar(&states, "state", nil, "only in a `STATE`: "+strings.Join(stateNames(), ", ")+"; may be repeated")
	fs.StringSliceVar(&reasons, "reason", nil, "only for a `REASON`: "+strings.Join(reasonNames(), ", ")+"; may be repeated")
	fs.StringVar(&since, "since", "", "only who reached the state since a `TIME` (RFC 3339) or so long ago (24h)")
	fs.StringVar(&f.domain, "domain", "", "only with this domain `NAME`, whatever its case")
	outputFlag(cmd, &output)
	config.Flags(fs, config.GroupNATS, config.GroupStreams)
	return cmd
}

func stateNames() []string {
	var names []string
	for _, s := range events.States() {
		names = append(names, string(s))
	}
	return append(names, stateRejected)
}

func reasonNames() []string {
	var names []string
	for _, r := range events.Reasons() {
		names = append(names, string(r))
	}
	return names
}

// listFilter says who is listed; what is not set lets everybody through.
type listFilter struct {
	states   []events.State
	reasons  []events.Reason
	since    time.Time
	domain   string
	rejected bool
}

func (f *listFilter) read(states, reasons []string, since string, now time.Time) (err error) {
	for _, s := range states {
		switch {
		case !slices.Contains(stateNames(), s):
			return usageError{fmt.Errorf("--state: there is no state %.40q; there are %s", s, strings.Join(stateNames(), ", "))}
		case s == stateRejected:
			f.rejected = true
		default:
			f.states = append(f.states, events.State(s))
		}
	}
	for _, r := range reasons {
		if !slices.Contains(reasonNames(), r) {
			return usageError{fmt.Errorf("--reason: there is no reason %.40q; there are %s", r, strings.Join(reasonNames(), ", "))}
		}
		f.reasons = append(f.reasons, events.Reason(r))
	}
	if f.rejected && (len(f.states) > 0 || len(f.reasons) > 0 || f.domain != "") {
		return usageError{errors.New("--state rejected: a rejected announcement belongs to no customer; only --since goes with it")}
	}
	if len(f.reasons) > 0 && len(f.states) == 0 {
		f.states = []events.State{events.Deferred, events.Failed} // others have none
	}
	f.since, err = momentFlag("since", since, now)
	return err
}

func (f *listFilter) fits(r *events.Record) bool {
	switch {
	case len(f.reasons) > 0 && !slices.Contains(f.reasons, r.Reason):
	case f.domain != "" && !strings.EqualFold(f.domain, r.Domain):
	case r.Time.Before(f.since):
	default:
		return true
	}
	return false
}

// lister writes lines as they come.
type lister struct {
	out    io.Writer
	json   bool
	view   timeView
	filter listFilter

	listed  int
	foreign int // records of a newer worker
}

func (l *lister) customers(ctx context.Context, from *ledger.Ledger) error {
	if err := l.head(); err != nil {
		return err
	}
	return from.Newest(ctx, l.filter.states, l.filter.fits, func(error) { l.foreign++ }, l.customer)
}

func (l *lister) customer(r *events.Record) error {
	l.listed++
	if l.json {
		return jsonLines(l.out).Encode(lineOf(r))
	}
	return l.row(strconv.FormatInt(r.DomainID, 10), string(r.State), string(r.Reason), l.view.at(r.Time), l.view.at(r.NextAttemptAt), r.Domain, r.Reference)
}

// row is a customer's; domain and reference, whose length others choose, come last.
func (l *lister) row(id, state, reason, since, next, domain, reference string) error {
	_, err := io.WriteString(l.out, row(cell{id, idColumn}, cell{state, stateColumn}, cell{reason, reasonColumn},
		cell{since, timeColumn}, cell{next, timeColumn}, cell{domain, domainColumn}, cell{reference, 0}))
	return err
}

func (l *lister) head() error {
	if l.json {
		return nil
	}
	return l.row("id", "state", "reason", "since", "next attempt", "domain", "reference")
}

// rejectedLine is the JSON of a rejected announcement.
type rejectedLine struct {
	Stream   string    `json:"stream"` // the intake's
	Sequence uint64    `json:"sequence"`
	Time     time.Time `json:"time"` // of the rejection
	Reason   string    `json:"reason"`
	Detail   string    `json:"detail"`
	Size     int       `json:"size"` // of the announcement, in bytes
}

func (l *lister) rejections(ctx context.Context, from *ledger.Ledger) error {
	if !l.json {
		if err := l.rejectedRow("sequence", "time", "reason", "bytes", "detail"); err != nil {
			return err
		}
	}
	return from.Rejections(ctx, func(e ledger.Entry) error {
		line, readable := rejectedLineOf(e.Data)
		switch {
		case !readable:
			l.foreign++
			return nil
		case line.Time.Before(l.filter.since):
			return nil
		}
		l.listed++
		if l.json {
			return jsonLines(l.out).Encode(line)
		}
		return l.rejectedRow(strconv.FormatUint(line.Sequence, 10), l.view.at(line.Time), line.Reason, strconv.Itoa(line.Size), line.Detail)
	})
}

func (l *lister) rejectedRow(sequence, when, reason, size, detail string) error {
	_, err := io.WriteString(l.out, row(cell{sequence, idColumn}, cell{when, timeColumn}, cell{reason, reasonColumn}, cell{size, 7}, cell{detail, 0}))
	return err
}

// rejectedLineOf tells of a rejection, but not what the original says.
func rejectedLineOf(event []byte) (line rejectedLine, readable bool) {
	s, err := events.DecodeSummary(event)
	if err != nil {
		return rejectedLine{}, false
	}
	r, err := events.DecodeRejection(event)
	return rejectedLine{
		Stream: r.Original.Stream, Sequence: r.Original.Sequence, Time: s.Time.UTC(), Reason: r.Reason, Detail: r.Detail, Size: r.Original.Size,
	}, err == nil
}

func (l *lister) summary() string {
	text := plural(l.listed, "customer", "customers")
	if l.filter.rejected {
		text = plural(l.listed, "rejected announcement", "rejected announcements")
	}
	if l.foreign > 0 {
		text += fmt.Sprintf("; %s of a newer worker left out", plural(l.foreign, "record", "records"))
	}
	return text
}
