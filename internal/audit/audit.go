package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
)

// Options say what is audited and how strictly. All may be zero but Streams.
type Options struct {
	Streams events.Streams
	Intake  string         // stream of the announcements; "": they are not looked at
	Decoder events.Decoder // as the workers are configured

	Skew    time.Duration // by how much the clocks of workers and server may differ; 0: [DefaultSkew]
	Overdue time.Duration // how late a customer may be before it is asked what will wake it; 0: [DefaultOverdue]
	Now     func() time.Time
	Most    int // breaches that are listed; 0: [DefaultMost]. They are all counted

	Calls []Call        // what the partner saw, by arrival; none: that part is left out
	Hold  time.Duration // how long after the end of its lease a request may arrive that was held on its way; see [Call]
	Caps  Caps
}

// Defaults of [Options].
const (
	DefaultSkew    = 5 * time.Second
	DefaultOverdue = 15 * time.Minute // three sweeps of the default interval
	DefaultMost    = 1000
)

const (
	// atOnce is how many questions about single customers are asked at the same time.
	atOnce = 16
	// tellEvery is after how many messages progress is told.
	tellEvery = 5000
)

// Run audits a ledger. progress, which may be nil, is told now and then up to which sequence of the ledger it has come.
// The error says what could not be read, and then there is no report; a ledger with breaches is no error.
func Run(ctx context.Context, js jetstream.JetStream, o Options, progress func(read, last uint64)) (*Report, error) {
	o.Skew, o.Overdue, o.Most = cmp.Or(o.Skew, DefaultSkew), cmp.Or(o.Overdue, DefaultOverdue), cmp.Or(o.Most, DefaultMost)
	if o.Now == nil {
		o.Now = time.Now
	}
	if progress == nil {
		progress = func(uint64, uint64) {}
	}
	began := time.Now()
	r := &Report{Stream: o.Streams.Ledger, At: o.Now().UTC(), ByRule: map[Rule]int{}, Breaches: []Breach{}, Notes: []string{}}
	r.Ledger.States = map[events.State]int{}
	a := &auditor{
		Options: o, js: js, report: r, findings: findings{most: o.Most, report: r}, shards: newShards(len(o.Calls) > 0),
		ledger: ledger.New(ledger.Options{Conn: js.Conn(), JetStream: js, Streams: o.Streams, Now: o.Now, Log: zap.NewNop()}),
	}
	if err := a.run(ctx, progress); err != nil {
		return nil, fmt.Errorf("audit stream %s: %w", o.Streams.Ledger, err)
	}
	slices.SortStableFunc(r.Breaches, func(x, y Breach) int {
		return cmp.Or(cmp.Compare(x.Rule, y.Rule), cmp.Compare(x.DomainID, y.DomainID), cmp.Compare(x.Sequence, y.Sequence))
	})
	r.Took = time.Since(began)
	return r, nil
}

// auditor is one audit.
type auditor struct {
	Options
	js     jetstream.JetStream
	ledger *ledger.Ledger
	report *Report
	findings

	kept    int    // records that the stream keeps of a customer in a state; 0: all
	publish string // the publish stream; "": none
	intake  *intake
	shards  shards

	accepted time.Time // when an operator said last that this ledger is the one to go on with; zero: never
	former   struct {  // what a ledger before that may have known, and this one does not
		announcements, published int
	}
}

func (a *auditor) run(ctx context.Context, progress func(read, last uint64)) error {
	// What was acknowledged is asked first: its records were written before.
	var err error
	if a.intake, err = a.openIntake(ctx); err != nil {
		return err
	}
	if err := a.readLedger(ctx, progress); err != nil {
		return err
	}
	for _, part := range []func(context.Context) error{
		a.checkOverdue,
		a.checkIntake,
		a.checkPublished,
		a.readAgain,
	} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	a.checkCalls()
	a.count()
	return nil
}

// readLedger reads the ledger as far as it goes now.
func (a *auditor) readLedger(ctx context.Context, progress func(read, last uint64)) error {
	stream, err := a.js.Stream(ctx, a.Streams.Ledger)
	if err != nil {
		return err
	}
	info := stream.CachedInfo()
	a.kept, a.publish = int(max(0, info.Config.MaxMsgsPerSubject)), info.Config.Metadata[events.MetadataPublish]
	a.accepted = events.MarkOf(a.Streams.Ledger, info.Created, info.Config.Metadata).Accepted
	last := info.State.LastSeq
	a.report.LastSequence = last
	checkers := map[*shard]*checker{}
	for _, one := range a.shards {
		c := a.checker(func(b Breach) {
			if b.DomainID == 0 {
				a.add(b)
				return
			}
			one.suspects = append(one.suspects, b.DomainID)
		})
		c.counts, c.claims = &one.counts, one.claims
		checkers[one] = c
	}
	feeder := a.shards.feed(func(one *shard, e ledger.Entry) { checkers[one].take(one.families, e) }, func(one *shard) {
		for id, f := range one.families {
			checkers[one].end(id, f)
		}
	})
	next := uint64(0)
	err = a.ledger.Scan(ctx, a.Streams.Ledger, []string{events.SubjectCustomers}, 0, func(e ledger.Entry) bool {
		if e.Sequence > last {
			return false
		}
		feeder.add(e)
		if e.Sequence >= next {
			progress(e.Sequence, last)
			next = e.Sequence + tellEvery
		}
		return e.Sequence < last
	})
	feeder.close()
	progress(last, last)
	return err
}

