package console

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/deploy/check/deploytest"
)

const (
	ledger = "ACTIVATION"
	intake = "signup.terms.accepted"
)

// stream connects a test to the site's server and returns JetStream.
func (s *site) stream() jetstream.JetStream {
	s.t.Helper()
	nc, err := nats.Connect(s.nats)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(2000))
	if err != nil {
		s.t.Fatal(err)
	}
	return js
}

// newest is the newest message of the ledger under a subject, nil where there is none.
func (s *site) newest(subject string) *jetstream.RawStreamMsg {
	s.t.Helper()
	stream, err := s.stream().Stream(s.t.Context(), ledger)
	if err != nil {
		s.t.Fatal(err)
	}
	message, err := stream.GetLastMsgForSubject(s.t.Context(), subject)
	if err != nil {
		return nil
	}
	return message
}

// awaitRecord waits until a customer's newest record has a state.
func (s *site) awaitRecord(id int, state string) *jetstream.RawStreamMsg {
	s.t.Helper()
	var record *jetstream.RawStreamMsg
	if !deploytest.Eventually(s.t, func() bool {
		record = s.newest(fmt.Sprintf("activation.customer.%d.*", id))
		return record != nil && strings.HasSuffix(record.Subject, "."+state)
	}) {
		s.t.Fatalf("%d is not %s; the newest record: %+v", id, state, record)
	}
	return record
}

// last are the last sequences of all streams, by which a test sees that nothing was written.
func (s *site) last() map[string]uint64 {
	s.t.Helper()
	last := map[string]uint64{}
	streams := s.stream().ListStreams(s.t.Context())
	for info := range streams.Info() {
		last[info.Config.Name] = info.State.LastSeq
	}
	if err := streams.Err(); err != nil {
		s.t.Fatal(err)
	}
	return last
}

// crowd writes records of customers that no worker has seen: copies of those of a pattern, each with an id of as many digits. The n-th customer's
// pattern is patterns[n%len(patterns)].
func (s *site) crowd(first, count int, patterns ...*jetstream.RawStreamMsg) {
	s.t.Helper()
	js := s.stream()
	for n := range count {
		if _, err := js.PublishMsgAsync(copied(s.t, patterns[n%len(patterns)], first+n), jetstream.WithStallWait(time.Minute)); err != nil {
			s.t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), deploytest.Limit)
	defer cancel()
	select {
	case <-js.PublishAsyncComplete():
	case <-ctx.Done():
		s.t.Fatal("filling the ledger took too long")
	}
}

// copied is another customer's record, the same but for the id.
func copied(t testing.TB, pattern *jetstream.RawStreamMsg, id int) *nats.Msg {
	t.Helper()
	tokens := strings.Split(pattern.Subject, ".")
	old, fresh := tokens[2], fmt.Sprint(id)
	if len(old) != len(fresh) {
		t.Fatalf("the id of a copy of %s would be %s: of other length", old, fresh)
	}
	m := &nats.Msg{Subject: strings.Replace(pattern.Subject, old, fresh, 1), Data: bytes.ReplaceAll(pattern.Data, []byte(old), []byte(fresh)), Header: nats.Header{}}
	for name, values := range pattern.Header {
		if !strings.HasPrefix(name, "Nats-") {
			m.Header[name] = values
		}
	}
	return m
}
