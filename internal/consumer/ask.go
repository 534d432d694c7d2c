package consumer

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v4"
	"go.uber.org/zap"

	"activation-worker/internal/activation"
	"activation-worker/internal/events"
	"activation-worker/internal/faults"
	"activation-worker/internal/partnerapi"
	"activation-worker/internal/quota"
)

const (
	// blipRetries is how often a request is repeated at once; what lasts longer waits in the ledger.
	blipRetries = 3
	// blipWait is the longest wait that is not worth writing down.
	blipWait = 5 * time.Second
)

// ask puts one question to the partner, and again after a blip. permit is leave for the
// first request, or nil.
func (w *Worker) ask(ctx context.Context, claim *events.Record, op activation.Operation, permit *quota.Permit) activation.Answer {
	retry := backoff.WithMaxRetries(backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(200*time.Millisecond), backoff.WithMaxInterval(blipWait), backoff.WithMaxElapsedTime(0),
	), blipRetries)
	var before *activation.Answer
	for {
		a := w.askOnce(ctx, claim, op, permit)
		if before != nil {
			if a.Kind == activation.NotAsked {
				return *before
			}
			a.Sent += before.Sent
		}
		permit, before = nil, &a
		wait := retry.NextBackOff()
		if wait == backoff.Stop || !blip(a) || a.RetryAfter > blipWait {
			return a
		}
		taking, cancel := w.untilStop(ctx)
		alive := w.wait(taking, max(wait, a.RetryAfter))
		cancel()
		if !alive {
			return a
		}
	}
}

// blip reports an answer that may be different in a moment, and whose request certainly
// was not carried out or changes nothing.
func blip(a activation.Answer) bool {
	switch a.Kind {
	case activation.NotSent:
		return true
	case activation.Refusal:
		return a.Status == 429 && a.RetryAfter >= 0
	case activation.Unclear:
		return a.Operation != activation.Activate
	}
	return false
}

// callStep is the step that asks one question.
var callStep = map[activation.Operation]faults.Step{
	activation.Activate: faults.Activate, activation.LookUp: faults.LookUp, activation.List: faults.List, activation.DNSData: faults.DNSData,
}

// askOnce sends one request, its redirects and its repeat with a new token.
func (w *Worker) askOnce(ctx context.Context, claim *events.Record, op activation.Operation, permit *quota.Permit) activation.Answer {
	a := activation.Answer{Operation: op, Kind: activation.NotAsked, RetryAfter: -1, At: w.now()}
	latest := claim.LeaseExpiresAt.Add(-leaseMargin)
	// mayBegin ends when no further request may begin.
	mayBegin := func(ctx context.Context) (context.Context, context.CancelFunc) {
		ctx, cancelInTime := w.until(ctx, latest.Add(-w.Timeout))
		ctx, cancel := w.untilStop(ctx)
		return ctx, func() { cancel(); cancelInTime() }
	}
	if permit == nil {
		beginning, cancel := mayBegin(ctx)
		var err error
		permit, err = w.acquire(beginning, quota.Running, op)
		cancel()
		if err != nil {
			return a
		}
	}
	defer permit.End()
	if w.stopping() {
		return a
	}
	call := partnerapi.Call{
		Before: latest,
		Starting: func() bool {
			if permit.Begin() != nil {
				return false
			}
			a.StartedAt = w.now()
			faults.Before(callStep[op])
			return true
		},
		Again: func(ctx context.Context) error {
			beginning, cancel := mayBegin(ctx)
			defer cancel()
			beginning, span := w.begin(beginning, spanQuota)
			err := permit.Again(beginning)
			end(span, err)
			return err
		},
		Answered: func(l partnerapi.Limits) { w.Pacer.Answered(string(op), l.Remaining, l.Reset) },
	}
	var customer partnerapi.Customer
	var values partnerapi.DNSValues
	var err error
	switch op {
	case activation.Activate:
		customer, err = w.Partner.Activate(ctx, claim.DomainID, call)
	case activation.LookUp:
		customer, err = w.Partner.Customer(ctx, claim.DomainID, call)
	case activation.DNSData:
		values, err = w.Partner.UpgradeDomain(ctx, claim.DomainID, call)
		a.Sent = 1
	default:
		err = w.Partner.CanList(ctx, call)
		a.Sent = 1
	}
	faults.After(callStep[op])
	a.At = w.now()
	if err != nil {
		w.noteError(&a, err)
		return a
	}
	a.Status = 200
	switch {
	case op == activation.List:
		a.Kind = activation.Listed
		return a
	case op == activation.DNSData:
		a.Kind, a.Proven = activation.Shown, values.IsActiveDomain
		a.Domain = cmp.Or(values.Domain, claim.Domain)
		a.Wanted = wantedOf(values, a.Domain)
		return a
	case customer.Active:
		a.Kind = activation.Active
	default:
		a.Kind = activation.Inactive
	}
	a.Sent, a.RequestID, a.Domain = customer.Sent, customer.RequestID, customer.Domain
	a.Object, a.Omitted, a.Altered = customer.Object, customer.Omitted, customer.Altered
	a.Pending = customer.PartnershipStatus == "TERMS_AGREEMENT_READY"
	a.NoProof = customer.DomainType == "GROUP" || underPartnersOwn(customer.Domain)
	return a
}

// kinds tells what package partnerapi says in the words of package activation.
var kinds = map[partnerapi.Kind]activation.Kind{
	partnerapi.NotSent:  activation.NotSent,
	partnerapi.TooLate:  activation.NotAsked,
	partnerapi.Redirect: activation.Redirect,
	partnerapi.Refused:  activation.Refusal,
	partnerapi.Unclear:  activation.Unclear,
	partnerapi.Token:    activation.NoToken,
}

// noteError copies a failed call into the answer, and slows everybody down where the partner asks for it.
func (w *Worker) noteError(a *activation.Answer, err error) {
	var e *partnerapi.Error
	if !errors.As(err, &e) {
		a.Kind = activation.Unclear
		w.log.Error("answer of an unknown kind", zap.Error(err))
		return
	}
	w.log.Debug("partner said no", zap.Error(err))
	a.Kind = kinds[e.Kind]
	a.Status, a.Code, a.RequestID, a.Sent, a.RetryAfter = e.Status, e.Code, e.RequestID, e.Sent, e.RetryAfter
	a.NoSuchAPI = e.Status == 404 && strings.EqualFold(strings.TrimRight(e.PartnerText, "."), "api not exists")
	if w.KeepPartnerText {
		a.PartnerText = e.PartnerText
	}
	if e.Kind == partnerapi.Refused && e.Status == 429 {
		wait := e.RetryAfter
		if wait < 0 {
			wait = time.Minute
		}
		if w.Pacer.Pause(string(a.Operation), a.At.Add(wait)) && wait > blipWait {
			w.log.Warn("the partner asks to slow down: nothing is sent meanwhile", zap.String("operation", string(a.Operation)), zap.Duration("for", wait))
		}
	}
	if e.Kind == partnerapi.Token || e.Status == 401 {
		w.gate.suspect(troubleOf(err))
	}
}
