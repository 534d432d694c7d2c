package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"activation-worker/internal/broker"
	"activation-worker/internal/config"
	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
)

func statusCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "status <id or domain>",
		Short: "Why is this customer (not) active",
		Long: `Says in words why a customer is active or not, what happens next and when, and what to do; where DNS
records are missing, which, as lines of a zone file to be copied, and what was seen in their place. The
timeline follows as far as it is kept. Without a record it says whether the announcement waits unread or
was rejected, and whether a worker is taking work. Where a customer waits for the partner's pace, it estimates
until when. JSON has the customer on the first line, then one
event a line, without the partner's customer object. Looking for a domain name reads through all customers.`,
		Example: `  worker status 51200931
  worker status hinode-foods.example -o json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("one domain id or domain name is wanted")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, ok := events.ParseDomainID(args[0]); !ok && strings.Trim(args[0], "0123456789") == "" {
				return usageError{fmt.Errorf("%.80q is no domain id: wanted decimal digits, 1 to 9223372036854775807", args[0])}
			}
			if _, ok := events.ParseDomainID(args[0]); !ok && !strings.Contains(args[0], ".") {
				return usageError{fmt.Errorf("%.80q is neither a domain id (decimal digits) nor a domain name", args[0])}
			}
			c, err := config.Load(cmd.Flags(), os.Environ())
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			nc, js, err := connectOnce(ctx, c, "worker status")
			if err != nil {
				return err
			}
			defer nc.Close()
			s := statusReader{
				nc: nc, js: js, c: c,
				ledger: readerOf(c, nc, js),
			}
			var id int64
			var r *events.Record
			var entries []ledger.Entry
			err = broker.Permitted(ctx, nc, func(ctx context.Context) (err error) {
				if id, err = s.customer(ctx, args[0]); err == nil {
					r, entries, err = s.ledger.Family(ctx, id)
				}
				return err
			})
			switch {
			case err != nil && !errors.Is(err, jetstream.ErrStreamNotFound): // no worker has run yet
				return err
			case r == nil:
				return s.unknown(ctx, id, output, cmd.OutOrStdout())
			case output == "json":
				return statusJSON(cmd.OutOrStdout(), r, entries)
			}
			view, paused := localView(), s.paused(ctx)
			return statusTable(cmd.OutOrStdout(), r, entries, paused, s.expected(ctx, r, paused, view), view)
		},
	}
	outputFlag(cmd, &output)
	config.Flags(cmd.Flags(), config.GroupNATS, config.GroupStreams)
	return cmd
}

type statusReader struct {
	nc     *nats.Conn
	js     jetstream.JetStream
	c      *config.Config
	ledger *ledger.Ledger
	// oneByOne tells that announcements are read so, of which fewer can be then: the service's user need not have the right to a reader of its
	// own on the intake.
	oneByOne bool
	// patience is for how long rejections are looked through; zero: as long as it takes.
	patience time.Duration
}

// customer is the id meant by an argument, which is one itself or a domain name.
func (s statusReader) customer(ctx context.Context, arg string) (int64, error) {
	if id, ok := events.ParseDomainID(arg); ok {
		return id, nil
	}
	ids, err := s.ledger.FindDomain(ctx, arg)
	switch {
	case err != nil && !errors.Is(err, jetstream.ErrStreamNotFound):
		return 0, err
	case len(ids) == 0:
		return 0, fmt.Errorf("no customer with the domain %s has a record: try its domain id", printable(arg))
	case len(ids) > 1:
		return 0, fmt.Errorf("several customers have the domain %s: %v; say which", printable(arg), ids)
	}
	return ids[0], nil
}