// readAgain reads each customer who looked wrong once more, from the leader and as of one moment. Only what is wrong then is a breach.
func (a *auditor) readAgain(ctx context.Context) error {
	var suspects []int64
	for _, one := range a.shards {
		suspects = append(suspects, one.suspects...)
	}
	slices.Sort(suspects)
	suspects = slices.Compact(suspects)
	a.report.Ledger.Read = len(suspects)
	asking, ctx := errgroup.WithContext(ctx)
	asking.SetLimit(atOnce)
	var mu sync.Mutex
	for _, id := range suspects {
		asking.Go(func() error {
			f, claims, breaches, err := a.again(ctx, id)
			if err != nil {
				return err
			}
			for _, b := range breaches {
				a.add(b)
			}
			mu.Lock()
			defer mu.Unlock()
			a.shards.replace(id, f, claims)
			return nil
		})
	}
	return asking.Wait()
}

// readTries is how often a customer is read again who looks wrong and was written to meanwhile.
const readTries = 20

// again reads one customer from the stream's leader; nil for no record.
func (a *auditor) again(ctx context.Context, id int64) (f *family, claims []span, breaches []Breach, err error) {
	for range readTries {
		var entries []ledger.Entry
		var settled bool
		if err := insist(ctx, func() (err error) { entries, settled, err = a.ledger.Kept(ctx, id); return err }); err != nil {
			return nil, nil, nil, err
		}
		breaches = nil
		c := a.checker(func(b Breach) { breaches = append(breaches, b) })
		c.counts, c.claims = &LedgerCounts{}, map[int64][]span{}
		all := families{}
		for _, e := range entries {
			c.take(all, e)
		}
		if f = all[id]; f != nil {
			c.end(id, f)
		}
		if claims = c.claims[id]; settled || len(breaches) == 0 {
			break
		}
	}
	return f, claims, breaches, nil
}

// checkOverdue asks about everybody whose time has come long ago what will wake them.
func (a *auditor) checkOverdue(ctx context.Context) error {
	asking, ctx := errgroup.WithContext(ctx)
	asking.SetLimit(atOnce)
	var mu sync.Mutex
	for id, f := range a.shards.all() {
		if !a.overdue(f) {
			continue
		}
		a.report.Ledger.Overdue++
		asking.Go(func() error {
			var attended bool
			err := insist(ctx, func() (err error) { attended, err = a.ledger.Attended(ctx, id, f.sequence); return err })
			delivers, leans := a.delivers(f)
			if err != nil || attended || delivers {
				return err
			}
			b := Breach{RuleOverdue, id, f.sequence, fmt.Sprintf("%s since %s, should have been looked at by %s, and has neither timer nor wake-up",
				f.state(), stamp(f.stored), stamp(f.due))}
			if !leans {
				a.add(b)
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			a.intake.leaning = append(a.intake.leaning, b)
			return nil
		})
	}
	return asking.Wait()
}

// overdue reports a customer who should have been looked at by now.
func (a *auditor) overdue(f *family) bool {
	return (f.now == started || f.now == deferred) && !f.has(foreign) && f.due > 0 && f.due < a.Now().Add(-a.Overdue).UnixNano()
}

// count sums up what all customers come to.
func (a *auditor) count() {
	l := &a.report.Ledger
	for _, one := range a.shards {
		l.add(one.counts)
	}
	for _, f := range a.shards.all() {
		l.Customers++
		if f.has(foreign) {
			continue
		}
		l.States[f.state()]++
		l.Rounds += int(f.round)
		l.Calls += int(f.calls)
		if f.has(shortened) {
			l.Shortened++
		}
		if f.has(unsettled) {
			l.Unsettled++
		}
	}
	if l.Foreign > 0 {
		a.note(fmt.Sprintf("%d records are of a newer worker and were left alone: audit with the newest version", l.Foreign))
	}
	if was := a.former; was.announcements+was.published > 0 {
		a.note(fmt.Sprintf("%d announcements and %d entries of the publish stream are from before %s, when the ledger was accepted as the one to go on with, and are of customers whom it does not know so: "+
			"whether they were lost cannot be told (worker status, worker submit)", was.announcements, was.published, stamp(nanos(a.accepted))))
	}
	if l.Raised > 0 {
		a.note(fmt.Sprintf("%d customers miss old records as if %d or more of a state had been kept at the time, and %d are now: whether all have made way was not checked", l.Raised, usual, a.kept))
	}
	if l.EarlyTakeovers > 0 {
		a.note(fmt.Sprintf("%d claims were taken over up to %s before their end by the server's clock: clocks differ (worker doctor: clock)", l.EarlyTakeovers, a.Skew))
	}
}

// patience is how long a question is asked again that a busy server, or one without a leader, has not answered.
const patience = 30 * time.Second

// insist asks until there is an answer.
func insist(ctx context.Context, ask func() error) error {
	waits := backoff.NewExponentialBackOff(backoff.WithInitialInterval(50*time.Millisecond), backoff.WithMaxElapsedTime(patience))
	return backoff.Retry(func() error {
		err := ask()
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) || errors.Is(err, nats.ErrNoResponders) {
			return err
		}
		if err != nil {
			return backoff.Permanent(err)
		}
		return nil
	}, backoff.WithContext(waits, ctx))
}

// missing reports an error that says that there is no such stream.
func missing(err error) bool { return errors.Is(err, jetstream.ErrStreamNotFound) }

func stamp(ns int64) string { return time.Unix(0, ns).UTC().Format("2006-01-02T15:04:05.000Z") }
