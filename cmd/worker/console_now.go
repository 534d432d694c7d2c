package main

import (
	"context"
	"slices"
	"strconv"
	"time"

	"activation-worker/internal/console"
	"activation-worker/internal/events"
	"activation-worker/internal/operator"
	"activation-worker/internal/quota"
)

// Now implements [console.Source]. It asks nobody: what only the server can tell was asked before.
func (s consoleSource) Now(context.Context) console.Now {
	s.lookAt(time.Now())
	asked := s.answersNow()
	n := console.Now{
		Worker: s.c.Worker.ID, Version: buildVersion(), Simulated: s.c.Partner.Loopback(), Trouble: s.trouble(),
		Counts: []console.Count{}, Recent: []console.Event{},
		Ready:  !slices.ContainsFunc(asked.checks, func(c console.Check) bool { return !c.OK }),
		Checks: asked.checks, Intake: asked.intake, Consumers: orEmpty(asked.consumers), Replicas: orEmpty(asked.replicas),
		Rejected: asked.rejected, Lanes: s.lanesNow(), Quota: s.quotaNow(), Partner: s.partnerNow(asked.story),
	}
	if c := s.census.Load(); c != nil {
		counts, lag, known := c.Counts()
		n.Known, n.Lag, n.Counts, n.Sequence, n.Activated = known, lag, counted(counts), c.Sequence(), c.Activated()
		for _, e := range c.Recent() {
			n.Recent = append(n.Recent, console.Event{
				Sequence: e.Sequence, At: e.At.UTC(), DomainID: idText(e.DomainID), State: string(e.State), Reason: string(e.Reason),
			})
		}
	}
	return n
}

// answersNow are the server's last, where there is a server.
func (p *parts) answersNow() answers {
	link, unknown := p.unknown()
	asked := p.asked.Load()
	switch {
	case unknown != "":
		return answers{checks: unknownChecks(link, unknown)}
	case asked == nil:
		return answers{checks: unknownChecks(link, "not known yet")}
	}
	now := *asked
	now.checks = append([]console.Check{link}, asked.checks[1:]...)
	return now
}

// orEmpty keeps a list that is empty from being null.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func (p *parts) lanesNow() []console.Lane {
	lanes := []console.Lane{}
	for _, l := range p.lanes() {
		lanes = append(lanes, console.Lane(l))
	}
	return lanes
}

// quotaNow is nil where nothing is known of what all workers use together.
func (s consoleSource) quotaNow() *console.Quota {
	q, known := s.quota()
	if _, away := s.link(); !known || away {
		return nil
	}
	limits := limitsOf(s.c)
	configured := map[string]string{"peak": rateText(limits.Peak), "sustained": rateText(limits.Sustained)}
	out := console.Quota{Places: q.Places, PlacesUsed: q.PlacesUsed, PausedUntil: q.PausedUntil.UTC(), Windows: []console.Window{}, Waiting: []console.QuotaWaiter{}}
	for _, w := range q.Windows {
		window := console.Window{Name: w.Name, Configured: configured[w.Name], Seconds: w.Per.Seconds(), Operations: []console.Operation{}}
		for _, op := range operationsPaced {
			window.Operations = append(window.Operations, console.Operation{Operation: op, Used: w.Used[op], Limit: w.Limit[op]})
		}
		out.Windows = append(out.Windows, window)
	}
	waiting := s.waiting()
	for _, lane := range []quota.Lane{quota.Fresh, quota.Waiting, quota.Replay} {
		out.Waiting = append(out.Waiting, console.QuotaWaiter{Lane: lane.String(), Count: waiting[lane.String()]})
	}
	return &out
}

// rateText is a rate as the settings have it.
func rateText(r quota.Rate) string {
	return strconv.Itoa(r.N) + "/" + map[time.Duration]string{time.Second: "s", time.Minute: "m", time.Hour: "h"}[r.Per]
}

func (s consoleSource) partnerNow(story []console.Pause) console.Partner {
	partner := console.Partner{Story: orEmpty(story)}
	w := s.worker.Load()
	if _, away := s.link(); w == nil || away { // without NATS nobody is attempted, so nobody knows
		return partner
	}
	why, since := w.Pause()
	if partner.OK = why == nil; !partner.OK {
		partner.Pause = &console.Pause{
			At: since.UTC(), Worker: s.c.Worker.ID, Reason: why.Reason, Detail: why.Detail, Since: since.UTC(), WhatToDo: why.WhatToDo,
		}
	}
	return partner
}

// page asks what the page alone shows.
func (a *asking) page(ctx context.Context, is *answers) {
	reader, counts := a.reader.Load(), a.census.Load()
	if reader == nil || counts == nil {
		return
	}
	a.ask(ctx, func(ctx context.Context) { is.checks = a.checks(ctx) })
	a.ask(ctx, func(ctx context.Context) {
		if in, err := operator.ReadIntake(ctx, a.js, reader.ledger, a.layout.IntakeStream, a.layout.Streams); err == nil {
			is.intake.Is, is.intake.WhatToDo = in.Sentence(local)
		}
	})
	a.ask(ctx, func(ctx context.Context) {
		if stream, err := a.js.Stream(ctx, a.layout.Streams.Rejected); err == nil {
			is.rejected = &stream.CachedInfo().State.Msgs
		}
	})
	a.ask(ctx, func(ctx context.Context) {
		if replicas, err := counts.Replicas(ctx); err == nil {
			is.replicas = nil
			for _, r := range replicas {
				is.replicas = append(is.replicas, console.Replica{Worker: r.Worker, Version: r.Version, Since: r.Since, Self: r.Worker == a.c.Worker.ID})
			}
		}
	})
	is.story = a.story(ctx, counts.IntakeEvents(), is.story)
}

// story is who paused and who resumed, the newest first, as it was where the server does not answer.
func (a *asking) story(ctx context.Context, sequences []uint64, was []console.Pause) (story []console.Pause) {
	told := map[uint64]console.Pause{}
	for _, sequence := range sequences {
		pause, known := a.told[sequence]
		if !known {
			a.ask(ctx, func(ctx context.Context) { pause, known = a.pauseAt(ctx, sequence) })
		}
		if !known {
			return was
		}
		told[sequence] = pause
		if pause.Worker != "" {
			story = append(story, pause)
		}
	}
	a.told = told // of no more than are told of
	return story
}

// pauseAt reads one of the events; it is empty where it is gone or cannot be understood.
func (a *asking) pauseAt(ctx context.Context, sequence uint64) (pause console.Pause, known bool) {
	e, err := a.reader.Load().ledger.At(ctx, sequence)
	if err != nil || e == nil {
		return pause, err == nil
	}
	in, err := events.DecodeIntake(e.Data)
	if err != nil {
		return pause, true
	}
	return console.Pause{
		At: e.StoredAt.UTC(), Worker: in.Worker, Resumed: e.Subject == events.SubjectIntakeResumed,
		Reason: in.Reason, Detail: in.Detail, Since: in.Since.UTC(), WhatToDo: in.WhatToDo,
	}, true
}
