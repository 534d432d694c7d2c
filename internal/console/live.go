package console

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"
)

// present is how things stand, for all who read it: looked at while somebody does, and not more often for more of them.
type present struct {
	find  func(context.Context) []byte // nil: it cannot be said
	every time.Duration

	turn turns // of who looks; the rest is theirs
	at   time.Time
	text []byte
}

func newPresent(find func(context.Context) []byte, every time.Duration) *present {
	return &present{find: find, every: every, turn: newTurns(1)}
}

// read gives how things stand, and when it is worth reading again; nil when ctx has ended or nobody can say.
func (n *present) read(ctx context.Context) (text []byte, next time.Time) {
	select {
	case n.turn <- struct{}{}:
		defer n.turn.give()
	case <-ctx.Done():
		return nil, time.Time{}
	}
	if time.Since(n.at) >= n.every {
		n.text = n.find(context.WithoutCancel(ctx)) // for others too
		n.at = time.Now()                           // not before: who waited meanwhile need not look again
	}
	return n.text, n.at.Add(n.every)
}

// currently is the event of how things stand, written once for all.
func (p *page) currently(ctx context.Context) []byte {
	ctx, cancel := context.WithTimeout(ctx, p.pace.read)
	defer cancel()
	body, err := safely(func() ([]byte, error) { return encode(p.source.Now(ctx)) })
	if err != nil {
		p.troubles.tell("live", err)
		return nil
	}
	p.troubles.over("live")
	return fmt.Appendf(nil, "event: now\ndata: %s\n\n", bytes.TrimSuffix(body, []byte("\n")))
}

// live sends how things stand: at once, when it has changed, and often enough that who hears nothing knows it is old. It
// lasts until the reader leaves, does not read, or the server closes; the browser comes back by itself.
func (p *page) live(w http.ResponseWriter, r *http.Request) {
	f := formOf(r.URL.RawQuery)
	if err := f.end(); err != nil {
		p.refuse(w, r, "live", InputError{err})
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store, no-transform")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would collect events before it passes them on
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	to := stream{w, http.NewResponseController(w), p.pace.send}
	var when time.Time
	sent := []byte("retry: 1000\n\n")
	for err := to.send(sent); err == nil; {
		text, next := p.now.read(r.Context())
		if text == nil {
			return
		}
		if !bytes.Equal(text, sent) || next.Sub(when) > p.pace.beat { // the next time would be too late
			err, sent, when = to.send(text), text, time.Now()
		}
		select {
		case <-time.After(time.Until(next)):
		case <-r.Context().Done():
			return
		case <-closing(r):
			return
		}
	}
}

// stream writes messages, each with a deadline of its own in place of the server's for the whole answer.
type stream struct {
	to     http.ResponseWriter
	at     *http.ResponseController
	within time.Duration
}

func (s stream) send(text []byte) error {
	_ = s.at.SetWriteDeadline(time.Now().Add(s.within)) // where there is no connection, there is nothing to cut
	if _, err := s.to.Write(text); err != nil {
		return err
	}
	return s.at.Flush()
}
