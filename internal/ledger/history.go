package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"activation-worker/internal/events"
)

// Entry is one message of a stream, as a reader meets it.
type Entry struct {
	Subject  string
	Sequence uint64
	Header   map[string][]string
	Data     []byte
	StoredAt time.Time // by the server's clock
}

// History is what the ledger has kept of a customer, oldest first: at most the newest 16 records in each state.
func (l *Ledger) History(ctx context.Context, domainID int64) ([]Entry, error) {
	var entries []Entry
	err := l.each(ctx, l.streams.Ledger, jetstream.OrderedConsumerConfig{FilterSubjects: []string{events.CustomerFamily(domainID)}}, func(e Entry) bool {
		entries = append(entries, e)
		return true
	})
	return entries, err
}

// FindDomain lists the ids of the customers with a domain name, whatever its case. It reads
// the newest record in each state of every customer, as a stream.
func (l *Ledger) FindDomain(ctx context.Context, domain string) ([]int64, error) {
	var ids []int64
	seen := map[int64]bool{}
	cfg := jetstream.OrderedConsumerConfig{FilterSubjects: []string{events.SubjectCustomers}, DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy}
	err := l.each(ctx, l.streams.Ledger, cfg, func(e Entry) bool {
		if r, err := events.DecodeRecord(e.Subject, e.Sequence, e.Data); err == nil && strings.EqualFold(r.Domain, domain) && !seen[r.DomainID] {
			seen[r.DomainID] = true
			ids = append(ids, r.DomainID)
		}
		return true
	})
	return ids, err
}

// LastIntake is the newest event that says whether workers take work; nil for none.
func (l *Ledger) LastIntake(ctx context.Context) (*Entry, error) {
	m, err := l.last(ctx, l.streams.Ledger, events.SubjectIntake)
	if err != nil || m == nil {
		return nil, err
	}
	return m.entry(), nil
}

// gatherTimeout bounds the wait for a reader's consumer. To find the last message of each subject takes the server some
// seconds where there are millions.
const gatherTimeout = time.Minute

// readStall is after how long without a message it is looked whether there is one left to come.
const readStall = 5 * time.Second

// readAhead bounds what a reader holds, in bytes.
const readAhead = 4 << 20

// each reads what a stream holds now, in order, until fn returns false. On a replicated
// stream it may not see yet what was written in the last moments.
func (l *Ledger) each(ctx context.Context, stream string, cfg jetstream.OrderedConsumerConfig, fn func(Entry) bool) error {
	asking, cancel := context.WithTimeout(ctx, gatherTimeout)
	defer cancel()
	cfg.MaxResetAttempts = 1 // it would go on for ever otherwise, whatever ctx says
	cons, givenUp, err := l.reader(asking, stream, cfg)
	if err != nil {
		return fmt.Errorf("read stream %s: %w", stream, err)
	}
	defer l.forget(ctx, stream, cons, givenUp...)
	info, err := cons.Info(asking)
	if err != nil {
		return fmt.Errorf("read stream %s: %w", stream, err)
	}
	left := info.NumPending
	if left == 0 {
		return nil
	}
	messages, err := cons.Messages(jetstream.PullMaxMessagesWithBytesLimit(500, max(readAhead, 2*int(l.conn.MaxPayload()))))
	if err != nil {
		return fmt.Errorf("read stream %s: %w", stream, err)
	}
	defer messages.Stop()
	defer context.AfterFunc(ctx, messages.Stop)()
	for ; left > 0; left-- {
		msg, err := messages.Next(jetstream.NextMaxWait(readStall))
		if errors.Is(err, nats.ErrTimeout) && ctx.Err() == nil {
			// What was to come may be gone: replaced, or erased.
			if info, err := cons.Info(ctx); err != nil || info.NumPending > 0 {
				left++
				continue
			}
			return nil
		}
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return fmt.Errorf("read stream %s: %w", stream, err)
		}
		meta, err := msg.Metadata()
		if err != nil {
			return fmt.Errorf("read stream %s: %w", stream, err)
		}
		if !fn(Entry{Subject: msg.Subject(), Sequence: meta.Sequence.Stream, Header: msg.Headers(), Data: msg.Data(), StoredAt: meta.Timestamp}) || meta.NumPending == 0 {
			return nil
		}
	}
	return nil
}

// askAgain and askAgainLast are when a request is made anew that a node took with it when it was lost; the latter where the
// server may need that long to find the last messages.
const (
	askAgain     = 5 * time.Second
	askAgainLast = 25 * time.Second
)

