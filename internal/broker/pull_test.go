package broker_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/broker"
	"activation-worker/internal/broker/brokertest"
)

// pulling is a stream with a consumer, and a Pull of it.
func pulling(t *testing.T, expiry time.Duration) (*brokertest.Server, jetstream.JetStream, jetstream.Consumer, *broker.Pull) {
	t.Helper()
	s := brokertest.Start(t)
	_, js := brokertest.Connect(t, s.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), nats.ReconnectBufSize(-1))
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}}); err != nil {
		t.Fatal(err)
	}
	cons, err := js.CreateConsumer(t.Context(), "S", jetstream.ConsumerConfig{Durable: "c", AckPolicy: jetstream.AckExplicitPolicy, AckWait: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	p, err := broker.NewPull(js, "S", "c", 8, expiry)
	if err != nil {
		t.Fatal(err)
	}
	return s, js, cons, p
}

func store(t *testing.T, js jetstream.JetStream, data string, headers nats.Header) {
	t.Helper()
	if _, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: "s.a", Data: []byte(data), Header: headers}); err != nil {
		t.Fatal(err)
	}
}

func next(t *testing.T, p *broker.Pull) jetstream.Msg {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	msg, err := p.Next(ctx, 1)
	if err != nil {
		t.Fatalf("no message: %v", err)
	}
	return msg
}

// settled waits until a consumer has so many messages in somebody's hands and so many that wait.
func settled(t *testing.T, cons jetstream.Consumer, unacked, pending int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		info, err := cons.Info(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if info.NumAckPending == unacked && info.NumPending == uint64(pending) {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%d messages are in hand and %d wait, want %d and %d", info.NumAckPending, info.NumPending, unacked, pending)
		}
	}
}

// TestPullTakesWhatLooksLikeTheServersWord: the client library swallows these. The first may be delivered before the last is
// stored.
func TestPullTakesWhatLooksLikeTheServersWord(t *testing.T) {
	t.Parallel()
	_, js, cons, p := pulling(t, 30*time.Second)
	defer p.Stop(time.Second)
	codes := []string{"100", "400", "404", "408", "409", "423", "503", "x"}
	for _, code := range codes {
		store(t, js, "", nats.Header{"Status": {code}, "Description": {"Consumer Deleted"}})
	}
	for i, code := range codes {
		msg := next(t, p)
		meta, err := msg.Metadata()
		if err != nil || meta.Sequence.Stream != uint64(i+1) || meta.NumPending > uint64(len(codes)-1-i) || meta.Stream != "S" || meta.Consumer != "c" ||
			msg.Headers().Get("Status") != code || msg.Subject() != "s.a" || meta.NumDelivered != 1 {
			t.Fatalf("message %d is %+v %v, %v", i+1, meta, msg.Headers(), err)
		}
		if err := msg.Ack(); err != nil {
			t.Error(err)
		}
		if err := msg.Ack(); !errors.Is(err, jetstream.ErrMsgAlreadyAckd) {
			t.Errorf("acknowledged twice: %v", err)
		}
	}
	settled(t, cons, 0, 0)
}

func TestPullAcknowledges(t *testing.T) {
	t.Parallel()
	_, js, cons, p := pulling(t, 30*time.Second)
	defer p.Stop(time.Second)
	store(t, js, "one", nil)
	store(t, js, "two", nil)
	for tries, again := range []func(jetstream.Msg) error{
		jetstream.Msg.Nak,
		func(m jetstream.Msg) error { return errors.Join(m.InProgress(), m.NakWithDelay(time.Millisecond)) },
		func(m jetstream.Msg) error { return m.NakWithDelay(0) },
		func(m jetstream.Msg) error { return m.TermWithReason("for good") },
	} {
		msg := next(t, p)
		for string(msg.Data()) != "one" {
			if err := msg.DoubleAck(t.Context()); err != nil {
				t.Error(err)
			}
			msg = next(t, p)
		}
		if meta, err := msg.Metadata(); err != nil || meta.NumDelivered != uint64(tries+1) {
			t.Errorf("delivery %d is %+v, %v", tries+1, meta, err)
		}
		if err := again(msg); err != nil {
			t.Error(err)
		}
	}
	settled(t, cons, 0, 0)
}

// TestPullWaits: over the end of its requests, over a server that was away, and until its context ends.
func TestPullWaits(t *testing.T) {
	t.Parallel()
	s, js, cons, p := pulling(t, 400*time.Millisecond)
	defer p.Stop(time.Second)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	taken := make(chan struct{}, 100)
	go func() {
		for {
			msg, err := p.Next(ctx, 1)
			if err != nil {
				ended <- err
				return
			}
			if err := msg.DoubleAck(ctx); err == nil {
				taken <- struct{}{}
			}
		}
	}()
	for count := range 2 {
		if count == 1 {
			s.Stop()
			s.Restart()
		}
		requests := time.NewTimer(time.Second) // some go by
		<-requests.C
		for {
			if _, err := js.Publish(t.Context(), "s.a", []byte("x")); err == nil {
				break
			}
		}
		<-taken
		settled(t, cons, 0, 0)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("ends with %v", err)
	}
}

func TestPullSaysWhatIsGone(t *testing.T) {
	t.Parallel()
	_, js, _, p := pulling(t, 30*time.Second)
	ended := make(chan error, 1)
	go func() {
		_, err := p.Next(t.Context(), 1)
		ended <- err
	}()
	pause := time.NewTimer(100 * time.Millisecond) // in which it asks; without that it is told that nobody answers
	<-pause.C
	if err := js.DeleteConsumer(t.Context(), "S", "c"); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, jetstream.ErrConsumerDeleted) {
		t.Errorf("of a consumer deleted meanwhile it says %v", err)
	}
	if _, err := p.Next(t.Context(), 1); err == nil {
		t.Error("of a consumer that is not there it says nothing")
	}
	p.Stop(time.Second)
}

