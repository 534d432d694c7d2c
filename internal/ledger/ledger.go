// Package ledger keeps a customer's record on JetStream: it reads, claims, records,
// schedules and announces. The ledger is the public event stream itself; a customer's
// state is the newest message of its family, and every state is written by
// compare-and-set on that family. Which record to write is decided elsewhere.
package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
	"go.uber.org/zap"

	"activation-worker/internal/events"
)

// Options of a [Ledger]. All are required but Now, Lease and Mark.
type Options struct {
	Conn      *nats.Conn
	JetStream jetstream.JetStream
	Streams   events.Streams
	Source    string // CloudEvents source of what is written
	Now       func() time.Time
	Log       *zap.Logger
	// Lease is the longest that a claim of any worker holds. Zero for readers, who claim nothing.
	Lease time.Duration
	// Mark is that of the ledger to work on, as it is known now; nil: any is the right one.
	Mark func() events.Mark
}

// Ledger is safe for concurrent use.
type Ledger struct {
	conn *nats.Conn
	js   jetstream.JetStream
	// publisher gives up an answer after requestTimeout.
	publisher jetstream.JetStream
	api       string // JetStream API prefix, with the final dot
	streams   events.Streams
	source    string
	now       func() time.Time
	log       *zap.Logger
	lease     time.Duration
	room      room

	mark     func() events.Mark
	chain    chain
	troubles troubles
	own      own
	swept    swept
	run      string // of this process alone
}

// ErrConflict is returned where another record was written in the family meanwhile.
var ErrConflict = errors.New("another record was written first")

// ErrFull is returned where the ledger has no room, or none to spare.
var ErrFull = errors.New("the ledger's stream is full: raise WORKER_STREAM_MAX_BYTES and run worker setup")

// New returns a ledger on streams that exist.
func New(o Options) *Ledger {
	if o.Now == nil {
		o.Now = time.Now
	}
	opts := o.JetStream.Options()
	publisher, err := jetstream.New(o.Conn, jetstream.WithPublishAsyncTimeout(requestTimeout))
	if err != nil {
		panic(err) // of options that are constants
	}
	return &Ledger{
		publisher: publisher,
		conn:      o.Conn, js: o.JetStream, api: events.APIPrefix(opts.Domain, opts.APIPrefix), streams: o.Streams, source: o.Source, now: o.Now,
		log: o.Log.Named("ledger"), lease: o.Lease,
		run: nuid.Next(), mark: o.Mark, troubles: troubles{by: map[string]*trouble{}},
	}
}

// requestTimeout bounds one request to the server; what takes longer is asked again.
const requestTimeout = 3 * time.Second

// stored is a message as the stream's leader has it.
type stored struct {
	Subject  string    `json:"subject"`
	Sequence uint64    `json:"seq"`
	Header   []byte    `json:"hdrs"`
	Data     []byte    `json:"data"`
	Time     time.Time `json:"time"`
}

// last reads the newest message that matches a filter from the stream's leader; nil for
// none. A direct get, which nats.go would choose, may answer from a follower that lags.
func (l *Ledger) last(ctx context.Context, stream, filter string) (*stored, error) {
	m, err := l.get(ctx, stream, map[string]any{"last_by_subj": filter})
	if err != nil {
		return nil, fmt.Errorf("read %s of stream %s: %w", filter, stream, err)
	}
	return m, nil
}

// get asks the stream's leader for one message; nil for none.
func (l *Ledger) get(ctx context.Context, stream string, which map[string]any) (*stored, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	body, err := json.Marshal(which)
	if err != nil {
		return nil, err
	}
	answer, err := l.conn.RequestWithContext(ctx, l.api+"STREAM.MSG.GET."+stream, body)
	if err != nil {
		return nil, err
	}
	var got struct {
		Error   *jetstream.APIError `json:"error"`
		Message *stored             `json:"message"`
	}
	if err := json.Unmarshal(answer.Data, &got); err != nil {
		return nil, err
	}
	if got.Error != nil {
		if got.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound {
			return nil, nil
		}
		return nil, got.Error
	}
	return got.Message, nil
}

// Load reads a customer's record from the stream's leader; nil for none. The error wraps
// [events.ErrForeignRecord] where the record is to be left alone.
func (l *Ledger) Load(ctx context.Context, domainID int64) (*events.Record, error) {
	m, err := l.last(ctx, l.streams.Ledger, events.CustomerFamily(domainID))
	if err != nil || m == nil {
		return nil, err
	}
	return l.record(m)
}

// noticed is within what time each worker knows of an acceptance: what one has written before that, as a look at DNS,
// was made of a record that is from before it.
const noticed = 15 * time.Second

// record reads a state record to be acted on. What was stored before an operator accepted this ledger may be older than
// what the lost one knew: a customer who waits or has failed here may be active, so the partner is asked first.
func (l *Ledger) record(m *stored) (*events.Record, error) {
	r, err := m.record()
	accepted := l.Mark().Accepted
	if err == nil && !accepted.IsZero() && r.StoredAt.Before(accepted.Add(noticed)) && (r.State == events.Deferred || r.State == events.Failed) {
		r.LookFirst = true
	}
	return r, err
}

// record reads a state record.
func (m *stored) record() (*events.Record, error) {
	r, err := events.DecodeRecord(m.Subject, m.Sequence, m.Data)
	if err == nil {
		r.StoredAt = m.Time
	}
	return r, err
}

// entry is the message as readers meet it, without its headers.
func (m *stored) entry() *Entry {
	return &Entry{Subject: m.Subject, Sequence: m.Sequence, Data: m.Data, StoredAt: m.Time}
}
