package main

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/broker"
	"activation-worker/internal/config"
	"activation-worker/internal/console"
	"activation-worker/internal/events"
	"activation-worker/internal/metrics"
	"activation-worker/internal/quota"
)

const (
	askEvery = 15 * time.Second
	// askOften is how often the server is asked what the page shows, while somebody looks at it.
	askOften = 2 * time.Second
	// askTime is of one question, so that one to which there is no answer leaves time for the others of a round.
	askTime = askEvery / 10
	// lookedAt is for how long somebody looks who has looked.
	lookedAt = 3 * askOften
)

// answers are the server's, for the page. They are not changed once they are there.
type answers struct {
	checks    []console.Check
	intake    console.Intake
	consumers []console.Consumer
	replicas  []console.Replica
	story     []console.Pause
	rejected  *uint64 // announcements kept that nobody can act on; nil: not known
}

// asking is who asks the server what nobody must wait for.
type asking struct {
	*parts
	c       *config.Config
	js      jetstream.JetStream
	layout  broker.Layout
	metrics *metrics.Metrics
	told    map[uint64]console.Pause // by sequence: pauses and their ends do not change
}

// askAround asks the server now and then what no scrape must wait for, until stop is called, and more often what the page
// shows while somebody looks at it.
func (p *parts) askAround(ctx context.Context, c *config.Config, js jetstream.JetStream, layout broker.Layout, m *metrics.Metrics) (stop func()) {
	a := asking{parts: p, c: c, js: js, layout: layout, metrics: m}
	return inBackground(ctx, func(ctx context.Context) {
		again := time.NewTicker(askOften)
		defer again.Stop()
		for whole := (time.Time{}); ; {
			switch now := time.Now(); {
			case now.Sub(whole) >= askEvery-askOften/2:
				whole = now
				a.round(ctx)
			case p.isLookedAt(now):
				a.often(ctx)
			}
			select {
			case <-again.C:
			case <-p.look:
			case <-ctx.Done():
				return
			}
		}
	})
}

// lookAt takes note that somebody looks. The first one does not wait long for answers of the day.
func (p *parts) lookAt(now time.Time) {
	if was := p.looked.Swap(now.UnixNano()); now.Sub(time.Unix(0, was)) > lookedAt {
		select {
		case p.look <- struct{}{}:
		default:
		}
	}
}

func (p *parts) isLookedAt(now time.Time) bool {
	return now.Sub(time.Unix(0, p.looked.Load())) < lookedAt
}

// ask makes one request, which may stay without an answer.
func (a *asking) ask(ctx context.Context, question func(ctx context.Context)) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	question(ctx)
}

// round asks everything. What is not answered is left as it was; the next round asks again.
func (a *asking) round(ctx context.Context) {
	if !a.js.Conn().IsConnected() {
		return
	}
	for role, name := range map[string]string{
		"ledger": a.layout.Streams.Ledger, "work": a.layout.Streams.Work, "rejected": a.layout.Streams.Rejected, "intake": a.layout.IntakeStream,
	} {
		a.ask(ctx, func(ctx context.Context) {
			if stream, err := a.js.Stream(ctx, name); err == nil {
				info := stream.CachedInfo()
				a.metrics.Stream(role, info.State.Msgs, info.State.Bytes, info.Config.MaxBytes)
			}
		})
	}
	a.often(ctx)
}

// often asks what changes from one moment to the next.
func (a *asking) often(ctx context.Context) {
	if !a.js.Conn().IsConnected() {
		return
	}
	var is answers
	if was := a.asked.Load(); was != nil {
		is = *was
	}
	a.ask(ctx, func(ctx context.Context) {
		if o, err := quota.Look(ctx, quotaBucket(a.c, a.js, ""), limitsOf(a.c)); err == nil {
			a.shared.Store(&sharedQuota{o, time.Now()})
		}
	})
	is.consumers = a.consumers(ctx, is.consumers)
	if a.page(ctx, &is); len(is.checks) > 0 {
		a.asked.Store(&is)
	}
}

// consumers is how far each consumer is, as it was where that is not answered.
func (a *asking) consumers(ctx context.Context, were []console.Consumer) (are []console.Consumer) {
	for _, of := range []struct{ name, stream string }{
		{events.ConsumerActivator, a.layout.IntakeStream},
		{events.ConsumerDue, a.layout.Streams.Work},
		{events.ConsumerRedo, a.layout.Streams.Work},
		{events.ConsumerRequests, a.layout.Streams.Work},
	} {
		is := console.Consumer{Name: of.name}
		known := false
		for _, was := range were {
			if was.Name == of.name {
				is, known = was, true
			}
		}
		a.ask(ctx, func(ctx context.Context) {
			if cons, err := a.js.Consumer(ctx, of.stream, of.name); err == nil {
				info := cons.CachedInfo()
				is.Pending, is.InHand, known = info.NumPending, uint64(max(0, info.NumAckPending)), true
				a.metrics.Consumer(of.name, is.Pending, is.InHand)
			}
		})
		if known {
			are = append(are, is)
		}
	}
	return are
}
