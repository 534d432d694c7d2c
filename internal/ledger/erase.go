package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/events"
)

// Erase removes everything of a customer's family that is older than a record.
func (l *Ledger) Erase(ctx context.Context, r *events.Record) error {
	return l.purge(ctx, l.streams.Ledger, events.CustomerFamily(r.DomainID), r.Sequence)
}

// EraseRejection removes one rejection with its original.
func (l *Ledger) EraseRejection(ctx context.Context, sequence uint64) error {
	return l.delete(ctx, l.streams.Rejected, sequence)
}

// ErasePublished removes what a stream that sources the activated events has of a customer.
func (l *Ledger) ErasePublished(ctx context.Context, stream string, domainID int64) error {
	return l.purge(ctx, stream, events.PublishedSubject(strconv.FormatInt(domainID, 10)), 0)
}

// purge removes what matches a filter, up to a sequence (0: all).
func (l *Ledger) purge(ctx context.Context, stream, filter string, before uint64) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	body, err := json.Marshal(jetstream.StreamPurgeRequest{Subject: filter, Sequence: before})
	if err != nil {
		return err
	}
	// The client would ask for the stream's whole description first.
	answer, err := l.conn.RequestWithContext(ctx, l.api+"STREAM.PURGE."+stream, body)
	var got struct {
		Error *jetstream.APIError `json:"error"`
	}
	if err == nil {
		err = json.Unmarshal(answer.Data, &got)
	}
	if err == nil && got.Error != nil {
		err = got.Error
	}
	if err != nil {
		return fmt.Errorf("erase %s from stream %s: %w", filter, stream, err)
	}
	return nil
}

func (l *Ledger) delete(ctx context.Context, stream string, sequence uint64) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	s, err := l.js.Stream(ctx, stream)
	if err == nil {
		err = s.DeleteMsg(ctx, sequence)
	}
	if err == nil {
		return nil
	}
	// The server has no code of its own for a message that is gone already.
	if left, gone := l.get(ctx, stream, map[string]any{"seq": sequence}); gone == nil && left == nil {
		return nil
	}
	return fmt.Errorf("erase message %d of stream %s: %w", sequence, stream, err)
}

// PublishStream is the stream that sources the activated events; empty for none.
func (l *Ledger) PublishStream(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	s, err := l.js.Stream(ctx, l.streams.Ledger)
	if err != nil {
		return "", fmt.Errorf("read stream %s: %w", l.streams.Ledger, err)
	}
	return s.CachedInfo().Config.Metadata[events.MetadataPublish], nil
}
