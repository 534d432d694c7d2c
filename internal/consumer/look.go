package consumer

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.uber.org/zap"

	"activation-worker/internal/activation"
	"activation-worker/internal/events"
	"activation-worker/internal/faults"
	"activation-worker/internal/ledger"
	"activation-worker/internal/ownership"
	"activation-worker/internal/partnerapi"
)

// Looker looks at the ownership records in DNS.
type Looker interface {
	Look(ctx context.Context, v ownership.Values) (ownership.Sight, error)
}

const (
	// looksAtOnce bounds the looks at DNS under way: each may wait for a server that does not answer.
	looksAtOnce = 256
	// lookTime bounds one look.
	lookTime = 6 * time.Second
	// lookAgain is how long a look waits for which there is no place.
	lookAgain = time.Minute
)

// lookLater looks at DNS for a customer between two calls, without a slot: a server that does not answer must
// not hold up who waits for something else. It takes the delivery over.
func (w *Worker) lookLater(ctx context.Context, d delivery, r *events.Record) {
	select {
	case w.looks <- struct{}{}:
	default:
		if err := w.postpone(ctx, d, r, lookAgain); err != nil {
			w.setStuck(err)
		}
		d.beat.stop()
		return
	}
	w.looking.Go(func() {
		defer func() { <-w.looks }()
		defer d.beat.stop()
		looking, cancel := w.untilStop(ctx)
		defer cancel()
		if err := w.look(looking, d, r); err != nil {
			w.setStuck(err)
		}
	})
}

// look arms the next look, or writes down what has changed. What is newly visible is due at once.
func (w *Worker) look(ctx context.Context, d delivery, r *events.Record) error {
	sight, blind := w.sight(ctx, dnsOf(r))
	if ctx.Err() != nil {
		w.nak(d.msg, 0)
		return nil //nolint:nilerr // stopped: whoever is woken next looks
	}
	var next *events.Record
	if blind == nil {
		next = activation.Watched(r, sight, w.Policy, w.now())
	} else {
		w.log.Debug("nobody could be asked for the ownership records", zap.Int64("domain_id", r.DomainID), zap.Error(blind))
	}
	if next == nil {
		return w.armFor(ctx, d, r, w.wakeAt(r))
	}
	recording, span := w.record(ctx, spanRecord, next)
	stored, err := w.Ledger.PutWaiting(recording, next, r.Sequence, w.wakeAt(next))
	end(span, err)
	switch {
	case errors.Is(err, ledger.ErrConflict): // somebody else was here
	case err != nil:
		return w.cannot(d, "record what was seen in DNS", err)
	default:
		w.log.Info("ownership records changed", append(about(stored), zap.Int("seen", len(stored.DNS.Seen)),
			zap.Bool("visible", !stored.Visibility.Since.IsZero()), zap.Time("next_attempt_at", stored.NextAttemptAt))...)
	}
	w.ack(d.msg, faults.AckPut)
	return nil
}

// lookForProof is the look at DNS that belongs to an attempt.
func (w *Worker) lookForProof(ctx context.Context, claim *events.Record, answers []activation.Answer) activation.Answer {
	a := activation.Answer{Operation: activation.LookDNS, Kind: activation.Blind, RetryAfter: -1}
	data := answers[len(answers)-1]
	ctx, cancelInTime := w.until(ctx, claim.LeaseExpiresAt.Add(-leaseMargin/2))
	defer cancelInTime()
	ctx, cancel := w.untilStop(ctx)
	defer cancel()
	sight, err := w.sight(ctx, events.DNS{Domain: data.Domain, Wanted: data.Wanted})
	if err == nil {
		a.Kind, a.Visible, a.Seen, a.Silent = activation.Looked, sight.Visible, sight.Seen, sight.Silent
	}
	a.At = w.now()
	return a
}

var errNoWatch = errors.New("ownership records are not watched: WORKER_DNS_RESOLVERS is off")

