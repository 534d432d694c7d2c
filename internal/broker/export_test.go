package broker

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// EnsureAt is [Ensure] at another time, so that a message of today can be old.
func EnsureAt(ctx context.Context, js jetstream.JetStream, l Layout, now time.Time) error {
	a, err := newAdmin(js, l)
	if err != nil {
		return err
	}
	if err := a.ensureOwn(ctx); err != nil {
		return err
	}
	return a.ensureIntake(ctx, now)
}

// PlanAt is [Plan] at another time.
func PlanAt(ctx context.Context, js jetstream.JetStream, l Layout, now time.Time) ([]Drift, error) {
	a, err := newAdmin(js, l)
	if err != nil {
		return nil, err
	}
	p := &plan{admin: a}
	err = p.run(ctx, now)
	return p.drifts, err
}

// LogUnreachable returns how the log is told that NATS is not reachable.
func LogUnreachable(log *zap.Logger, now func() time.Time) func(error) {
	l := newConnLog(log)
	l.now = now
	return l.unreachable
}

// SyncAlways reports whether the server syncs every write.
func (e *Embedded) SyncAlways() bool { return e.server.JetStreamConfig().SyncAlways }

// MaxStore is with how many bytes in its store the server takes no more.
func (e *Embedded) MaxStore() int64 { return e.running().JetStreamConfig().MaxStore }

// Halt stops the server as nothing in the worker does: it does not start again by itself.
func (e *Embedded) Halt() { e.halt() }

// Look returns one look of [Embedded.Mend], with a clock of its own.
func (e *Embedded) Look(now func() time.Time) func(context.Context) {
	h := healer{Embedded: e, now: now}
	return h.look
}

// Sicken lets the server say what it could not write.
func (e *Embedded) Sicken(why string) { e.log.Errorf("Critical write error: %s", why) }

var (
	Covers        = covers
	Overlap       = overlap
	Widened       = widened
	ReconnectWait = reconnectWait
	CheckVersion  = checkVersion
	MendSums      = mendSums
	WriteProbe    = writeProbe
)

const (
	ReconnectLongest = reconnectLongest
	ProbeSize        = probeSize
)
