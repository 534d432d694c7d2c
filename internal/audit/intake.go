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
	created  time.Time
	subjects []string
	floor    uint64    // everything up to it is acknowledged
	last     uint64    // of the stream
	since    time.Time // the consumer was to begin with what was stored then; zero: with the first
	first    uint64    // or with this sequence
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
	in := &intake{created: state.Created, floor: info.AckFloor.Stream, last: state.State.LastSeq, subjects: info.Config.FilterSubjects}
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

// delivers reports whether an announcement that is not acknowledged yet may bring a claim to its end.
func (a *auditor) delivers(f *family) bool {
	return f.now == started && (a.intake == nil || f.eventSeq > a.intake.floor)
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
	return nil
}

func (a *auditor) checkAnnouncement(ctx context.Context, e ledger.Entry, rejections *rejections) error {
	counts := &a.report.Intake
	switch {
	case e.Sequence > a.intake.floor:
		counts.Unread++
		return nil
	case e.Sequence < a.intake.first || e.StoredAt.Before(a.intake.since):
		counts.Unchecked++
		return nil
	}
	counts.Read++
	accepted, err := a.Decoder.Decode(events.Message{
		Subject: e.Subject, Header: e.Header, Data: e.Data, Stream: a.Intake, StreamCreated: a.intake.created, Sequence: e.Sequence, StoredAt: e.StoredAt,
	})
	var why *events.Undecodable
	switch {
	case errors.Is(err, events.ErrOtherType):
		counts.OtherTypes++
		return nil
	case errors.As(err, &why):
		counts.Rejected++
		rejections.expect(a, e)
		return nil
	case err != nil:
		return fmt.Errorf("message %d of stream %s: %w", e.Sequence, a.Intake, err)
	}
	text := a.lost(a.shards.find(accepted.DomainID), &accepted, counts)
	if text == "" {
		return nil
	}
	// Written meanwhile, or by a replica that answered late.
	f, _, _, err := a.again(ctx, accepted.DomainID)
	if err != nil {
		return err
	}
	if text = a.lost(f, &accepted, counts); text != "" {
		a.add(Breach{RuleLost, accepted.DomainID, e.Sequence, fmt.Sprintf("announced at %s and acknowledged: %s", stamp(nanos(e.StoredAt)), text)})
	}
	return nil
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

// expect looks for the rejection of an announcement.
func (r *rejections) expect(a *auditor, e ledger.Entry) {
	switch {
	case r.known[e.Sequence]:
	case e.StoredAt.Before(r.since), r.kept > 0 && e.StoredAt.Before(a.Now().Add(time.Minute-r.kept)):
		a.report.Intake.Unchecked++
	default:
		r.missing = append(r.missing, Breach{RuleRejected, 0, e.Sequence, fmt.Sprintf("announced at %s and acknowledged: it cannot be read, and was not recorded as rejected", stamp(nanos(e.StoredAt)))})
	}
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
