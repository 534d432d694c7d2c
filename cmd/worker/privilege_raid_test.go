package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/broker"
	"activation-worker/internal/broker/brokertest"
	"activation-worker/internal/events"
)

// realm is a server on which somebody tries what is not theirs, with connections of those who see whether it was done.
type realm struct {
	t       *testing.T
	users   map[string]*nats.Conn
	refused map[string]error // what the server refused to each last
}

func newRealm(t *testing.T, connect func(who string) *nats.Conn) *realm {
	r := &realm{t: t, users: map[string]*nats.Conn{}, refused: map[string]error{}}
	for _, who := range everybody {
		r.users[who] = connect(who)
	}
	return r
}

// guardedRealm has the shipped accounts.
func guardedRealm(t *testing.T, edits ...string) *realm {
	t.Helper()
	g := newGuarded(t, edits...)
	r := newRealm(t, func(who string) *nats.Conn {
		nc, _ := g.connect(who)
		return nc
	})
	r.seed()
	return r
}

// openRealm has one account, in which everybody may do everything.
func openRealm(t *testing.T) *realm {
	t.Helper()
	var users strings.Builder
	for _, who := range everybody {
		users.WriteString("{user: " + who + ", password: x}\n")
	}
	s := brokertest.Start(t, brokertest.WithConfig("accounts { ALL { jetstream: enabled, users: [\n"+users.String()+"] } }"))
	r := newRealm(t, func(who string) *nats.Conn {
		nc, _ := brokertest.Connect(t, s.URL(), nats.UserInfo(who, "x"), nats.CustomInboxPrefix("_INBOX_"+who))
		return nc
	})
	r.rebuild()
	return r
}

// rebuild makes everything anew, after something was done to it.
func (r *realm) rebuild() {
	r.t.Helper()
	js := r.js("setup")
	for name := range js.StreamNames(r.t.Context()).Name() {
		if err := js.DeleteStream(r.t.Context(), name); err != nil {
			r.t.Fatal(err)
		}
	}
	var err error
	if !eventually(r.t, workTimeout, func() bool { // the files of a stream just deleted may still be going
		_, err = broker.Apply(r.t.Context(), js, broker.Layout{WithIntake: true})
		return err == nil
	}) {
		r.t.Fatal(err)
	}
	if _, err := js.CreateConsumer(r.t.Context(), "ACTIVATION", jetstream.ConsumerConfig{
		Durable: "greeter", FilterSubject: "activation.customer.*.activated", AckPolicy: jetstream.AckExplicitPolicy,
	}); err != nil {
		r.t.Fatal(err)
	}
	r.seed()
}

// pace is where the worker writes the quota that all workers share.
var (
	bucket = events.StreamsOf(events.DefaultStream).Quota
	pace   = events.QuotaSubject(bucket)
)

// seed stores one message of each kind: the customer 5, an announcement, a rejection, a request, the quota.
func (r *realm) seed() {
	r.t.Helper()
	for who, subjects := range map[string][]string{
		"pipeline": {"signup.terms.accepted", "signup.terms.accepted"},
		"worker":   {"activation.customer.5.failed", "activation.customer.5.activated", "activation.rejected.5", "activation.timer.5", pace},
		"bob":      {"activation.request.cancel.bob.5"},
	} {
		for _, subject := range subjects {
			if _, err := r.js(who).Publish(r.t.Context(), subject, []byte("{}")); err != nil {
				r.t.Fatalf("%s on %s: %v", who, subject, err)
			}
		}
	}
}

func (r *realm) js(who string) jetstream.JetStream {
	r.t.Helper()
	js, err := jetstream.New(r.users[who])
	if err != nil {
		r.t.Fatal(err)
	}
	return js
}

// settled returns when everything that was sent has been handled by the streams, in their order.
func (r *realm) settled() {
	r.t.Helper()
	for _, by := range []struct{ who, subject string }{
		{"pipeline", "signup.terms.accepted"},
		{"worker", "activation.replay.fence"},
		{"worker", "activation.rejected.99"},
		{"worker", "activation.timer.99"},
	} {
		if _, err := r.js(by.who).Publish(r.t.Context(), by.subject, nil); err != nil {
			r.t.Fatalf("%s on %s: %v", by.who, by.subject, err)
		}
	}
	// Of the quota the worker writes one subject alone, so this one is refused, after all that was sent before.
	const never = 1 << 40
	_, err := r.js("worker").Publish(r.t.Context(), pace, nil, jetstream.WithExpectLastSequencePerSubject(never))
	if refused, is := errors.AsType[*jetstream.APIError](err); !is || refused.ErrorCode != jetstream.JSErrCodeStreamWrongLastSequence {
		r.t.Fatalf("the worker on %s: %v", pace, err)
	}
}

