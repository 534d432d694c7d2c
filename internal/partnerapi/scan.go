package partnerapi

import (
	"bytes"
	"encoding/json"
)

// maxDepth is where scanning gives up: what comes after is treated as cut off. encoding/json does so at 10,000 levels, of which an
// event needs some above the object.
const maxDepth = 10_000 - 4

var byteOrderMark = []byte("\xef\xbb\xbf")

// value is a string, number, true, false or null as it stands in the JSON text, or the bracket that opens something larger.
type value []byte

// decoded returns a string, json.Number, bool, nil, or json.Delim. Invalid UTF-8 becomes U+FFFD.
func (v value) decoded() any {
	switch v[0] {
	case '"':
		return unquoted(v)
	case 't', 'f':
		return v[0] == 't'
	case 'n':
		return nil
	case '{', '[':
		return json.Delim(v[0])
	}
	return json.Number(v)
}

// unquoted returns what a JSON string says.
func unquoted(quoted []byte) string {
	if isPlain(quoted) {
		return string(quoted[1 : len(quoted)-1])
	}
	var s string
	_ = json.Unmarshal(quoted, &s) // it is a string: jsonText has looked
	return s
}

// scan reads the one JSON object that body begins with and shows visit each value of its members, in order: "name" of the
// object itself, "name.inner" of an object that is a member. Nothing deeper is shown. Keys are compared by nobody here, so
// duplicates are shown twice. What visit gets is good for that call.
//
// It returns true when the object was read to its end. What follows the object is not looked at. It does what a loop over
// [json.Decoder.Token] would do, at a small part of the price: the answer to each call goes through it.
func scan(body []byte, visit func(name []byte, v value)) bool {
	t := jsonText{rest: bytes.TrimPrefix(body, byteOrderMark)}
	if t.next() != '{' {
		return false
	}
	t.rest = t.rest[1:]
	var onStack [32]byte
	open := append(onStack[:0], '{') // the brackets around what is being read
	name := make([]byte, 0, 64)      // of the member being read
	outer := 0                       // how much of name is that of the object's own member
	first := true                    // nothing was read yet within the last of open
	for len(open) <= maxDepth {
		top := open[len(open)-1]
		c := t.next()
		if c == top+2 { // in ASCII the closing bracket
			t.rest = t.rest[1:]
			if open = open[:len(open)-1]; len(open) == 0 {
				return true
			}
			first = false
			continue
		}
		if !first {
			if c != ',' {
				return false
			}
			t.rest = t.rest[1:]
			c = t.next()
		}
		if top == '{' {
			key := t.str()
			if key == nil || t.next() != ':' {
				return false
			}
			t.rest = t.rest[1:]
			c = t.next()
			switch len(open) {
			case 1:
				name = appendUnquoted(name[:0], key)
				outer = len(name)
			case 2:
				name = appendUnquoted(append(name[:outer], '.'), key)
			}
		}
		var v value
		if first = c == '{' || c == '['; first {
			v, t.rest = t.rest[:1], t.rest[1:]
			open = append(open, c)
		} else if v = t.scalar(); v == nil {
			return false
		}
		switch depth := len(open); {
		case first && depth == 2, !first && depth == 1:
			visit(name[:outer], v)
		case top == '{' && (first && depth == 3 || !first && depth == 2):
			visit(name, v)
		}
	}
	return false
}

func appendUnquoted(to, quoted []byte) []byte {
	if isPlain(quoted) {
		return append(to, quoted[1:len(quoted)-1]...)
	}
	return append(to, unquoted(quoted)...)
}

// members returns the values of scan by name, the last of duplicates, and
// whether the object was read to its end.
func members(body []byte) (map[string]any, bool) {
	values := make(map[string]any)
	whole := scan(body, func(name []byte, v value) { values[string(name)] = v.decoded() })
	return values, whole
}

// text returns a string member, or "" if it is anything else.
func text(values map[string]any, name string) string {
	s, _ := values[name].(string)
	return s
}
