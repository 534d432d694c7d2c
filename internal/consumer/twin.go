package consumer

import (
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"activation-worker/internal/events"
)

// twin notices a worker with our id.
type twin struct {
	began time.Time // before, it was this worker's life before
	told  atomic.Bool
}

// clockMargin is by how much another worker's clock may be behind ours.
const clockMargin = 5 * time.Second

// noticeTwin says once that a live claim bears our id which is not ours. That does no harm to customers, since
// claims are told apart by a token of their own; but whoever reads events and logs takes two workers for one.
func (w *Worker) noticeTwin(r *events.Record) {
	if r.Worker != w.ID || r.Time.Before(w.twin.began.Add(clockMargin)) || w.Ledger.Claimed(r.Sequence) || w.twin.told.Swap(true) {
		return
	}
	w.log.Error("another worker has the same WORKER_ID: give each its own, or leave it unset", zap.String("worker", w.ID))
}
