package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/activation"
	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
)

// intake is the stream of the announcements, and how far it has been acknowledged.
type intake struct {
	name     string
	created  time.Time
	subjects []string
	last     uint64    // of the stream
	since    time.Time // the consumer was to begin with what was stored then; zero: with the first
	first    uint64    // or with this sequence

	// Everything up to floor is acknowledged, nothing after delivered; of what is between, all but pending. Which is not told.
	floor, delivered uint64
	pending          int
	missing          []Breach  // announcements from between without a record
	oldest           time.Time // of these
	leaning          []Breach  // claims by announcements from between that only those can wake
}

// openIntake asks how far announcements are acknowledged; nil where nobody reads any, which is noted.
func (a *auditor) openIntake(ctx context.Context) (*intake, error) {
	if a.Intake == "" {
		return nil, nil
	}
	stream, err := a.js.Stream(ctx, a.Intake)
	if missing(err) {
		a.note("there is no stream " + a.Intake + ": announcements were not checked")
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read stream %s: %w", a.Intake, err)
	}
	cons, err := stream.Consumer(ctx, events.ConsumerActivator)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		a.note("stream " + a.Intake + " has no consumer " + events.ConsumerActivator + ": announcements were not checked")
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read consumer %s of stream %s: %w", events.ConsumerActivator, a.Intake, err)
	}
	info, state := cons.CachedInfo(), stream.CachedInfo()
	in := &intake{name: a.Intake, created: state.Created, last: state.State.LastSeq, subjects: info.Config.FilterSubjects}
	in.floor, in.delivered, in.pending = info.AckFloor.Stream, info.Delivered.Stream, info.NumAckPending
	if info.Config.FilterSubject != "" {
		in.subjects = []string{info.Config.FilterSubject}
	}
	switch c := info.Config; c.DeliverPolicy {
	case jetstream.DeliverAllPolicy:
	case jetstream.DeliverByStartTimePolicy:
		in.since = *c.OptStartTime
	case jetstream.DeliverByStartSequencePolicy:
		in.first = c.OptStartSeq
	default:
		in.since = info.Created
	}
	return in, nil
}

// has reports whether an event acted on is from this stream, and not from a former one of the same name.
func (in *intake) has(e events.EventRef) bool {
	return in != nil && e.Stream == in.name && e.StreamCreated.Equal(in.created)
}

// delivers reports whether an announcement that is not delivered yet will bring a claim to its end, and leans whether one may
// that was delivered, if it is among those that are not acknowledged. Where there is no intake, or not its consumer, nothing comes.
func (a *auditor) delivers(f *family) (delivers, leans bool) {
	if f.now != started || a.intake == nil || f.has(elsewhere) {
		return false, false
	}
	return f.eventSeq > a.intake.delivered, f.eventSeq > a.intake.floor
}

// checkIntake looks for each acknowledged announcement in the ledger, or among the rejections.
func (a *auditor) checkIntake(ctx context.Context) error {
	in := a.intake
	if in == nil {
		return nil
	}
	rejections, err := a.readRejections(ctx)
	if err != nil {
		return err
	}
	var failed error
	err = a.ledger.Scan(ctx, a.Intake, in.subjects, 0, func(e ledger.Entry) bool {
		if e.Sequence > in.last {
			return false
		}
		failed = a.checkAnnouncement(ctx, e, rejections)
		return failed == nil && e.Sequence < in.last
	})
	if err := errors.Join(failed, err); err != nil {
		return err
	}
	rejections.judge(a)
	in.judge(a)
	return nil
}

