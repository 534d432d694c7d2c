package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/events"
)

// Pull takes the messages of a consumer, asking for no more than can be handled at once: what waits stays with whoever can do it.
// One goroutine may use it. Make one with [NewPull] and end it with [Pull.Stop].
//
// One request is open at a time, for as many messages as are wanted when it is made. A request for each message would cost the
// server as much again as storing what comes of it.
//
// The client library's own tells the server's words from messages by a header, Status, of an empty message. Whoever may
// publish to a stream can store such a message: it would be delivered again and again and never arrive, each time
// costing the one who asked half a minute, and a thousand of them stop a consumer for good. Here the subject tells:
// the server's words come to our inbox, messages with the subject that they are stored under.
type Pull struct {
	nc       *nats.Conn
	sub      *nats.Subscription
	subject  string        // where a message is asked for
	expiry   time.Duration // of one request for a message
	inbox    string        // with a final dot; a request's number follows
	incoming chan *nats.Msg
	closed   chan struct{} // the subscription is no more
	status   chan nats.Status

	asked    int // requests made so far
	open     int // messages that the last one may still bring
	silence  *time.Timer
	troubles int // requests in a row that the server would not take
}

const (
	incomingRoom = 64                     // beside what one request may bring
	troublePause = 500 * time.Millisecond // before a request is made anew that the server would not take
	mostTroubles = 6                      // in a row, then it is an error: while a leader is elected there are some
)

// NewPull returns a Pull of a consumer that exists, which never asks for more than most messages at a time. A request is renewed
// after expiry.
func NewPull(js jetstream.JetStream, stream, consumer string, most int, expiry time.Duration) (*Pull, error) {
	nc, o := js.Conn(), js.Options()
	p := &Pull{
		nc: nc, expiry: expiry, subject: events.APIPrefix(o.Domain, o.APIPrefix) + "CONSUMER.MSG.NEXT." + stream + "." + consumer,
		inbox: nc.NewInbox() + ".", incoming: make(chan *nats.Msg, 2*most+incomingRoom), closed: make(chan struct{}), silence: time.NewTimer(expiry),
	}
	var err error
	if p.sub, err = nc.ChanSubscribe(p.inbox+"*", p.incoming); err != nil {
		return nil, fmt.Errorf("listen for messages of consumer %s: %w", consumer, err)
	}
	ended := sync.OnceFunc(func() { close(p.closed) }) // it is told twice when the connection is closed while the subscription drains
	p.sub.SetClosedHandler(func(string) { ended() })
	p.status = nc.StatusChanged(nats.CONNECTED, nats.CLOSED)
	return p, nil
}

// Next waits for a message; want, 1 or more, is how many could be handled now, this one included. The error is ctx's, [jetstream.ErrConsumerDeleted], [nats.ErrConnectionClosed], or says what
// the server answers again and again. A connection that is lost is waited for.
func (p *Pull) Next(ctx context.Context, want int) (jetstream.Msg, error) {
	for {
		// What a request that was given up has brought all the same comes first, or it would never be less.
		if p.open == 0 && len(p.incoming) == 0 {
			if err := ctx.Err(); err != nil {
				return nil, err // what is asked for now would come to nobody, and rest until the ack wait is over
			}
			if err := p.ask(want); err != nil {
				return nil, err
			}
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case msg := <-p.incoming:
			number, ours := strings.CutPrefix(msg.Subject, p.inbox)
			if !ours {
				p.open, p.troubles = max(0, p.open-1), 0
				return &message{nc: p.nc, msg: msg}, nil
			}
			if number != strconv.Itoa(p.asked) {
				continue // of a request that was given up
			}
			if err := p.hear(msg.Header.Get("Status"), msg.Header.Get("Description")); err != nil {
				p.open, p.troubles = 0, 0
				return nil, err
			}
		case status := <-p.status:
			for status != nats.CLOSED && len(p.status) > 0 {
				status = <-p.status // of several reconnects meanwhile: one new request makes up for all
			}
			if status == nats.CLOSED {
				return nil, nats.ErrConnectionClosed
			}
			p.open = 0 // the server that was asked may be another
		case <-p.silence.C:
			p.open = 0
		}
	}
}

// heartbeat is how often the server says that a request is still open; twice as long without a word is the end of it.
func (p *Pull) heartbeat() time.Duration { return p.expiry / 2 }

// ask asks for so many messages. Where that cannot be sent it is tried again when the connection is back, or after a pause;
// the error is that of a connection that was closed.
func (p *Pull) ask(batch int) error {
	p.asked++
	p.open = batch
	body, err := json.Marshal(struct {
		Batch     int           `json:"batch"`
		Expires   time.Duration `json:"expires"`
		Heartbeat time.Duration `json:"idle_heartbeat"`
	}{batch, p.expiry, p.heartbeat()})
	if err == nil {
		err = p.nc.PublishRequest(p.subject, p.inbox+strconv.Itoa(p.asked), body)
	}
	p.silence.Reset(2 * p.heartbeat())
	if errors.Is(err, nats.ErrConnectionClosed) {
		return err
	}
	if err != nil {
		p.silence.Reset(troublePause)
	}
	return nil
}

// hear acts on a word of the server's about the open request.
func (p *Pull) hear(code, description string) error {
	switch code {
	case "100":
		p.silence.Reset(2 * p.heartbeat())
		return nil
	case "404", "408": // its time is over
		p.open, p.troubles = 0, 0
		return nil
	case "400":
		return fmt.Errorf("%w: %s", jetstream.ErrBadRequest, description)
	case "409":
		if strings.Contains(strings.ToLower(description), "consumer deleted") {
			return jetstream.ErrConsumerDeleted
		}
	case "503":
		description = "no server has this consumer"
	}
	if p.troubles++; p.troubles >= mostTroubles {
		return errors.New("the server gives no messages: " + strings.TrimSpace(code+" "+description))
	}
	p.silence.Reset(troublePause) // then it is asked anew
	return nil
}

// Stop ends the Pull and returns the messages that arrived after the last look, for somebody to give back. It waits for the
// server to know, as long as within.
func (p *Pull) Stop(within time.Duration) (late []jetstream.Msg) {
	p.nc.RemoveStatusListener(p.status)
	p.silence.Stop()
	timer := time.NewTimer(within)
	defer timer.Stop()
	if p.sub.Drain() != nil {
		_ = p.sub.Unsubscribe()
	}
	keep := func(msg *nats.Msg) {
		if !strings.HasPrefix(msg.Subject, p.inbox) {
			late = append(late, &message{nc: p.nc, msg: msg})
		}
	}
	for {
		select {
		case msg := <-p.incoming:
			keep(msg)
			continue
		case <-p.closed:
		case <-timer.C:
			_ = p.sub.Unsubscribe()
		}
		break
	}
	for {
		select {
		case msg := <-p.incoming:
			keep(msg)
		default:
			return late
		}
	}
}
