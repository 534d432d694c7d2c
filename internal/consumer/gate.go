package consumer

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"
	"go.uber.org/zap"

	"activation-worker/internal/activation"
	"activation-worker/internal/events"
	"activation-worker/internal/partnerapi"
)

// Trouble is why nothing new is taken: it is not the customers' fault.
type Trouble struct {
	Reason   string // one word
	Detail   string
	WhatToDo string
	Blip     bool // may be over in a moment: announced only if it is not
}

// Reasons why the intake is paused.
const (
	NoCredentials      = "no_credentials"
	CredentialsRefused = "credentials_refused"
	PartnerTrouble     = "partner_unavailable"
)

var noCredentials = Trouble{
	Reason: NoCredentials,
	Detail: "no LINE WORKS credentials are configured",
	WhatToDo: "set LINEWORKS_CLIENT_ID, LINEWORKS_CLIENT_SECRET, LINEWORKS_SERVICE_ACCOUNT and LINEWORKS_PRIVATE_KEY " +
		"(or LINEWORKS_ACCESS_TOKEN) and restart the worker",
}

// troubleOf says in an operator's words what keeps the partner from being asked at all.
func troubleOf(err error) Trouble {
	t := Trouble{Reason: PartnerTrouble, Detail: "the partner cannot be asked", WhatToDo: "nothing, if it passes; else check LINEWORKS_API_URL, LINEWORKS_TOKEN_URL and the network"}
	var e *partnerapi.Error
	if errors.As(err, &e) {
		t.Detail = e.Error()
		t.Blip = e.Kind == partnerapi.Token
		if e.Credentials || e.Status == 401 {
			t.Reason, t.Blip = CredentialsRefused, false
			t.WhatToDo = "check the LINEWORKS_ settings of the credentials against the LINE WORKS Developer Console; the worker tries again by itself"
		}
	}
	return t
}

// gate lets deliveries be taken, or not. While it is shut it looks again and again
// whether a token can be had, ever more slowly, and opens when it can.
type gate struct {
	w *Worker

	mu      sync.Mutex
	shut    *Trouble // nil: open
	since   time.Time
	told    bool          // that it is shut for this reason
	paused  bool          // a pause was announced since it was open
	hint    *Trouble      // the last reason to doubt the credentials
	changed chan struct{} // closed at every change
	retry   backoff.BackOff
	logged  string // the reason last logged; of run alone
}

const (
	gateFirst = 2 * time.Second
	gateMost  = time.Minute
	// gateBlip is how long trouble that may pass by itself is kept quiet.
	gateBlip = 5 * time.Second
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
	if g.shut == nil || g.shut.Reason != t.Reason {
		g.since, g.told = g.w.now(), false
	}
	g.shut = &t
	g.change()
}

// suspect remembers the trouble that an answer came with, for the verdict that may follow.
func (g *gate) suspect(t Trouble) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hint = &t
}

// note closes the gate after a verdict that is not about the customer, and takes heart from any other.
func (g *gate) note(v activation.Verdict) {
	if v.Reason != events.PartnerUnavailable {
		if v.State == events.Activated {
			g.mu.Lock()
			g.retry.Reset()
			g.mu.Unlock()
		}
		return
	}
	t := Trouble{Reason: PartnerTrouble, Detail: v.Text, WhatToDo: "check LINEWORKS_API_URL, LINEWORKS_SCOPE and the partner right of the app; the worker tries again by itself"}
	g.mu.Lock()
	if g.hint != nil && (v.Cause.Kind == activation.NoToken || v.Cause.Status == 401) {
		t = *g.hint
	}
	g.mu.Unlock()
	g.close(t)
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut, g.hint, g.told, g.paused = nil, nil, false, false
	g.change()
}

func (g *gate) change() {
	close(g.changed)
	g.changed = make(chan struct{})
}

func (g *gate) state() (shut *Trouble, since time.Time, changed <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.shut, g.since, g.changed
}

// wait blocks while the gate is shut; false when ctx ended.
func (g *gate) wait(ctx context.Context) bool {
	for {
		shut, _, changed := g.state()
		if ctx.Err() != nil {
			return false
		}
		if shut == nil {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// whileOpen is a context that ends when the gate shuts.
func (g *gate) whileOpen(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		for {
			shut, _, changed := g.state()
			if shut != nil {
				cancel()
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}()
	return ctx, cancel
}

// run looks after the gate until ctx ends.
func (g *gate) run(ctx context.Context) {
	for {
		shut, since, changed := g.state()
		switch {
		case shut == nil:
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
			continue
		case g.w.Partner == nil:
			g.close(noCredentials)
			g.tell(ctx) // again, where it could not be announced
			if !g.w.wait(ctx, gateMost) {
				return
			}
			continue
		}
		if !g.firstLook(shut) {
			g.tell(ctx)
			g.mu.Lock()
			pause := g.retry.NextBackOff()
			g.mu.Unlock()
			if !g.w.wait(ctx, pause) {
				return
			}
		}
		err := g.w.Partner.EnsureToken(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			g.close(troubleOf(err))
		default:
			g.resume(ctx, *shut, since)
		}
	}
}

// firstLook reports whether the worker has only begun, and nothing was tried yet.
func (g *gate) firstLook(shut *Trouble) bool { return shut.Reason == "starting" }

// tell announces once that the gate is shut.
func (g *gate) tell(ctx context.Context) {
	g.mu.Lock()
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
		g.w.log.Error("intake paused", zap.String("reason", t.Reason), zap.String("detail", t.Detail), zap.String("what_to_do", t.WhatToDo))
	}
	if !g.announce(ctx, t, since, true) {
		g.mu.Lock()
		g.told = false // tried again with the next look
		g.mu.Unlock()
	}
}

func (g *gate) resume(ctx context.Context, t Trouble, since time.Time) {
	g.mu.Lock()
	paused := g.paused
	g.mu.Unlock()
	g.open()
	g.logged = ""
	if g.firstLook(&t) {
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
	err := g.w.Ledger.AnnounceIntake(ctx, in, paused)
	if err != nil {
		g.w.log.Debug("could not announce the state of the intake", zap.Error(err))
	}
	return err == nil
}
