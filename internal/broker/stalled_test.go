package broker_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/broker"
	"activation-worker/internal/broker/brokertest"
	"activation-worker/internal/events"
)

// A stream that sources goes on after the last sequence that it has sourced, also where its origin was brought back from
// a backup and is shorter than that (nats-server #6206, #8346).
func TestThePublishStreamGoesOnAfterARestore(t *testing.T) {
	t.Parallel()
	type bench struct {
		js    jetstream.JetStream
		l     broker.Layout
		saved brokertest.Saved
	}
	activate := func(t *testing.T, b bench, ids ...int) {
		t.Helper()
		for _, id := range ids {
			if _, err := b.js.Publish(t.Context(), fmt.Sprintf("activation.customer.%d.activated", id), fmt.Appendf(nil, "%d", id)); err != nil {
				t.Fatal(err)
			}
		}
	}
	// wants waits until each was published so often, and nobody else.
	wants := func(t *testing.T, b bench, times map[int]int) {
		t.Helper()
		var got map[string]uint64
		eventually(t, fmt.Sprintf("%v", times), func() bool {
			s, err := b.js.Stream(t.Context(), "CUSTOMER")
			if err != nil {
				return false
			}
			info, err := s.Info(t.Context(), jetstream.WithSubjectFilter(">"))
			if err != nil || len(info.State.Subjects) != len(times) {
				return false
			}
			got = info.State.Subjects
			for id, n := range times {
				if got[fmt.Sprintf("customer.activated.%d", id)] != uint64(n) {
					return false
				}
			}
			return true
		})
	}
	drift := func(t *testing.T, b bench, want string) {
		t.Helper()
		drifts, err := broker.Plan(t.Context(), b.js, b.l)
		if err != nil || (len(drifts) > 0) != (want != "") || len(drifts) > 0 && !strings.Contains(drifts[0].String(), want) {
			t.Errorf("drift %v, %v, want %q", drifts, err, want)
		}
	}
	mend := func(t *testing.T, b bench) {
		t.Helper()
		changes, err := broker.Apply(t.Context(), b.js, b.l)
		if err != nil || len(changes) != 1 || changes[0].Object != "stream CUSTOMER" {
			t.Errorf("changes %v, %v", changes, err)
		}
		drift(t, b, "")
		if changes, err := broker.Apply(t.Context(), b.js, b.l); err != nil || len(changes) > 0 {
			t.Errorf("changed once more: %v, %v", changes, err)
		}
	}
	restore := func(t *testing.T, b bench) {
		t.Helper()
		if err := b.js.DeleteStream(t.Context(), "ACTIVATION"); err != nil {
			t.Fatal(err)
		}
		brokertest.Restore(t, b.js.Conn(), "ACTIVATION", b.saved)
		if _, err := broker.Accept(t.Context(), b.js, b.l); err != nil {
			t.Fatal(err)
		}
		l := b.l // nobody works yet
		l.HoldPublish = true
		if _, err := broker.Apply(t.Context(), b.js, l); err != nil {
			t.Fatal(err)
		}
	}
	hold := func(t *testing.T, b bench) {
		t.Helper()
		for try, want := range []string{"CUSTOMER", ""} { // the second finds it held
			change, err := broker.Hold(t.Context(), b.js, b.l)
			if err != nil || !strings.HasSuffix(change.Object, want) || want == "" && change != (broker.Change{}) {
				t.Errorf("try %d: %v, %v", try, change, err)
			}
		}
	}
	erase := func(t *testing.T, b bench, id int) {
		t.Helper()
		for stream, subject := range map[string]string{"ACTIVATION": events.CustomerFamily(int64(id)), "CUSTOMER": events.PublishedSubject(fmt.Sprint(id))} {
			s, err := b.js.Stream(t.Context(), stream)
			if err == nil {
				err = s.Purge(t.Context(), jetstream.WithPurgeSubject(subject))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	const of = "from record 4 on"
	for name, run := range map[string]func(t *testing.T, b bench){
		"before anything new": func(t *testing.T, b bench) {
			restore(t, b)
			drift(t, b, of)
			mend(t, b)
			activate(t, b, 21, 22)
			wants(t, b, map[int]int{1: 1, 2: 1, 3: 1, 11: 1, 12: 1, 13: 1, 21: 1, 22: 1})
		},
		"after what is new was missed": func(t *testing.T, b bench) {
			restore(t, b)
			activate(t, b, 21, 22, 23, 24)
			drift(t, b, of)
			mend(t, b)
			wants(t, b, map[int]int{1: 1, 2: 1, 3: 1, 11: 1, 12: 1, 13: 1, 21: 1, 22: 1, 23: 1, 24: 1})
		},
		"twice": func(t *testing.T, b bench) {
			for _, id := range []int{21, 31} {
				restore(t, b)
				drift(t, b, of)
				mend(t, b)
				activate(t, b, id)
				eventually(t, "the next", func() bool {
					s, err := b.js.Stream(t.Context(), "CUSTOMER")
					if err == nil {
						_, err = s.GetLastMsgForSubject(t.Context(), events.PublishedSubject(fmt.Sprint(id)))
					}
					return err == nil
				})
			}
			wants(t, b, map[int]int{1: 1, 2: 1, 3: 1, 11: 1, 12: 1, 13: 1, 21: 1, 31: 1})
		},
		"the newest were forgotten": func(t *testing.T, b bench) {
			for id := 11; id <= 13; id++ {
				erase(t, b, id)
			}
			restore(t, b)
			drift(t, b, of)
			mend(t, b)
			activate(t, b, 21)
			wants(t, b, map[int]int{1: 1, 2: 1, 3: 1, 21: 1})
		},
		"who was forgotten since is so again before anything is published": func(t *testing.T, b bench) {
			for _, id := range []int{2, 3, 11} {
				erase(t, b, id)
			}
			hold(t, b)
			restore(t, b)
			drift(t, b, "from record 2 on")
			activate(t, b, 21)
			for _, id := range []int{2, 3} {
				erase(t, b, id)
			}
			mend(t, b)
			activate(t, b, 22)
			wants(t, b, map[int]int{1: 1, 12: 1, 13: 1, 21: 1, 22: 1})
		},
		"held for nothing": func(t *testing.T, b bench) {
			hold(t, b)
			activate(t, b, 21)
			drift(t, b, "from record 7 on")
			mend(t, b)
			activate(t, b, 22)
			wants(t, b, map[int]int{1: 1, 2: 1, 3: 1, 11: 1, 12: 1, 13: 1, 21: 1, 22: 1})
		},
		"one that is made anew": func(t *testing.T, b bench) {
			if err := b.js.DeleteStream(t.Context(), "ACTIVATION"); err != nil {
				t.Fatal(err)
			}
			if _, err := broker.Accept(t.Context(), b.js, b.l); err != nil {
				t.Fatal(err)
			}
			if _, err := broker.Apply(t.Context(), b.js, b.l); err != nil {
				t.Fatal(err)
			}
			drift(t, b, "")
			activate(t, b, 1, 21)
			wants(t, b, map[int]int{1: 2, 2: 1, 3: 1, 11: 1, 12: 1, 13: 1, 21: 1})
		},
		"no restore": func(t *testing.T, b bench) {
			erase(t, b, 13)
			drift(t, b, "")
			activate(t, b, 21)
			wants(t, b, map[int]int{1: 1, 2: 1, 3: 1, 11: 1, 12: 1, 21: 1})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := bench{js: serve(t), l: layout()}
			ensure(t, b.js, b.l)
			if _, err := broker.Publish(t.Context(), b.js, b.l, "CUSTOMER"); err != nil {
				t.Fatal(err)
			}
			activate(t, b, 1, 2, 3)
			wants(t, b, map[int]int{1: 1, 2: 1, 3: 1})
			b.saved = brokertest.Backup(t, b.js.Conn(), "ACTIVATION")
			activate(t, b, 11, 12, 13)
			wants(t, b, map[int]int{1: 1, 2: 1, 3: 1, 11: 1, 12: 1, 13: 1})
			run(t, b)
		})
	}
}

// Who must not look is told so: what is taken for held and is not tells who was forgotten, and what stays held tells nobody.
func TestHoldingWithoutTheRightIsAnError(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t, limited(`"$JS.API.INFO", "$JS.API.STREAM.INFO.*", "$JS.API.STREAM.UPDATE.*", "$JS.API.CONSUMER.INFO.*.*"`))
	_, js := brokertest.Connect(t, s.URL(), natsUser("w"))
	_, admin := brokertest.Connect(t, s.URL())
	l := layout()
	ensure(t, admin, l)
	if _, err := broker.Publish(t.Context(), admin, l, "CUSTOMER"); err != nil {
		t.Fatal(err)
	}
	publish(t, admin, "activation.customer.1.activated", 1)
	eventually(t, "it is published", func() bool {
		stream, err := admin.Stream(t.Context(), "CUSTOMER")
		return err == nil && stream.CachedInfo().State.Msgs == 1
	})
	_, err := broker.Hold(t.Context(), js, l)
	wantError(t, err, "$JS.API.STREAM.LIST")

	if _, err := broker.Hold(t.Context(), admin, l); err != nil {
		t.Fatal(err)
	}
	_, err = broker.Apply(t.Context(), js, l)
	wantDrifts(t, err, "permission")
	wantError(t, err, "$JS.API.STREAM.MSG.GET.CUSTOMER")
}
