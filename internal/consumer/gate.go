package consumer

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"
	"go.uber.org/zap"

	"activation-worker/internal/activation"
	"activation-worker/internal/events"
	"activation-worker/internal/faults"
	"activation-worker/internal/repeats"
)

// gate is the breaker: it lets deliveries be taken, or not. While it is shut, one probe at a
// time repeats what has failed, ever more slowly, and the first that succeeds opens it. It is
// the next customer who is due, who takes no harm: nobody's attempts are spent on an outage,
// and nobody's own trouble keeps the others waiting. Only a list is nobody's, and is asked for as it was.
type gate struct {
	w *Worker

	mu      sync.Mutex
	streak  activation.Streak
	shut    *Trouble // nil: open
	since   time.Time
	told    bool          // that it is shut for this reason
	paused  bool          // a pause was announced since it was open
	passed  bool          // a probe has succeeded
	ticket  ticket        // of the next probe that is an attempt
	pulling bool          // an announcement is being taken to be the probe
	hint    *Trouble      // the last reason to doubt the credentials
	changed chan struct{} // closed at every change
	retry   backoff.BackOff
	logged  string // the reason last logged; of run alone
}

// ticket lets one attempt through a gate that is shut.
type ticket int

const (
	noTicket ticket = iota
	ticketOffered
	ticketTaken
)

const (
	gateFirst = 2 * time.Second
	gateMost  = time.Minute
	// gateBlip is how long trouble that may pass by itself is kept quiet.
	gateBlip = 5 * time.Second
	// gently is how long after a pause requests are kept apart.
	gently = time.Minute
)

func newGate(w *Worker) *gate {
	return &gate{w: w, changed: make(chan struct{}), shut: &Trouble{Reason: "starting", Detail: "the worker is starting"}, since: w.now(), retry: gateBackoff()}
}

func gateBackoff() backoff.BackOff {
	return backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(gateFirst), backoff.WithMultiplier(2), backoff.WithMaxInterval(gateMost), backoff.WithMaxElapsedTime(0),
	)
}

// close stops the intake of this worker, once.
func (g *gate) close(t Trouble) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closeLocked(t)
}

func (g *gate) closeLocked(t Trouble) {
	if g.shut == nil || g.shut.Reason != t.Reason {
		g.since, g.told = g.w.now(), false
	}
	if g.shut != nil && t.probe == activation.Nothing {
		t.probe = g.shut.probe // what failed before is to be tried all the same
	}
	g.shut, g.passed = &t, false
	if g.ticket == ticketOffered { // one that is taken comes back with its holder
		g.ticket = noTicket
	}
	g.change()
}

// suspect remembers the trouble that an answer came with, for the verdict that may follow.
func (g *gate) suspect(t Trouble) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hint = &t
}

// admit reports whether an attempt may begin: always while the gate is open, else only one, as a probe.
// Where not, shutFor is for how long it has been shut.
func (g *gate) admit() (admitted, probe bool, shutFor time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.shut == nil:
		return true, false, 0
	case g.ticket == ticketOffered:
		g.ticket = ticketTaken
		g.change()
		return true, true, 0
	}
	return false, false, g.w.now().Sub(g.since)
}

func (g *gate) isShut() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.shut != nil
}

// giveBack returns the ticket of a probe: to be offered again where it has found out nothing.
func (g *gate) giveBack(probe, foundOut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.giveBackLocked(probe, foundOut)
}

func (g *gate) giveBackLocked(probe, foundOut bool) {
	if !probe || g.ticket != ticketTaken {
		return
	}
	g.ticket = noTicket
	if !foundOut {
		g.ticket = ticketOffered
	}
	g.change()
}

