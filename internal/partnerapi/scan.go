package partnerapi

import (
	"bytes"
	"encoding/json"
)

// maxDepth is where scanning gives up, as encoding/json does: what comes after
// is treated as cut off.
const maxDepth = 10_000

var byteOrderMark = []byte("\xef\xbb\xbf")

// level is one open object or array of a scan.
type level struct {
	object bool
	key    string // of the member being read
	atKey  bool   // the next token of this object is a key
}

// scan reads the one JSON object that body begins with, token by token, and
// shows visit each value of its members, in order: "name" of the object itself,
// "name.inner" of an object that is a member. A value is a string, json.Number,
// bool, nil, or the json.Delim that opens an array or object; nothing deeper is
// shown. Keys are compared by nobody here, so duplicates are shown twice.
//
// It returns true when the object was read to its end. What follows the object
// is not looked at. Invalid UTF-8 in strings becomes U+FFFD.
func scan(body []byte, visit func(name string, value any)) bool {
	body = bytes.TrimPrefix(body, byteOrderMark)
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if first, err := dec.Token(); err != nil || first != json.Delim('{') {
		return false
	}
	levels := []level{{object: true, atKey: true}}
	for len(levels) <= maxDepth {
		value, err := dec.Token()
		if err != nil {
			return false
		}
		if _, number := value.(json.Number); number && dec.InputOffset() == int64(len(body)) {
			return false // cut off, and it may have had more digits
		}
		top := &levels[len(levels)-1]
		if key, ok := value.(string); ok && top.atKey {
			top.key, top.atKey = key, false
			continue
		}
		if value == json.Delim('}') || value == json.Delim(']') {
			if levels = levels[:len(levels)-1]; len(levels) == 0 {
				return true
			}
			continue
		}
		switch {
		case len(levels) == 1:
			visit(top.key, value)
		case len(levels) == 2 && top.object:
			visit(levels[0].key+"."+top.key, value)
		}
		top.atKey = top.object
		if open, ok := value.(json.Delim); ok {
			levels = append(levels, level{object: open == '{', atKey: open == '{'})
		}
	}
	return false
}

// members returns the values of scan by name, the last of duplicates, and
// whether the object was read to its end.
func members(body []byte) (map[string]any, bool) {
	values := make(map[string]any)
	whole := scan(body, func(name string, value any) { values[name] = value })
	return values, whole
}

// text returns a string member, or "" if it is anything else.
func text(values map[string]any, name string) string {
	s, _ := values[name].(string)
	return s
}
