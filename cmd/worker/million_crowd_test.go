package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"activation-worker/internal/broker/brokertest"
	"activation-worker/internal/events"
)

const (
	millionFirst  = 70_000_001
	millionPart   = 4           // connections that fill at the same time
	millionFlight = 64          // customers between their claim and its outcome
	millionStall  = time.Minute // the server's longest pause
)

// crowd is who a ledger holds.
type crowd struct {
	waiting int // eight of ten for DNS, the others for what has no looks in between
	active  int // one claim and one activated record each
}

func (c crowd) records() int { return 2 * (c.waiting + c.active) }

// fill writes a crowd as workers would have left it: each has a claim and an outcome, as interleaved as attempts at the same time
// are, and who waits has a timer. Without compare-and-set and without waiting for each acknowledgement it takes minutes less.
func (c crowd) fill(b *testing.B, url string, now time.Time) {
	b.Helper()
	filling, ctx := errgroup.WithContext(b.Context())
	total := c.waiting + c.active
	for part := range millionPart {
		nc, _ := brokertest.Connect(b, url)
		js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(2000))
		if err != nil {
			b.Fatal(err)
		}
		filling.Go(func() error {
			for at := part * millionFlight; at < total; at += millionPart * millionFlight {
				flight := make([]*events.Record, 0, millionFlight)
				for n := at; n < min(at+millionFlight, total); n++ {
					flight = append(flight, c.customer(n, now))
				}
				if err := land(js, flight, now); err != nil {
					return err
				}
				if ctx.Err() != nil {
					return ctx.Err()
				}
			}
			select {
			case <-js.PublishAsyncComplete():
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}
	if err := filling.Wait(); err != nil {
		b.Fatalf("filling the ledger: %v", err)
	}
	for stream, want := range map[string]int{events.DefaultStream: c.records(), events.StreamsOf(events.DefaultStream).Work: c.waiting} {
		_, js := brokertest.Connect(b, url)
		s, err := js.Stream(b.Context(), stream)
		if err != nil {
			b.Fatal(err)
		}
		if got := s.CachedInfo().State.Msgs; got != uint64(want) {
			b.Fatalf("stream %s holds %d messages after filling, want %d", stream, got, want)
		}
	}
}

// land writes the claims of some customers, then their outcomes.
func land(js jetstream.JetStream, flight []*events.Record, now time.Time) error {
	for _, r := range flight {
		claimed := *r
		claimed.State, claimed.Reason, claimed.NextAttemptAt, claimed.Cause, claimed.Customer, claimed.DNS, claimed.Via = events.Started, "", time.Time{}, nil, nil, nil, ""
		claimed.ActivatedAt = time.Time{}
		claimed.Worker, claimed.LeaseExpiresAt = "w1", now.Add(-time.Hour)
		if err := lay(js, &claimed, now); err != nil {
			return err
		}
	}
	for _, r := range flight {
		if r.State == events.Deferred {
			_, err := js.PublishMsgAsync(&nats.Msg{
				Subject: events.TimerSubject(r.DomainID),
				Header: nats.Header{
					"Nats-Schedule":        {r.NextAttemptAt.UTC().Format("@at 2006-01-02T15:04:05.000000Z")},
					"Nats-Schedule-Target": {events.WakeUpSubject(r)},
				},
			}, jetstream.WithStallWait(millionStall))
			if err != nil {
				return err
			}
		}
		if err := lay(js, r, now); err != nil {
			return err
		}
	}
	return nil
}

func lay(js jetstream.JetStream, r *events.Record, now time.Time) error {
	data, err := events.EncodeRecord(r, "/bench", 0, now)
	if err != nil {
		return err
	}
	header := nats.Header{"Content-Type": {events.ContentType}, events.HeaderWriteToken: {strconv.FormatInt(r.DomainID, 36)}}
	events.SetBrief(header, r)
	_, err = js.PublishMsgAsync(&nats.Msg{Subject: events.CustomerSubject(r.DomainID, r.State), Header: header, Data: data}, jetstream.WithStallWait(millionStall))
	return err
}

// customer is the n-th customer's newest record. Who is active is spread among the others.
func (c crowd) customer(n int, now time.Time) *events.Record {
	id := int64(millionFirst + n)
	r := &events.Record{
		State: events.Deferred, DomainID: id, Domain: fmt.Sprintf("shop-%d.example", id), Round: 1, Attempt: 1, Calls: 1,
		Event:      events.EventRef{ID: fmt.Sprintf("/signup#%d", n), Stream: events.DefaultIntakeStream, StreamCreated: now, Sequence: uint64(n + 1), StoredAt: now},
		Trigger:    events.Trigger{Kind: events.TriggerAccepted, ID: fmt.Sprintf("/signup#%d", n)},
		AcceptedAt: now, FirstAttemptAt: now, LastCallAt: now, GiveUpAt: now.Add(14 * 24 * time.Hour),
		NextAttemptAt: now.Add(12*time.Hour + time.Duration(n%10_000)*time.Second),
	}
	total := c.waiting + c.active
	switch {
	case n*c.active/total != (n+1)*c.active/total:
		r.State, r.Via, r.NextAttemptAt, r.GiveUpAt, r.ActivatedAt = events.Activated, events.ViaActivate, time.Time{}, time.Time{}, now
		r.Customer = json.RawMessage(fmt.Sprintf(`{"domainId":%d,"tenantId":%d,"companyName":"日の出フーズ","enableActiveDomain":true}`, id, id))
		return r
	case n%10 == 8:
		r.Reason = events.Transient
	case n%10 == 9:
		r.Reason, r.Calls, r.Attempt = events.Backlog, 0, 0
	default:
		r.Reason = events.DNSUnverified
		wanted := events.DNSRecord{Type: "TXT", Host: "@", Name: r.Domain, Value: fmt.Sprintf("works-verify=%d", id)}
		r.DNS = &events.DNS{Domain: r.Domain, Wanted: []events.DNSRecord{wanted}, Seen: []events.DNSRecord{}}
	}
	r.Cause = &events.Cause{Operation: "activate", HTTPStatus: 400, Code: "INVALID_PARAMETER", Description: "it waits"}
	r.Seen = map[events.Reason]events.Seen{r.Reason: {First: now, Tries: 1}}
	return r
}
