package events

import (
	"bytes"
	"encoding/json"
	"testing"
)

// FuzzWalk holds the walk over an object against the decoder of encoding/json: the same names with the same values, in the same order.
func FuzzWalk(f *testing.F) {
	for _, seed := range []string{
		`{}`, ` {"a" : 1 , "a":[ ] , "b\n":"x\"y\\" ,"c":{"d":[{},[1,-2.5e+3],"]}"]},"e":null,"f":true}` + "\n", `{"a":1}{`, `[1]`, `{"a"}`, `{"`,
		"{\"\xff\":\"\xff\"}", `{"\ud800":"\u0041"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if !isObject(data) {
			return
		}
		dec := json.NewDecoder(bytes.NewReader(data))
		if _, err := dec.Token(); err != nil {
			t.Fatalf("no object at all: %v", err)
		}
		for name, value := range members(data) {
			key, err := dec.Token()
			var want json.RawMessage
			if err != nil || key != name || dec.Decode(&want) != nil || !bytes.Equal(want, value) {
				t.Fatalf("%q: %s, want %v: %s (%v)", name, value, key, want, err)
			}
			if text, ok := stringOf(value); ok {
				var wantText string
				if err := json.Unmarshal(want, &wantText); err != nil || wantText != text {
					t.Fatalf("%s says %q, want %q", want, text, wantText)
				}
			}
			if value[0] == '[' {
				var all []json.RawMessage
				if err := json.Unmarshal(value, &all); err != nil {
					t.Fatal(err)
				}
				i := 0
				for element := range elements(value) {
					if i >= len(all) || !bytes.Equal(element, all[i]) {
						t.Fatalf("element %d of %s is %s", i, value, element)
					}
					i++
				}
				if i != len(all) {
					t.Fatalf("%d elements of %s, want %d", i, value, len(all))
				}
			}
		}
		if dec.More() {
			t.Fatalf("%s has more members", data)
		}
	})
}
