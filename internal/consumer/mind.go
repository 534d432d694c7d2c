package consumer

import (
	"context"
	"time"

	"go.uber.org/zap"

	"activation-worker/internal/broker"
	"activation-worker/internal/repeats"
)

const (
	// mindEvery is how often it is looked whether streams and consumers are as they must be: whoever waits for work does
	// not notice that they are not.
	mindEvery = 5 * time.Second
	// mindTick is how soon it is looked after a lost connection: what is on the server now may be something else.
	mindTick = time.Second
)

// mind makes what is missing, and halts work where going on would do harm, until ctx ends.
func (w *Worker) mind(ctx context.Context) {
	looked, connections := w.now(), uint64(0)
	for w.wait(ctx, mindTick) {
		again := w.JetStream.Conn().Stats().Reconnects
		if again == connections && w.now().Sub(looked) < mindEvery {
			continue
		}
		connections = again
		w.ensuring.Lock()
		w.halted(ctx, w.Ensure(ctx))
		w.ensuring.Unlock()
		looked = w.now()
	}
}

// Halted is why nothing may be done for now, nil where work goes on.
func (w *Worker) Halted() error { return w.obstacleTo(partLayout) }

// halted reports whether what Ensure has said halts all work: on such streams customers could be lost, or called again.
// What says nothing about that, such as a server that does not answer, leaves it as it is.
func (w *Worker) halted(ctx context.Context, err error) bool {
	halts := broker.Halts(err)
	switch {
	case ctx.Err() != nil:
	case halts:
		w.setObstacle(partReach, nil)
		if w.setObstacle(partLayout, err) {
			w.log.Error("work is halted until this is mended", zap.Error(err), repeats.Outcome())
		}
	case broker.Sound(err):
		reached, mended := w.setObstacle(partReach, nil), w.setObstacle(partLayout, nil)
		if reached || mended {
			w.log.Info("streams and consumers are as they must be again")
		}
	case w.JetStream.Conn().IsConnected() && w.setObstacle(partReach, err):
		w.log.Warn("streams and consumers cannot be looked at, tried again and again", zap.Error(err))
	}
	return halts
}
