package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap/zaptest"

	"activation-worker/internal/broker"
	"activation-worker/internal/broker/brokertest"
	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
)

// TestFollowOverRestarts follows both streams while the server goes away and comes back.
func TestFollowOverRestarts(t *testing.T) {
	t.Parallel()
	server := brokertest.Start(t)
	nc, js := brokertest.Connect(t, server.URL(), nats.ReconnectBufSize(-1), nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
	layout := broker.Layout{Streams: events.StreamsOf(events.DefaultStream), WithIntake: true, Replicas: 1}
	if err := broker.Ensure(limited(t), js, layout); err != nil {
		t.Fatal(err)
	}
	l := ledger.New(ledger.Options{Conn: nc, JetStream: js, Streams: layout.Streams, Source: source, Log: zaptest.NewLogger(t)})
	began := time.Now()
	store(t, l, record(1, events.Started), 0)

	ctx, stop := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	follow := func(since time.Time) (<-chan string, <-chan error) {
		seen, ended := make(chan string, 100), make(chan error, 1)
		go func() {
			ended <- l.Follow(ctx, since, func(e ledger.Entry) error {
				seen <- e.Subject
				return nil
			})
		}()
		return seen, ended
	}
	fromNow, ended := follow(time.Time{})
	eventually(t, func(ctx context.Context) error { // both last sequences are read before: what follows is seen
		s, err := js.Stream(ctx, layout.Streams.Rejected)
		if err == nil && s.CachedInfo().State.Consumers == 0 {
			return errors.New("nobody follows yet")
		}
		return err
	})
	var want []string
	for id := int64(2); id <= 4; id++ {
		store(t, l, record(id, events.Deferred), 0)
		want = append(want, events.CustomerSubject(id, events.Deferred))
		reject(t, l, uint64(id))
		want = append(want, events.RejectedSubject(uint64(id)))
		server.Restart()
		eventually(t, func(ctx context.Context) error {
			_, err := js.Stream(ctx, layout.Streams.Ledger)
			return err
		})
	}
	slices.Sort(want)
	if got := take(t, fromNow, len(want)); !slices.Equal(got, want) {
		t.Errorf("seen from now on: %v, want %v", got, want)
	}
	fromThen, endedToo := follow(began.Add(-time.Second))
	want = append(want, events.CustomerSubject(1, events.Started))
	slices.Sort(want)
	if got := take(t, fromThen, len(want)); !slices.Equal(got, want) {
		t.Errorf("seen since the beginning: %v, want %v", got, want)
	}
	stop(enough)
	for _, err := range []error{<-ended, <-endedToo} {
		if !errors.Is(err, enough) {
			t.Errorf("it ended with %v, want the cause of the end", err)
		}
	}
	if len(fromNow)+len(fromThen) > 0 {
		t.Errorf("%d events came twice", len(fromNow)+len(fromThen))
	}
}

func TestFollowEnds(t *testing.T) {
	t.Parallel()
	nc, js := brokertest.Connect(t, brokertest.Start(t).URL())
	streams := events.StreamsOf(events.DefaultStream)
	l := ledger.New(ledger.Options{Conn: nc, JetStream: js, Streams: streams, Source: source, Log: zaptest.NewLogger(t)})
	if err := l.Follow(limited(t), time.Time{}, nil); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("without streams: %v", err)
	}
	if err := broker.Ensure(limited(t), js, broker.Layout{Streams: streams, WithIntake: true, Replicas: 1}); err != nil {
		t.Fatal(err)
	}
	store(t, l, record(1, events.Started), 0)
	own := errors.New("the reader's own")
	if err := l.Follow(limited(t), time.Now().Add(-time.Hour), func(ledger.Entry) error { return own }); !errors.Is(err, own) {
		t.Errorf("the reader's own error is returned as %v", err)
	}
}

// take receives so many and returns them sorted.
func take(t *testing.T, from <-chan string, many int) []string {
	t.Helper()
	ctx := limited(t)
	got := make([]string, 0, many)
	for range many {
		select {
		case one := <-from:
			got = append(got, one)
		case <-ctx.Done():
			t.Fatalf("only %v came", got)
		}
	}
	slices.Sort(got)
	return got
}

func reject(t *testing.T, l *ledger.Ledger, sequence uint64) {
	t.Helper()
	m := events.Message{Stream: "SIGNUP", Sequence: sequence, Subject: events.DefaultIntakeSubject, Data: fmt.Appendf(nil, "bad %d", sequence)}
	if err := l.Reject(limited(t), m, &events.Undecodable{Reason: "not_json", Detail: "no object"}); err != nil {
		t.Fatal(err)
	}
}
