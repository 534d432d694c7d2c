package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// plan is one thing to measure.
type plan struct {
	subject   string
	processes int
	nodes     int
	delay     time.Duration
	latency   bool // at a low rate, else as fast as it goes
}

// result is what one run has measured.
type result struct {
	perSecond float64         // events, from the first outcome stored to the last
	cpu       time.Duration   // of all processes of the subject, for one event
	serverCPU time.Duration   // of all nats-servers, for one event
	memory    int64           // bytes, of the largest process of the subject
	took      []time.Duration // where latency is measured: from publishing each announcement until its outcome is stored, sorted
}

// once makes one run on a site of its own.
func once(ctx context.Context, o options, p plan) (r result, err error) {
	s, err := openSite(ctx, o, p.nodes, p.delay)
	defer s.close()
	if err != nil {
		return r, err
	}
	sub := subjectsByName[p.subject]
	var procs []*proc
	defer func() {
		for _, started := range procs {
			started.stop()
		}
	}()
	for range p.processes {
		started, err := sub.start(ctx, s, o.inFlight) // which workers share
		if started != nil {
			procs = append(procs, started)
		}
		if err != nil {
			return r, err
		}
	}
	alive := func() error {
		for _, started := range procs {
			if started.over() {
				return started.early()
			}
		}
		return nil
	}
	events := o.events
	if p.delay > 0 {
		events = o.events / 3
	}
	used := make([]time.Duration, len(procs))
	note := func() {
		for i, started := range procs {
			used[i] = started.cpu()
		}
	}
	var servers time.Duration
	if p.latency {
		events, err = s.trickle(ctx, sub, alive, &r)
	} else {
		if err = s.hold(ctx, sub.consumer, time.Hour); err == nil {
			err = s.fill(ctx, 0, events)
		}
		if err != nil {
			return r, err
		}
		note()
		servers = s.servers.cpu()
		if err := s.hold(ctx, sub.consumer, 200*time.Millisecond); err != nil {
			return r, err
		}
		err = s.await(ctx, ledger, events*sub.records, 2*time.Minute, alive)
	}
	if err != nil {
		return r, fmt.Errorf("%s: %w", p.subject, err)
	}
	r.serverCPU = (s.servers.cpu() - servers) / time.Duration(events)
	first, last, err := s.span(ctx, events)
	if err != nil {
		return r, fmt.Errorf("%s: %w", p.subject, err)
	}
	r.perSecond = float64(events-1) / last.Sub(first).Seconds()
	for i, started := range procs {
		c := started.stop()
		r.cpu += (c.cpu - used[i]) / time.Duration(events)
		r.memory = max(r.memory, c.memory)
	}
	return r, nil
}

// trickle publishes at a steady low rate and measures how long each outcome takes. The first second only warms up.
func (s *site) trickle(ctx context.Context, sub subject, alive func() error, r *result) (events int, err error) {
	events = int(s.o.lasting.Seconds()*float64(s.o.rate)) + s.o.rate
	published := make([]time.Time, events)
	tick := time.NewTicker(time.Second / time.Duration(s.o.rate))
	defer tick.Stop()
	for i := range events {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return events, context.Cause(ctx)
		}
		published[i] = time.Now()
		if _, err := s.js.PublishMsg(ctx, announcement(int64(firstID+i), published[i])); err != nil {
			return events, fmt.Errorf("publish an announcement: %w", err)
		}
	}
	if err := s.await(ctx, ledger, events*sub.records, time.Minute, alive); err != nil {
		return events, err
	}
	stored, err := s.storedAt(ctx, events)
	if err != nil {
		return events, err
	}
	var took []time.Duration
	for i := s.o.rate; i < events; i++ {
		took = append(took, stored[int64(firstID+i)].Sub(published[i]))
	}
	slices.Sort(took)
	r.took = took
	return events, nil
}