// count is how many messages a stream has ever stored.
func (r *realm) count(stream string) uint64 {
	r.t.Helper()
	s, err := r.js("monitor").Stream(r.t.Context(), stream)
	if err != nil {
		return 0
	}
	return s.CachedInfo().State.LastSeq
}

// stored reports whether a stream has a message on a subject.
func (r *realm) stored(stream, subject string) bool {
	r.t.Helper()
	m, err := r.users["monitor"].Request("$JS.API.STREAM.MSG.GET."+stream, []byte(`{"last_by_subj":"`+subject+`"}`), workTimeout)
	if err != nil {
		r.t.Fatalf("the monitor cannot read %s: %v", stream, err)
	}
	return !strings.Contains(string(m.Data), `"error"`)
}

// streamOf takes what is stored on a subject.
func streamOf(subject string) string {
	switch tokens := strings.Split(subject, "."); {
	case tokens[0] == "signup":
		return "SIGNUP"
	case tokens[0] == "$KV":
		return events.QuotaStream(bucket)
	case tokens[1] == "rejected":
		return "ACTIVATION_REJECTED"
	case tokens[1] == "timer", tokens[1] == "due", tokens[1] == "redo", tokens[1] == "request":
		return "ACTIVATION_WORK"
	}
	return "ACTIVATION"
}

// deed is something that somebody tries; it reports whether it was done.
type deed func(r *realm, who string) bool

// denied reports whether the server has refused something since it was asked last. It follows a round-trip.
func (r *realm) denied(who string) bool {
	r.t.Helper()
	if err := r.users[who].FlushTimeout(workTimeout); err != nil {
		r.t.Fatalf("%s: %v", who, err)
	}
	last := r.users[who].LastError()
	denied := errors.Is(last, nats.ErrPermissionViolation) && last != r.refused[who] //nolint:errorlint // the same words again are a new refusal
	r.refused[who] = last
	return denied
}

// says publishes.
func says(subject string) deed {
	return func(r *realm, who string) bool {
		before := r.count(streamOf(subject))
		if err := r.users[who].Publish(subject, []byte("{}")); err != nil {
			r.t.Fatal(err)
		}
		return !r.denied(who) && r.arrived(streamOf(subject), subject, before)
	}
}

// arrived reports whether a stream has stored something on a subject after so many messages.
func (r *realm) arrived(stream, subject string, before uint64) bool {
	r.settled()
	return r.stored(stream, subject) && r.newer(stream, subject, before)
}

func (r *realm) newer(stream, subject string, before uint64) bool {
	m, err := r.users["monitor"].Request("$JS.API.STREAM.MSG.GET."+stream, []byte(`{"last_by_subj":"`+subject+`"}`), workTimeout)
	var got struct{ Message struct{ Seq uint64 } }
	return err == nil && json.Unmarshal(m.Data, &got) == nil && got.Message.Seq > before
}

// asks sends a request to JetStream and reports whether it was answered, even with an error: it was let through.
func asks(subject, body string) deed {
	return func(r *realm, who string) bool {
		nc := r.users[who]
		inbox := nc.NewInbox()
		sub, err := nc.SubscribeSync(inbox)
		if err != nil {
			r.t.Fatal(err)
		}
		defer func() { _ = sub.Unsubscribe() }()
		if err := nc.PublishRequest("$JS.API."+subject, inbox, []byte(body)); err != nil {
			r.t.Fatal(err)
		}
		if r.denied(who) {
			return false
		}
		m, err := sub.NextMsg(5 * time.Second)
		switch {
		case errors.Is(err, nats.ErrNoResponders):
			return false
		case err != nil:
			r.t.Fatalf("%s: %s: %v", who, subject, err)
		}
		return m.Header.Get("Status") != "503"
	}
}

// diverts asks for an answer on somebody else's subject, where a stream would take it.
func diverts(subject, body, reply string) deed {
	return func(r *realm, who string) bool {
		stream := streamOf(reply)
		before := r.count(stream)
		if err := r.users[who].PublishRequest(subject, reply, []byte(body)); err != nil {
			r.t.Fatal(err)
		}
		if r.denied(who) {
			return false
		}
		// An answer of the JetStream API comes at its own time; what was delivered has its own subject.
		return eventually(r.t, 500*time.Millisecond, func() bool {
			r.settled()
			return r.newer(stream, reply, before) || r.newer(stream, "activation.customer.5.activated", before)
		})
	}
}

