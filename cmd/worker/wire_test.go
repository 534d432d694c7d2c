package main

import (
	"testing"

	"go.uber.org/zap"

	"activation-worker/internal/broker"
	"activation-worker/internal/events"
)

// What was announced while the consumer was gone must be read, and no more than the lost one had to.
func TestALostConsumerIsMadeToStartWhereItDid(t *testing.T) {
	t.Parallel()
	for from, want := range map[string]uint64{"new": 1, "all": 2} {
		t.Run(from, func(t *testing.T) {
			t.Parallel()
			_, js := newNATS(t)
			layout := broker.Layout{WithIntake: true, IntakeStream: "SIGNUP", IntakeSubject: "signup.terms.accepted"}
			if _, err := broker.Apply(t.Context(), js, layout); err != nil {
				t.Fatal(err)
			}
			if err := js.DeleteConsumer(t.Context(), "SIGNUP", events.ConsumerActivator); err != nil {
				t.Fatal(err)
			}
			announceOne := func() {
				if _, err := js.Publish(t.Context(), "signup.terms.accepted", []byte(`{"domainId":1}`)); err != nil {
					t.Fatal(err)
				}
			}
			announceOne()
			layout.IntakeFrom, _ = broker.ParseIntakeFrom(from)
			ensure := newUpkeep(js, layout, zap.NewNop()).ensure
			if err := ensure(t.Context()); err != nil {
				t.Fatal(err)
			}
			announceOne()
			for range 2 { // the second loss too
				if err := js.DeleteConsumer(t.Context(), "SIGNUP", events.ConsumerActivator); err != nil {
					t.Fatal(err)
				}
				if err := ensure(t.Context()); err != nil {
					t.Fatal(err)
				}
				cons, err := js.Consumer(t.Context(), "SIGNUP", events.ConsumerActivator)
				if err != nil {
					t.Fatal(err)
				}
				if got := cons.CachedInfo().NumPending; got != want {
					t.Errorf("%d announcements are to be read, wanted %d", got, want)
				}
			}
		})
	}
}
