package consumer

import (
	"context"
	"time"

	"activation-worker/internal/activation"
	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
)

// Observer is told what a worker does, as it happens. It is called by several goroutines at once, some of which hold
// locks: it must not block, nor call the worker. States, reasons and operations are spelled as in records.
type Observer interface {
	// Recorded is told of each record after an attempt: its state, how an activation was learned of or why there is none, and
	// how long it took from the claim. waited is from the acceptance of the terms to the activation; negative where that is
	// not known, or the customer was active before any call of ours.
	Recorded(state, via, reason string, took, waited time.Duration)
	// Rejected is told of each announcement that nobody can act on.
	Rejected()
	// UnknownCode is told of each attempt that ended with a definite refusal which no table has a meaning for, and which
	// nothing else explains.
	UnknownCode(operation string, status int)
	// Probed is told of each probe of a shut gate that found something out.
	Probed(passed bool)
	// Woken is told of each wake-up when it comes for the first time: its lane, and by how much it is late.
	Woken(lane string, late time.Duration)
	// Swept is told of each sweep.
	Swept(at time.Time, rearmed int, ok bool)
	// Looked is told of each look at DNS: visible, missing or unknown.
	Looked(result string)
}

type nobody struct{}

func (nobody) Recorded(_, _, _ string, _, _ time.Duration) {}
func (nobody) Rejected()                                   {}
func (nobody) UnknownCode(string, int)                     {}
func (nobody) Probed(bool)                                 {}
func (nobody) Woken(string, time.Duration)                 {}
func (nobody) Swept(time.Time, int, bool)                  {}
func (nobody) Looked(string)                               {}

// waited is from the acceptance of the terms to the activation that a record tells of; negative: see [Observer].
func waited(r *events.Record) time.Duration {
	if r.State != events.Activated || r.Calls == 0 || r.AcceptedAt.IsZero() {
		return -1
	}
	return max(0, r.ActivatedAt.Sub(r.AcceptedAt))
}

// noteCode tells of a refusal that nobody understands. One that is explained by what else was asked is not worth a word.
func (w *Worker) noteCode(v activation.Verdict) {
	if v.Reason == events.Refused && !w.Policy.Recognizes(v.Cause) {
		w.Observer.UnknownCode(string(v.Cause.Operation), v.Cause.Status)
	}
}

// noteLateness tells how late a wake-up is. One that is delivered again was told of before.
func (w *Worker) noteLateness(d *delivery) {
	due := ledger.ArmedFor(d.msg.Headers())
	if due.IsZero() || d.tries > 1 {
		return
	}
	lane := laneDue
	if d.redo {
		lane = laneRedo
	}
	w.Observer.Woken(lane, w.now().Sub(due))
}

// noteLook tells what a look at DNS has brought, unless it was given up because the worker stops.
func (w *Worker) noteLook(ctx context.Context, visible bool, err error) {
	switch {
	case err != nil && ctx.Err() != nil && w.stopping():
	case err != nil:
		w.Observer.Looked("unknown")
	case visible:
		w.Observer.Looked("visible")
	default:
		w.Observer.Looked("missing")
	}
}