// judge looks at a verdict before it is written down. It shuts the gate where the trouble is everybody's, and
// then returns a verdict that does not blame the customer; and it lets the gate open after a probe that went well:
// one that got an answer to what had failed.
func (g *gate) judge(domainID int64, v activation.Verdict, answers []activation.Answer, probe bool) activation.Verdict {
	g.mu.Lock()
	defer g.mu.Unlock()
	if v.Cause.Kind == activation.NotAsked {
		g.giveBackLocked(probe, false)
		return v
	}
	v, common := g.streak.Note(domainID, v, answers, g.w.Policy)
	if probe && common == 0 && g.shut != nil && v.Cause.Unanswered() && !g.provedBy(v, answers) {
		v.State, v.Reason, v.Text = events.Deferred, events.PartnerUnavailable, g.shut.Detail
		g.found(false)
		// Of trouble that is not silence it has found out nothing: the next may be asked at once.
		silent := g.shut.Reason == PartnerSilent || g.shut.Reason == EverybodyRefused
		g.giveBackLocked(probe, silent)
		return v
	}
	switch {
	case v.Reason == events.PartnerUnavailable:
		if probe {
			g.found(false)
		}
		g.giveBackLocked(probe, true)
		g.closeLocked(troubleIn(v, common, g.hint))
	case probe && g.shut != nil:
		proved := g.provedBy(v, answers)
		g.passed = g.passed || proved
		// A look-up that settles something finds out nothing of an activate that had failed: the next may be asked at once.
		settles := v.Reason == events.UnknownOutcome && v.Cause.Kind == activation.Inactive
		if proved || !settles {
			g.found(proved)
		}
		g.giveBackLocked(probe, !settles)
	case v.State == events.Activated && g.shut == nil:
		g.retry.Reset()
	}
	return v
}

// provedBy reports whether what had failed works again.
func (g *gate) provedBy(v activation.Verdict, answers []activation.Answer) bool {
	if v.State == events.Activated {
		return true
	}
	if g.shut.Reason == EverybodyRefused {
		// The no itself is an answer; what ends the trouble is a customer who was found, or another no.
		return slices.Contains([]events.Reason{events.DNSUnverified, events.TermsPending, events.Refused, events.CustomerNotFound}, v.Reason)
	}
	// What was about us, a token or a right, is over also where the answer says that the partner has failed.
	failing := g.shut.Reason != PartnerSilent
	return slices.ContainsFunc(answers, func(a activation.Answer) bool {
		return a.Operation == g.shut.probe && (a.Answered() || failing && a.Status >= 500)
	})
}

func (g *gate) change() {
	close(g.changed)
	g.changed = make(chan struct{})
}

func (g *gate) state() (shut *Trouble, since time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.shut, g.since
}

// open is a context in which a lane may take deliveries: once it is known whether the partner can be asked where it
// is not gated, else while the gate is open, or is to let one probe through. It waits for that; nil when ctx ended.
func (g *gate) open(ctx context.Context, gated bool) (open context.Context, probing bool, closed context.CancelFunc) {
	for ctx.Err() == nil {
		g.mu.Lock()
		may, changed := g.shut == nil, g.changed
		if !gated && (may || !g.firstLook(g.shut)) {
			g.mu.Unlock()
			open, closed = context.WithCancel(ctx)
			return open, false, closed
		}
		if gated && !may && g.ticket == ticketOffered && !g.pulling {
			may, probing, g.pulling = true, true, true
		}
		g.mu.Unlock()
		if may {
			open, closed = g.whileOpen(ctx, probing)
			return open, probing, closed
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
	return nil, false, func() {}
}

// whileOpen ends when the gate shuts; where a probe is taken, when the ticket goes to somebody, or the gate opens: then there is no
// need to take one after the other.
func (g *gate) whileOpen(ctx context.Context, probing bool) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		for ctx.Err() == nil {
			g.mu.Lock()
			may, changed := (g.shut != nil) == probing && (!probing || g.ticket == ticketOffered), g.changed
			g.mu.Unlock()
			if !may {
				cancel()
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
			}
		}
	}()
	return ctx, func() {
		cancel()
		if probing {
			g.mu.Lock()
			g.pulling = false
			g.change()
			g.mu.Unlock()
		}
	}
}

// run looks after the gate until ctx ends.
func (g *gate) run(ctx context.Context) {
	for ctx.Err() == nil {
		g.mu.Lock()
		shut, since, passed, offered, changed := g.shut, g.since, g.passed, g.ticket != noTicket, g.changed
		g.mu.Unlock()
		switch {
		case passed:
			g.resume(ctx, shut, since)
		case shut == nil, offered:
			select {
			case <-changed:
			case <-ctx.Done():
			}
		case g.w.Partner == nil:
			g.close(noCredentials)
			g.tell(ctx) // again, where it could not be announced
			g.w.wait(ctx, gateMost)
		default:
			g.probe(ctx, shut)
		}
	}
}

