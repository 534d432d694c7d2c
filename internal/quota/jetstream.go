package quota

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Bucket is a [Store] in a JetStream key-value bucket. All fields are required.
type Bucket struct {
	Conn      *nats.Conn
	JetStream jetstream.JetStream
	API       string // prefix of the JetStream API's subjects, with its final dot
	Stream    string // behind the bucket
	Subject   string // of the one key
	Hint      string // subject on which writers say that they have written
	Writer    string // names this process there, so that it does not hear itself
}

// Load reads the record from the stream's leader: from another server it could be an older one.
func (b Bucket) Load(ctx context.Context) (data []byte, version uint64, err error) {
	var got struct {
		Message *struct {
			Sequence uint64 `json:"seq"`
			Data     []byte `json:"data"`
		} `json:"message"`
	}
	err = b.ask(ctx, "STREAM.MSG.GET.", map[string]string{"last_by_subj": b.Subject}, &got)
	var none *jetstream.APIError
	switch {
	case errors.As(err, &none) && none.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return nil, 0, nil
	case err != nil:
		return nil, 0, err
	case got.Message == nil:
		return nil, 0, fmt.Errorf("stream %s: an answer without a message", b.Stream)
	}
	return got.Message.Data, got.Message.Sequence, nil
}

// Time is the clock of the stream's leader.
func (b Bucket) Time(ctx context.Context) (time.Time, error) {
	var got struct {
		Time time.Time `json:"ts"`
	}
	if err := b.ask(ctx, "STREAM.INFO.", nil, &got); err != nil {
		return time.Time{}, err
	}
	if got.Time.IsZero() {
		return time.Time{}, fmt.Errorf("the server does not tell its time with stream %s: nats-server 2.12 or newer is needed", b.Stream)
	}
	return got.Time, nil
}

func (b Bucket) ask(ctx context.Context, verb string, question, answer any) error {
	var body []byte
	if question != nil {
		var err error
		if body, err = json.Marshal(question); err != nil {
			return err
		}
	}
	msg, err := b.Conn.RequestWithContext(ctx, b.API+verb+b.Stream, body)
	if err != nil {
		return fmt.Errorf("stream %s: %w", b.Stream, err)
	}
	var failed struct {
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(msg.Data, &failed); err != nil {
		return fmt.Errorf("stream %s: %w", b.Stream, err)
	}
	if failed.Error != nil {
		return fmt.Errorf("stream %s: %w", b.Stream, failed.Error)
	}
	return json.Unmarshal(msg.Data, answer)
}

// Update writes a record over that version.
func (b Bucket) Update(ctx context.Context, data []byte, version uint64) (uint64, error) {
	// Not repeated: meanwhile another version can be there.
	stored, err := b.JetStream.Publish(ctx, b.Subject, data, jetstream.WithExpectLastSequencePerSubject(version), jetstream.WithRetryAttempts(0))
	var refused *jetstream.APIError
	switch {
	case errors.As(err, &refused) && (refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || refused.ErrorCode == wrongLastOnReplicas):
		return 0, ErrConflict
	case err != nil:
		return 0, err
	}
	_ = b.Conn.Publish(b.Hint, []byte(b.Writer)) // who misses it looks by himself, later
	return stored.Sequence, nil
}

// wrongLastOnReplicas is the same refusal as [jetstream.JSErrCodeStreamWrongLastSequence] where another write is on its way (nats-server 2.15).
const wrongLastOnReplicas = 10164

// Watch hears what other writers say.
func (b Bucket) Watch(ctx context.Context) (<-chan struct{}, error) {
	changes := make(chan struct{}, 1)
	sub, err := b.Conn.Subscribe(b.Hint, func(m *nats.Msg) {
		if string(m.Data) == b.Writer {
			return
		}
		select {
		case changes <- struct{}{}:
		default:
		}
	})
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { _ = sub.Unsubscribe() })
	return changes, nil
}
