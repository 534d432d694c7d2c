package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Names of what the worker makes, and of the one consumer that is made for another.
const (
	intake    = "SIGNUP"
	accepted  = "signup.terms.accepted"
	ledger    = "ACTIVATION"
	outcomes  = "activation.customer.*.activated"
	activator = "activator"
	pushed    = "pushed"

	firstID = 51_000_000
)

func outcomeSubject(domainID int64) string {
	return "activation.customer." + strconv.FormatInt(domainID, 10) + ".activated"
}

// site is what one run happens on: servers with empty stores, and a partner.
type site struct {
	o          options
	dir        string
	servers    *servers
	partner    *proc
	partnerURL string
	nc         *nats.Conn
	js         jetstream.JetStream
}

// openSite starts servers and partner and has the streams made. What was started is ended by close, also after an error.
func openSite(ctx context.Context, o options, nodes int, delay time.Duration) (s *site, err error) {
	s = &site{o: o}
	if s.dir, err = os.MkdirTemp("", "activation-bench-"); err != nil {
		return s, err
	}
	if s.partner, err = startSelf("partner", "-delay", delay.String()); err != nil {
		return s, err
	}
	address, err := s.partner.says(ctx, "listens")
	if err != nil {
		return s, err
	}
	s.partnerURL = "http://" + address + "/v1.0"
	if s.servers, err = startServers(ctx, o, s.dir, nodes); err != nil {
		return s, err
	}
	if s.nc, err = s.servers.connect(ctx); err != nil {
		return s, err
	}
	if s.js, err = jetstream.New(s.nc, jetstream.WithPublishAsyncMaxPending(2*fillBatch)); err != nil {
		return s, err
	}
	if err := s.setUp(ctx); err != nil {
		return s, err
	}
	_, err = s.js.CreatePushConsumer(ctx, intake, jetstream.ConsumerConfig{
		Durable: pushed, DeliverSubject: "bench.pushed", DeliverGroup: pushed, AckPolicy: jetstream.AckExplicitPolicy, MaxDeliver: -1, MaxAckPending: 1000,
	})
	if err != nil {
		return s, fmt.Errorf("make consumer %s: %w", pushed, err)
	}
	if nodes > 1 {
		return s, s.lead(ctx)
	}
	return s, nil
}

