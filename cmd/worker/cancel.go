package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"activation-worker/internal/config"
	"activation-worker/internal/events"
)

func cancelCommand() *cobra.Command {
	var replay, why, as string
	cmd := &cobra.Command{
		Use:   "cancel [id…]",
		Short: "Give up waiting customers, or what is left of a replay",
		Long: `Makes waiting customers fail as cancelled: those named, or those that a replay has queued and nobody has
attempted yet; a replay that is still queueing ends. They can be replayed or announced again.`,
		Example: `  worker cancel 51200931 --why "order withdrawn"
  worker cancel --replay 7d1f0c1e-… --why "wrong selection"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			r := events.Request{ID: newRequestID(), Verb: events.VerbCancel, Selection: events.Selection{Replay: replay}}
			if len(args) == 0 == (replay == "") {
				return usageError{errors.New("give domain ids, or --replay with the id of one")}
			}
			if replay != events.Token(replay) {
				return usageError{fmt.Errorf("--replay: %.60q is no id of a replay", replay)}
			}
			p, err := simpleRequest(cmd, r, args, why, as)
			if err == nil {
				fmt.Fprintf(cmd.OutOrStdout(), "%d cancelled\n", p.Done)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&replay, "replay", "", "those that the replay with this `ID` has queued")
	addRequestFlags(cmd.Flags(), &why, &as)
	return cmd
}

func forgetCommand() *cobra.Command {
	var why, as, file string
	var unknown bool
	cmd := &cobra.Command{
		Use:   "forget <id>…",
		Short: "Erase what is kept of a customer",
		Long: `Erases a customer's records, timer, pending requests, rejected announcements and published event. What stays is
that the customer was forgotten, by whom, when and why, so that an old announcement does not bring the customer back; a
new one does. It is refused while an attempt is under way. What cannot be reached is named: the signup pipeline's own
stream, for one. The bytes leave the disk of NATS when it next compacts.

A backup that is restored knows again who was forgotten since. --file reads a list that was kept of them, as worker list
--state forgotten -o json prints it, or one id a line; with --unknown-too those are noted as well whom the backup does not
know, so that their announcements, read again, do not bring them back.`,
		Example: `  worker forget 51200931 --why "erasure request 2026-118"
  worker list --state forgotten -o json > forgotten.jsonl
  worker forget --file forgotten.jsonl --unknown-too --why "forgotten before the restore"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if file != "" && len(args) > 0 {
				return usageError{errors.New("give domain ids or a file, not both")}
			}
			if file != "" {
				var err error
				if args, err = listedIDs(file, cmd.InOrStdin()); err != nil {
					return err
				}
				if len(args) == 0 {
					fmt.Fprintln(cmd.OutOrStdout(), "nobody is listed")
					return nil
				}
			}
			if len(args) == 0 {
				return usageError{errors.New("a domain id is wanted")}
			}
			_, err := simpleRequest(cmd, events.Request{ID: newRequestID(), Verb: events.VerbForget, UnknownToo: unknown}, args, why, as)
			return err
		},
	}
	cmd.Flags().StringVar(&file, "file", "", "read ids from a `FILE`, one a line or as worker list -o json prints them; - is standard input")
	cmd.Flags().BoolVar(&unknown, "unknown-too", false, "note those too of whom there is no record: announcements made before now are then not acted on")
	addRequestFlags(cmd.Flags(), &why, &as)
	return cmd
}

// listedIDs reads a list of customers: domain ids, or lines of JSON that name one each. What they are is checked later.
func listedIDs(file string, stdin io.Reader) (ids []string, err error) {
	in := stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, usageError{fmt.Errorf("--file: %w", err)}
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxListLine)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(strings.TrimPrefix(lines.Text(), "\ufeff"))
		if strings.HasPrefix(text, "{") {
			var listed struct {
				DomainID json.Number `json:"domainId"`
			}
			if err := json.Unmarshal([]byte(text), &listed); err != nil {
				return nil, usageError{fmt.Errorf("--file: line %d: %w; nobody was forgotten", n, err)}
			}
			text = listed.DomainID.String()
			if text == "" {
				return nil, usageError{fmt.Errorf("--file: line %d has no domainId; nobody was forgotten", n)}
			}
		}
		if text != "" {
			ids = append(ids, text)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, usageError{fmt.Errorf("--file: %w; nobody was forgotten", err)}
	}
	return ids, nil
}

// maxListLine is more than a line of worker list takes.
const maxListLine = 64 << 10

func addRequestFlags(fs *pflag.FlagSet, why, as *string) {
	fs.StringVar(why, "why", "", "why, for the audit trail (needed)")
	addAs(fs, as)
	config.Flags(fs, config.GroupNATS, config.GroupStreams)
}

func addAs(fs *pflag.FlagSet, as *string) {
	fs.StringVar(as, "as", "", "the `NAME` under which NATS permissions let you ask (default unverified- and the system's user name)")
}

// simpleRequest asks for something that needs no preview.
func simpleRequest(cmd *cobra.Command, r events.Request, args []string, why, as string) (events.Progress, error) {
	var err error
	if r.IDs, err = idsOf(args); err != nil {
		return events.Progress{}, usageError{err}
	}
	if r.Why = strings.TrimSpace(why); r.Why == "" || len(r.Why) > events.MaxWhy || !utf8.ValidString(r.Why) {
		return events.Progress{}, usageError{fmt.Errorf("--why: say why, for the audit trail, in at most %d bytes of UTF-8", events.MaxWhy)}
	}
	c, err := config.Load(cmd.Flags(), os.Environ())
	if err != nil {
		return events.Progress{}, err
	}
	a, err := newAsker(cmd.Context(), cmd, c, "worker "+string(r.Verb), as)
	if err != nil {
		return events.Progress{}, err
	}
	defer a.nc.Close()
	return a.ask(cmd.Context(), r, isTerminal(cmd.ErrOrStderr()))
}

// noStreams says what to do where the worker's streams are not there.
func noStreams(err error) error {
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("%w: no worker has run yet, or WORKER_STREAM names another stream", err)
	}
	return err
}
