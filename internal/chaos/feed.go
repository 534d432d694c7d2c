package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/events"
	"activation-worker/internal/partnerapi/simulator"
)

// feed is the signup pipeline: it announces each customer at its time, and again until the stream has acknowledged it.
type feed struct {
	js      jetstream.JetStream
	partner *partner
	guests  []Guest
	done    atomic.Int64 // announced so far
}

func (f *feed) run(ctx context.Context, began time.Time) error {
	for _, g := range f.guests {
		if !pause(ctx, time.Until(began.Add(g.At))) {
			return context.Cause(ctx)
		}
		if g.Fate != invalid {
			f.partner.Add(simulator.Customer{DomainID: g.ID, Terms: g.Fate != lateTerms, DNS: g.Fate != lateDNS})
		}
		f.plainly(g)
		for _, msg := range messagesOf(g) {
			if err := f.publish(ctx, msg); err != nil {
				return fmt.Errorf("announce %d: %w", g.ID, err)
			}
		}
		f.done.Add(1)
	}
	return nil
}

// plainly scripts the partner's answers about a customer for whom a mixed fault could make a no final, or one that is final look as if it
// were not: a whole answer that leaves out why the partner says no is believed.
func (f *feed) plainly(g Guest) {
	const plain = "slow=0s-100ms*"
	switch g.Fate {
	case refused:
		f.partner.Script(g.ID, simulator.OpActivate, simulator.Fault(fmt.Sprintf("%d:%s*", contractEnded, endedCode)))
	case lateTerms:
		f.partner.Script(g.ID, simulator.OpCustomer, plain)
	case lateDNS:
		f.partner.Script(g.ID, simulator.OpUpgradeDomain, plain)
	}
}

// What the partner says to those it refuses. The workers are told what it means, since else they would look for an explanation in DNS, and
// where that does not answer on a busy machine, wait for it.
const (
	contractEnded = 409
	endedCode     = "CONTRACT_ENDED"
)

// announced are the guests announced so far.
func (f *feed) announced() []Guest { return f.guests[:f.done.Load()] }

// publish insists. The message id makes it one message, however often it is sent.
func (f *feed) publish(ctx context.Context, msg *nats.Msg) error {
	for {
		asking, cancel := context.WithTimeout(ctx, 3*time.Second)
		_, err := f.js.PublishMsg(asking, msg)
		cancel()
		if err == nil {
			return nil
		}
		if !pause(ctx, 200*ms) {
			return fmt.Errorf("%w; last: %w", context.Cause(ctx), err)
		}
	}
}

// messagesOf are the messages that announce a guest.
func messagesOf(g Guest) []*nats.Msg {
	if g.Fate == invalid {
		return []*nats.Msg{{Subject: events.DefaultIntakeSubject, Data: []byte(g.Body), Header: nats.Header{jetstream.MsgIDHeader: {fmt.Sprint("invalid-", g.ID)}}}}
	}
	times := 1
	if g.Fate == twice {
		times = 2
	}
	var all []*nats.Msg
	for i := range times {
		id := fmt.Sprintf("%d-%d", g.ID, i+1)
		event := map[string]any{
			"specversion": "1.0", "id": id, "source": "/chaos", "type": "signup.terms.accepted", "time": time.Now().UTC().Format(time.RFC3339Nano),
			"data": map[string]any{"domainId": g.ID, "reference": id},
		}
		if g.Fate == backlog {
			event["backfill"] = true
		}
		body, err := json.Marshal(event)
		if err != nil {
			panic(err) // texts and numbers
		}
		all = append(all, &nats.Msg{
			Subject: events.DefaultIntakeSubject, Data: body,
			Header: nats.Header{"Content-Type": {events.ContentType}, jetstream.MsgIDHeader: {id}},
		})
	}
	return all
}
