package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
)

func testForeign(t *testing.T, _ *place, w *world) {
	const v1 = `"urn:activation-worker:x/v1"`
	for name, c := range map[string]struct {
		state        events.State
		schema, data string
	}{
		"a higher version":    {events.Deferred, `"urn:activation-worker:x/v2"`, `{"domainId":%}`},
		"an unknown state":    {"vanished", v1, `{"domainId":%}`},
		"an unknown reason":   {events.Deferred, v1, `{"domainId":%,"reason":"moon_phase"}`},
		"another customer's":  {events.Deferred, v1, `{"domainId":1}`},
		"no object":           {events.Deferred, v1, `"text"`},
		"no event, by schema": {events.Started, `7`, `{}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, id := w.ledger(t), w.customer()
			w.foreign(t, id, c.state, c.schema, strings.ReplaceAll(c.data, "%", strconv.FormatInt(id, 10)))
			r, err := l.Load(limited(t), id)
			if !errors.Is(err, events.ErrForeignRecord) || r != nil {
				t.Errorf("load: %+v %v", r, err)
			}
			r, err = l.Claim(limited(t), record(id, events.Started), 0)
			if !errors.Is(err, events.ErrForeignRecord) || errors.Is(err, ledger.ErrConflict) || r != nil {
				t.Errorf("claim: %+v %v", r, err)
			}
			w.wantStates(t, id, c.state)
		})
	}
}

func testNothing(t *testing.T, _ *place, w *world) {
	l, id := w.ledger(t), w.customer()
	if r, err := l.Load(limited(t), id); r != nil || err != nil {
		t.Errorf("load: %+v %v", r, err)
	}
	w.wantStates(t, id)
	if ids, err := l.FindDomain(limited(t), "nobody.example"); len(ids) != 0 || err != nil {
		t.Errorf("find domain: %v %v", ids, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Load(ended, id); !errors.Is(err, context.Canceled) {
		t.Errorf("load for nobody: %v", err)
	}
	if _, err := l.History(ended, id); !errors.Is(err, context.Canceled) {
		t.Errorf("history for nobody: %v", err)
	}
}

func testHistory(t *testing.T, _ *place, w *world) {
	const rounds, kept = 20, 16
	l, id := w.ledger(t), w.customer()
	claim(t, l, record(w.customer(), events.Started), 0) // somebody else
	var expected uint64
	var want []uint64
	for range rounds {
		for _, s := range []events.State{events.Started, events.Deferred} {
			expected = store(t, l, record(id, s), expected).Sequence
			want = append(want, expected)
		}
	}
	var got []uint64
	for _, e := range w.stored(t, id) {
		got = append(got, e.Sequence)
		if _, err := events.DecodeRecord(e.Subject, e.Sequence, e.Data); err != nil {
			t.Error(err)
		}
		if nats.Header(e.Header).Get("Content-Type") != events.ContentType {
			t.Errorf("header of %d is %v", e.Sequence, e.Header)
		}
	}
	if want = want[2*(rounds-kept):]; !slices.Equal(got, want) {
		t.Errorf("sequences are %v, want %v", got, want)
	}
}

func testFindDomain(t *testing.T, _ *place, w *world) {
	named := func(domain string) func(*events.Record) { return func(r *events.Record) { r.Domain = domain } }
	l := w.ledger(t)
	one, two, other := w.customer(), w.customer(), w.customer()
	first := store(t, l, record(one, events.Started, named("Found.example")), 0)
	store(t, l, record(one, events.Activated, named("Found.example")), first.Sequence)
	store(t, l, record(two, events.Deferred, named("found.EXAMPLE")), 0)
	store(t, l, record(other, events.Deferred, named("found.example.org")), 0)
	eventually(t, func(ctx context.Context) error {
		ids, err := l.FindDomain(ctx, "found.example")
		if slices.Sort(ids); err == nil && !slices.Equal(ids, []int64{one, two}) {
			return fmt.Errorf("found %v, want %d and %d", ids, one, two)
		}
		return err
	})
}

func testFindIntake(t *testing.T, p *place, _ *world) {
	w := p.world(t)
	l := w.ledger(t)
	for _, text := range []string{"a", "b", "c", "b"} {
		if _, err := w.js.Publish(limited(t), events.DefaultIntakeSubject, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		text     string
		from     uint64
		most     int
		want     uint64
		complete bool
	}{
		"the first that fits":         {text: "b", from: 1, most: 100, want: 2, complete: true},
		"from a sequence on":          {text: "b", from: 3, most: 100, want: 4, complete: true},
		"none fits":                   {text: "z", from: 1, most: 100, complete: true},
		"as many as may be looked at": {text: "z", from: 1, most: 4, complete: true},
		"one more than may be":        {text: "z", from: 1, most: 3},
		"found as the last that may":  {text: "c", from: 1, most: 3, want: 3, complete: true},
		"after the end":               {text: "b", from: 5, most: 100, complete: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eventually(t, func(ctx context.Context) error {
				got, complete, err := l.FindIntake(ctx, events.DefaultIntakeStream, events.DefaultIntakeSubject, c.from, c.most, func(m events.Message) bool {
					if m.Stream != events.DefaultIntakeStream || m.Subject != events.DefaultIntakeSubject || m.Sequence == 0 {
						t.Errorf("message is %+v", m)
					}
					return string(m.Data) == c.text
				})
				if err == nil && (got != c.want || complete != c.complete) {
					return fmt.Errorf("found %d, complete %v; want %d, %v", got, complete, c.want, c.complete)
				}
				return err
			})
		})
	}
}

// A node that is lost takes requests with it, or their answers: what is read then is asked for again, long before one gives up. Nothing stays
// behind on the server, nor what was made without the reader's knowing.
func testReadersCleanUp(t *testing.T, p *place, _ *world) {
	w := p.world(t)
	l, between := w.behind(t)
	id := w.customer()
	claim(t, l, record(id, events.Started), 0)
	const request = "$JS.API.CONSUMER.CREATE."
	for name, lose := range map[string]func(){
		"all is well":           nil,
		"the request is lost":   func() { between.lose(request) },
		"its answer is lost":    func() { between.loseAnswer(request, `"stream_name"`) },
		"and all is well again": nil,
	} {
		if lose != nil {
			between.again()
			lose()
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		entries, err := l.History(ctx, id)
		cancel()
		if lose != nil {
			wantCut(t, between)
		}
		if err != nil || len(entries) != 1 {
			t.Errorf("%s: %d records, %v", name, len(entries), err)
		}
		if _, err := l.FindDomain(limited(t), "x"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	eventually(t, func(ctx context.Context) error {
		s, err := w.js.Stream(ctx, w.layout.Streams.Ledger)
		if err == nil && s.CachedInfo().State.Consumers != 0 {
			return fmt.Errorf("%d consumers are left on the ledger after reading it", s.CachedInfo().State.Consumers)
		}
		return err
	})
}
