package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"activation-worker/internal/config"
	"activation-worker/internal/ledger"
	"activation-worker/internal/operator"
)

func doctorCommand() *cobra.Command {
	var output, metrics string
	var auditing bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Is everything there that a worker needs",
		Long: `Looks at everything that a worker depends on, with the worker's own settings, and says what to do about
what is wanting: NATS, the embedded server's disk, permissions, streams, the clock, files with secrets, credentials, the partner, DNS,
the quota, whether announcements are taken, customers who are overdue, and answers of the partner that no
table knows. It changes nothing and asks the partner for at most one token and one page of its list. What
cannot be checked is skipped. It exits 0 when all is well, and 3 when something is wanting.

With --audit it reads the whole ledger instead, and what stands beside it, and holds every record that is kept
against what is promised: nobody lost, one outcome a round, no write over another's. It changes nothing, may run
while workers do, and needs to read only. It exits 3 at a breach, says what that means and what to do.
With --metrics FILE it also writes how many breaches there are, by rule, and when it ended, for the textfile
collector of Prometheus' node_exporter: at once and whole, also at a breach, but not where it could not run, so
that the age of the file tells. Run it by a timer.`,
		Example: `  worker doctor
  worker doctor --config worker.yaml -o json
  worker doctor --audit
  worker doctor --audit --metrics /var/lib/node_exporter/activation.prom`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("metrics") && (!auditing || metrics == "") {
				return usageError{errors.New("--metrics FILE is what --audit writes: give both, and name a file")}
			}
			c, err := config.Load(cmd.Flags(), os.Environ())
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			nc, js, connecting := connectOnce(ctx, c, "worker doctor")
			if connecting == nil {
				defer nc.Close()
			}
			if auditing {
				if connecting != nil {
					return connecting
				}
				return auditLedger(ctx, c, js, cmd.OutOrStdout(), cmd.ErrOrStderr(), output == "json", metrics)
			}
			d, closePartner, err := doctorOf(ctx, c, nc, js, connecting)
			if err != nil {
				return err
			}
			defer closePartner()
			p := checkPrinter{out: cmd.OutOrStdout(), json: output == "json"}
			if err := d.Examine(ctx, p.print); err != nil {
				return err
			}
			if p.wanting > 0 {
				return silent{exitDrift}
			}
			return nil
		},
	}
	outputFlag(cmd, &output)
	cmd.Flags().BoolVar(&auditing, "audit", false, "hold the whole ledger against the promises")
	cmd.Flags().StringVar(&metrics, "metrics", "", "with --audit: write the result to this `FILE` too, for node_exporter's textfile collector")
	config.Flags(cmd.Flags(), config.GroupNATS, config.GroupPartner, config.GroupStreams, config.GroupWorker)
	return cmd
}

// doctorOf wires the checks as a worker with these settings is wired.
func doctorOf(ctx context.Context, c *config.Config, nc *nats.Conn, js jetstream.JetStream, connecting error) (*operator.Doctor, func(), error) {
	closePartner := func() {}
	d := &operator.Doctor{
		Connecting: connecting, Layout: layoutOf(c), Host: c.Partner.Host(), Exposed: c.Exposed,
		Limits:    limitsOf(c),
		Simulated: c.Partner.Loopback(), Policy: policyOf(c), Now: time.Now, At: local,
	}
	if c.NATS.URL == "" {
		d.DataDir = c.Worker.DataDir
	}
	maxObject := 1 << 20 // of no matter: nothing is activated
	if connecting == nil {
		d.Link, d.JetStream, maxObject = nc, js, ledger.MaxObject(nc)
		d.Records = readerOf(c, nc, js)
		d.Quota = quotaBucket(c, js, "")
		keepMaxBytes(ctx, c, js, &d.Layout)
	}
	if c.Partner.HasCredentials() {
		client, err := partnerClient(c, maxObject, instruments{}, zap.NewNop())
		if err != nil {
			return nil, nil, err
		}
		d.Partner, closePartner = client, client.Close
	}
	looker, err := lookerOf(c)
	if err != nil {
		closePartner()
		return nil, nil, err
	}
	d.Looker = looker
	return d, closePartner, nil
}

// checkPrinter writes checks as they are made.
type checkPrinter struct {
	out     io.Writer
	json    bool
	wanting int
}

func (p *checkPrinter) print(c operator.Check) error {
	if c.Level == operator.Warn || c.Level == operator.Fail {
		p.wanting++
	}
	if p.json {
		return jsonLines(p.out).Encode(c)
	}
	const level, name = 7, 11
	text := row(cell{string(c.Level), level}, cell{c.Name, name}, cell{c.Detail, 0})
	if c.WhatToDo != "" {
		text += fmt.Sprintf("%s to do: %s\n", strings.Repeat(" ", level+2+name+1), printable(c.WhatToDo))
	}
	_, err := io.WriteString(p.out, text)
	return err
}
