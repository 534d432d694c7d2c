package operator

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/activation"
	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
)

// Choice is a customer that a replay is about, and what it does with it.
type Choice struct {
	DomainID int64
	Does     activation.Replayed
	Record   *events.Record   // newest, nil for none
	Accepted *events.Accepted // of a rejected announcement that can be read now
	Hastens  bool             // a waiting customer becomes due now
}

// Moves reports whether the replay writes a record for the customer.
func (c Choice) Moves() bool { return c.Does == activation.Requeued || c.Hastens }

// Chooser reads whom a replay is about. The preview of the command line and the worker choose alike.
type Chooser struct {
	Ledger  *ledger.Ledger
	JS      jetstream.JetStream
	Decoder events.Decoder
	Now     func() time.Time
}

// Choose calls fn for each customer that a request selects; unread for each rejected
// announcement that still cannot be acted on, with a sentence.
func (c Chooser) Choose(ctx context.Context, r events.Request, unread func(string), fn func(Choice) error) error {
	seen := map[int64]bool{}
	for _, id := range r.IDs {
		if seen[id] {
			continue
		}
		seen[id] = true
		record, err := c.Ledger.Load(ctx, id)
		if errors.Is(err, events.ErrForeignRecord) {
			unread(untouched(id, err))
			continue
		}
		if err != nil {
			return err
		}
		choice := Choice{DomainID: id, Does: activation.ReplayOf(record), Record: record}
		choice.Hastens = choice.Does == activation.Waits && activation.CanHasten(record, c.Now())
		if err := fn(choice); err != nil {
			return err
		}
	}
	byState := r.Selection
	byState.Rejected, byState.Replay = false, ""
	if !byState.Empty() {
		meant := func(record *events.Record) bool {
			return (r.AsOfSequence == 0 || record.Sequence <= r.AsOfSequence) && byState.Fits(record)
		}
		err := c.Ledger.Newest(ctx, []events.State{events.Failed}, meant, nil, func(record *events.Record) error {
			return fn(Choice{DomainID: record.DomainID, Does: activation.Requeued, Record: record})
		})
		if err != nil {
			return err
		}
	}
	if r.Selection.Rejected {
		return c.rejected(ctx, unread, fn)
	}
	return nil
}

// rejected reads the originals of rejected announcements again, one after the other.
func (c Chooser) rejected(ctx context.Context, unread func(string), fn func(Choice) error) error {
	err := c.Ledger.Rejections(ctx, func(e ledger.Entry) error {
		m, why := c.original(ctx, e)
		var accepted events.Accepted
		if why == "" {
			var err error
			if accepted, err = c.Decoder.Decode(m); err != nil {
				why = "it still cannot be acted on: " + err.Error()
			}
		}
		if why != "" {
			unread(fmt.Sprintf("rejected message %s: %s", lastToken(e.Subject), why))
			return nil
		}
		record, err := c.Ledger.Load(ctx, accepted.DomainID)
		if errors.Is(err, events.ErrForeignRecord) {
			unread(untouched(accepted.DomainID, err))
			return nil
		}
		if err != nil {
			return err
		}
		choice := Choice{DomainID: accepted.DomainID, Record: record, Does: activation.ReplayOf(record)}
		switch activation.Next(record, activation.Cue{Event: &accepted.Event}, c.Now()).Step {
		case activation.Claim, activation.NewRound, activation.Anew:
			choice.Does, choice.Accepted = activation.Requeued, &accepted
		default:
			if choice.Does == activation.Requeued {
				choice.Does = activation.AlreadyDone // this announcement was acted on since
			}
		}
		return fn(choice)
	})
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	return err
}

// original is the message that was rejected: as the intake still has it, else as the rejection kept it.
func (c Chooser) original(ctx context.Context, e ledger.Entry) (m events.Message, why string) {
	r, err := events.DecodeRejection(e.Data)
	if err != nil {
		return m, "its record cannot be read"
	}
	o := r.Original
	m = events.Message{Subject: o.Subject, Header: o.Headers, Stream: o.Stream, Sequence: o.Sequence}
	if stream, err := c.JS.Stream(ctx, o.Stream); err == nil {
		if raw, err := c.Ledger.Message(ctx, o.Stream, o.Sequence); err == nil && raw != nil && sumOf(raw.Data) == o.SHA256 {
			raw.Subject, raw.StreamCreated = o.Subject, stream.CachedInfo().Created
			return *raw, ""
		}
	}
	data, err := base64.StdEncoding.DecodeString(o.DataBase64)
	if err != nil || sumOf(data) != o.SHA256 {
		return m, fmt.Sprintf("only its beginning was kept, and stream %s does not have message %d any more", o.Stream, o.Sequence)
	}
	summary, err := events.DecodeSummary(e.Data)
	if err != nil {
		return m, "its record cannot be read"
	}
	m.Data, m.StoredAt = data, summary.Time
	created := strings.TrimSuffix(strings.TrimPrefix(summary.ID, "rejected-"+o.Stream+"-"), "-"+strconv.FormatUint(o.Sequence, 10))
	if nanos, err := strconv.ParseInt(created, 10, 64); err == nil {
		m.StreamCreated = time.Unix(0, nanos)
	}
	return m, ""
}

func sumOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func lastToken(subject string) string { return subject[strings.LastIndexByte(subject, '.')+1:] }