// lead makes the first server the leader of all that is measured, so that the luck of elections is none of the results.
func (s *site) lead(ctx context.Context) error {
	for _, name := range []string{"STREAM." + intake, "STREAM." + ledger, "CONSUMER." + intake + "." + activator, "CONSUMER." + intake + "." + pushed} {
		kind, rest, _ := strings.Cut(name, ".")
		err := eventually(ctx, time.Minute, 300*time.Millisecond, func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, 2*time.Second) // one asked while there is no leader is not answered at all
			defer cancel()
			var info struct {
				Cluster struct {
					Leader string `json:"leader"`
				} `json:"cluster"`
				Error *jetstream.APIError `json:"error"`
			}
			answer, err := s.nc.RequestWithContext(ctx, "$JS.API."+kind+".INFO."+rest, nil)
			if err != nil {
				return err
			}
			if err := json.Unmarshal(answer.Data, &info); err != nil {
				return err
			}
			if info.Cluster.Leader == "n1" {
				return nil
			}
			answer, err = s.nc.RequestWithContext(ctx, "$JS.API."+kind+".LEADER.STEPDOWN."+rest, []byte(`{"placement":{"preferred":"n1"}}`))
			if err != nil {
				return err
			}
			return fmt.Errorf("the leader of %s is %s: %s", name, info.Cluster.Leader, answer.Data)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *site) close() {
	if s.nc != nil {
		s.nc.Close()
	}
	if s.servers != nil {
		s.servers.stop()
	}
	if s.partner != nil {
		s.partner.stop()
	}
	if s.dir != "" && !s.o.keep {
		_ = os.RemoveAll(s.dir) // a temporary one
	}
}

// announcement is an event of the signup pipeline.
func announcement(domainID int64, at time.Time) *nats.Msg {
	return &nats.Msg{
		Subject: accepted,
		Header:  nats.Header{"Content-Type": {"application/cloudevents+json"}},
		Data: fmt.Appendf(nil, `{"specversion":"1.0","id":"A-%[1]d","source":"/signup","type":"signup.terms.accepted","time":"%[2]s",`+
			`"datacontenttype":"application/json","data":{"domainId":%[1]d,"domain":"c%[1]d.example","reference":"order-%[1]d"}}`,
			domainID, at.UTC().Format(time.RFC3339Nano)),
	}
}

// fillBatch is how many announcements are sent before the server's answers are waited for.
const fillBatch = 500

// fill stores announcements as fast as it can.
func (s *site) fill(ctx context.Context, from, count int) error {
	now := time.Now()
	for i := range count {
		if _, err := s.js.PublishMsgAsync(announcement(int64(firstID+from+i), now)); err != nil {
			return fmt.Errorf("fill the intake: %w", err)
		}
		if i%fillBatch != fillBatch-1 && i != count-1 {
			continue
		}
		select {
		case <-s.js.PublishAsyncComplete():
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return s.await(ctx, intake, count, time.Minute, nil)
}

// hold keeps the intake from delivering for so long. It ends by its time: one that is ended by a request is noticed only when a
// subject asks anew.
func (s *site) hold(ctx context.Context, consumer string, d time.Duration) error {
	_, err := s.js.PauseConsumer(ctx, intake, consumer, time.Now().Add(d))
	return err
}

// await waits for a stream to hold so many messages.
func (s *site) await(ctx context.Context, stream string, messages int, within time.Duration, alive func() error) error {
	return eventually(ctx, within, 25*time.Millisecond, func(ctx context.Context) error {
		if alive != nil {
			if err := alive(); err != nil {
				return err
			}
		}
		st, err := s.js.Stream(ctx, stream)
		if err != nil {
			return err
		}
		if have := st.CachedInfo().State.Msgs; have < uint64(messages) {
			return fmt.Errorf("stream %s has %d messages of %d", stream, have, messages)
		}
		return nil
	})
}

// span is when the first outcome was stored and when the last, by the server's clock.
func (s *site) span(ctx context.Context, count int) (first, last time.Time, err error) {
	st, err := s.js.Stream(ctx, ledger)
	if err != nil {
		return first, last, err
	}
	// Every outcome is there: a stream that is as long as it should be may hold others in their place.
	counted, err := st.CreateConsumer(ctx, jetstream.ConsumerConfig{FilterSubject: outcomes, AckPolicy: jetstream.AckNonePolicy})
	if err != nil {
		return first, last, err
	}
	if have := counted.CachedInfo().NumPending; have != uint64(count) {
		return first, last, fmt.Errorf("%d outcomes are stored for %d events", have, count)
	}
	a, err := st.GetMsg(ctx, 1, jetstream.WithGetMsgSubject(outcomes))
	if err != nil {
		return first, last, err
	}
	b, err := st.GetLastMsgForSubject(ctx, outcomes)
	if err != nil {
		return first, last, err
	}
	if !b.Time.After(a.Time) {
		return first, last, errors.New("all outcomes were stored at one time")
	}
	return a.Time, b.Time, nil
}

// storedAt is when each customer's outcome was stored, by the server's clock.
func (s *site) storedAt(ctx context.Context, count int) (map[int64]time.Time, error) {
	cons, err := s.js.OrderedConsumer(ctx, ledger, jetstream.OrderedConsumerConfig{FilterSubjects: []string{outcomes}, HeadersOnly: true})
	if err != nil {
		return nil, err
	}
	at := make(map[int64]time.Time, count)
	for len(at) < count {
		batch, err := cons.Fetch(min(1000, count-len(at)), jetstream.FetchMaxWait(5*time.Second))
		if err != nil {
			return nil, err
		}
		before := len(at)
		for msg := range batch.Messages() {
			meta, err := msg.Metadata()
			if err != nil {
				return nil, err
			}
			var id int64
			if _, err := fmt.Sscanf(msg.Subject(), "activation.customer.%d.", &id); err != nil {
				return nil, err
			}
			at[id] = meta.Timestamp
		}
		if len(at) == before {
			return nil, fmt.Errorf("%d outcomes are stored for %d events", before, count)
		}
	}
	return at, nil
}