// reader makes a consumer, asking again where no answer comes. givenUp are the names of those that may have been made all the same.
func (l *Ledger) reader(ctx context.Context, stream string, cfg jetstream.OrderedConsumerConfig) (cons jetstream.Consumer, givenUp []string, err error) {
	patience := askAgain
	if cfg.DeliverPolicy == jetstream.DeliverLastPerSubjectPolicy {
		patience = askAgainLast
	}
	for {
		cfg.NamePrefix = nuid.Next()
		asking, cancel := context.WithTimeout(ctx, patience)
		cons, err = l.js.OrderedConsumer(asking, stream, cfg)
		unanswered := asking.Err() != nil
		cancel()
		if err == nil || !unanswered || ctx.Err() != nil {
			return cons, givenUp, err
		}
		givenUp = append(givenUp, cfg.NamePrefix+"_1") // as the client calls its first
	}
}

// forget deletes a reader's consumer, and others by name, which the server would otherwise keep for minutes.
func (l *Ledger) forget(ctx context.Context, stream string, cons jetstream.Consumer, names ...string) {
	ctx = context.WithoutCancel(ctx)
	if info := cons.CachedInfo(); info != nil {
		names = append(names, info.Name)
	}
	for _, name := range names {
		for range 2 { // where it fails both times, the server does so later
			asking, cancel := context.WithTimeout(ctx, requestTimeout)
			err := l.js.DeleteConsumer(asking, stream, name)
			unanswered := asking.Err() != nil && l.conn.IsConnected()
			cancel()
			if err == nil || !unanswered {
				break
			}
		}
	}
}

// FindIntake looks through a stream's messages on a subject, from a sequence on, at most so many, for the
// first that fits. complete tells whether all were looked at.
func (l *Ledger) FindIntake(ctx context.Context, stream, subject string, from uint64, most int, fits func(events.Message) bool) (sequence uint64, complete bool, err error) {
	complete = true
	cfg := jetstream.OrderedConsumerConfig{FilterSubjects: []string{subject}, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from}
	err = l.each(ctx, stream, cfg, func(e Entry) bool {
		if most--; most < 0 {
			complete = false
			return false
		}
		if fits(events.Message{Subject: e.Subject, Header: e.Header, Data: e.Data, Stream: stream, Sequence: e.Sequence, StoredAt: e.StoredAt}) {
			sequence = e.Sequence
			return false
		}
		return true
	})
	return sequence, complete, err
}

// FindIntakeOneByOne is [Ledger.FindIntake] for who may not have a reader on the stream: its leader is asked for each message.
func (l *Ledger) FindIntakeOneByOne(ctx context.Context, stream, subject string, from uint64, most int, fits func(events.Message) bool) (sequence uint64, complete bool, err error) {
	for range most {
		m, err := l.message(ctx, stream, map[string]any{"seq": from, "next_by_subj": subject})
		switch {
		case err != nil:
			return 0, false, err
		case m == nil:
			return 0, true, nil
		case fits(*m):
			return m.Sequence, true, nil
		}
		from = m.Sequence + 1
	}
	return 0, false, nil
}

// Message is what a stream's leader has at a sequence; nil for nothing (any more).
func (l *Ledger) Message(ctx context.Context, stream string, sequence uint64) (*events.Message, error) {
	return l.message(ctx, stream, map[string]any{"seq": sequence})
}

// message reads from the leader, whatever else the stream allows: that is what the worker's user may.
func (l *Ledger) message(ctx context.Context, stream string, which map[string]any) (*events.Message, error) {
	m, err := l.get(ctx, stream, which)
	if err != nil {
		return nil, fmt.Errorf("read stream %s: %w", stream, err)
	}
	if m == nil {
		return nil, nil
	}
	message := events.Message{Subject: m.Subject, Data: m.Data, Stream: stream, Sequence: m.Sequence, StoredAt: m.Time}
	if len(m.Header) > 0 {
		header, err := nats.DecodeHeadersMsg(m.Header)
		if err != nil {
			return nil, fmt.Errorf("read message %d of stream %s: %w", m.Sequence, stream, err)
		}
		message.Header = header
	}
	return &message, nil
}

// Family is a customer's record and what the ledger has kept of the past; nil for none.
func (l *Ledger) Family(ctx context.Context, domainID int64) (*events.Record, []Entry, error) {
	r, err := l.Load(ctx, domainID)
	if err != nil || r == nil {
		return nil, nil, err
	}
	entries, err := l.History(ctx, domainID)
	return r, entries, err
}
