package partnerapi

import (
	"context"
	"math/rand/v2"
	"time"

	"go.opentelemetry.io/otel/trace"
)

const (
	renewBefore  = 5 * time.Minute // before its end a token is renewed, or a tenth of its life if that is less; up to half as much again for replicas that started together
	renewLeast   = 5 * time.Second // from fetch to fetch; what lives no longer is fetched when somebody needs it
	firstPause   = time.Second     // at least, after a renewal that failed; twice as much after the next
	longestSleep = time.Minute     // of keep: clocks are set, machines sleep
)

// renewalAfter is how long after its fetch began a token that lives so long is due.
func renewalAfter(life time.Duration) time.Duration {
	lead := min(renewBefore, life/10)
	return max(life-lead-jitter(lead/2), renewLeast)
}

// renewalPause is how long to leave the endpoint alone after so many failures in a row, so that old has some more tries
// left before it ends; at least as long as the partner asked for.
func renewalPause(old token, failures int, asked time.Duration) time.Duration {
	first := max(firstPause, old.expires.Sub(old.renewAt)/30)
	pause := first << min(failures-1, 10)
	return max(pause+jitter(pause/2), asked)
}

func jitter(d time.Duration) time.Duration { return time.Duration(rand.Float64() * float64(d)) }

// keep renews tokens until ctx ends. Those that fetch for want of a token do not wait for it, nor it for them.
func (t *tokens) keep(ctx context.Context) {
	for {
		timer := time.NewTimer(t.renewIfDue()) //nolint:contextcheck // a fetch ends with close, not with ctx
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-t.landed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// renewIfDue begins a fetch if the token is due, and returns after how long to look again.
func (t *tokens) renewIfDue() time.Duration {
	now := t.cfg.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	tok := t.current
	if t.flight != nil || tok.value == "" || tok.fixed || !now.Before(tok.expires) {
		return longestSleep
	}
	due := tok.renewAt
	if t.pause.After(due) {
		due = t.pause
	}
	if now.Before(due) {
		return min(due.Sub(now), longestSleep)
	}
	t.start(trace.SpanContext{}) // nobody waits
	return longestSleep
}