// delivers makes a consumer that delivers to a subject of a stream, while everybody tries to listen there, without which
// nothing is delivered.
func delivers(from, filter, to string) deed {
	return func(r *realm, who string) bool {
		for _, listener := range everybody {
			sub, err := r.users[listener].SubscribeSync(to)
			if err != nil {
				r.t.Fatal(err)
			}
			r.t.Cleanup(func() { _ = sub.Unsubscribe() })
			r.denied(listener)
		}
		before := r.count(streamOf(to))
		name := who + strings.ReplaceAll(to, ".", "_")
		made := asks("CONSUMER.CREATE."+from+"."+name+"."+filter,
			fmt.Sprintf(`{"stream_name":%q,"config":{"name":%q,"filter_subject":%q,"deliver_subject":%q,"ack_policy":"none"}}`, from, name, filter, to))
		return made(r, who) && eventually(r.t, 500*time.Millisecond, func() bool { return r.count(streamOf(to)) > before })
	}
}

// hears subscribes, and reports whether what somebody else causes is heard.
func hears(subject string, cause func(r *realm)) deed {
	return func(r *realm, who string) bool {
		sub, err := r.users[who].SubscribeSync(subject)
		if err != nil {
			r.t.Fatal(err)
		}
		defer func() { _ = sub.Unsubscribe() }()
		if r.denied(who) {
			return false
		}
		cause(r)
		for _, other := range everybody {
			_ = r.users[other].Flush()
		}
		_, err = sub.NextMsg(100 * time.Millisecond) // what was caused is here already
		return err == nil
	}
}

// records lets the worker write about a customer.
func records(state events.State) func(*realm) {
	return func(r *realm) {
		if _, err := r.js("worker").Publish(r.t.Context(), events.CustomerSubject(6, state), []byte("{}")); err != nil {
			r.t.Fatal(err)
		}
	}
}

// paced lets the worker write the quota.
func paced(r *realm) {
	if _, err := r.js("worker").Publish(r.t.Context(), pace, []byte("{}")); err != nil {
		r.t.Fatal(err)
	}
}

// hint lets the worker say that the quota has changed.
func hint(r *realm) {
	if err := r.users["worker"].Publish(events.SubjectQuota, nil); err != nil {
		r.t.Fatal(err)
	}
}

// hints says to the worker that the quota has changed, and reports whether it is heard.
func hints(r *realm, who string) bool {
	sub, err := r.users["worker"].SubscribeSync(events.SubjectQuota)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	if r.denied("worker") {
		r.t.Fatal("the worker may not hear that the quota has changed")
	}
	if err := r.users[who].Publish(events.SubjectQuota, nil); err != nil {
		r.t.Fatal(err)
	}
	if r.denied(who) {
		return false
	}
	_, err = sub.NextMsg(100 * time.Millisecond)
	return err == nil
}

// answered lets somebody get an answer.
func answered(who string) func(*realm) {
	return func(r *realm) {
		if who == "pipeline" {
			if _, err := r.js(who).Publish(r.t.Context(), events.DefaultIntakeSubject, []byte("{}")); err != nil {
				r.t.Fatal(err)
			}
			return
		}
		if _, err := r.js(who).Stream(r.t.Context(), "ACTIVATION"); err != nil {
			r.t.Fatal(err)
		}
	}
}

// acks acknowledges the announcement or request that the worker has in hand.
func acks(stream, consumer string) deed {
	return func(r *realm, who string) bool {
		cons, err := r.js("worker").Consumer(r.t.Context(), stream, consumer)
		if err != nil {
			r.t.Fatal(err)
		}
		m, err := cons.Next(jetstream.FetchMaxWait(workTimeout))
		if err != nil {
			r.t.Fatalf("the worker gets nothing from %s: %v", consumer, err)
		}
		if err := r.users[who].Publish(m.Reply(), nil); err != nil {
			r.t.Fatal(err)
		}
		acked := !r.denied(who) && eventually(r.t, 5*time.Second, func() bool {
			info, err := cons.Info(r.t.Context())
			return err == nil && info.NumAckPending == 0
		})
		if !acked {
			if err := m.DoubleAck(r.t.Context()); err != nil {
				r.t.Errorf("the worker's own ack: %v", err)
			}
		}
		r.seed()
		return acked
	}
}
