package broker_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/broker"
	"activation-worker/internal/broker/brokertest"
	"activation-worker/internal/events"
)

func accept(t *testing.T, js jetstream.JetStream, l broker.Layout) {
	t.Helper()
	if change, err := broker.Accept(t.Context(), js, l); err != nil || change.Object != "stream ACTIVATION" {
		t.Fatalf("accepting: %v, %v", change, err)
	}
}

func acceptedAt(t *testing.T, js jetstream.JetStream) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, streamConfig(t, js, "ACTIVATION").Metadata[events.MetadataAccepted])
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// A ledger was accepted by a clock that is ten minutes ahead; it is lost again, and accepted by one that is not.
func TestALaterAcceptanceIsLater(t *testing.T) {
	t.Parallel()
	js := serve(t)
	ensure(t, js, layout())
	c := streamConfig(t, js, "ACTIVATION")
	ahead := time.Now().Add(10 * time.Minute).UTC()
	c.Metadata[events.MetadataAccepted] = ahead.Format(time.RFC3339Nano)
	if _, err := js.UpdateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if _, err := broker.Apply(t.Context(), js, layout()); err != nil { // marks the consumer
		t.Fatal(err)
	}
	deleteStream(t, js, "ACTIVATION")
	before := ahead
	for range 2 { // made anew, then once more
		accept(t, js, layout())
		ensure(t, js, layout())
		at := acceptedAt(t, js)
		if !at.After(before) || at.After(ahead.Add(time.Second)) {
			t.Errorf("accepted at %s, want just after %s", at, before)
		}
		before = at
	}
}

// between is a JetStream at which somebody else does something right after a request.
type between struct {
	jetstream.JetStream
	stream func(jetstream.Stream)
	update func() error
}

func (b *between) Stream(ctx context.Context, name string) (jetstream.Stream, error) {
	s, err := b.JetStream.Stream(ctx, name)
	if err == nil && b.stream != nil {
		b.stream(s)
	}
	return s, err
}

func (b *between) UpdateStream(ctx context.Context, c jetstream.StreamConfig) (jetstream.Stream, error) {
	s, err := b.JetStream.UpdateStream(ctx, c)
	if err == nil && b.update != nil {
		err = b.update()
	}
	return s, err
}

// What was announced is stamped by the server, so that ours does not count.
func TestAcceptanceIsByTheServersClock(t *testing.T) {
	t.Parallel()
	js := serve(t)
	ensure(t, js, layout())
	ahead := &between{JetStream: js, stream: func(s jetstream.Stream) { s.CachedInfo().TimeStamp = time.Now().Add(time.Hour) }}
	for _, gone := range []bool{false, true} {
		if gone {
			deleteStream(t, js, "ACTIVATION")
		}
		accept(t, ahead, layout())
		if at := acceptedAt(t, js); time.Until(at) < 59*time.Minute {
			t.Errorf("accepted at %s, want the server's time, an hour ahead; the ledger was gone: %t", at, gone)
		}
	}
}

// A worker that has read the ledger before it was accepted binds it, as it was.
func TestAcceptanceIsNotWrittenAway(t *testing.T) {
	t.Parallel()
	js := serve(t)
	ensure(t, js, layout())
	stale := streamConfig(t, js, "ACTIVATION")
	stale.Metadata["activation-partner-host"] = "api.example"
	var once sync.Once
	accept(t, &between{JetStream: js, update: func() (err error) {
		once.Do(func() { _, err = js.UpdateStream(t.Context(), stale) })
		return err
	}}, layout())
	if host := streamConfig(t, js, "ACTIVATION").Metadata["activation-partner-host"]; host != "api.example" || acceptedAt(t, js).IsZero() {
		t.Errorf("bound to %q", host)
	}

	gaveUp := &between{JetStream: js, update: func() error { _, err := js.UpdateStream(t.Context(), stale); return err }}
	_, err := broker.Accept(t.Context(), gaveUp, layout())
	wantError(t, err, "run the same command again")
}

// Whoever dies while it makes a new ledger leaves none that is there and not accepted.
func TestANewLedgerIsMadeAccepted(t *testing.T) {
	t.Parallel()
	js := serve(t)
	ensure(t, js, layout())
	deleteStream(t, js, "ACTIVATION")
	accept(t, &between{JetStream: js, update: func() error { return errors.New("died") }}, layout())
	ensure(t, js, layout())
}

func TestAnotherTenantsLedgerIsNotAccepted(t *testing.T) {
	t.Parallel()
	js := serve(t)
	bound := func(host string) broker.Layout {
		return layout(func(l *broker.Layout) { l.Binding = broker.Binding{Host: host} })
	}
	ensure(t, js, bound("api.example"))
	before := streamConfig(t, js, "ACTIVATION")
	reads := 0
	unclear := &between{JetStream: js}
	unclear.stream = func(s jetstream.Stream) { // bound by somebody after the first look
		if reads++; reads == 1 {
			s.CachedInfo().Config.Metadata = nil
		}
	}
	_, err := broker.Accept(t.Context(), unclear, bound("other.example"))
	if _, is := errors.AsType[*broker.BindingError](err); !is {
		t.Errorf("error %v, want a BindingError", err)
	}
	if after := streamConfig(t, js, "ACTIVATION"); after.Metadata[events.MetadataAccepted] != before.Metadata[events.MetadataAccepted] {
		t.Errorf("after a BindingError the metadata is %v", after.Metadata)
	}
}

// The publish stream goes on with a new ledger, where `forget` must find it.
func TestTheNewLedgerNamesThePublishStream(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t, limited(`"$JS.API.STREAM.INFO.*", "$JS.API.STREAM.CREATE.*", "$JS.API.STREAM.UPDATE.*", "$JS.API.CONSUMER.INFO.*.*"`))
	_, js := brokertest.Connect(t, s.URL())
	_, least := brokertest.Connect(t, s.URL(), natsUser("w"))
	ensure(t, js, layout())
	if _, err := broker.Publish(t.Context(), js, layout(), "CUSTOMER"); err != nil {
		t.Fatal(err)
	}
	for _, by := range []struct {
		js   jetstream.JetStream
		want string
	}{{least, ""}, {js, "CUSTOMER"}} {
		deleteStream(t, js, "ACTIVATION")
		accept(t, by.js, layout())
		if got := streamConfig(t, js, "ACTIVATION").Metadata[events.MetadataPublish]; got != by.want {
			t.Errorf("names the publish stream %q, want %q", got, by.want)
		}
	}
	c := streamConfig(t, js, "ACTIVATION")
	c.Metadata = nil // made by hand
	if _, err := js.UpdateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	accept(t, js, layout())
	if got := streamConfig(t, js, "ACTIVATION").Metadata[events.MetadataPublish]; got != "CUSTOMER" {
		t.Errorf("one that was there names %q", got)
	}
}
