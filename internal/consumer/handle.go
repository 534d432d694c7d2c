package consumer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"activation-worker/internal/activation"
	"activation-worker/internal/events"
	"activation-worker/internal/faults"
	"activation-worker/internal/ledger"
	"activation-worker/internal/partnerapi"
	"activation-worker/internal/quota"
	"activation-worker/internal/repeats"
)

// strangerDelay is how long a delivery rests whose customer's record this binary must leave alone.
const strangerDelay = 30 * time.Second

// earlyDelay is the longest that a wake-up rests which our clock calls early and the server's does not.
const earlyDelay = 10 * time.Second

var errStopping = errors.New("the worker is stopping")

// handle is one event's way: claim, ask, record, acknowledge. A crash anywhere before the
// acknowledgement is a redelivery that finds the record and goes on from there. An error
// says that something of ours is not there; handedOver that somebody else ends the delivery.
func (w *Worker) handle(ctx context.Context, d delivery) (handedOver bool, err error) {
	// A fresh announcement claims without reading first. One of old is mostly a customer's who is done or waits, and
	// whose timer must stay as it is.
	var record *events.Record
	if d.accepted == nil || d.cue(w.now()).Backlog {
		if record, err = w.Ledger.Load(ctx, d.domainID); err != nil {
			return false, w.cannot(d, "read the record", err)
		}
	}
	ctx, span := w.process(ctx, d, record)
	defer func() { end(span, err) }()
	lost := false // our claim was overtaken; its delivery is no longer ours to return
	for {
		linkTo(ctx, record)
		decision := activation.Next(record, d.cue(w.now()), w.now())
		if decision.Step == activation.Look && w.Looker == nil {
			decision.Step = activation.Arm
		}
		if decision.Step == activation.Look {
			w.lookLater(ctx, d, record)
			return true, nil
		}
		if !decision.Step.Claims() {
			current, err := w.follow(ctx, d, record, decision, lost)
			if current == nil {
				return false, err
			}
			record = current
			continue
		}
		turn, later, err := w.leave(ctx, d, record, decision.Step)
		switch {
		case err != nil:
			return false, w.cannot(d, "claim", err)
		case turn == nil && d.accepted != nil:
			w.nak(d.msg, requeueAfter)
			return false, nil
		case turn == nil:
			current, err := w.stepBack(ctx, d, record, later)
			if current == nil {
				return false, err
			}
			record = current
			continue
		}
		claim, current, err := w.claim(ctx, d, record, decision.Step, turn)
		switch {
		case errors.Is(err, ledger.ErrConflict):
			record = current
			continue
		case err != nil:
			return false, w.cannot(d, "claim", err)
		}
		d.beat.leased(claim.LeaseExpiresAt)
		current, err = w.attempt(ctx, claim, turn)
		switch {
		case errors.Is(err, ledger.ErrConflict):
			// The answer is dropped; whoever overtook us asks first.
			w.log.Warn("claim was overtaken, its answer is dropped", zap.Int64("domain_id", d.domainID), traceID(claim.TraceParent))
			if record, lost = current, true; record == nil {
				return false, nil
			}
			if err := w.arm(ctx, record, faults.ArmWinner); err != nil {
				return false, fmt.Errorf("arm the timer of domain %d for whoever overtook us: %w", d.domainID, err)
			}
		case err != nil:
			// Not known whether it was stored: the lease ends, and the next one asks first.
			w.log.Error("outcome not recorded; it will be looked up when the lease has ended", zap.Int64("domain_id", d.domainID), traceID(claim.TraceParent), zap.Error(err))
			return false, nil
		default:
			w.ack(d.msg, faults.AckOutcome)
			return false, nil
		}
	}
}

// follow carries out a step that claims nothing. It returns a record only where another
// was written meanwhile and has to be decided on.
func (w *Worker) follow(ctx context.Context, d delivery, r *events.Record, decision activation.Decision, lost bool) (*events.Record, error) {
	switch decision.Step {
	case activation.ComeAgain:
		w.noticeTwin(r)
		if !lost {
			w.nak(d.msg, comeAgain(d.tries, decision.At.Sub(w.now())))
		}
		return nil, nil
	case activation.Arm:
		if !d.storedAt.Before(decision.At) {
			// The server's clock is ahead of ours: armed again, it would fire at once, again and again.
			w.nak(d.msg, max(10*time.Millisecond, min(decision.At.Sub(w.now()), earlyDelay)))
			return nil, nil
		}
		if err := w.arm(ctx, r, faults.ArmEarly); err != nil {
			return nil, w.cannot(d, "arm the timer", err)
		}
	case activation.PutOff:
		return w.put(ctx, d, r, activation.PutOffUntil(r, d.accepted, decision.At, w.now()))
	case activation.Queue:
		return w.put(ctx, d, r, w.queued(d, r))
	}
	w.log.Debug("nothing to do", zap.Int64("domain_id", d.domainID), zap.Stringer("step", decision.Step))
	w.ack(d.msg, faults.AckNothing)
	return nil, nil
}

