package broker

import (
	"fmt"
	"strings"
	"sync"

	"go.uber.org/zap"
)

// serverLog passes on the embedded server's log: its notices are details of ours, its warnings and errors are not.
type serverLog struct {
	log   *zap.Logger
	quiet bool

	mu   sync.Mutex
	died string // the server's last words; it logs them and goes on
	sick string // what it could not write
}

func (l *serverLog) Noticef(format string, v ...any) {
	if !l.quiet {
		l.log.Debug("embedded server", text(format, v))
	}
}

func (l *serverLog) Debugf(format string, v ...any) { l.Noticef(format, v...) }

func (l *serverLog) Tracef(format string, v ...any) { l.Noticef(format, v...) }

func (l *serverLog) Warnf(format string, v ...any) { l.log.Warn("embedded server", text(format, v)) }

func (l *serverLog) Errorf(format string, v ...any) {
	said := fmt.Sprintf(format, v...)
	if cannotWrite(said) {
		l.mu.Lock()
		l.sick = said
		l.mu.Unlock()
	}
	l.log.Error("embedded server", zap.String("text", said))
}

// cannotWrite tells that a server has stopped to write a stream, or all of them: it does not take that up again by itself.
func cannotWrite(said string) bool {
	for _, words := range []string{"Critical write error", "failed to store a msg", "resources, will be DISABLED"} {
		if strings.Contains(said, words) {
			return true
		}
	}
	return false
}

// failing is what the server could not write, or empty.
func (l *serverLog) failing() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sick
}

// forget is called for a server that starts.
func (l *serverLog) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.died, l.sick = "", ""
}

func (l *serverLog) Fatalf(format string, v ...any) {
	l.mu.Lock()
	l.died = fmt.Sprintf(format, v...)
	l.mu.Unlock()
	l.Errorf(format, v...)
}

// fatal is what the server could not go on without, or empty.
func (l *serverLog) fatal() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.died
}

func text(format string, v []any) zap.Field { return zap.String("text", fmt.Sprintf(format, v...)) }
