package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"activation-worker/internal/broker"
	"activation-worker/internal/config"
)

func setupCommand() *cobra.Command {
	var check, withIntake, rebind, accept, hold bool
	var rewind, publish string
	cmd := &cobra.Command{
		Use:   "setup",
		Short: "Creates or updates streams and consumers",
		Long: `Creates what the worker needs on NATS, or brings it to what is declared, and prints what it changed.
With --check it changes nothing, prints every difference, and exits 3 if there is one. A ledger that is lost
(deleted, or made anew) is not replaced unless that is said with --accept-ledger: a new one does not know
who is active. Customers announced before that are looked up before they are activated.`,
		Example: `  NATS_URL=nats://localhost:4222 worker setup --with-intake
  worker setup --check
  worker setup --publish-stream CUSTOMER
  worker setup --rewind-intake 2026-11-01T00:00:00Z
  worker setup --hold-publish
  worker setup --accept-ledger --rewind-intake 2026-11-01T00:00:00Z --hold-publish`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := config.Load(cmd.Flags(), os.Environ())
			if err != nil {
				return err
			}
			layout := layoutOf(c)
			layout.WithIntake = withIntake
			var from time.Time
			if rewind != "" {
				if from, err = time.Parse(time.RFC3339, rewind); err != nil {
					return usageError{fmt.Errorf("--rewind-intake: %q is no time: wanted RFC 3339, such as 2026-11-01T00:00:00Z", rewind)}
				}
			}
			layout.HoldPublish = hold
			if check && (hold || rebind || accept || rewind != "" || publish != "") {
				return usageError{errors.New("--check changes nothing: leave out --rewind-intake, --rebind-partner, --accept-ledger, --publish-stream and --hold-publish")}
			}
			if rebind && layout.Binding == (broker.Binding{}) {
				return usageError{errors.New("--rebind-partner needs the LINEWORKS_ credentials of the partner to bind to")}
			}
			ctx := cmd.Context()
			nc, js, err := connectOnce(ctx, c, "worker setup")
			if err != nil {
				return err
			}
			defer nc.Close()
			keepMaxBytes(ctx, c, js, &layout)
			out := cmd.OutOrStdout()
			if check {
				drifts, err := broker.Plan(ctx, js, layout)
				if err != nil {
					return err
				}
				for _, d := range drifts {
					fmt.Fprintln(out, d)
				}
				if len(drifts) > 0 {
					return silent{exitDrift}
				}
				fmt.Fprintln(out, "everything is as declared")
				return nil
			}
			if hold {
				change, err := broker.Hold(ctx, js, layout)
				if err != nil {
					return err
				}
				if change == (broker.Change{}) {
					fmt.Fprintln(out, "nothing to hold: no stream sources the activated events, or it is held already")
				} else {
					fmt.Fprintln(out, change)
				}
				if !rebind && !accept && !withIntake && rewind == "" && publish == "" {
					return nil // the ledger may be gone
				}
			}
			if rebind {
				change, err := broker.Rebind(ctx, js, layout)
				if err != nil {
					return err
				}
				fmt.Fprintln(out, change)
			}
			if accept {
				change, err := broker.Accept(ctx, js, layout)
				if err != nil {
					return err
				}
				fmt.Fprintln(out, change)
			}
			changes, err := broker.Apply(ctx, js, layout)
			for _, change := range changes {
				fmt.Fprintln(out, change)
			}
			if publish != "" && (err == nil || errors.Is(err, broker.ErrIntakeMissing)) {
				made, err := broker.Publish(ctx, js, layout, publish)
				for _, change := range made {
					fmt.Fprintln(out, change)
				}
				if err != nil {
					return err
				}
				changes = append(changes, made...)
			}
			if err != nil {
				if errors.Is(err, broker.ErrIntakeMissing) && rewind == "" {
					fmt.Fprintf(cmd.ErrOrStderr(), "worker: %v; the worker waits for it, or run worker setup --with-intake\n", err)
					return nil
				}
				return err
			}
			if rewind != "" {
				if err := broker.Rewind(ctx, js, layout, from); err != nil {
					return err
				}
				fmt.Fprintf(out, "the intake is read again from %s\n", from.Format(time.RFC3339))
				return nil
			}
			if accept {
				fmt.Fprintln(out, "workers go on with this ledger; announcements that were handled already are read again, and those customers looked up, after worker setup --rewind-intake TIME")
			}
			if len(changes) == 0 && !rebind && !accept {
				fmt.Fprintln(out, "everything is as declared")
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.BoolVar(&check, "check", false, "print differences, change nothing, exit 3 if there are any")
	f.BoolVar(&withIntake, "with-intake", false, "create the intake stream too, which is otherwise the signup pipeline's")
	f.StringVar(&rewind, "rewind-intake", "", "read the intake again from a `TIME` (RFC 3339)")
	f.StringVar(&publish, "publish-stream", "", "create a stream `NAME` that has the activated events alone, as customer.activated.<id>")
	f.BoolVar(&hold, "hold-publish", false, "let what sources the activated events take no more of them until the next setup, before a ledger is restored")
	f.BoolVar(&accept, "accept-ledger", false, "go on with the ledger that is there, or a new one, after the one before was lost")
	f.BoolVar(&rebind, "rebind-partner", false, "bind the ledger to the partner and tenant now configured")
	config.Flags(f, config.GroupNATS, config.GroupPartner, config.GroupStreams)
	return cmd
}

// keepMaxBytes leaves the ledger's limit as it is where nothing is said: it was somebody's choice, or the embedded server's.
func keepMaxBytes(ctx context.Context, c *config.Config, js jetstream.JetStream, layout *broker.Layout) {
	if c.Worker.StreamMaxBytes != 0 {
		return
	}
	if s, err := js.Stream(ctx, layout.Streams.Ledger); err == nil {
		layout.MaxBytes = s.CachedInfo().Config.MaxBytes
	}
}
