package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"activation-worker/internal/broker"
	"activation-worker/internal/events"
	"activation-worker/internal/partnerapi/simulator"
)

// demoShow lets customers come and watches the event stream.
type demoShow struct {
	*demo
	partner *simulator.Simulator
	js      jetstream.JetStream
	layout  broker.Layout
	view    demoView

	guests  []*guest // in the order of their coming, without those who are past
	byID    map[int64]*guest
	mended  chan *guest // whom an operator is to replay
	past    tally
	tidied  time.Time // when it was last looked for who is past
	checked time.Time // when the partner's journal was last looked through
}

func newDemoShow(d *demo, partner *simulator.Simulator, js jetstream.JetStream, layout broker.Layout) *demoShow {
	return &demoShow{
		demo: d, partner: partner, js: js, layout: layout,
		byID: map[int64]*guest{}, mended: make(chan *guest, 100), past: newTally(), tidied: time.Now(), checked: time.Now(),
	}
}

// run returns when every customer is done, the patience is over, or ctx ends; the worker has stopped by then.
func (s *demoShow) run(ctx context.Context, work func(context.Context) error) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	group, ctx := errgroup.WithContext(ctx)
	arrivals, records := make(chan *guest), make(chan *events.Record)
	group.Go(func() error { return work(ctx) })
	group.Go(func() error { return s.announceAll(ctx, arrivals) })
	group.Go(func() error { return s.follow(ctx, records) })
	group.Go(func() error {
		defer end()
		return s.watch(ctx, arrivals, records)
	})
	return group.Wait()
}

const (
	announceEvery = 250 * time.Millisecond // in the crowd, at most
	announceAll   = 8 * time.Second        // the crowd, about
	redrawEvery   = 150 * time.Millisecond
)

// announceAll announces the crowd, then a trickle if there is to be one. It closes arrivals when nobody else comes.
func (s *demoShow) announceAll(ctx context.Context, arrivals chan<- *guest) error {
	defer close(arrivals)
	crowd, mix := make([]*guest, s.customers), s.mix
	if mix == nil {
		mix = fateMix
	}
	for i := range crowd {
		crowd[i] = inviteOf(mix, i)
		crowd[i].register(s.partner)
	}
	if s.tamper != nil {
		s.tamper(s.partner)
	}
	pause := min(announceEvery, announceAll/time.Duration(s.customers))
	var more trickle
	for i := 0; s.forever || i < s.customers; i++ {
		var g *guest
		if i < len(crowd) {
			g = crowd[i]
		} else {
			g = more.invite(i)
			g.register(s.partner)
			pause = more.pause()
		}
		select {
		case arrivals <- g:
		case <-ctx.Done():
			return nil
		}
		for range g.announced {
			_, err := announce(ctx, s.js, s.layout.IntakeSubject, "signup.terms.accepted", announcement("/domainId", g.id, "", ""), g.backfill)
			if err != nil && ctx.Err() == nil {
				return fmt.Errorf("announce domain %d: %w", g.id, err)
			}
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
	}
	return nil
}

// follow reads the state records as any other program would, from the stream.
func (s *demoShow) follow(ctx context.Context, records chan<- *events.Record) error {
	cons, err := s.js.OrderedConsumer(ctx, s.layout.Streams.Ledger, jetstream.OrderedConsumerConfig{FilterSubjects: []string{events.SubjectCustomers}})
	if err != nil {
		return fmt.Errorf("watch the event stream: %w", err)
	}
	messages, err := cons.Messages()
	if err != nil {
		return fmt.Errorf("watch the event stream: %w", err)
	}
	defer messages.Stop()
	for {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("watch the event stream: %w", err)
		}
		meta, err := msg.Metadata()
		if err != nil {
			return fmt.Errorf("watch the event stream: %w", err)
		}
		r, err := events.DecodeRecord(msg.Subject(), meta.Sequence.Stream, msg.Data())
		if err != nil {
			return fmt.Errorf("watch the event stream: %w", err)
		}
		select {
		case records <- r:
		case <-ctx.Done():
			return nil
		}
	}
}

// watch keeps the customers up to date and shows them.
func (s *demoShow) watch(ctx context.Context, arrivals <-chan *guest, records <-chan *events.Record) (err error) {
	defer func() { err = errors.Join(err, s.view.end(s.guests, time.Now())) }()
	patience := context.Background()
	if !s.forever {
		var cancel context.CancelFunc
		patience, cancel = context.WithTimeout(patience, 30*time.Second+announceAll+time.Duration(s.customers)*time.Second/2)
		defer cancel()
	}
	ticker := time.NewTicker(redrawEvery)
	defer ticker.Stop()
	for {
		select {
		case g, more := <-arrivals:
			if !more {
				arrivals = nil
				continue
			}
			g.since = time.Now()
			s.guests, s.byID[g.id] = append(s.guests, g), g
			err = s.view.changed(g, g.since)
		case r := <-records:
			if g := s.byID[r.DomainID]; g != nil {
				g.see(r)
				g.getReady(s.partner, s.mended)
				err = s.view.changed(g, time.Now())
			}
		case g := <-s.mended:
			err = s.replay(ctx, g)
		case now := <-ticker.C:
			s.tidy(now)
			if err = s.view.tick(s.guests, now); err == nil && arrivals == nil && s.over(ctx) {
				return nil
			}
		case <-patience.Done():
			return nil // the summary says who is missing
		case <-ctx.Done():
			return nil
		}
		if err != nil {
			return fmt.Errorf("show the customers: %w", err)
		}
	}
}

// over reports whether every customer is done and every announcement, also the second one of a customer, was dealt with.
func (s *demoShow) over(ctx context.Context) bool {
	for _, g := range s.guests {
		if !g.done() {
			return false
		}
	}
	cons, err := s.js.Consumer(ctx, s.layout.IntakeStream, events.ConsumerActivator)
	if err != nil {
		return false // asked again at the next tick, until the patience is over
	}
	info := cons.CachedInfo()
	return info.NumPending == 0 && info.NumAckPending == 0
}