// TestPullGivesBackWhatCameLate: nothing is left in nobody's hands.
func TestPullGivesBackWhatCameLate(t *testing.T) {
	t.Parallel()
	_, js, cons, p := pulling(t, 30*time.Second)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := p.Next(ctx, 1); !errors.Is(err, context.DeadlineExceeded) { // its request stays open
		t.Fatal(err)
	}
	for i := range 3 {
		store(t, js, fmt.Sprint(i), nil)
	}
	settled(t, cons, 1, 2)
	late := p.Stop(5 * time.Second)
	if len(late) != 1 || string(late[0].Data()) != "0" {
		t.Fatalf("%d messages are given back", len(late))
	}
	if err := late[0].Nak(); err != nil {
		t.Error(err)
	}
	again, err := broker.NewPull(js, "S", "c", 8, 30*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Stop(time.Second)
	for range 3 {
		if err := next(t, again).DoubleAck(t.Context()); err != nil {
			t.Error(err)
		}
	}
	settled(t, cons, 0, 0)
}

// TestPullEndsWithItsConnection: and none begins on one that is closed.
func TestPullEndsWithItsConnection(t *testing.T) {
	t.Parallel()
	_, js, _, _ := pulling(t, 30*time.Second)
	url := js.Conn().ConnectedUrl()
	for range 3 {
		nc, js := brokertest.Connect(t, url)
		p, err := broker.NewPull(js, "S", "c", 8, 30*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() {
			_, err := p.Next(t.Context(), 1)
			p.Stop(time.Second)
			ended <- err
		}()
		nc.Close()
		if err := <-ended; !errors.Is(err, nats.ErrConnectionClosed) {
			t.Fatalf("ends with %v", err)
		}
		if p, err = broker.NewPull(js, "S", "c", 8, 30*time.Second); err == nil {
			p.Stop(time.Second)
			t.Fatal("a pull begins on a closed connection")
		}
	}
}

// Requests that were given up when the connection was lost bring messages all the same. They are taken before another is asked for.
func TestPullHoardsNothingAfterReconnects(t *testing.T) {
	t.Parallel()
	_, js, cons, p := pulling(t, 30*time.Second)
	defer p.Stop(time.Second)
	ask := func() {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		if msg, err := p.Next(ctx, 1); err == nil {
			t.Fatalf("a message out of nothing: %s", msg.Data())
		}
	}
	ask()
	up := js.Conn().StatusChanged(nats.CONNECTED)
	for range 5 {
		if err := js.Conn().ForceReconnect(); err != nil {
			t.Fatal(err)
		}
		<-up
		ask()
	}
	for i := range 20 {
		store(t, js, fmt.Sprint(i), nil)
	}
	for i := range 20 {
		msg := next(t, p)
		if i == 10 {
			settled(t, cons, 1, 9)
		}
		if err := msg.Ack(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPullTakesNoMoreThanIsWanted: several with one request, and not one beyond them.
func TestPullTakesNoMoreThanIsWanted(t *testing.T) {
	t.Parallel()
	_, js, cons, p := pulling(t, 30*time.Second)
	defer p.Stop(time.Second)
	for i := range 5 {
		store(t, js, fmt.Sprint(i), nil)
	}
	for i, step := range []struct{ want, inHand int }{{3, 3}, {8, 3}, {8, 3}, {1, 4}, {1, 5}} {
		msg, err := p.Next(t.Context(), step.want)
		if err != nil || string(msg.Data()) != fmt.Sprint(i) {
			t.Fatalf("message %d is %v, %v", i, msg, err)
		}
		settled(t, cons, step.inHand, 5-step.inHand)
	}
}

// TestPullAsksForNothingAtItsEnd: what came of it would rest in nobody's hands.
func TestPullAsksForNothingAtItsEnd(t *testing.T) {
	t.Parallel()
	_, js, cons, p := pulling(t, 30*time.Second)
	for i := range 3 {
		store(t, js, fmt.Sprint(i), nil)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Next(ctx, 3); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := js.Conn().Flush(); err != nil {
		t.Fatal(err)
	}
	if late := p.Stop(5 * time.Second); len(late) > 0 {
		t.Errorf("%d messages came of a request that nobody waits for", len(late))
	}
	settled(t, cons, 0, 3)
}

// TestPullHoardsNothingAfterReconnectsWhileBusy: those that nobody has looked at are one.
func TestPullHoardsNothingAfterReconnectsWhileBusy(t *testing.T) {
	t.Parallel()
	_, js, cons, p := pulling(t, 30*time.Second)
	defer p.Stop(time.Second)
	const want = 8
	look := func() {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		if msg, err := p.Next(ctx, want); err == nil {
			t.Fatalf("a message out of nothing: %s", msg.Data())
		}
	}
	look()
	up := js.Conn().StatusChanged(nats.CONNECTED)
	for range 6 {
		if err := js.Conn().ForceReconnect(); err != nil {
			t.Fatal(err)
		}
		<-up
	}
	look()
	for i := range 10 * want {
		store(t, js, fmt.Sprint(i), nil)
	}
	settled(t, cons, 2*want, 8*want) // the request from before lives on with the inbox
}
