package broker_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"activation-worker/internal/broker"
	"activation-worker/internal/broker/brokertest"
)

// A server that is stopped leaves the wait for a source that does not answer, for half a minute.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server.(*stream).trySetupSourceConsumer.func3"))
}

// serve starts a server and connects to it.
func serve(t *testing.T, options ...brokertest.Option) jetstream.JetStream {
	t.Helper()
	_, js := brokertest.Connect(t, brokertest.Start(t, options...).URL())
	return js
}

// layout is a layout whose intake stream is ours.
func layout(mods ...func(*broker.Layout)) broker.Layout {
	l := broker.Layout{WithIntake: true, MaxBytes: 64 << 20}
	for _, mod := range mods {
		mod(&l)
	}
	return l
}

func ensure(t *testing.T, js jetstream.JetStream, l broker.Layout) {
	t.Helper()
	if err := broker.Ensure(t.Context(), js, l); err != nil {
		t.Fatalf("ensure: %v", err)
	}
}

func streamConfig(t *testing.T, js jetstream.JetStream, name string) jetstream.StreamConfig {
	t.Helper()
	s, err := js.Stream(t.Context(), name)
	if err != nil {
		t.Fatalf("stream %s: %v", name, err)
	}
	return s.CachedInfo().Config
}

func consumerConfig(t *testing.T, js jetstream.JetStream, stream, name string) jetstream.ConsumerConfig {
	t.Helper()
	c, err := js.Consumer(t.Context(), stream, name)
	if err != nil {
		t.Fatalf("consumer %s on %s: %v", name, stream, err)
	}
	return c.CachedInfo().Config
}

// wantError fails unless err says all of the texts.
func wantError(t *testing.T, err error, texts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", texts)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error does not say %q: %v", text, err)
		}
	}
}

// wantDrifts fails unless err lists exactly these settings.
func wantDrifts(t *testing.T, err error, settings ...string) {
	t.Helper()
	e, ok := errors.AsType[*broker.LayoutError](err)
	if !ok {
		t.Fatalf("error %v, want a LayoutError about %q", err, settings)
	}
	var got []string
	for _, d := range e.Drifts {
		got = append(got, d.Setting)
	}
	if strings.Join(got, ",") != strings.Join(settings, ",") {
		t.Fatalf("complains about %q, want %q: %v", got, settings, err)
	}
}

func publish(t *testing.T, js jetstream.JetStream, subject string, n int) {
	t.Helper()
	for range n {
		if _, err := js.Publish(context.WithoutCancel(t.Context()), subject, []byte("{}")); err != nil {
			t.Fatalf("publish on %s: %v", subject, err)
		}
	}
}

func natsUser(name string) nats.Option { return nats.UserInfo(name, name) }
