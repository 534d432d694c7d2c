package partnerapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// shown is what a scan shows of an object, in order, and whether the object was whole.
func shown(body []byte, scan func([]byte, func(string, any)) bool) []string {
	var all []string
	whole := scan(body, func(name string, v any) { all = append(all, fmt.Sprintf("%q: %T %[2]v", name, v)) })
	return append(all, fmt.Sprint("whole: ", whole))
}

func ourScan(body []byte, visit func(string, any)) bool {
	return scan(body, func(name []byte, v value) { visit(string(name), v.decoded()) })
}

// TestScanShowsWhatTheDecoderShows for every way of cutting a text off, or putting a strange byte into it.
func TestScanShowsWhatTheDecoderShows(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		documentedObject,
		`{"a":[1,{"b":2},[]],"c":{"d":{"e":1},"f":[{"g":2}],"h":-0.5e+7},"c":{"d":null},"i":{},"":true}`,
		"\xef\xbb\xbf \r\n{ \"a\" :\t\"\\u00e9\\n\\/\\ud83d\\ude00\\ud83d\" , \"\\u0064\\\"\" : { \"日本\" : false } } trailing",
		"{\"bad \xff key\":\"bad \xc3 value\"}",
	} {
		for n := range len(text) + 1 {
			same(t, []byte(text[:n]))
			for _, strange := range "\x00 \"\\{}[],:0-.eEtu\x7fé" {
				same(t, []byte(text[:n]+string(strange)+text[min(n+1, len(text)):]))
			}
		}
	}
	for _, text := range []string{"", "[]", "null", "{", "{}", "{}}", `{"a":01}`, `{"a":1.}`, `{"a":+1}`, `{"a":truex}`, `{"a" "b"}`, `{"a":1 "b":2}`, `{"a":"\u12g4"}`} {
		same(t, []byte(text))
	}
}

func same(t *testing.T, body []byte) {
	t.Helper()
	if got, want := shown(body, ourScan), shown(body, decoderScan); !slices.Equal(got, want) {
		t.Fatalf("of %q it shows\n%s\nwanted\n%s", body, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// FuzzScan: what is shown is what the standard library's decoder would show, token by token.
func FuzzScan(f *testing.F) {
	needSeeds(f, "FuzzScan")
	f.Fuzz(func(t *testing.T, body []byte) { same(t, body) })
}

// level is one open object or array of a scan.
type level struct {
	object bool
	key    string // of the member being read
	atKey  bool   // the next token of this object is a key
}

// decoderScan is scan as a loop over the standard library's tokens.
func decoderScan(body []byte, visit func(name string, value any)) bool {
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