// probe repeats what has failed, after a pause.
func (g *gate) probe(ctx context.Context, shut *Trouble) {
	if !g.firstLook(shut) {
		g.tell(ctx)
		g.mu.Lock()
		pause := g.retry.NextBackOff()
		g.mu.Unlock()
		if !g.w.wait(ctx, pause) {
			return
		}
	}
	if err := g.w.Partner.EnsureToken(ctx); err != nil {
		if ctx.Err() == nil {
			g.probed(shut, false)
			g.close(troubleOf(err))
		}
		return
	}
	passed := true
	switch {
	case shut.probe == activation.Nothing:
	case shut.probe != activation.List:
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.shut == shut {
			g.ticket = ticketOffered
			g.change()
		}
		return
	default:
		a := g.w.askOnce(ctx, &events.Record{LeaseExpiresAt: g.w.now().Add(g.w.Lease)}, activation.List, nil)
		if a.Kind == activation.NotAsked {
			return // it has found out nothing
		}
		passed = a.Kind == activation.Listed
	}
	g.probed(shut, passed)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut == shut && passed {
		g.passed = true
		g.change()
	}
}

// firstLook reports whether the worker has only begun, and nothing was tried yet.
func (g *gate) firstLook(shut *Trouble) bool { return shut.Reason == "starting" }

// probed notes what a probe that is nobody's attempt has found out. The first look is none: nothing is known to be wrong yet.
func (g *gate) probed(shut *Trouble, passed bool) {
	if !g.firstLook(shut) {
		g.found(passed)
	}
}

// found tells what a probe has found out.
func (g *gate) found(passed bool) { g.w.Observer.Probed(passed) }

// tell announces once that the gate is shut.
func (g *gate) tell(ctx context.Context) {
	g.mu.Lock()
	if g.shut == nil {
		g.mu.Unlock()
		return
	}
	t, since, told := *g.shut, g.since, g.told
	quiet := told || t.Blip && g.w.now().Sub(since) < gateBlip
	if !quiet {
		g.told, g.paused = true, true
	}
	g.mu.Unlock()
	if quiet {
		return
	}
	if t.Reason != g.logged {
		g.logged = t.Reason
		g.w.log.Error("intake paused", zap.String("reason", t.Reason), zap.String("detail", t.Detail), zap.String("what_to_do", t.WhatToDo), repeats.Outcome())
	}
	if !g.announce(ctx, t, since, true) {
		g.mu.Lock()
		g.told = false // tried again with the next look
		g.mu.Unlock()
	}
}

// resume opens the gate, and lets everybody through one after the other at first.
func (g *gate) resume(ctx context.Context, t *Trouble, since time.Time) {
	g.mu.Lock()
	if g.shut != t || !g.passed { // shut again meanwhile
		g.mu.Unlock()
		return
	}
	if !g.firstLook(t) {
		g.w.Pacer.Gently(g.w.now().Add(gently))
	}
	paused := g.paused
	g.shut, g.hint, g.told, g.paused, g.passed, g.ticket = nil, nil, false, false, false, noTicket
	g.change()
	g.mu.Unlock()
	g.logged = ""
	if g.firstLook(t) {
		if last, err := g.w.Ledger.LastIntake(ctx); err == nil && last != nil && last.Subject == events.SubjectIntakePaused {
			// Perhaps by a worker that was stopped meanwhile: whoever watches waits to hear that one takes work.
			g.announce(ctx, Trouble{Reason: t.Reason, Detail: "this worker has started and takes work"}, since, false)
		}
	}
	if paused {
		g.w.log.Info("intake resumed", zap.String("reason", t.Reason))
		g.announce(ctx, Trouble{Reason: t.Reason, Detail: "the worker takes work again"}, since, false)
	}
}

// announceTime is how long an announcement may take: the gate has to go on looking.
const announceTime = 5 * time.Second

func (g *gate) announce(ctx context.Context, t Trouble, since time.Time, paused bool) bool {
	ctx, cancel := context.WithTimeout(ctx, announceTime)
	defer cancel()
	in := events.Intake{Worker: g.w.ID, Reason: t.Reason, Detail: t.Detail, Since: since, WhatToDo: t.WhatToDo}
	faults.Before(faults.AnnounceIntake)
	err := g.w.Ledger.AnnounceIntake(ctx, in, paused)
	faults.After(faults.AnnounceIntake)
	if err != nil {
		g.w.log.Debug("could not announce the state of the intake", zap.Error(err))
	}
	return err == nil
}
