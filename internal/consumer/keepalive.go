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
	until time.Time // zero: no limit
	done  chan struct{}
	over  sync.WaitGroup
}

func (w *Worker) keepAlive(msg jetstream.Msg, ackWait time.Duration) *keepAlive {
	k := &keepAlive{ackWait: ackWait, done: make(chan struct{})}
	k.over.Go(func() {
		ticker := time.NewTicker(max(ackWait/3, time.Millisecond))
		defer ticker.Stop()
		for {
			select {
			case <-k.done:
				return
			case <-ticker.C:
			}
			k.mu.Lock()
			late := !k.until.IsZero() && !w.now().Before(k.until)
			k.mu.Unlock()
			if late {
				return
			}
			_ = msg.InProgress() // a lost one is made up for by the next, or by the redelivery
		}
	})
	return k
}

// leased ends the signs of life so that the message of a holder who died comes back when its lease ends.
func (k *keepAlive) leased(expires time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.until = expires.Add(-k.ackWait)
}

func (k *keepAlive) stop() {
	close(k.done)
	k.over.Wait()
}
