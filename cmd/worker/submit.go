package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"activation-worker/internal/broker"
	"activation-worker/internal/config"
	"activation-worker/internal/events"
)

const maxSubmitLine = 4096

func submitCommand() *cobra.Command {
	var file, domain, reference, subject string
	var backfill bool
	cmd := &cobra.Command{
		Use:   "submit [id…]",
		Short: "Announces that customers have accepted the terms",
		Long: `Publishes one terms-accepted event for each LINE WORKS domain id: from the arguments, or from a file
or standard input (-) with one id a line. Nothing is published if any line is bad.`,
		Example: `  worker submit 51200931
  worker submit 51200931 --domain hinode-foods.example --reference order-7
  worker submit --file ids.txt
  cut -d, -f1 customers.csv | worker submit -
  worker submit --backfill --file customers-of-last-year.txt`,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := config.Load(cmd.Flags(), os.Environ())
			if err != nil {
				return err
			}
			if subject == "" {
				subject = c.Worker.IntakeSubject
			}
			if strings.ContainsAny(subject, "*>") {
				return usageError{fmt.Errorf("WORKER_INTAKE_SUBJECT is %s, which is a filter: say which subject to publish on with --subject", subject)}
			}
			if strings.HasPrefix(subject, "activation.") {
				return usageError{fmt.Errorf("--subject %s: subjects under activation. are the workers' own, and nobody else publishes there", subject)}
			}
			ids, err := idsToSubmit(args, file, cmd.InOrStdin())
			if err != nil {
				return err
			}
			if len(ids) > 1 && (domain != "" || reference != "") {
				return usageError{errors.New("--domain and --reference go with one id")}
			}
			if domain != "" && (!utf8.ValidString(domain) || len(domain) > 253 || !strings.Contains(domain, ".") || strings.ContainsFunc(domain, unicode.IsSpace)) {
				return usageError{fmt.Errorf("--domain: %.80q is no domain name", domain)}
			}
			if len(reference) > events.MaxReference {
				return usageError{fmt.Errorf("--reference is longer than %d bytes", events.MaxReference)}
			}
			ctx := cmd.Context()
			nc, js, err := connectOnce(ctx, c, "worker submit")
			if err != nil {
				return err
			}
			defer nc.Close()
			eventType := "signup.terms.accepted"
			if types := intakeTypes(c); len(types) > 0 {
				eventType = types[0]
			}
			for i, id := range ids {
				ack, err := announce(ctx, js, subject, eventType, announcement(c.Worker.IntakeDomainID, id, domain, reference), backfill)
				if errors.Is(err, jetstream.ErrNoStreamResponse) {
					err = fmt.Errorf("no stream takes %s (%w): where there are three NATS servers, see that two are up; else the signup pipeline creates it, or worker setup --with-intake", subject, err)
				}
				if err != nil && ctx.Err() != nil {
					fmt.Fprintf(cmd.ErrOrStderr(), "worker: interrupted: %d of %d were announced; %d is the next\n", i, len(ids), id)
				}
				if err != nil {
					return fmt.Errorf("announce domain %d: %w; %d of %d were announced", id, err, i, len(ids))
				}
				if len(ids) <= 20 {
					fmt.Fprintf(cmd.OutOrStdout(), "announced %d (%s %d)\n", id, ack.Stream, ack.Sequence)
				}
			}
			if len(ids) > 20 {
				fmt.Fprintf(cmd.OutOrStdout(), "announced %d customers\n", len(ids))
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&file, "file", "", "read ids from a `FILE`, one a line; - is standard input")
	f.StringVar(&domain, "domain", "", "the customer's domain `NAME`")
	f.StringVar(&reference, "reference", "", "an opaque `TEXT` of yours, such as an order number, at most 200 bytes")
	f.BoolVar(&backfill, "backfill", false, "announce them as of old: they wait behind fresh customers, and are looked up before they are activated")
	f.StringVar(&subject, "subject", "", "`SUBJECT` to publish on (default WORKER_INTAKE_SUBJECT)")
	config.Flags(f, config.GroupNATS, config.GroupStreams)
	return cmd
}

// announcement is the data of a terms-accepted event, with the domain id at a JSON pointer.
func announcement(pointer string, id int64, domain, reference string) map[string]any {
	data := map[string]any{"acceptedAt": time.Now().UTC().Format(time.RFC3339Nano)}
	if domain != "" {
		data["domain"] = domain
	}
	if reference != "" {
		data["reference"] = reference
	}
	tokens := events.PointerTokens(pointer)
	object := data
	for _, name := range tokens[:len(tokens)-1] {
		inner := map[string]any{}
		object[name] = inner
		object = inner
	}
	object[tokens[len(tokens)-1]] = id
	return data
}

// announce publishes one terms-accepted event; the same event sent twice is stored once.
func announce(ctx context.Context, js jetstream.JetStream, subject, eventType string, data map[string]any, backfill bool) (*jetstream.PubAck, error) {
	e := cloudevents.New()
	e.SetID(uuid.NewString())
	e.SetSource("/worker/submit")
	e.SetType(eventType)
	e.SetTime(time.Now())
	if backfill {
		e.SetExtension("backfill", true)
	}
	if err := e.SetData(cloudevents.ApplicationJSON, data); err != nil {
		return nil, err
	}
	body, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	var ack *jetstream.PubAck
	err = broker.Permitted(ctx, js.Conn(), func(ctx context.Context) (err error) {
		ack, err = js.PublishMsg(ctx, &nats.Msg{
			Subject: subject,
			Header:  nats.Header{"Content-Type": {events.ContentType}, jetstream.MsgIDHeader: {e.Source() + "#" + e.ID()}},
			Data:    body,
		})
		return err
	})
	return ack, err
}

// idsToSubmit reads every id before anything is published; all bad lines are named at once.
func idsToSubmit(args []string, file string, stdin io.Reader) ([]int64, error) {
	if len(args) == 1 && args[0] == "-" {
		args, file = nil, "-"
	}
	switch {
	case file == "" && len(args) == 0:
		return nil, usageError{errors.New("no domain id: give ids, --file FILE, or - for standard input")}
	case file != "" && len(args) > 0:
		return nil, usageError{errors.New("give ids or a file, not both")}
	case file == "":
		return parseIDs(args, "argument")
	}
	in := stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, usageError{fmt.Errorf("--file: %w", err)}
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	var lines []string
	scanner := bufio.NewScanner(in)
	scanner.Buffer(make([]byte, maxSubmitLine), maxSubmitLine)
	for scanner.Scan() {
		line := scanner.Bytes()
		if len(lines) == 0 {
			line = bytes.TrimPrefix(line, []byte("\xEF\xBB\xBF"))
		}
		lines = append(lines, string(bytes.TrimRight(line, "\r")))
	}
	if errors.Is(scanner.Err(), bufio.ErrTooLong) {
		return nil, usageError{fmt.Errorf("line %d is longer than %d bytes: one domain id a line is wanted; nothing was announced", len(lines)+1, maxSubmitLine)}
	}
	if err := scanner.Err(); err != nil {
		return nil, usageError{fmt.Errorf("line %d cannot be read: %w; nothing was announced", len(lines)+1, err)}
	}
	return parseIDs(lines, "line")
}

func parseIDs(texts []string, what string) ([]int64, error) {
	var ids []int64
	var errs []error
	for i, text := range texts {
		text = strings.TrimSpace(text)
		if text == "" && what == "line" {
			continue
		}
		id, ok := events.ParseDomainID(text)
		if !ok {
			if len(errs) < 10 {
				errs = append(errs, fmt.Errorf("%s %d: %.40q is no domain id: wanted decimal digits, 1 to 9223372036854775807", what, i+1, text))
			}
			continue
		}
		ids = append(ids, id)
	}
	if len(errs) > 0 {
		return nil, usageError{fmt.Errorf("%w\nnothing was announced", errors.Join(errs...))}
	}
	if len(ids) == 0 {
		return nil, usageError{errors.New("there is no domain id in the input; nothing was announced")}
	}
	return ids, nil
}
