package broker

import (
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"activation-worker/internal/repeats"
)

// repeatAfter is how long the same trouble stays unsaid.
const repeatAfter = 5 * time.Minute

// connLog tells the log how the connection fares: each change once, the same trouble again rarely.
type connLog struct {
	log     *zap.Logger
	denials *Denials // may be nil
	now     func() time.Time

	mu   sync.Mutex
	said map[string]time.Time // trouble → when it was last said
	text string               // of the latest trouble
}

func newConnLog(log *zap.Logger) *connLog {
	return &connLog{log: log, now: time.Now, said: map[string]time.Time{}, text: "no answer yet"}
}

// handlers report what happens to the connection after its first connect.
func (l *connLog) handlers() []nats.Option {
	return []nats.Option{
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil { // nil: we closed it
				l.log.Warn("nats connection lost, reconnecting", zap.Error(err), repeats.Outcome())
			}
		}),
		nats.ReconnectHandler(l.connected),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { l.unreachable(err) }),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) { l.trouble(sub, err) }),
		nats.ClosedHandler(func(nc *nats.Conn) {
			if err := nc.LastError(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
				l.log.Warn("nats connection closed", zap.Error(err))
			}
		}),
	}
}

// connected reports a connection and forgets the trouble before it, so that the next is said at once.
func (l *connLog) connected(nc *nats.Conn) {
	l.mu.Lock()
	clear(l.said)
	l.mu.Unlock()
	l.log.Info("nats connected", zap.String("server", nc.ConnectedUrlRedacted()), zap.String("version", nc.ConnectedServerVersion()))
}

// unreachable reports a failed try to connect. Its texts name ports that differ at each try, so its kind decides
// whether it is news.
func (l *connLog) unreachable(err error) {
	message := "nats is not reachable, retrying"
	if refused(err) {
		message = "nats refuses our credentials, retrying; check NATS_CREDS, NATS_NKEY, NATS_USER or NATS_TOKEN"
	}
	l.say(message, err)
}

// trouble reports what the client noticed on its own: refused permissions, slow subscriptions, refused credentials.
func (l *connLog) trouble(sub *nats.Subscription, err error) {
	if refused(err) {
		l.unreachable(err)
		return
	}
	if what := denied(err); what != "" {
		l.denials.note(what)
		if l.news("denied " + what) {
			l.log.Warn("nats refuses what the worker needs: grant it", zap.String("denied", what), zap.Error(err))
		}
		return
	}
	subject := ""
	if sub != nil {
		subject = sub.Subject
	}
	if l.news("trouble " + subject + " " + err.Error()) {
		l.log.Warn("nats reports a problem", zap.Error(err), zap.String("subject", subject))
	}
}

// secret reads a secret at a reconnect. Where that fails the server refuses the empty one and we try again.
func (l *connLog) secret(setting string, read func() (string, error)) string {
	value, err := read()
	if err != nil {
		l.say("nats credentials cannot be read, retrying", err, zap.String("setting", setting))
	}
	return value
}

func (l *connLog) say(message string, err error, fields ...zap.Field) {
	l.mu.Lock()
	l.text = err.Error()
	l.mu.Unlock()
	if l.news(message) {
		l.log.Warn(message, append(fields, zap.Error(err))...)
	}
}

// news reports whether this trouble is to be said now, and remembers that it was.
func (l *connLog) news(trouble string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if last, ok := l.said[trouble]; ok && now.Sub(last) < repeatAfter {
		return false
	}
	if len(l.said) >= 100 { // texts from a server are not ours to bound
		clear(l.said)
	}
	l.said[trouble] = now
	return true
}

// last is the latest trouble's text.
func (l *connLog) last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text
}