// put writes a deferred record without a claim. It returns a record only where another was written meanwhile.
func (w *Worker) put(ctx context.Context, d delivery, r, next *events.Record) (*events.Record, error) {
	if w.Halted() != nil {
		w.nak(d.msg, requeueAfter)
		return nil, nil //nolint:nilerr // why, is said already
	}
	recording, span := w.record(ctx, spanRecord, next)
	current, err := w.Ledger.PutWaiting(recording, next, r.Expected(), w.wakeAt(next))
	end(span, err)
	switch {
	case errors.Is(err, ledger.ErrConflict):
		return current, nil
	case err != nil:
		return nil, w.cannot(d, "defer", err)
	}
	tell(ctx, current)
	w.log.Debug("deferred without an attempt", append(about(current), zap.String("reason", string(current.Reason)))...)
	w.ack(d.msg, faults.AckPut)
	return nil, nil
}

// comeAgain is how long a delivery waits for another's lease: a second, doubling to ten, not past its end.
func comeAgain(tries uint64, left time.Duration) time.Duration {
	delay := time.Second << min(max(tries, 1)-1, 4)
	return max(min(delay, 10*time.Second, left), 10*time.Millisecond)
}

// turn is leave to make an attempt's first request.
type turn struct {
	permit *quota.Permit
	probe  bool // the gate is shut, and this attempt finds out whether it may open
	gate   *gate
}

// giveUp returns leave that was not used.
func (t *turn) giveUp() {
	t.permit.End()
	t.gate.giveBack(t.probe, false)
}

// later is when somebody without a turn comes again, and whether because not all who wait can be served.
type later struct {
	wait time.Duration
	full bool
}

// leave makes sure that the gate is open and of a token, and waits for the pace of the first request. A wake-up waits for
// so long only.
func (w *Worker) leave(ctx context.Context, d delivery, r *events.Record, step activation.Step) (t *turn, again later, err error) {
	ctx, cancel := w.untilStop(ctx)
	defer cancel()
	admitted, probe, shutFor := w.gate.admit()
	if !admitted {
		return nil, later{wait: min(shutFor/2, postponeShut)}, nil
	}
	t = &turn{probe: probe, gate: w.gate}
	if err := w.Partner.EnsureToken(ctx); err != nil {
		if ctx.Err() == nil {
			if probe {
				w.gate.found(false)
			}
			w.gate.close(troubleOf(err))
		}
		w.gate.giveBack(probe, ctx.Err() == nil)
		return nil, later{}, err
	}
	first := activation.Activate
	if step == activation.TakeOver || step == activation.Anew || r != nil && (r.Unsettled || r.LookFirst) {
		first = activation.LookUp
	}
	waiting := ctx
	if d.accepted == nil {
		leave, ok := w.enter(ctx, w.roomsFor(d, r))
		if !ok {
			w.gate.giveBack(probe, false)
			return nil, w.full(d), context.Cause(ctx)
		}
		defer leave()
	}
	if d.accepted == nil || probe { // others may have leave for what they would ask
		var done context.CancelFunc
		waiting, done = context.WithTimeout(ctx, permitTime)
		defer done()
	}
	t.permit, err = w.acquire(waiting, d.lane(), first)
	switch {
	case err != nil && ctx.Err() == nil && waiting.Err() != nil:
		w.gate.giveBack(probe, false)
		return nil, w.full(d), nil
	case err != nil:
		w.gate.giveBack(probe, false)
		return nil, later{}, err
	case w.stopping():
		t.giveUp()
		return nil, later{}, errStopping
	case w.Halted() != nil, w.Ledger.Mark() != d.mark: // meanwhile: what is known of the customer may be another ledger's
		t.giveUp()
		return nil, later{wait: postponeLeast}, nil
	case !probe && w.gate.isShut():
		t.giveUp() // meanwhile
		return nil, later{wait: postponeLeast}, nil
	}
	return t, later{}, nil
}

// claim writes the started record. A turn that comes to nothing is given up.
func (w *Worker) claim(ctx context.Context, d delivery, r *events.Record, step activation.Step, t *turn) (claim, current *events.Record, err error) {
	now := w.now()
	claim = activation.Start(step, r, d.accepted, d.domainID, activation.Claimant{Worker: w.ID, LeaseExpiresAt: now.Add(w.Lease)}, now)
	claiming, cancel := w.until(ctx, claim.LeaseExpiresAt)
	defer cancel()
	claiming, span := w.record(claiming, spanClaim, claim)
	faults.Before(faults.Claim)
	current, err = w.Ledger.Claim(claiming, claim, r.Expected())
	end(span, err)
	if err == nil {
		faults.After(faults.Claim)
		if w.setObstacle(partRoom, nil) {
			w.log.Info("the ledger has room again")
		}
		w.log.Debug("claimed", append(about(claim), zap.Stringer("step", step))...)
		return current, nil, nil
	}
	t.giveUp()
	if !errors.Is(err, ledger.ErrFull) {
		return nil, current, err
	}
	// The delivery stays in hand for a while: as long as there is no room, hardly more is taken.
	if w.setObstacle(partRoom, ledger.ErrFull) {
		w.log.Warn("no room for another attempt, waiting", zap.Error(err))
	}
	taking, cancelTaking := w.untilStop(ctx)
	defer cancelTaking()
	w.wait(taking, laneRetry)
	return nil, nil, err
}

