package broker_test

import (
	"errors"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/broker"
	"activation-worker/internal/broker/brokertest"
	"activation-worker/internal/events"
)

func deleteStream(t *testing.T, js jetstream.JetStream, name string) {
	t.Helper()
	if err := js.DeleteStream(t.Context(), name); err != nil {
		t.Fatal(err)
	}
}

func wantLost(t *testing.T, err error, says string) {
	t.Helper()
	if _, is := errors.AsType[*broker.LostError](err); !is || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "--accept-ledger") {
		t.Fatalf("error %v, want a LostError that says %q", err, says)
	}
	if !broker.Halts(err) || broker.Sound(err) {
		t.Error("a lost ledger does not halt work")
	}
}

func TestALostLedgerIsNotMadeAnew(t *testing.T) {
	t.Parallel()
	js := serve(t)
	ensure(t, js, layout())
	old := streamConfig(t, js, "ACTIVATION")
	deleteStream(t, js, "ACTIVATION")
	deleteStream(t, js, "ACTIVATION_WORK")
	wantLost(t, broker.Ensure(t.Context(), js, layout()), "does not exist")
	_, err := broker.Apply(t.Context(), js, layout())
	wantLost(t, err, "does not exist")
	wantLost(t, broker.Rewind(t.Context(), js, layout(), time.Now().Add(-time.Hour)), "does not exist")
	for _, name := range []string{"ACTIVATION", "ACTIVATION_WORK"} {
		if _, err := js.Stream(t.Context(), name); !errors.Is(err, jetstream.ErrStreamNotFound) {
			t.Errorf("stream %s was made: %v", name, err)
		}
	}
	if _, err := js.CreateStream(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	wantLost(t, broker.Ensure(t.Context(), js, layout()), "made anew")
	drifts, err := broker.Plan(t.Context(), js, layout())
	if err != nil || len(drifts) == 0 || drifts[0].Object != "stream ACTIVATION" || drifts[0].Fixable || !strings.Contains(drifts[0].String(), "another one") {
		t.Errorf("planned %v, %v", drifts, err)
	}

	change, err := broker.Accept(t.Context(), js, layout())
	if err != nil || change.Object != "stream ACTIVATION" {
		t.Fatalf("accepting: %v, %v", change, err)
	}
	var found events.Mark
	ensure(t, js, layout(func(l *broker.Layout) { l.Found = func(m events.Mark) { found = m } }))
	if found.Stream != "ACTIVATION" || time.Since(found.Accepted) > time.Minute {
		t.Errorf("found %+v", found)
	}
	if _, err := broker.Apply(t.Context(), js, layout()); err != nil {
		t.Fatal(err)
	}
	if drifts, err := broker.Plan(t.Context(), js, layout()); err != nil || len(drifts) != 0 {
		t.Errorf("after it was accepted: %v, %v", drifts, err)
	}
}

// Whoever has worked on a ledger knows it, also where the intake is gone too.
func TestAWorkerKnowsItsLedger(t *testing.T) {
	t.Parallel()
	js := serve(t)
	var was events.Mark
	ensure(t, js, layout(func(l *broker.Layout) { l.Found = func(m events.Mark) { was = m } }))
	for _, name := range []string{"ACTIVATION", "ACTIVATION_WORK", "ACTIVATION_REJECTED", "KV_ACTIVATION_QUOTA", "SIGNUP"} {
		deleteStream(t, js, name)
	}
	wantLost(t, broker.Ensure(t.Context(), js, layout(func(l *broker.Layout) { l.Ledger = was })), "does not exist")
	ensure(t, js, layout()) // somebody who knows nothing begins
	wantLost(t, broker.Ensure(t.Context(), js, layout(func(l *broker.Layout) { l.Ledger = was })), "made anew")
}

// The intake of one ledger is not read into another by a mistake in WORKER_STREAM.
func TestAnotherLedgersIntake(t *testing.T) {
	t.Parallel()
	js := serve(t)
	ensure(t, js, layout())
	other := layout(func(l *broker.Layout) { l.Streams = events.StreamsOf("OTHER") })
	wantLost(t, broker.Ensure(t.Context(), js, other), "into stream ACTIVATION, and the settings name OTHER")
}

// A consumer that was made by an older worker says nothing of a ledger; that it was read from says that there was one.
func TestAnUnmarkedConsumer(t *testing.T) {
	t.Parallel()
	js := serve(t)
	ensure(t, js, layout())
	unmarked := consumerConfig(t, js, "SIGNUP", "activator")
	delete(unmarked.Metadata, events.MetadataLedger)
	if _, err := js.UpdateConsumer(t.Context(), "SIGNUP", unmarked); err != nil {
		t.Fatal(err)
	}
	changes, err := broker.Apply(t.Context(), js, layout())
	if err != nil || len(changes) != 1 || changes[0].Setting != "ledger" {
		t.Errorf("setup has changed %v, %v; want the ledger of the consumer", changes, err)
	}
	if _, err := js.UpdateConsumer(t.Context(), "SIGNUP", unmarked); err != nil {
		t.Fatal(err)
	}
	deleteStream(t, js, "ACTIVATION")
	ensure(t, js, layout()) // nothing was read
	if _, err := js.Publish(t.Context(), "signup.terms.accepted", nil); err != nil {
		t.Fatal(err)
	}
	cons, err := js.Consumer(t.Context(), "SIGNUP", "activator")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cons.Next(); err != nil {
		t.Fatal(err)
	}
	deleteStream(t, js, "ACTIVATION")
	wantLost(t, broker.Ensure(t.Context(), js, layout()), "does not exist")
}

// After an update the workers mark what the older ones have made, as far as they may.
func TestAWorkerMarksAnUnmarkedConsumer(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t, limited(`"$JS.API.STREAM.INFO.*", "$JS.API.CONSUMER.INFO.*.*"`))
	_, js := brokertest.Connect(t, s.URL())
	_, least := brokertest.Connect(t, s.URL(), natsUser("w"))
	ensure(t, js, layout())
	before := consumerConfig(t, js, "SIGNUP", "activator")
	unmarked := before
	unmarked.Metadata = maps.Clone(before.Metadata)
	delete(unmarked.Metadata, events.MetadataLedger)
	if _, err := js.UpdateConsumer(t.Context(), "SIGNUP", unmarked); err != nil {
		t.Fatal(err)
	}
	publish(t, js, "signup.terms.accepted", 1)
	cons, err := js.Consumer(t.Context(), "SIGNUP", "activator")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cons.Next(); err != nil { // it was read: not even then it says into what
		t.Fatal(err)
	}
	ensure(t, least, layout())
	if got := consumerConfig(t, js, "SIGNUP", "activator").Metadata[events.MetadataLedger]; got != "" {
		t.Errorf("marked %q by who may not", got)
	}
	ensure(t, js, layout())
	if got := consumerConfig(t, js, "SIGNUP", "activator"); !reflect.DeepEqual(got, before) {
		t.Errorf("the consumer is %+v, want it as it is made now, %+v", got, before)
	}
	deleteStream(t, js, "ACTIVATION")
	if _, err := js.CreateStream(t.Context(), ledgerWith(func(*jetstream.StreamConfig) {})); err != nil {
		t.Fatal(err)
	}
	wantLost(t, broker.Ensure(t.Context(), js, layout()), "made anew")
}
