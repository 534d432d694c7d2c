package broker

import (
	"fmt"
	"sync"

	"go.uber.org/zap"
)

// serverLog passes on the embedded server's log: its notices are details of ours, its warnings and errors are not.
type serverLog struct {
	log   *zap.Logger
	quiet bool

	mu   sync.Mutex
	died string // the server's last words; it logs them and goes on
}

func (l *serverLog) Noticef(format string, v ...any) {
	if !l.quiet {
		l.log.Debug("embedded server", text(format, v))
	}
}

func (l *serverLog) Debugf(format string, v ...any) { l.Noticef(format, v...) }

func (l *serverLog) Tracef(format string, v ...any) { l.Noticef(format, v...) }

func (l *serverLog) Warnf(format string, v ...any) { l.log.Warn("embedded server", text(format, v)) }

func (l *serverLog) Errorf(format string, v ...any) { l.log.Error("embedded server", text(format, v)) }

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
