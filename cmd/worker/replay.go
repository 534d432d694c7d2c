package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"activation-worker/internal/activation"
	"activation-worker/internal/broker"
	"activation-worker/internal/config"
	"activation-worker/internal/events"
	"activation-worker/internal/operator"
)

// replayFlags are those of worker replay.
type replayFlags struct {
	reason, code, since, until, why, rate, as, output string
	allFailed, rejected, dryRun                       bool
}

func replayCommand() *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{
		Use:   "replay [id…]",
		Short: "Run failed activations again",
		Long: `Queues failed customers again, behind fresh and waiting ones, as far apart as --rate says. The worker does
it, so that it alone writes the ledger; this command shows whom it is about, asks, and follows. It is safe to run
twice, from two places, or to interrupt: a customer is queued once. An id may also be that of a waiting customer,
who is then due at once. --rejected reads announcements again that could not be acted on, after a setting was
mended, say. --dry-run shows everything and asks for nothing.`,
		Example: `  worker replay --all-failed --dry-run
  worker replay 51200931 --why "customer has corrected the TXT record"
  worker replay --reason refused --code INVALID_PARAMETER --since 24h --why "partner fixed its check" --rate 60/m
  worker replay --rejected --why "WORKER_INTAKE_DOMAIN_ID was wrong"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := f.request(args, time.Now())
			if err != nil {
				return usageError{err}
			}
			return f.run(cmd, r)
		},
	}
	fs := cmd.Flags()
	fs.BoolVar(&f.allFailed, "all-failed", false, "every failed customer")
	fs.StringVar(&f.reason, "reason", "", "those who failed for a `REASON`")
	fs.StringVar(&f.code, "code", "", "those whose last answer had this `CODE` of the partner's")
	fs.StringVar(&f.since, "since", "", "those who failed at or after a `TIME` (RFC 3339), or so long ago at most (24h)")
	fs.StringVar(&f.until, "until", "", "those who failed before a `TIME` (RFC 3339), or longer ago than that (1h)")
	fs.BoolVar(&f.rejected, "rejected", false, "announcements that were rejected, read again")
	fs.StringVar(&f.why, "why", "", "why, for the audit trail (needed, but for --dry-run)")
	fs.StringVar(&f.rate, "rate", events.DefaultReplayRate, "customers a unit of time, as `N/m` (units s, m, h)")
	fs.BoolVar(&f.dryRun, "dry-run", false, "show whom, why they failed and how long it takes; write nothing")
	outputFlag(cmd, &f.output)
	addAs(fs, &f.as)
	config.Flags(fs, config.GroupNATS, config.GroupStreams)
	return cmd
}

// request understands arguments and flags.
func (f *replayFlags) request(args []string, now time.Time) (events.Request, error) {
	r := events.Request{ID: newRequestID(), Verb: events.VerbReplay, Why: strings.TrimSpace(f.why), Rate: f.rate}
	var errs []error
	fail := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	r.Selection = events.Selection{AllFailed: f.allFailed, Reason: events.Reason(f.reason), Code: f.code, Rejected: f.rejected}
	var err error
	if r.Selection.Since, err = momentFlag("since", f.since, now); err != nil {
		errs = append(errs, err)
	}
	if r.Selection.Until, err = momentFlag("until", f.until, now); err != nil {
		errs = append(errs, err)
	}
	if f.reason != "" && !slices.Contains(events.Reasons(), r.Selection.Reason) {
		fail("--reason: there is no reason %.40q; there are %s", f.reason, strings.Join(reasonNames(), ", "))
	}
	if f.code != "" && !events.IsCode(f.code) {
		fail("--code: %.40q is none of the partner's codes: letters, digits, dot, _ and -, at most 64", f.code)
	}
	if _, err := r.Interval(); err != nil {
		fail("--rate: %w", err)
	}
	if r.IDs, err = idsOf(args); err != nil {
		errs = append(errs, err)
	}
	byState := r.Selection
	byState.Rejected = false
	switch {
	case len(args) == 0 && r.Selection.Empty():
		fail("nobody is selected: give domain ids, --all-failed, --reason, --code, --since, --until or --rejected")
	case len(args) > 0 && !r.Selection.Empty(), f.rejected && !byState.Empty():
		fail("give domain ids, a selection of failed customers, or --rejected: one of these")
	case r.Why == "" && !f.dryRun:
		fail("--why is missing: say why, for the audit trail")
	case len(r.Why) > events.MaxWhy || !utf8.ValidString(r.Why):
		fail("--why is longer than %d bytes, or no valid UTF-8", events.MaxWhy)
	}
	return r, errors.Join(errs...)
}

func (f *replayFlags) run(cmd *cobra.Command, r events.Request) error {
	ctx, out := cmd.Context(), cmd.OutOrStdout()
	c, err := config.Load(cmd.Flags(), os.Environ())
	if err != nil {
		return err
	}
	a, err := newAsker(ctx, cmd, c, "worker replay", f.as)
	if err != nil {
		return err
	}
	defer a.nc.Close()
	chooser := operator.Chooser{
		Ledger: a.ledger, JS: a.js, Decoder: decoderOf(c), Now: time.Now,
	}
	var preview preview
	err = broker.Permitted(ctx, a.nc, func(ctx context.Context) (err error) {
		if r.AsOfSequence, err = a.ledger.LastSequence(ctx); err != nil {
			return noStreams(err)
		}
		preview, err = f.preview(ctx, out, chooser, r)
		return err
	})
	if err != nil {
		return err
	}
	preview.write(cmd.ErrOrStderr(), r)
	if preview.moves > 0 {
		fmt.Fprintln(cmd.ErrOrStderr(), printable(statusReader{nc: a.nc, js: a.js, c: c, ledger: a.ledger}.whenReplayed(ctx, preview, r)))
	}
	if f.dryRun || preview.moves == 0 {
		return nil
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "replay %s\n", r.ID)
	p, err := a.ask(ctx, r, isTerminal(cmd.ErrOrStderr()))
	if err != nil {
		return err
	}
	if f.output == "json" {
		return json.NewEncoder(out).Encode(map[string]any{"replayId": r.ID, "planned": preview.moves, "queued": p.Done})
	}
	fmt.Fprintf(out, "%s queued; see them go with worker watch, cancel what is left with worker cancel --replay %s\n",
		plural(p.Done, "customer is", "customers are"), r.ID)
	return nil
}

// preview counts whom a replay is about.
type preview struct {
	moves, hastened int
	reasons         map[string]int
	left            map[activation.Replayed]int
	unread          []string
}

func newPreview() preview {
	return preview{reasons: map[string]int{}, left: map[activation.Replayed]int{}}
}

// choiceLine is the JSON of a customer in a dry run.
type choiceLine struct {
	customerLine
	Replay string `json:"replay"` // to_be_queued, to_be_due_now, or why it stays as it is
}

// why is the reason with the partner's code, if there is one.
func (l choiceLine) why() string { return strings.TrimSpace(string(l.Reason) + " " + l.Code) }

// count takes in one customer.
func (p *preview) count(c operator.Choice) choiceLine {
	line := choiceLine{Replay: "to_be_queued"}
	switch {
	case c.Hastens:
		p.moves++
		p.hastened++
		line.Replay = "to_be_due_now"
	case c.Moves():
		p.moves++
	default:
		p.left[c.Does]++
		line.Replay = operator.Left(c.Does)
	}
	line.DomainID = c.DomainID
	if c.Record != nil {
		line.customerLine = lineOf(c.Record)
	}
	if c.Moves() {
		p.reasons[line.why()]++
	}
	return line
}

// preview counts whom the replay is about; a dry run also shows them.
func (f *replayFlags) preview(ctx context.Context, out io.Writer, chooser operator.Chooser, r events.Request) (preview, error) {
	p := newPreview()
	enc := jsonLines(out)
	err := chooser.Choose(ctx, r, func(why string) { p.unread = append(p.unread, why) }, func(c operator.Choice) error {
		line := p.count(c)
		switch {
		case !f.dryRun:
			return nil
		case f.output == "json":
			return enc.Encode(line)
		}
		since := ""
		if !line.Since.IsZero() {
			since = local(line.Since)
		}
		_, err := fmt.Fprintln(out, strings.TrimRight(fmt.Sprintf("%-19d  %-9s  %-26s  %-26s  %-24s  %s",
			line.DomainID, line.State, since, line.why(), printable(line.Domain), line.Replay), " "))
		return err
	})
	return p, err
}

func (p preview) write(w io.Writer, r events.Request) {
	for _, reason := range slices.Sorted(maps.Keys(p.reasons)) {
		fmt.Fprintf(w, "%6d  %s\n", p.reasons[reason], reason)
	}
	for _, does := range slices.Sorted(maps.Keys(p.left)) {
		fmt.Fprintf(w, "%6d  %s\n", p.left[does], operator.Left(does))
	}
	for _, line := range p.unread {
		fmt.Fprintln(w, printable(line))
	}
	fmt.Fprintln(w, p.sentence(r))
}

// sentence says how many are moved, and how long that takes.
func (p preview) sentence(r events.Request) string {
	if p.moves == 0 {
		return "nothing to replay"
	}
	return fmt.Sprintf("%d to be replayed, the last of them due in %s at %s", p.moves, p.last(r).Round(time.Second), r.Rate)
}

// last is in how long the last customer's time comes.
func (p preview) last(r events.Request) time.Duration {
	interval, _ := r.Interval() // checked before
	return time.Duration(max(0, p.moves-p.hastened-1)) * interval
}

// whenReplayed says when the last customer of a replay would be attempted: as the partner's pace and those who wait allow.
func (s statusReader) whenReplayed(ctx context.Context, p preview, r events.Request) string {
	ahead, unknown := readAhead(ctx, s.c, s.nc, s.js, s.ledger)
	if unknown != "" {
		return "when the last would be attempted: " + unknown
	}
	return "the last would be attempted " + ahead.Replayed(p.moves, p.last(r)).Sentence(time.Now(), local)
}

// idsOf reads domain ids from arguments.
func idsOf(args []string) ([]int64, error) {
	var ids []int64
	for _, arg := range args {
		id, ok := events.ParseDomainID(arg)
		if !ok {
			return nil, fmt.Errorf("%.40q is no domain id: wanted decimal digits, 1 to %s", arg, strconv.FormatInt(1<<63-1, 10))
		}
		ids = append(ids, id)
	}
	if len(ids) > events.MaxRequestIDs {
		return nil, fmt.Errorf("%d domain ids are too many for one request: at most %d", len(ids), events.MaxRequestIDs)
	}
	return ids, nil
}

func newAsker(ctx context.Context, cmd *cobra.Command, c *config.Config, name, as string) (asker, error) {
	nc, js, err := connectOnce(ctx, c, name)
	if err != nil {
		return asker{}, err
	}
	return asker{
		nc: nc, js: js, work: events.StreamsOf(c.Worker.Stream).Work, as: as, out: cmd.OutOrStdout(), errOut: cmd.ErrOrStderr(),
		ledger: readerOf(c, nc, js),
	}, nil
}
