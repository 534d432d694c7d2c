package events

import (
	"bytes"
	"encoding/json"
	"iter"
	"unicode/utf8"
)

// Walking over JSON that is known to be whole and valid. The decoder of encoding/json, token by token, takes ten times as long, and
// its structs and maps do not show a name that comes twice.

// isObject reports whether data is one valid JSON object and nothing else.
func isObject(data []byte) bool {
	at := skipSpace(data, 0)
	return at < len(data) && data[at] == '{' && json.Valid(data)
}

// members are the names and values of an object for which [isObject] holds, in their order, as they stand there.
func members(object []byte) iter.Seq2[string, json.RawMessage] {
	return func(yield func(string, json.RawMessage) bool) {
		for at := skipSpace(object, skipSpace(object, 0)+1); object[at] != '}'; {
			end := skipString(object, at)
			name := object[at:end]
			at = skipSpace(object, skipSpace(object, end)+1) // the colon
			end = skipValue(object, at)
			if !yield(unquoted(name), object[at:end]) {
				return
			}
			at = nextElement(object, end)
		}
	}
}

// elements are the values of a valid array.
func elements(array []byte) iter.Seq[json.RawMessage] {
	return func(yield func(json.RawMessage) bool) {
		for at := skipSpace(array, skipSpace(array, 0)+1); array[at] != ']'; {
			end := skipValue(array, at)
			if !yield(array[at:end]) {
				return
			}
			at = nextElement(array, end)
		}
	}
}

// nextElement is where what follows a value begins: the next one, or the bracket.
func nextElement(data []byte, at int) int {
	at = skipSpace(data, at)
	if data[at] == ',' {
		at = skipSpace(data, at+1)
	}
	return at
}

func skipSpace(data []byte, at int) int {
	for at < len(data) && (data[at] == ' ' || data[at] == '\n' || data[at] == '\t' || data[at] == '\r') {
		at++
	}
	return at
}

// skipString is where the string ends that begins at a quotation mark.
func skipString(data []byte, at int) int {
	for at++; data[at] != '"'; at++ {
		if data[at] == '\\' {
			at++
		}
	}
	return at + 1
}

// skipValue is where the value ends that begins there.
func skipValue(data []byte, at int) int {
	for depth := 0; at < len(data); {
		switch data[at] {
		case '"':
			at = skipString(data, at)
		case '{', '[':
			depth++
			at++
			continue
		case '}', ']':
			depth--
			at++
		case ',', ':', ' ', '\n', '\t', '\r':
			at++
			continue
		default:
			for at < len(data) && !endsLiteral(data[at]) {
				at++
			}
		}
		if depth == 0 {
			return at
		}
	}
	return at
}

// endsLiteral reports what may follow a number, true, false or null.
func endsLiteral(c byte) bool {
	return c == ',' || c == ']' || c == '}' || c == ' ' || c == '\n' || c == '\t' || c == '\r'
}

// unquoted is what a valid JSON string says.
func unquoted(raw []byte) string {
	inner := raw[1 : len(raw)-1]
	if bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
		return string(inner)
	}
	var s string
	_ = json.Unmarshal(raw, &s) // it is valid
	return s
}
