package consumer

import (
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// keepAlive tells the server that a message is in hand, until it is stopped or reaches
// the time after which a dead holder's message must come back by itself.
type keepAlive struct {
	mu    sync.Mutex
	until time.Time // zero: no limit
	done  chan struct{}
	over  sync.WaitGroup
}

func (w *Worker) keepAlive(msg jetstream.Msg) *keepAlive {
	k := &keepAlive{done: make(chan struct{})}
	k.over.Go(func() {
		ticker := time.NewTicker(w.AckWait / 3)
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

// limit ends the signs of life at a time.
func (k *keepAlive) limit(until time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.until = until
}

func (k *keepAlive) stop() {
	close(k.done)
	k.over.Wait()
}
