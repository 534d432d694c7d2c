package quota

import (
	"reflect"
	"testing"
	"time"
)

func TestWindow(t *testing.T) {
	t.Parallel()
	w := &window{Per: time.Second.Microseconds()} // steps of 4 ms
	for _, e := range []end{{10_001, 1}, {8_000, 2}, {10_000, 1}, {12_000, 1}, {9_000, 0}} {
		w.add(e.at, e.n)
	}
	if want := []end{{8_000, 2}, {12_000, 3}}; !reflect.DeepEqual(w.ends, want) {
		t.Fatalf("ends are %v, want %v", w.ends, want)
	}
	for n, want := range map[int]int64{1: 1_008_000, 2: 1_008_000, 3: 1_012_000, 5: 1_012_000} {
		if at, ok := w.free(n); at != want || !ok {
			t.Errorf("%d are out at %d, %t; want %d", n, at, ok, want)
		}
	}
	if _, ok := w.free(6); ok {
		t.Error("six of five are out at some time")
	}
	w.settle(1_007_999, 1_007_999)
	if n := w.count(); n != 5 {
		t.Errorf("%d in the window just before its end, want 5", n)
	}
	w.settle(1_008_000, 1_008_000)
	if n := w.count(); n != 3 {
		t.Errorf("%d in the window at its end, want 3", n)
	}
	w.settle(0, 0) // the clock was set back
	if want := []end{{0, 3}}; !reflect.DeepEqual(w.ends, want) {
		t.Errorf("ends are %v, want %v", w.ends, want)
	}
}

// A changed setting knows what was spent under the old one.
func TestANewWindowKnowsTheOld(t *testing.T) {
	t.Parallel()
	minute, hour := []Rate{{10, time.Minute}}, []Rate{{10, time.Hour}}
	r := newRecord()
	r.operation("activate", hour).end(time.Second.Microseconds(), 1)
	r.operation("activate", hour).end(time.Hour.Microseconds(), 2)
	if n := r.operation("activate", minute).window(time.Minute).count(); n != 2 {
		t.Errorf("%d within the last minute, want 2", n)
	}
}

// FuzzRecord: whatever is in the bucket is an error or a record that can be worked with, and that is the same once written.
func FuzzRecord(f *testing.F) {
	for _, seed := range []string{
		`{"version":1,"operations":{"activate":{"windows":[{"micros":60002000,"ends":[1795600000000000,3,240000,1]}],"credit":{"left":3,"until":5},"passed":[0,0,1,2,0]}},` +
			`"replicas":{"w-1":{"until":1795600000000000,"writes":7,"places":2,"open":{"activate":1},"wants":[{"operation":"customer","lane":"fresh","since":5,"n":2}]}},"passed":[0,0,0,0,0]}`,
		`{"version":2}`, `{}`, `[]`, ``, `{"operations":{"a":null},"replicas":{"b":null}}`, `{"replicas":{"x":{"places":-4,"open":{"a":-9223372036854775808},"wants":[{"lane":"none","n":-1}]}}}`,
		`{"operations":{"a":{"windows":[null,{"micros":0},{"micros":9223372036854775807,"ends":[9223372036854775807,9223372036854775807,1,1]}]}}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decode(data)
		if err != nil {
			return
		}
		limits := Limits{Peak: Rate{4, time.Minute}, Sustained: Rate{2, time.Minute}}.windows()
		p := New(Options{Limits: Limits{Peak: Rate{4, time.Minute}}, Replica: "me"})
		p.shared = r
		p.mu.Lock()
		pl := p.plan(time.Now())
		p.mu.Unlock()
		pl.next.settle(time.Now().UnixMicro(), time.Now().UnixMicro(), limits)
		first, err := pl.next.encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := decode(first)
		if err != nil {
			t.Fatalf("%s: %v", first, err)
		}
		if second, err := again.encode(); err != nil || string(second) != string(first) {
			t.Errorf("%s became %s, %v", first, second, err)
		}
	})
}
