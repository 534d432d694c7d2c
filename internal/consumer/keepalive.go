package consumer

import (
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// keepAlive tells the server that a message is in hand, until it is stopped or reaches
// the time after which a dead holder's message must come back by itself.
type keepAlive struct {
	ackWait time.Duration // after which the server delivers the message again

	mu    sync.Mutex
	until time.Time   // zero: no limit
	timer *time.Timer // of the next sign; nil: there are none any more
}

func (w *Worker) keepAlive(msg jetstream.Msg, ackWait time.Duration) *keepAlive {
	k := &keepAlive{ackWait: ackWait}
	every := max(ackWait/3, time.Millisecond)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.timer = time.AfterFunc(every, func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.timer == nil || !k.until.IsZero() && !w.now().Before(k.until) {
			return
		}
		_ = msg.InProgress() // a lost one is made up for by the next, or by the redelivery
		k.timer.Reset(every)
	})
	return k
}

// leased ends the signs of life so that the message of a holder who died comes back when its lease ends.
func (k *keepAlive) leased(expires time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.until = expires.Add(-k.ackWait)
}

// stop ends them; none is on its way any more when it returns.
func (k *keepAlive) stop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.timer.Stop()
	k.timer = nil
}
