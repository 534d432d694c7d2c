// Package repeats keeps a log readable in trouble: of warnings and errors that say the same it lets the first through at
// once, counts the others, and sums them up in one line when a while has passed. What is not trouble, and what is marked as
// an [Outcome], always goes through.
package repeats

import (
	"hash/maphash"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

const (
	// Window is how long what says the same is counted before it is summed up.
	Window = time.Minute
	// most is how many different ones are remembered; more make the oldest be summed up before its time.
	most = 128
	// longest is how much of a text is remembered as it is, in bytes; of the rest a sum.
	longest = 256
)

// Fields of a line that sums up.
const (
	FieldRepeated = "repeated"       // how many lines it stands for
	FieldSince    = "repeated_since" // when the first of them would have been written
)

const outcome = "outcome"

// Outcome marks a line about what has come of one customer, or one without whose last the log would tell wrongly how things stand:
// however many there are, each is written. The field itself is not.
func Outcome() zap.Field { return zap.Field{Key: outcome, Type: zapcore.SkipType} }

// Wrap returns a core that sums up. Two lines say the same if logger, level and message are the same, and their texts and
// errors too apart from words with digits in them: ids, addresses, times. Sync writes what is not summed up yet.
func Wrap(core zapcore.Core) zapcore.Core {
	return &sieve{Core: core, memory: &memory{lines: map[string]*line{}}}
}

// sieve is a core with the fields that it was given by With.
type sieve struct {
	zapcore.Core
	memory *memory
	with   string
}

// memory is shared by all cores that come from one.
type memory struct {
	mu    sync.Mutex
	lines map[string]*line
	order []string // of lines, the oldest first
}

// line is what was written, and what was kept back since.
type line struct {
	core   zapcore.Core
	timer  *time.Timer
	count  int
	since  time.Time // of the first kept back
	entry  zapcore.Entry
	fields []zapcore.Field // of the last kept back
}

func (s *sieve) With(fields []zapcore.Field) zapcore.Core {
	return &sieve{Core: s.Core.With(fields), memory: s.memory, with: s.with + texts(fields)}
}

func (s *sieve) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if s.Enabled(e.Level) {
		return checked.AddCore(e, s)
	}
	return checked
}

func (s *sieve) Write(e zapcore.Entry, fields []zapcore.Field) error {
	marked := slices.ContainsFunc(fields, func(f zapcore.Field) bool { return f.Type == zapcore.SkipType && f.Key == outcome })
	if e.Level < zapcore.WarnLevel || marked {
		return s.Core.Write(e, fields)
	}
	key := strings.Join([]string{e.LoggerName, e.Level.String(), gist(e.Message), s.with, texts(fields)}, "\n")
	if s.memory.keep(key, s.Core, e, fields) {
		return nil
	}
	return s.Core.Write(e, fields)
}

// Sync writes what was kept back, and the core's own.
func (s *sieve) Sync() error {
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	for _, key := range slices.Clone(s.memory.order) {
		s.memory.sumUp(key, false)
	}
	return s.Core.Sync()
}

// keep reports whether a line is kept back, since one that says the same was written a while ago at most.
func (m *memory) keep(key string, core zapcore.Core, e zapcore.Entry, fields []zapcore.Field) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.lines[key]
	if l == nil {
		if len(m.order) >= most {
			m.sumUp(m.order[0], false)
		}
		m.lines[key] = &line{core: core, timer: time.AfterFunc(Window, func() { m.tick(key) })}
		m.order = append(m.order, key)
		return false
	}
	if l.count++; l.count == 1 {
		l.since = e.Time
	}
	l.entry, l.fields = e, slices.Clone(fields)
	return true
}

func (m *memory) tick(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sumUp(key, true)
}

// sumUp writes what was kept back of one, and forgets it unless it may go on. The lock is held.
func (m *memory) sumUp(key string, goesOn bool) {
	l := m.lines[key]
	if l == nil {
		return
	}
	if l.count == 0 || !goesOn {
		l.timer.Stop()
		delete(m.lines, key)
		m.order = slices.DeleteFunc(m.order, func(k string) bool { return k == key })
	} else {
		l.timer.Reset(Window)
	}
	if l.count > 0 {
		// A log that cannot be written to has nobody to tell.
		_ = l.core.Write(l.entry, append(l.fields, zap.Int(FieldRepeated, l.count), zap.Time(FieldSince, l.since)))
	}
	l.count, l.fields = 0, nil
}

// texts are what fields say in words, without words that have digits in them.
func texts(fields []zapcore.Field) string {
	var b strings.Builder
	for _, f := range fields {
		text := ""
		switch v := f.Interface.(type) {
		case error:
			text = v.Error()
		case interface{ String() string }:
			if f.Type == zapcore.StringerType {
				text = v.String()
			}
		}
		if f.Type == zapcore.StringType {
			text = f.String
		}
		if text != "" {
			b.WriteString(f.Key + "=" + gist(text) + "\n")
		}
	}
	return b.String()
}

var seed = maphash.MakeSeed()

// gist is what tells a text from others, in few bytes.
func gist(text string) string {
	text = mask(text)
	if len(text) > longest {
		text = text[:longest] + strconv.FormatUint(maphash.String(seed, text[longest:]), 36)
	}
	return text
}

// mask puts # for each word that has a digit in it.
func mask(text string) string {
	var b strings.Builder
	for len(text) > 0 {
		n := strings.IndexFunc(text, func(r rune) bool { return !inWord(r) })
		if n < 0 {
			n = len(text)
		}
		if word := text[:n]; strings.ContainsAny(word, "0123456789") {
			b.WriteByte('#')
		} else {
			b.WriteString(word)
		}
		if text = text[n:]; len(text) > 0 {
			_, size := utf8.DecodeRuneInString(text)
			b.WriteString(text[:size])
			text = text[size:]
		}
	}
	return b.String()
}

func inWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' || r == '-' }
