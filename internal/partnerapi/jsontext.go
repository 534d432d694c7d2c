package partnerapi

import (
	"bytes"
	"slices"
	"unicode/utf8"
)

// jsonText is what is left of a JSON text. A piece of it is nil where the grammar (RFC 8259) is broken or the text was cut off.
type jsonText struct{ rest []byte }

// next skips blanks and returns the first byte after them, which stays; 0 at the end.
func (t *jsonText) next() byte {
	for i, c := range t.rest {
		if c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			t.rest = t.rest[i:]
			return c
		}
	}
	t.rest = nil
	return 0
}

// take returns the next n bytes.
func (t *jsonText) take(n int) []byte {
	piece := t.rest[:n]
	t.rest = t.rest[n:]
	return piece
}

// scalar takes a string, a number or a literal. A number at the very end may have had more digits, and is nil.
func (t *jsonText) scalar() []byte {
	switch t.next() {
	case '"':
		return t.str()
	case 't':
		return t.literal("true")
	case 'f':
		return t.literal("false")
	case 'n':
		return t.literal("null")
	}
	return t.number()
}

func (t *jsonText) literal(word string) []byte {
	if !bytes.HasPrefix(t.rest, []byte(word)) {
		return nil
	}
	return t.take(len(word))
}

// str takes a string with its quotes. Invalid UTF-8 is let pass.
func (t *jsonText) str() []byte {
	if t.next() != '"' {
		return nil
	}
	for i := 1; i < len(t.rest); i++ {
		switch c := t.rest[i]; {
		case c == '"':
			return t.take(i + 1)
		case c < ' ':
			return nil
		case c == '\\':
			n := escape(t.rest[i+1:])
			if n == 0 {
				return nil
			}
			i += n
		}
	}
	return nil
}

// escape returns the length of what follows a backslash; 0 where nothing may.
func escape(after []byte) int {
	switch {
	case len(after) == 0:
		return 0
	case bytes.IndexByte([]byte(`"\/bfnrt`), after[0]) >= 0:
		return 1
	case after[0] == 'u' && len(after) >= 5 && !slices.ContainsFunc(after[1:5], notHex):
		return 5
	}
	return 0
}

func notHex(c byte) bool {
	return !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F')
}

func (t *jsonText) number() []byte {
	i := 0
	at := func(set string) bool { return i < len(t.rest) && bytes.IndexByte([]byte(set), t.rest[i]) >= 0 }
	digits := func() bool {
		from := i
		for at("0123456789") {
			i++
		}
		return i > from
	}
	if at("-") {
		i++
	}
	if at("0") {
		i++
	} else if !digits() {
		return nil
	}
	if at(".") {
		if i++; !digits() {
			return nil
		}
	}
	if at("eE") {
		i++
		if at("+-") {
			i++
		}
		if !digits() {
			return nil
		}
	}
	if i == len(t.rest) {
		return nil
	}
	return t.take(i)
}

// isPlain tells whether a string means what stands between its quotes.
func isPlain(quoted []byte) bool {
	return !slices.ContainsFunc(quoted, func(c byte) bool { return c == '\\' || c >= utf8.RuneSelf })
}
