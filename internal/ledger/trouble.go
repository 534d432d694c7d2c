package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

const (
	// troubleAfter is how long messages are not stored before that is worth saying: elections and restarts take seconds.
	troubleAfter = 5 * time.Second
	// troubleFor is how long it is believed when nobody tries any more.
	troubleFor = 30 * time.Second
)

// troubles are what keeps messages from being stored, by the subjects that they are for.
type troubles struct {
	mu sync.Mutex
	by map[string]*trouble
}

type trouble struct {
	since, last time.Time
	text        string
	said        string // what the log was told
}

// kindOf are all subjects that are alike: the permission to publish is one, and so is the stream.
func kindOf(subject string) string {
	parts := strings.SplitN(subject, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".") + ".>"
}

// unstored notes that a message could not be stored for now.
func (l *Ledger) unstored(subject string, err error) {
	kind, now := kindOf(subject), l.now()
	text := l.whyNot(subject, kind, err)
	l.troubles.mu.Lock()
	defer l.troubles.mu.Unlock()
	t := l.troubles.by[kind]
	if t == nil || now.Sub(t.last) > troubleFor {
		t = &trouble{since: now}
		l.troubles.by[kind] = t
	}
	t.last, t.text = now, text
	if now.Sub(t.since) >= troubleAfter && t.said != text {
		t.said = text
		l.log.Warn("messages are not stored, they are sent again and again", zap.String("subjects", kind), zap.String("because", text))
	}
}

// stored notes that a message was stored, or refused for another reason than that it could not be.
func (l *Ledger) stored(subject string) {
	l.troubles.mu.Lock()
	defer l.troubles.mu.Unlock()
	if len(l.troubles.by) == 0 {
		return // mostly
	}
	kind := kindOf(subject)
	t := l.troubles.by[kind]
	if t == nil {
		return
	}
	delete(l.troubles.by, kind)
	if t.said != "" {
		l.log.Info("messages are stored again", zap.String("subjects", kind))
	}
}

// Unstored is why messages have not been stored for some time although they are sent again and again; nil where they are.
func (l *Ledger) Unstored() error {
	now := l.now()
	l.troubles.mu.Lock()
	defer l.troubles.mu.Unlock()
	var all []error
	for _, t := range l.troubles.by {
		if now.Sub(t.since) >= troubleAfter && now.Sub(t.last) <= troubleFor {
			all = append(all, errors.New(t.text))
		}
	}
	return errors.Join(all...)
}

// whyNot puts into words what keeps a message from being stored.
func (l *Ledger) whyNot(subject, kind string, err error) string {
	silent := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout)
	switch denied := l.conn.LastError(); {
	case silent && errors.Is(denied, nats.ErrPermissionViolation) && strings.Contains(denied.Error(), subject):
		return fmt.Sprintf("the NATS user may not publish on %s: grant it; what waits is then written", kind)
	case silent:
		return fmt.Sprintf("NATS does not acknowledge what is published on %s: see the NATS server's log; where its disk is full or fails, make room and start the server again", kind)
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, jetstream.ErrNoStreamResponse):
		return fmt.Sprintf("no stream takes what is published on %s: the stream is gone, or JetStream is off or has stopped", kind)
	}
	return fmt.Sprintf("what is published on %s is refused: %v", kind, err)
}