func (a *auditor) checkAnnouncement(ctx context.Context, e ledger.Entry, rejections *rejections) error {
	counts, in := &a.report.Intake, a.intake
	switch {
	case e.Sequence > in.delivered:
		counts.Unread++
		return nil
	case e.Sequence < in.first || e.StoredAt.Before(in.since):
		counts.Unchecked++
		return nil
	}
	breach, err := a.account(ctx, e, rejections)
	switch {
	case err != nil:
		return err
	case breach != nil && e.Sequence > in.floor: // in hand, or acknowledged: see judge
		counts.Unread++
		if breach.Rule == RuleLost {
			if len(in.missing) == 0 {
				in.oldest = e.StoredAt
			}
			in.missing = append(in.missing, *breach)
		}
		return nil
	case breach != nil && breach.Rule == RuleRejected:
		rejections.missing = append(rejections.missing, *breach)
	case breach != nil:
		a.add(*breach)
	}
	counts.Read++
	return nil
}

// account says what is wrong if an announcement was acknowledged; nil for nothing.
func (a *auditor) account(ctx context.Context, e ledger.Entry, rejections *rejections) (*Breach, error) {
	counts := &a.report.Intake
	accepted, err := a.Decoder.Decode(events.Message{
		Subject: e.Subject, Header: e.Header, Data: e.Data, Stream: a.Intake, StreamCreated: a.intake.created, Sequence: e.Sequence, StoredAt: e.StoredAt,
	})
	var why *events.Undecodable
	switch {
	case errors.Is(err, events.ErrOtherType):
		counts.OtherTypes++
		return nil, nil
	case errors.As(err, &why):
		counts.Rejected++
		return rejections.expect(a, e), nil
	case err != nil:
		return nil, fmt.Errorf("message %d of stream %s: %w", e.Sequence, a.Intake, err)
	}
	former := e.StoredAt.Before(a.accepted)
	accepted.Backfill = accepted.Backfill || former // as the workers take it
	text := a.lost(a.shards.find(accepted.DomainID), &accepted, counts)
	if text == "" {
		return nil, nil
	}
	// Written meanwhile, or by a replica that answered late.
	f, _, _, err := a.again(ctx, accepted.DomainID)
	if err != nil {
		return nil, err
	}
	if text = a.lost(f, &accepted, counts); text == "" {
		return nil, nil
	}
	if former {
		a.former.announcements++
		return nil, nil
	}
	return &Breach{RuleLost, accepted.DomainID, e.Sequence, fmt.Sprintf("announced at %s and acknowledged: %s", stamp(nanos(e.StoredAt)), text)}, nil
}

// judge holds what was delivered and has come to nothing against how many deliveries are not acknowledged. It was asked first
// how many those are: whatever was acknowledged by then was on record before the ledger was read.
func (in *intake) judge(a *auditor) {
	a.beyond(in.missing, in.pending, "delivered, and not on record")
	a.beyond(in.leaning, in.pending-len(in.missing), "claimed, overdue, without timer or wake-up")
	if n := len(in.missing); n > 0 && n <= in.pending && in.oldest.Before(a.Now().Add(-a.Overdue)) {
		a.note(fmt.Sprintf("%d announcements, the oldest of %s, were delivered and are neither on record nor acknowledged", n, stamp(nanos(in.oldest))))
	}
}

// beyond adds what is more than can be excused by announcements in hand.
func (a *auditor) beyond(all []Breach, excused int, what string) {
	switch {
	case len(all) <= excused:
	case excused <= 0:
		for _, b := range all {
			a.add(b)
		}
	default:
		ids := []string{}
		for _, b := range all[:min(len(all), 10)] {
			ids = append(ids, strconv.FormatInt(b.DomainID, 10))
		}
		a.add(Breach{all[0].Rule, 0, all[0].Sequence, fmt.Sprintf("%d customers (%s) %s, and only %d announcements are not acknowledged that may explain it: %d were acknowledged",
			len(all), strings.Join(ids, ", "), what, excused, len(all)-excused)})
	}
}

