package partnerapi

import (
	"context"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
)

// token is a bearer token at hand.
type token struct {
	value   string
	fixed   bool      // ready-made: it cannot be renewed and has no known end
	renewAt time.Time // from then on a new one is to be fetched while this one serves
	expires time.Time
}

// flight is one fetch under way; whoever needs a token waits for the same one.
type flight struct {
	done chan struct{} // closed when tok and fail are set
	tok  token
	fail *Error
}

// tokens keeps the access token: one at a time, one fetch at a time. The fetch
// runs apart from those who wait, so that one who gives up does not fail the
// others.
type tokens struct {
	cfg       Config
	transport http.RoundTripper
	vault     vault

	ctx    context.Context // ends with close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	current token // zero: none
	flight  *flight
	failed  int       // fetches in a row
	pause   time.Time // no renewal before this, after one failed

	landed chan struct{} // tells keep that a fetch has ended
}

func newTokens(cfg Config, transport http.RoundTripper) *tokens {
	ctx, cancel := context.WithCancel(context.Background())
	return &tokens{cfg: cfg, transport: transport, ctx: ctx, cancel: cancel, landed: make(chan struct{}, 1)}
}

// close ends a fetch under way and waits for it.
func (t *tokens) close() {
	t.mu.Lock()
	t.cancel() // under the lock: no fetch begins after the wait has begun
	t.mu.Unlock()
	t.wg.Wait()
}

// get returns a usable token. While one is at hand nobody waits, also while a new
// one is fetched. The error is an *Error with Op "token", or ctx's own.
func (t *tokens) get(ctx context.Context) (token, error) {
	now := t.cfg.Now()
	t.mu.Lock()
	tok := t.current
	usable := tok.value != "" && (tok.fixed || now.Before(tok.expires))
	if t.flight == nil && !usable {
		t.start(trace.SpanContextFromContext(ctx)) //nolint:contextcheck // the fetch is for others too, and outlives this call
	}
	f := t.flight
	t.mu.Unlock()
	if usable {
		return tok, nil
	}
	select {
	case <-ctx.Done():
		return token{}, ctx.Err()
	case <-f.done:
	}
	if f.fail != nil {
		return token{}, f.fail
	}
	return f.tok, nil
}

// drop forgets tok, which the partner refused, unless it was replaced already.
func (t *tokens) drop(tok token) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current.value == tok.value {
		t.current = token{}
	}
}

// start begins a fetch, in the trace of whoever needs it. The lock is held.
func (t *tokens) start(needed trace.SpanContext) {
	f := &flight{done: make(chan struct{})}
	t.flight = f
	if t.ctx.Err() != nil { // closed: answer at once, start nothing
		f.fail = temporary("the client is closed")
		close(f.done)
		return
	}
	t.wg.Go(func() {
		f.tok, f.fail = t.fetch(trace.ContextWithSpanContext(t.ctx, needed))
		t.land(f)
	})
}

// land takes the result of a fetch over and lets the waiting go.
func (t *tokens) land(f *flight) {
	t.mu.Lock()
	old := t.current
	t.flight = nil
	if f.fail == nil {
		t.current, t.failed, t.pause = f.tok, 0, time.Time{}
	} else {
		t.failed++
		t.pause = t.cfg.Now().Add(renewalPause(old, t.failed, f.fail.RetryAfter))
	}
	t.mu.Unlock()
	t.observe(f)
	close(f.done)
	select {
	case t.landed <- struct{}{}:
	default: // keep has not heard of the last one yet, or nobody runs it
	}
	switch {
	case f.fail == nil:
		t.cfg.Log.Debug("access token obtained", zap.Time("renew_at", f.tok.renewAt), zap.Time("expires_at", f.tok.expires))
	case old.value != "":
		t.cfg.Log.Warn("access token could not be renewed, the old one stays in use",
			zap.Error(f.fail), zap.Time("expires_at", old.expires))
	default:
		t.cfg.Log.Warn("no access token", zap.Error(f.fail), zap.Bool("credentials", f.fail.Credentials))
	}
}
