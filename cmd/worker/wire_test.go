package main

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/broker"
	"activation-worker/internal/events"
)

// What was announced while the consumer was gone must be read, wherever the first one began.
func TestALostConsumerIsMadeToReadEverything(t *testing.T) {
	t.Parallel()
	_, js := newNATS(t)
	layout := broker.Layout{WithIntake: true}
	layout.IntakeFrom, _ = broker.ParseIntakeFrom("new")
	ensure := ensurer(js, layout)
	for _, want := range []jetstream.DeliverPolicy{jetstream.DeliverNewPolicy, jetstream.DeliverAllPolicy} {
		if err := ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
		cons, err := js.Consumer(t.Context(), "SIGNUP", events.ConsumerActivator)
		if err != nil {
			t.Fatal(err)
		}
		if got := cons.CachedInfo().Config.DeliverPolicy; got != want {
			t.Errorf("it starts with %v, wanted %v", got, want)
		}
		if err := js.DeleteConsumer(t.Context(), "SIGNUP", events.ConsumerActivator); err != nil {
			t.Fatal(err)
		}
	}
}