// lost says why an acknowledged announcement is not accounted for by its customer's records; empty where it is. It follows
// the contract's table (§2): whoever acknowledges an event that is new to the record has first written one that names it, but for
// customers who are active, for an old event of a customer who waits already, and for one from before the customer was forgotten.
func (a *auditor) lost(f *family, e *events.Accepted, counts *IntakeCounts) string {
	if f == nil {
		return "there is no record of the customer"
	}
	at := nanos(e.Event.StoredAt)
	switch {
	case f.has(foreign):
		return ""
	case at <= f.event || hashed(e.Event.Hashed().ID) == f.eventID:
		if e.Event.Sequence != f.eventSeq {
			counts.Repeated++
		}
		return ""
	case f.now == activated:
		counts.Repeated++
		return ""
	case f.now == forgotten && at <= f.stored:
		return ""
	}
	// An old one may have been passed over while the customer waited. It was old if it was an hour old when it was read, which
	// cannot have been before it was stored, nor, of one that a failure would have followed up, after that failure.
	passed := !e.Event.StoredAt.Add(activation.BacklogAge).After(a.Now()) || e.Backfill
	if f.now == failed {
		before := time.Unix(0, f.stored)
		passed = !e.Event.StoredAt.Add(activation.BacklogAge).After(before) || e.Backfill && at <= f.stored
	}
	if f.now != forgotten && (passed || at <= f.stored && f.now != failed) {
		counts.PassedOver++
		return ""
	}

	return fmt.Sprintf("the customer is %s since %s, by an older announcement, of %s", f.now, stamp(f.stored), stamp(f.event))
}

// rejections are the sequences of announcements that nobody could act on.
type rejections struct {
	known   map[uint64]bool
	kept    time.Duration // how long they are; 0: for ever
	since   time.Time     // the oldest that is kept; zero: none has gone
	erased  int           // how many are gone from between the others
	missing []Breach
}

// readRejections lists what is kept.
func (a *auditor) readRejections(ctx context.Context) (*rejections, error) {
	r := &rejections{known: map[uint64]bool{}}
	stream, err := a.js.Stream(ctx, a.Streams.Rejected)
	if missing(err) {
		return r, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read stream %s: %w", a.Streams.Rejected, err)
	}
	info := stream.CachedInfo()
	r.kept, r.erased = info.Config.MaxAge, info.State.NumDeleted
	if info.State.FirstSeq > 1 {
		r.since = info.State.FirstTime
		if info.State.Msgs == 0 {
			r.since = a.Now()
		}
	}
	err = a.ledger.Scan(ctx, a.Streams.Rejected, []string{events.SubjectRejected}, 0, func(e ledger.Entry) bool {
		a.report.Intake.Rejections++
		_, token, _ := strings.Cut(e.Subject, "rejected.")
		if sequence, err := strconv.ParseUint(token, 10, 64); err == nil {
			r.known[sequence] = true
		}
		return true
	})
	return r, err
}

// expect looks for the rejection of an announcement; nil where it is there, or need not be any more.
func (r *rejections) expect(a *auditor, e ledger.Entry) *Breach {
	switch {
	case r.known[e.Sequence]:
	case e.StoredAt.Before(r.since), e.StoredAt.Before(a.accepted), r.kept > 0 && e.StoredAt.Before(a.Now().Add(time.Minute-r.kept)):
		a.report.Intake.Unchecked++
	default:
		return &Breach{RuleRejected, 0, e.Sequence, fmt.Sprintf("announced at %s and acknowledged: it cannot be read, and was not recorded as rejected", stamp(nanos(e.StoredAt)))}
	}
	return nil
}

// judge takes as many as erased with their customers as were erased.
func (r *rejections) judge(a *auditor) {
	if len(r.missing) > 0 && len(r.missing) <= r.erased {
		a.note(fmt.Sprintf("%d announcements that cannot be read have no rejection, and %d rejections were erased with customers who were forgotten", len(r.missing), r.erased))
		return
	}
	for _, b := range slices.Clone(r.missing) {
		a.add(b)
	}
}
