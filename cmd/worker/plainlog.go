package main

import (
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// inPlainWords says what libraries mean. An operator reads it at three in the morning.
var inPlainWords = strings.NewReplacer(
	nats.ErrReconnectBufExceeded.Error(), "NATS is away, and nothing is sent until it is back: the worker reconnects by itself",
	nats.ErrConnectionReconnecting.Error(), "NATS is away, and nothing is sent until it is back: the worker reconnects by itself",
	nats.ErrNoResponders.Error(), "nobody at NATS answers this: JetStream is off, or starts, or the user may not ask",
)

// plainCore puts what libraries say into plain words before it is written.
type plainCore struct{ zapcore.Core }

func (c plainCore) With(fields []zapcore.Field) zapcore.Core {
	return plainCore{c.Core.With(plainly(fields))}
}

func (c plainCore) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return checked.AddCore(e, c)
	}
	return checked
}

func (c plainCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	return c.Core.Write(e, plainly(fields))
}

// plainly returns fields with texts and errors in plain words; those that are already stay the same.
func plainly(fields []zapcore.Field) []zapcore.Field {
	changed := false
	for i, f := range fields {
		text := f.String
		if err, ok := f.Interface.(error); ok && f.Type == zapcore.ErrorType {
			text = err.Error()
		} else if f.Type != zapcore.StringType {
			continue
		}
		plain := inPlainWords.Replace(text)
		if plain == text {
			continue
		}
		if !changed {
			fields, changed = slices.Clone(fields), true
		}
		fields[i] = zap.String(f.Key, plain)
	}
	return fields
}
