package broker_test

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/broker"
)

func intakeFrom(t *testing.T, s string) func(*broker.Layout) {
	t.Helper()
	from, err := broker.ParseIntakeFrom(s)
	if err != nil {
		t.Fatal(err)
	}
	return func(l *broker.Layout) { l.IntakeFrom = from }
}

func foreign(l *broker.Layout) { l.WithIntake = false }

// signup makes an intake stream that is the signup pipeline's.
func signup(t *testing.T, js jetstream.JetStream, mods ...func(*jetstream.StreamConfig)) {
	t.Helper()
	c := jetstream.StreamConfig{Name: "SIGNUP", Subjects: []string{"signup.>"}}
	for _, mod := range mods {
		mod(&c)
	}
	if _, err := js.CreateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

func pending(t *testing.T, js jetstream.JetStream) uint64 {
	t.Helper()
	c, err := js.Consumer(t.Context(), "SIGNUP", "activator")
	if err != nil {
		t.Fatal(err)
	}
	return c.CachedInfo().NumPending
}

func TestIntakeMissingIsToldAndMadeUpFor(t *testing.T) {
	t.Parallel()
	js := serve(t)
	err := broker.Ensure(t.Context(), js, layout(foreign))
	if !errors.Is(err, broker.ErrIntakeMissing) {
		t.Fatalf("error %v, want ErrIntakeMissing", err)
	}
	wantError(t, err, "SIGNUP", "WORKER_INTAKE_STREAM", "--with-intake")
	for _, name := range []string{"due", "redo", "requests"} { // the rest is ready
		consumerConfig(t, js, "ACTIVATION_WORK", name)
	}

	signup(t, js)
	ensure(t, js, layout(foreign))
	consumerConfig(t, js, "SIGNUP", "activator")
}

func TestForeignIntakeIsLeftAsItIs(t *testing.T) {
	t.Parallel()
	js := serve(t)
	signup(t, js, func(c *jetstream.StreamConfig) { c.MaxAge, c.Storage = time.Hour, jetstream.MemoryStorage })
	ensure(t, js, layout())
	if _, err := broker.Apply(t.Context(), js, layout()); err != nil {
		t.Fatal(err)
	}
	if c := streamConfig(t, js, "SIGNUP"); c.MaxAge != time.Hour || c.Storage != jetstream.MemoryStorage || c.Subjects[0] != "signup.>" {
		t.Errorf("the signup pipeline's stream was changed: %+v", c)
	}
}

func TestFilterThatNothingMatchesIsRefused(t *testing.T) {
	t.Parallel()
	js := serve(t)
	signup(t, js, func(c *jetstream.StreamConfig) { c.Subjects = []string{"orders.*"} })
	err := broker.Ensure(t.Context(), js, layout())
	wantDrifts(t, err, "subjects")
	wantError(t, err, "orders.*", "WORKER_INTAKE_SUBJECT")
}

func TestWhereTheIntakeStarts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		from    string
		old     bool // the messages are over an hour old
		want    uint64
		refused bool
	}{
		"nothing set, fresh messages: all":    {want: 3},
		"nothing set, old messages: refused":  {old: true, refused: true},
		"all":                                 {from: "all", old: true, want: 3},
		"new":                                 {from: "new", old: true, want: 0},
		"a time before the messages: all":     {from: "2020-01-01T00:00:00Z", old: true, want: 3},
		"a time after the messages: none yet": {from: "2200-01-01T00:00:00+09:00", old: true, want: 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			js := serve(t)
			signup(t, js)
			publish(t, js, "signup.other", 2)
			publish(t, js, "signup.terms.accepted", 3)
			now := time.Now()
			if c.old {
				now = now.Add(time.Hour + time.Minute)
			}
			l := layout(intakeFrom(t, c.from))
			err := broker.EnsureAt(t.Context(), js, l, now)
			if !c.refused {
				if err != nil {
					t.Fatal(err)
				}
				if got := pending(t, js); got != c.want {
					t.Errorf("%d messages wait, want %d", got, c.want)
				}
				return
			}
			from, ok := errors.AsType[*broker.IntakeFromError](err)
			if !ok {
				t.Fatalf("error %v, want an IntakeFromError", err)
			}
			if from.Messages != 3 || time.Since(from.Oldest) > time.Minute {
				t.Errorf("says %d messages, oldest %s", from.Messages, from.Oldest)
			}
			wantError(t, err, "WORKER_INTAKE_FROM", "holds 3 messages", from.Oldest.UTC().Format(time.RFC3339), "`all`", "`new`", "RFC 3339")
			drifts, err := broker.PlanAt(t.Context(), js, l, now)
			if err != nil || len(drifts) != 1 || drifts[0].Object != "consumer activator on SIGNUP" || drifts[0].Fixable {
				t.Errorf("plan: %v %v", drifts, err)
			}

			ensure(t, js, l) // as if it had been started in time
			if err := broker.EnsureAt(t.Context(), js, l, now); err != nil {
				t.Errorf("refused although the consumer exists: %v", err)
			}
		})
	}
}

func TestOldMessagesOnOtherSubjectsNeedNoDecision(t *testing.T) {
	t.Parallel()
	js := serve(t)
	signup(t, js)
	publish(t, js, "signup.other", 2)
	if err := broker.EnsureAt(t.Context(), js, layout(), time.Now().Add(24*time.Hour)); err != nil {
		t.Fatal(err)
	}
}

func TestParseIntakeFrom(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"old", "2026-01-31", "yesterday", "ALL "} {
		_, err := broker.ParseIntakeFrom(bad)
		wantError(t, err, "WORKER_INTAKE_FROM", bad)
	}
}

func TestRewindReadsAgain(t *testing.T) {
	t.Parallel()
	js := serve(t)
	l := layout(intakeFrom(t, "new"))
	if err := broker.Rewind(t.Context(), js, l, time.Now()); !errors.Is(err, broker.ErrIntakeMissing) {
		t.Fatalf("error %v, want ErrIntakeMissing", err)
	}
	signup(t, js)
	publish(t, js, "signup.terms.accepted", 3)
	ensure(t, js, l)
	if got := pending(t, js); got != 0 {
		t.Fatalf("%d messages wait before, want none", got)
	}
	for range 2 { // a second time it is there to be deleted, too
		if err := broker.Rewind(t.Context(), js, l, time.Now().Add(-time.Minute)); err != nil {
			t.Fatal(err)
		}
		if got := pending(t, js); got != 3 {
			t.Errorf("%d messages wait, want 3", got)
		}
	}
	for _, later := range []time.Duration{time.Hour, 365 * 24 * time.Hour} { // what waits would be skipped
		wantError(t, broker.Rewind(t.Context(), js, l, time.Now().Add(later)), "never be read")
	}
	if got := pending(t, js); got != 3 {
		t.Errorf("%d messages wait after a refusal, want 3", got)
	}
	ensure(t, js, l)
}

func TestRewindOfAWorkQueueKeepsItsConsumer(t *testing.T) {
	t.Parallel()
	js := serve(t)
	signup(t, js, func(c *jetstream.StreamConfig) { c.Retention = jetstream.WorkQueuePolicy })
	ensure(t, js, layout())
	wantError(t, broker.Rewind(t.Context(), js, layout(), time.Now()), "work queue")
	consumerConfig(t, js, "SIGNUP", "activator")
}