// recordStep is the step that writes down an outcome.
var recordStep = map[events.State]faults.Step{
	events.Activated: faults.RecordActivated, events.Deferred: faults.RecordDeferred, events.Failed: faults.RecordFailed,
}

// attempt asks what the plan wants to know, and records what came of it.
func (w *Worker) attempt(ctx context.Context, claim *events.Record, t *turn) (current *events.Record, err error) {
	defer w.Ledger.Release()
	began := w.now()
	var answers []activation.Answer
	for permit := t.permit; ; {
		question, verdict := activation.Plan(claim, answers, w.Policy)
		if question == activation.LookDNS {
			answers = append(answers, w.lookForProof(ctx, claim, answers))
			continue
		}
		if question != activation.Nothing {
			answers = append(answers, w.ask(ctx, claim, question, permit))
			permit = nil
			continue
		}
		w.noteCode(verdict)
		verdict = w.gate.judge(claim.DomainID, verdict, answers, t.probe)
		next := activation.Conclude(claim, answers, verdict, w.Policy, w.now(), w.Jitter())
		// The timer comes first: a timer without its record does no harm.
		if err := w.arm(ctx, next, faults.ArmOutcome); err != nil {
			return nil, err
		}
		recording, span := w.record(ctx, spanRecord, next)
		faults.Before(recordStep[next.State])
		current, err = w.Ledger.Record(recording, next, claim.Sequence)
		if errors.Is(err, nats.ErrMaxPayload) && next.State == events.Activated {
			// The server takes less than when the partner's answer was read.
			next.CustomerOmitted, next.Customer = len(next.Customer), json.RawMessage("null")
			current, err = w.Ledger.Record(recording, next, claim.Sequence)
		}
		end(span, err)
		if err != nil {
			return current, err
		}
		faults.After(recordStep[next.State])
		tell(ctx, current)
		took := w.now().Sub(began)
		w.Observer.Recorded(string(current.State), string(current.Via), string(current.Reason), took, waited(current))
		w.report(current, verdict, took)
		return current, nil
	}
}

// cannot returns a delivery that could not be handled now. Its error says that something of ours is not there.
func (w *Worker) cannot(d delivery, what string, err error) error {
	var refused *partnerapi.Error
	switch {
	case errors.Is(err, events.ErrForeignRecord):
		w.strange.add(err)
		w.log.Warn("record left untouched", zap.Int64("domain_id", d.domainID), zap.Error(err))
		w.nak(d.msg, strangerDelay)
		return nil
	case w.stopping():
		w.nak(d.msg, 0)
		return nil
	}
	w.log.Debug("could not go on, the message comes again", zap.Int64("domain_id", d.domainID), zap.String("to", what), zap.Error(err))
	w.nak(d.msg, requeueAfter)
	if errors.As(err, &refused) || errors.Is(err, ledger.ErrFull) {
		return nil // said by the gate, and by the look for room
	}
	return fmt.Errorf("%s: %w", what, err)
}

func about(r *events.Record) []zap.Field {
	return []zap.Field{
		zap.Int64("domain_id", r.DomainID), zap.Int("round", r.Round), zap.Int("attempt", r.Attempt),
		zap.String("trigger", string(r.Trigger.Kind)), traceID(r.TraceParent),
	}
}

// report logs one line for each outcome.
func (w *Worker) report(r *events.Record, v activation.Verdict, took time.Duration) {
	fields := append(about(r), zap.Int("calls", r.Calls), zap.Duration("took", took))
	if r.State == events.Activated {
		w.log.Info("customer activated", append(fields, zap.String("via", string(r.Via)))...)
		return
	}
	fields = append(fields, zap.String("reason", string(r.Reason)), zap.String("cause", v.Text),
		zap.String("operation", string(v.Cause.Operation)), zap.Int("http_status", v.Cause.Status), zap.String("code", v.Cause.Code))
	if v.Cause.RequestID != "" {
		fields = append(fields, zap.String("request_id", v.Cause.RequestID))
	}
	if w.PartnerTextInLog && v.Cause.PartnerText != "" {
		fields = append(fields, zap.String("partner_text", v.Cause.PartnerText))
	}
	if r.State == events.Failed {
		w.log.Warn("activation failed", append(fields, repeats.Outcome())...)
		return
	}
	w.log.Info("activation deferred", append(fields, zap.Time("next_attempt_at", r.NextAttemptAt))...)
}
