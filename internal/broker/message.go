package broker

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// message is a message of a [Pull], with the client library's interface. It is safe for concurrent use.
type message struct {
	nc    *nats.Conn
	msg   *nats.Msg
	ended atomic.Bool // acknowledged, in whichever way
}

// What may be answered to a delivery (JetStream's wire protocol).
const (
	ackDone     = "+ACK"
	ackAgain    = "-NAK"
	ackProgress = "+WPI"
	ackNever    = "+TERM"
)

func (m *message) Metadata() (*jetstream.MsgMetadata, error) {
	meta, err := m.msg.Metadata()
	if err != nil {
		return nil, err
	}
	return &jetstream.MsgMetadata{
		Sequence:     jetstream.SequencePair{Consumer: meta.Sequence.Consumer, Stream: meta.Sequence.Stream},
		NumDelivered: meta.NumDelivered, NumPending: meta.NumPending, Timestamp: meta.Timestamp,
		Stream: meta.Stream, Consumer: meta.Consumer, Domain: meta.Domain,
	}, nil
}

func (m *message) Data() []byte         { return m.msg.Data }
func (m *message) Headers() nats.Header { return m.msg.Header }
func (m *message) Subject() string      { return m.msg.Subject }
func (m *message) Reply() string        { return m.msg.Reply }

func (m *message) Ack() error  { return m.end(ackDone) }
func (m *message) Nak() error  { return m.end(ackAgain) }
func (m *message) Term() error { return m.end(ackNever) }

func (m *message) NakWithDelay(delay time.Duration) error {
	if delay <= 0 {
		return m.Nak()
	}
	return m.end(fmt.Sprintf(`%s {"delay": %d}`, ackAgain, delay.Nanoseconds()))
}

func (m *message) TermWithReason(reason string) error { return m.end(ackNever + " " + reason) }

// DoubleAck acknowledges and waits for the server to say that it knows.
func (m *message) DoubleAck(ctx context.Context) error {
	if m.ended.Load() {
		return jetstream.ErrMsgAlreadyAckd
	}
	_, err := m.nc.RequestWithContext(ctx, m.msg.Reply, []byte(ackDone))
	m.ended.Store(err == nil)
	return err
}

func (m *message) InProgress() error {
	if m.ended.Load() {
		return jetstream.ErrMsgAlreadyAckd
	}
	return m.nc.Publish(m.msg.Reply, []byte(ackProgress))
}

// end says how the delivery ended, once; what could not be sent may be tried again.
func (m *message) end(how string) error {
	if m.ended.Swap(true) {
		return jetstream.ErrMsgAlreadyAckd
	}
	err := m.nc.Publish(m.msg.Reply, []byte(how))
	if err != nil {
		m.ended.Store(false)
	}
	return err
}
