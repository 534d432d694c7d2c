package consumer

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"activation-worker/internal/broker"
	"activation-worker/internal/faults"
)

// lane is a source of deliveries.
type lane struct {
	name, stream, consumer string
	slots                  int  // deliveries handled at once
	gated                  bool // nothing is taken while the gate is shut
	// read makes a delivery of a message; nil: there is nothing more to do with it.
	read func(context.Context, jetstream.Msg, source) (*delivery, error)
}

// source is what a lane's stream and consumer say of themselves.
type source struct {
	streamCreated time.Time // with the sequence, it names a message for good
	ackWait       time.Duration
}

// Names of the lanes, and of what else can keep work from being taken.
const (
	laneIntake = "intake"
	laneDue    = "due"
	laneRedo   = "redo"
	partLedger = "ledger"
	partRoom   = "room"
	partSweep  = "sweep"
	partLayout = "layout"
	partReach  = "reach"
)

const (
	pullExpiry   = 30 * time.Second
	laneRetry    = 2 * time.Second
	requeueAfter = time.Second
	drainTime    = time.Second // without a connection there is no end to wait for
)

// serve takes messages while it may, and hands each to a slot of its own.
// taking ends when nothing new may be taken, working when even running steps must end.
func (w *Worker) serve(taking, working context.Context, l lane) {
	slots := w.states[l.name].slots
	defer slots.close()
	for taking.Err() == nil {
		open, probing, closed := w.gate.open(taking, l.gated)
		if open == nil {
			return
		}
		err := w.pull(open, l, slots, probing, func(msg jetstream.Msg, from source) {
			if probing { // another is not taken before it is known what comes of this one
				w.inSlot(taking, working, l, slots, msg, from)
				return
			}
			slots.do(func() { w.inSlot(taking, working, l, slots, msg, from) })
		})
		shut := open.Err() != nil
		closed()
		if err == nil || shut {
			continue
		}
		if !errors.Is(err, errHalted) { // else it is minded already, and that it is over is seen there
			w.ensure(taking, l, err)
		}
		if !w.wait(taking, laneRetry) {
			return
		}
	}
}

// inSlot handles one message, and gives its slot back: after a while where something of ours is not there.
func (w *Worker) inSlot(taking, working context.Context, l lane, s *slots, msg jetstream.Msg, from source) {
	defer s.leave()
	busy := &w.states[l.name].busy
	busy.Add(1)
	defer busy.Add(-1)
	if err := w.take(working, l, msg, from); err != nil {
		w.ensure(taking, l, &stuckError{err})
		w.wait(taking, laneRetry)
		return
	}
	if w.setObstacle(partLedger, nil) {
		w.log.Info("the ledger can be used again")
	}
}

// ensure makes streams and consumers that are gone (but never the ledger), one caller at a time, and says what keeps a lane from taking work.
func (w *Worker) ensure(ctx context.Context, l lane, why error) {
	if !w.ensuring.TryLock() {
		return
	}
	defer w.ensuring.Unlock()
	part := l.name
	var stuck *stuckError
	if errors.As(why, &stuck) {
		part = partLedger
	}
	err := w.Ensure(ctx)
	if w.halted(ctx, err) {
		return
	}
	if err != nil {
		why = err
	}
	if ctx.Err() == nil && w.setObstacle(part, why) {
		w.log.Warn("cannot take work, tried again and again", zap.String("lane", l.name), zap.Error(why))
	}
}

// errHalted says that nothing may be taken; why, [Worker.halted] has noted.
var errHalted = errors.New("work is halted")

// stuckError is why a delivery could not be handled although it could be taken.
type stuckError struct{ err error }

func (e *stuckError) Error() string { return e.err.Error() }
func (e *stuckError) Unwrap() error { return e.err }

// pull takes messages, one for each slot that is free, or one by one, and has each handled, until ctx ends or the consumer is gone.
func (w *Worker) pull(ctx context.Context, l lane, s *slots, oneByOne bool, handle func(jetstream.Msg, source)) error {
	if w.Halted() != nil {
		return errHalted
	}
	stream, err := w.JetStream.Stream(ctx, l.stream)
	if err != nil {
		return err
	}
	cons, err := stream.Consumer(ctx, l.consumer)
	if err != nil {
		return err
	}
	from := source{streamCreated: stream.CachedInfo().Created, ackWait: cons.CachedInfo().Config.AckWait}
	messages, err := broker.NewPull(w.JetStream, l.stream, l.consumer, l.slots, pullExpiry)
	if err != nil {
		return err
	}
	defer w.giveBack(messages)
	if w.setObstacle(l.name, nil) {
		w.log.Info("takes work again", zap.String("lane", l.name))
	}
	pulling := &w.states[l.name].pulling
	pulling.Store(!oneByOne)
	defer pulling.Store(false)
	for s.enter(ctx) {
		// Messages are asked for here, not before: what waits stays with whoever can do it.
		want := 1
		if !oneByOne {
			want += s.free()
		}
		msg, err := messages.Next(ctx, want)
		halted := w.Halted() != nil
		switch {
		case err == nil && ctx.Err() == nil && !halted:
			handle(msg, from)
			continue
		case err == nil && halted:
			w.nak(msg, requeueAfter)
			err = errHalted
		case err == nil:
			w.nak(msg, 0)
		}
		s.leave()
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	return nil
}

// setStuck says that a delivery could not be handled which no slot waits for.
func (w *Worker) setStuck(err error) {
	if w.setObstacle(partLedger, err) {
		w.log.Warn("could not go on, tried again and again", zap.Error(err))
	}
}

// giveBack returns what arrived after the last look.
func (w *Worker) giveBack(messages *broker.Pull) {
	for _, msg := range messages.Stop(drainTime) {
		w.nak(msg, 0)
	}
}

// take reads and handles one message. An error says that something of ours is not there; the message comes again.
func (w *Worker) take(ctx context.Context, l lane, msg jetstream.Msg, from source) error {
	beat := w.keepAlive(msg, from.ackWait)
	d, err := l.read(ctx, msg, from)
	if err != nil || d == nil {
		beat.stop()
		return err
	}
	d.beat = beat
	handedOver, err := w.handle(ctx, *d)
	if !handedOver {
		beat.stop()
	}
	return err
}

func (w *Worker) nak(msg jetstream.Msg, delay time.Duration) {
	faults.Before(faults.NegativeAck)
	if err := msg.NakWithDelay(delay); err != nil {
		w.log.Debug("negative ack not sent", zap.Error(err))
	}
	faults.After(faults.NegativeAck)
}

func (w *Worker) ack(msg jetstream.Msg, step faults.Step) {
	faults.Before(step)
	if err := msg.Ack(); err != nil {
		w.log.Debug("ack not sent, the message comes again", zap.Error(err))
	}
	faults.After(step)
}

// obstacle is what keeps work from being taken, and when it was last met.
type obstacle struct {
	err error
	at  time.Time
}

// obstacleFor is how long trouble with handling is believed that nobody has met again: it may be over, with nothing to do.
const obstacleFor = time.Minute

// setObstacle notes what keeps a lane or part from working, nil when it works, and reports whether that is new.
func (w *Worker) setObstacle(part string, err error) (changed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	was := w.obstacles[part].err
	w.obstacles[part] = obstacle{err, w.now()}
	return (was == nil) != (err == nil) || err != nil && was.Error() != err.Error()
}

// obstacleTo is what keeps a part from working, nil for nothing.
func (w *Worker) obstacleTo(part string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.obstacles[part]
	if part == partLedger && w.now().Sub(t.at) > obstacleFor {
		return nil
	}
	return t.err
}