func (w *Worker) sight(ctx context.Context, dns events.DNS) (activation.Sight, error) {
	if w.Looker == nil {
		return activation.Sight{}, errNoWatch
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	values := ownership.Values{Domain: dns.Domain}
	for _, wanted := range dns.Wanted {
		switch wanted.Type {
		case "TXT":
			values.TXTHost, values.TXTToken = wanted.Host, wanted.Value
		case "CNAME":
			values.CNAMEHost, values.CNAMETarget = wanted.Host, wanted.Value
		}
	}
	ctx, span := w.begin(ctx, spanDNS)
	faults.Before(faults.LookDNS)
	got, err := w.Looker.Look(ctx, values)
	w.noteLook(ctx, got.Visible, err)
	span.SetAttributes(attribute.Bool("activation.dns.visible", err == nil && got.Visible))
	end(span, err)
	if err != nil {
		return activation.Sight{}, err
	}
	faults.After(faults.LookDNS)
	s := activation.Sight{Visible: got.Visible, Seen: recordsOf(got.Seen)}
	for _, silent := range got.Unanswered {
		name, _, _ := strings.Cut(silent, ": ")
		s.Silent = append(s.Silent, name)
	}
	return s, nil
}

func dnsOf(r *events.Record) events.DNS {
	if r.DNS == nil {
		return events.DNS{Domain: r.Domain}
	}
	return *r.DNS
}

func wantedOf(v partnerapi.DNSValues, domain string) []events.DNSRecord {
	return recordsOf(ownership.Values{
		Domain: domain, TXTHost: v.TXTHost, TXTToken: v.TXTToken, CNAMEHost: v.CNAMEHost, CNAMETarget: v.CNAMETarget,
	}.Records())
}

func recordsOf(seen []ownership.Record) []events.DNSRecord {
	records := make([]events.DNSRecord, 0, len(seen))
	for _, r := range seen {
		records = append(records, events.DNSRecord(r))
	}
	return records
}

// underPartnersOwn reports a domain of the partner's own, which nobody has to prove (partner sheet §1).
func underPartnersOwn(domain string) bool {
	domain = strings.ToLower(strings.TrimSuffix(domain, "."))
	return strings.HasSuffix(domain, ".by-works.com") || strings.HasSuffix(domain, ".by-works.net")
}

// armFor sets the timer of a customer who was read a while ago, and ends the delivery. Whoever has written
// another record since has armed that one's timer, which must stay.
func (w *Worker) armFor(ctx context.Context, d delivery, r *events.Record, at time.Time) error {
	current, err := w.Ledger.Load(ctx, d.domainID)
	if err == nil && current != nil && current.Sequence == r.Sequence {
		faults.Before(faults.ArmLater)
		if err = w.Ledger.Arm(ctx, d.domainID, events.WakeUpSubject(r), at); err == nil {
			faults.After(faults.ArmLater)
			current, err = w.Ledger.Load(ctx, d.domainID)
		}
		if err == nil && current != nil && current.Sequence != r.Sequence { // meanwhile, and ours is the newer timer
			err = w.arm(ctx, current, faults.ArmWinner)
		}
	}
	switch {
	case err != nil:
		return w.cannot(d, "arm the timer", err)
	case current != nil && current.State == events.Started:
		w.nak(d.msg, comeAgain(d.tries, current.LeaseExpiresAt.Sub(w.now()))) // whoever holds it may hold this very message
	default:
		w.ack(d.msg, faults.AckNothing)
	}
	return nil
}

// arm sets the timer that a deferred record or a claim asks for.
func (w *Worker) arm(ctx context.Context, r *events.Record, step faults.Step) error {
	if _, waits := ledger.DueAt(r); !waits {
		return nil
	}
	faults.Before(step)
	if err := w.Ledger.Arm(ctx, r.DomainID, events.WakeUpSubject(r), w.wakeAt(r)); err != nil {
		return err
	}
	faults.After(step)
	return nil
}

// wakeAt is when a customer's timer has to fire.
func (w *Worker) wakeAt(r *events.Record) time.Time {
	if r.State == events.Deferred {
		return activation.WakeAt(r, w.Policy, w.now(), w.Jitter())
	}
	due, _ := ledger.DueAt(r)
	return due
}
