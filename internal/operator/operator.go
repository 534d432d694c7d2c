package operator

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"activation-worker/internal/broker"
	"activation-worker/internal/events"
	"activation-worker/internal/faults"
	"activation-worker/internal/ledger"
)

// Options of an [Operator]. All are required but Now and Halted.
type Options struct {
	Conn      *nats.Conn
	JetStream jetstream.JetStream
	Ledger    *ledger.Ledger
	Streams   events.Streams
	Intake    string         // the intake's stream
	Decoder   events.Decoder // for rejected announcements
	Worker    string         // named in progress
	Log       *zap.Logger
	Now       func() time.Time
	Halted    func() error // why nothing may be done for now; nil: never
}

// Operator carries out what operators ask for. So the worker alone writes the ledger, and
// a request waits in its stream while none runs.
type Operator struct {
	Options
	log *zap.Logger
}

// New returns an operator that has not begun.
func New(o Options) *Operator {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Halted == nil {
		o.Halted = func() error { return nil }
	}
	return &Operator{Options: o, log: o.Log.Named("operator")}
}

const (
	// atOnce is how many requests are carried out at the same time: a long replay must not keep its own end from being asked for.
	atOnce      = 2
	pullExpiry  = 30 * time.Second
	retryAfter  = 2 * time.Second
	progressGap = 200 * time.Millisecond
)

// Run takes requests until ctx ends. One that is cut short is delivered again, to this
// worker or another, which goes on where it was left.
func (o *Operator) Run(ctx context.Context) {
	var slots sync.WaitGroup
	for range atOnce {
		slots.Go(func() { o.serve(ctx) })
	}
	slots.Wait()
}

func (o *Operator) serve(ctx context.Context) {
	told := ""
	for ctx.Err() == nil {
		err := o.pull(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil && err.Error() != told {
			told = err.Error()
			o.log.Warn("cannot take operators' requests, tried again and again", zap.Error(err))
		}
		pause(ctx, retryAfter)
	}
}

func (o *Operator) pull(ctx context.Context) error {
	cons, err := o.JetStream.Consumer(ctx, o.Streams.Work, events.ConsumerRequests)
	if err != nil {
		return err
	}
	messages, err := broker.NewPull(o.JetStream, o.Streams.Work, events.ConsumerRequests, 1, pullExpiry)
	if err != nil {
		return err
	}
	defer func() {
		for _, msg := range messages.Stop(time.Second) {
			_ = msg.Nak() // else it comes when its time to be acknowledged is over
		}
	}()
	for {
		msg, err := messages.Next(ctx, 1)
		if err != nil {
			return err
		}
		if err := cmp.Or(o.Halted(), o.Ledger.Usable(ctx)); err != nil {
			if err := msg.NakWithDelay(retryAfter); err != nil {
				o.log.Debug("negative ack not sent", zap.Error(err))
			}
			return err
		}
		o.take(ctx, msg, cons.CachedInfo().Config.AckWait)
	}
}

// take carries out one request and acknowledges it, whatever came of it; what NATS would not do now is done later.
func (o *Operator) take(ctx context.Context, msg jetstream.Msg, ackWait time.Duration) {
	j := &job{Operator: o, subject: msg.Subject()}
	ctx, cancel := context.WithCancel(ctx)
	alive := make(chan struct{})
	go func() {
		defer close(alive)
		for pause(ctx, max(ackWait/3, time.Millisecond)) {
			_ = msg.InProgress() // a lost one is made up for by the next, or by the redelivery
		}
	}()
	err := j.carryOut(ctx, msg.Data())
	stopped := ctx.Err() != nil
	cancel()
	<-alive
	log := o.log.With(zap.String("verb", string(j.request.Verb)), zap.String("request", j.request.ID), zap.String("user", j.request.User))
	switch refused := (*refusal)(nil); {
	case errors.As(err, &refused):
		log.Warn("request refused", zap.String("because", refused.because))
		j.end(true, refused.because)
	case errors.Is(err, nats.ErrMaxPayload):
		log.Error("request cannot be carried out", zap.Error(err))
		j.end(true, "what is to be written down of it is larger than the server takes")
	case err != nil || stopped:
		log.Warn("request cut short, it is taken up again", zap.Error(err))
		if err := msg.NakWithDelay(retryAfter); err != nil {
			log.Debug("negative ack not sent", zap.Error(err))
		}
		return
	default:
		log.Info("request carried out", zap.Int("done", j.progress.Done))
	}
	faults.Before(faults.AckRequest)
	if err := msg.Ack(); err != nil {
		log.Debug("ack not sent, the request comes again", zap.Error(err))
	}
	faults.After(faults.AckRequest)
}

// refusal is why a request is not carried out, now or later.
type refusal struct{ because string }

func (r *refusal) Error() string { return r.because }

// job is one request on its way.
type job struct {
	*Operator
	subject  string
	request  events.Request
	progress events.Progress
	told     time.Time
}

func (j *job) carryOut(ctx context.Context, data []byte) error {
	var err error
	j.request, err = events.DecodeRequest(j.subject, data)
	if err != nil {
		return &refusal{"the request cannot be read: " + err.Error()}
	}
	j.tell(true)
	switch j.request.Verb {
	case events.VerbReplay:
		return j.replay(ctx)
	case events.VerbCancel:
		return j.cancel(ctx)
	case events.VerbForget:
		return j.forget(ctx)
	}
	return &refusal{fmt.Sprintf("there is no verb %q", j.request.Verb)}
}

// untouched says of a customer that this worker must leave the record alone.
func untouched(domainID int64, err error) string {
	return fmt.Sprintf("%d is left untouched: %v", domainID, err)
}

// trigger is what records say of a change that an operator asked for.
func (j *job) trigger() events.Trigger {
	return events.Trigger{Kind: events.TriggerReplay, ID: j.request.ID}
}

// step notes one more customer done.
func (j *job) step() {
	j.progress.Done++
	j.tell(false)
}

// Limits of what is said at the end, so that it fits into one message.
const (
	mostLines = 200
	longest   = 500 // bytes of a line
)

// end tells the outcome.
func (j *job) end(failed bool, lines ...string) {
	if more := len(lines) - mostLines; more > 0 {
		// The last ones say what was not reached.
		lines = append(append(slices.Clone(lines[:mostLines/2]), fmt.Sprintf("… and %d lines more …", more)), lines[len(lines)-mostLines/2:]...)
	}
	for i, line := range lines {
		lines[i] = strings.ToValidUTF8(line[:min(len(line), longest)], "")
	}
	j.progress.Lines, j.progress.Ended, j.progress.Failed = lines, true, failed
	j.tell(true)
}

// tell sends the progress to whoever watches; nobody has to.
func (j *job) tell(now bool) {
	if j.request.ID == "" || !now && j.Now().Sub(j.told) < progressGap {
		return
	}
	j.told = j.Now()
	j.progress.Worker = j.Worker
	data, err := json.Marshal(j.progress)
	if err == nil {
		err = j.Conn.Publish(events.ProgressSubject(j.request.ID), data)
	}
	if err != nil {
		j.log.Debug("progress not told", zap.Error(err))
	}
}

// standing reports whether the request is still there: who cancels a replay removes it.
func (j *job) standing(ctx context.Context) (bool, error) {
	return j.Ledger.RequestStands(ctx, j.subject)
}

// pause waits and reports whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
