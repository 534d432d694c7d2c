package audit_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"activation-worker/internal/audit"
	"activation-worker/internal/broker"
	"activation-worker/internal/events"
)

// tomorrow lets everything be late.
func tomorrow(o *audit.Options) { o.Now = func() time.Time { return time.Now().Add(24 * time.Hour) } }

// TestThePublishStreamAgrees tampers with the stream that sources the activated events.
func TestThePublishStreamAgrees(t *testing.T) {
	t.Parallel()
	const name = "CUSTOMER"
	for what, c := range map[string]struct {
		tamper   func(*customer, jetstream.Stream)
		breaches int
	}{
		"nothing": {func(c *customer, s jetstream.Stream) { c.announce().succeed().published(s, 2) }, 0},
		"an activation that was not published": {func(c *customer, s jetstream.Stream) {
			c.announce().succeed().published(s, 2)
			c.must(s.Purge(c.ctx(), jetstream.WithPurgeSubject(events.PublishedSubject("51200002"))))
		}, 1},
		"somebody forgotten who is still published": {func(c *customer, s jetstream.Stream) { c.announce().succeed().published(s, 2).forget(true) }, 1},
		"somebody published who was never activated": {func(c *customer, s jetstream.Stream) {
			c.announce().succeed().published(s, 2)
			c.must(c.purge(events.CustomerFamily(c.id)))
			c.accepted = nil
		}, 1},
		"the stream is gone": {func(c *customer, _ jetstream.Stream) {
			c.announce().succeed()
			c.must(c.js.DeleteStream(c.ctx(), name))
		}, 1},
	} {
		t.Run(strings.ReplaceAll(what, " ", "-"), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			_, err := broker.Publish(w.ctx(), w.js, w.layout, name)
			w.must(err)
			stream, err := w.js.Stream(w.ctx(), name)
			w.must(err)
			w.customer().announce().succeed()
			c.tamper(w.customer(), stream)
			want := map[audit.Rule]int{}
			if c.breaches > 0 {
				want[audit.RulePublished] = c.breaches
			}
			w.calls = nil
			wantBreaches(t, w.audit(tomorrow, func(o *audit.Options) { o.Intake = "" }), want)
		})
	}
}

// published waits until so many activations have arrived in the publish stream.
func (c *customer) published(s jetstream.Stream, n uint64) *customer {
	c.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for ctx := c.ctx(); ; {
		info, err := s.Info(ctx)
		c.must(err)
		if info.State.Msgs >= n {
			return c
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			c.t.Fatalf("%d activations are published, want %d", info.State.Msgs, n)
		}
	}
}

// TestANewerWorkersRecordsAreLeftAlone: they are counted, and are no breach.
func TestANewerWorkersRecordsAreLeftAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.customer().announce().slowDown()
	newer := []byte(`{"specversion":"1.0","dataschema":"urn:activation-worker:customer.activation.started/v2","data":{"who":"51200001"}}`)
	w.rawData(events.CustomerSubject(c.id, events.Started), newer, c.r)
	w.rawData("activation.customer.51200002.dreaming", []byte("zzz"), c.r)
	w.acknowledge()
	w.calls = nil
	r := w.audit(tomorrow)
	wantBreaches(t, r, nil)
	if r.Ledger.Foreign != 2 || len(r.Notes) != 1 {
		t.Errorf("%d foreign records, notes %q", r.Ledger.Foreign, r.Notes)
	}
}

// TestAnAnnouncementFromBeforeIsNotAskedFor: what the consumer was not to read, and what could not be kept.
func TestAnAnnouncementFromBeforeIsNotAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(w.js.DeleteConsumer(w.ctx(), intake, events.ConsumerActivator))
	w.customer().announce()
	noConsumer := w.audit()
	wantBreaches(t, noConsumer, nil)
	if len(noConsumer.Notes) != 1 || !strings.Contains(noConsumer.Notes[0], events.ConsumerActivator) {
		t.Errorf("notes %q", noConsumer.Notes)
	}
	from, err := broker.ParseIntakeFrom("new")
	w.must(err)
	w.layout.IntakeFrom = from
	w.must(broker.Ensure(w.ctx(), w.js, w.layout))
	w.customer().announce().succeed()
	w.acknowledge()
	w.calls = nil
	r := w.audit()
	wantBreaches(t, r, nil)
	if r.Intake.Unchecked != 1 || r.Intake.Read != 1 {
		t.Errorf("%+v", r.Intake)
	}
}

// TestALedgerThatChangesWhileItIsRead has no breach, although its oldest records make way all the time.
func TestALedgerThatChangesWhileItIsRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 200 {
		w.customer().announce().succeed()
	}
	var busy []*customer
	for range 3 {
		c := w.customer().announce()
		for range 17 {
			c.slowDown()
		}
		busy = append(busy, c)
	}
	ctx, stop := context.WithCancel(w.ctx())
	defer stop()
	auditing, ctx := errgroup.WithContext(ctx)
	again := 0
	auditing.Go(func() error {
		defer stop()
		for range 5 {
			r, err := audit.Run(ctx, w.js, audit.Options{Streams: w.layout.Streams, Intake: intake}, nil)
			if err != nil {
				return err
			}
			again += r.Ledger.Read
			if r.Breached > 0 {
				return errors.New(string(r.Breaches[0].Rule) + ": " + r.Breaches[0].Text)
			}
		}
		return nil
	})
	for ctx.Err() == nil {
		for _, c := range busy {
			c.slowDown()
		}
	}
	if err := auditing.Wait(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d customers looked wrong at first", again)
}

// TestBreachesAreCountedAll: the list is bounded, the numbers are exact.
func TestBreachesAreCountedAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 20 {
		w.customer().announce()
	}
	w.acknowledge()
	r := w.audit(func(o *audit.Options) { o.Most = 5 })
	if r.Breached != 20 || r.ByRule[audit.RuleLost] != 20 || len(r.Breaches) != 5 {
		t.Errorf("%d breaches, %v, %d listed", r.Breached, r.ByRule, len(r.Breaches))
	}
}

// TestOtherSettingsAreAskedForFirst: with other settings of the intake than the workers have, an event of another type looks
// like an announcement that was lost, and announcing its customer is the last thing to do.
func TestOtherSettingsAreAskedForFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publish(`{"specversion":"1.0","type":"signup.withdrawn","source":"/signup","id":"x","data":{"domainId":51299999}}`)
	w.acknowledge()
	as := func(o *audit.Options) { o.Decoder = events.Decoder{Types: []string{"signup.terms.accepted"}} }
	wantBreaches(t, w.audit(as), nil)
	wantBreaches(t, w.audit(), map[audit.Rule]int{audit.RuleLost: 1})
	do := audit.MeaningOf(audit.RuleLost).Do
	if settings, again := strings.Index(do, "WORKER_INTAKE_TYPE"), strings.Index(do, "submit"); settings < 0 || again < settings {
		t.Errorf("what to do is %q", do)
	}
}
