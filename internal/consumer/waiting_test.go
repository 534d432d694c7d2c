package consumer_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"activation-worker/internal/activation"
	"activation-worker/internal/consumer"
	"activation-worker/internal/events"
	"activation-worker/internal/ownership"
	"activation-worker/internal/partnerapi"
	"activation-worker/internal/partnerapi/simulator"
	"activation-worker/internal/quota"
)

// quickly shortens the DNS schedule, so that a test sees days go by.
func quickly(o *consumer.Options, _ *partnerapi.Config) {
	o.Policy.DNS = activation.DNSSchedule{
		WatchFirst: 100 * time.Millisecond, WatchLast: 200 * time.Millisecond,
		Call: []time.Duration{time.Hour}, Visible: []time.Duration{300 * time.Millisecond, 600 * time.Millisecond},
	}
}

// zone is a public DNS in which records appear when a test says so.
type zone struct {
	mu      sync.Mutex
	visible map[string]bool // by domain
	broken  atomic.Bool
	looks   atomic.Int64
}

func (z *zone) set(domain string, visible bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.visible == nil {
		z.visible = map[string]bool{}
	}
	z.visible[domain] = visible
}

func (z *zone) Look(_ context.Context, v ownership.Values) (ownership.Sight, error) {
	z.looks.Add(1)
	if z.broken.Load() {
		return ownership.Sight{Unanswered: []string{"zone: timeout"}}, ownership.ErrUnanswered
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	if !z.visible[v.Domain] {
		return ownership.Sight{}, nil
	}
	seen := v.Records()[:1]
	seen[0].Resolver = "zone"
	return ownership.Sight{Visible: true, Seen: seen}, nil
}

func (z *zone) use(o *consumer.Options, _ *partnerapi.Config) { o.Looker = z }

// unready is a customer whose ownership records the partner does not see.
func (h *house) unready(id int64) string {
	h.t.Helper()
	domain := fmt.Sprintf("shop-%d.example", id)
	h.partner.Add(simulator.Customer{DomainID: id, Domain: domain, Terms: true})
	return domain
}

func reasonIs(reason events.Reason) func(*events.Record) bool {
	return func(r *events.Record) bool { return r.State == events.Deferred && r.Reason == reason }
}

func TestMissingRecordsAreWatchedAndCalledAboutOnceTheyAreVisible(t *testing.T) {
	t.Parallel()
	var z zone
	h := build(t, simulator.Options{}, quickly, z.use)
	domain := h.unready(7501)
	h.start()
	h.announce(7501, "e")
	r := h.await(7501, "waits for DNS", reasonIs(events.DNSUnverified))
	if r.DNS == nil || r.DNS.Domain != domain || len(r.DNS.Wanted) != 2 || len(r.DNS.Seen) != 0 {
		t.Fatalf("dns %+v", r.DNS)
	}
	if wait := time.Until(r.NextAttemptAt); wait < 50*time.Minute {
		t.Errorf("the next call is in %v, wanted about an hour", wait)
	}
	written := r.Sequence
	looks := z.looks.Load()
	eventually(t, "it has been looked at five times more", func() bool { return z.looks.Load() >= looks+5 }, func() string { return "it has not" })
	if r := h.awaitState(7501, events.Deferred); r.Sequence != written {
		t.Errorf("looks that found nothing have written %v", h.states(7501))
	}
	if got := h.counts(7501); got.Activates != 1 {
		t.Errorf("%d activate calls while nothing is visible, wanted one", got.Activates)
	}
	h.partner.SetDNS(7501, true)
	z.set(domain, true)
	r = h.awaitState(7501, events.Activated)
	if got := h.counts(7501); got.Activates != 2 || r.Via != events.ViaActivate {
		t.Errorf("%d activate calls, via %s", got.Activates, r.Via)
	}
	if got, want := h.states(7501), []string{"started", "deferred(dns_unverified)", "deferred(dns_unverified)", "started", "activated"}; !slices.Equal(got, want) {
		t.Errorf("states %v, wanted %v", got, want)
	}
	h.noBreach()
}

func TestAfterTheRecordsBecameVisibleANoIsWaitedOutInSteps(t *testing.T) {
	t.Parallel()
	var z zone
	h := build(t, simulator.Options{}, quickly, z.use)
	domain := h.unready(7502)
	h.start()
	h.announce(7502, "e")
	h.await(7502, "waits for DNS", reasonIs(events.DNSUnverified))
	z.set(domain, true) // we see them, the partner does not yet
	r := h.await(7502, "was called about twice more", func(r *events.Record) bool { return r.Visibility != nil && r.Visibility.Nos == 2 })
	if r.Reason != events.DNSUnverified || r.Calls != 3 {
		t.Errorf("reason %s after %d calls", r.Reason, r.Calls)
	}
	h.partner.SetDNS(7502, true)
	if r := h.awaitState(7502, events.Activated); r.Calls != 4 {
		t.Errorf("%d calls", r.Calls)
	}
	h.noBreach()
}

func TestTheWatchNeverGatesAForcedCall(t *testing.T) {
	t.Parallel()
	var z zone
	z.broken.Store(true) // port 53 is blocked
	h := build(t, simulator.Options{}, quickly, z.use, func(o *consumer.Options, _ *partnerapi.Config) {
		o.Policy.DNS.Call = []time.Duration{500 * time.Millisecond, time.Second}
	})
	h.unready(7503)
	h.start()
	h.announce(7503, "e")
	h.await(7503, "was called about again", func(r *events.Record) bool { return r.Reason == events.DNSUnverified && r.Calls >= 2 })
	h.partner.SetDNS(7503, true)
	h.awaitState(7503, events.Activated)
	h.noBreach()
}

func TestALostLookIsFoundByTheSweep(t *testing.T) {
	t.Parallel()
	var z zone
	h := build(t, simulator.Options{}, quickly, z.use)
	domain := h.unready(7504)
	h.start()
	h.announce(7504, "e")
	h.await(7504, "waits for DNS", reasonIs(events.DNSUnverified))
	h.halt()
	if err := h.ledger.Disarm(t.Context(), 7504); err != nil {
		t.Fatal(err)
	}
	z.set(domain, true)
	h.partner.SetDNS(7504, true)
	h.start()
	h.awaitState(7504, events.Activated)
}

func TestTermsThatAreNotAcceptedAreWaitedFor(t *testing.T) {
	t.Parallel()
	h := build(t, simulator.Options{}, func(o *consumer.Options, _ *partnerapi.Config) {
		o.Policy.Backoff[events.TermsPending] = []time.Duration{200 * time.Millisecond, 400 * time.Millisecond}
	})
	h.partner.Add(simulator.Customer{DomainID: 7505, DNS: true})
	h.start()
	h.announce(7505, "e")
	r := h.await(7505, "waits for the terms", reasonIs(events.TermsPending))
	if r.DNS != nil {
		t.Errorf("dns %+v beside another reason", r.DNS)
	}
	h.partner.SetTerms(7505, true)
	h.awaitState(7505, events.Activated)
	h.noBreach()
}

func TestTheOperatorsTableWins(t *testing.T) {
	t.Parallel()
	h := build(t, simulator.Options{}, func(o *consumer.Options, _ *partnerapi.Config) {
		o.Policy.Table = []activation.Known{{Status: 400, Code: "TERMS", Reason: events.TermsPending}, {Status: 409, Reason: events.Refused}}
		o.Policy.Backoff[events.TermsPending] = []time.Duration{200 * time.Millisecond}
	})
	h.partner.Script(7506, simulator.OpActivate, "400:TERMS")
	h.partner.Script(7507, simulator.OpActivate, "409:WHATEVER")
	h.partner.Script(7508, simulator.OpActivate, "409-applied:WHATEVER")
	h.start()
	for id := int64(7506); id <= 7508; id++ {
		h.announce(id, "e")
	}
	h.awaitState(7506, events.Activated)
	if got, want := h.states(7506), []string{"started", "deferred(terms_pending)", "started", "activated"}; !slices.Equal(got, want) {
		t.Errorf("states %v, wanted %v", got, want)
	}
	if r := h.awaitState(7507, events.Failed); r.Reason != events.Refused {
		t.Errorf("failed as %s", r.Reason)
	}
	if r := h.awaitState(7508, events.Activated); r.Via != events.ViaLookup {
		t.Errorf("an active customer counts, whatever the table says of the answer: via %s", r.Via)
	}
}

// backfilled is an announcement of old.
func (h *house) backfilled(id int64) {
	h.t.Helper()
	h.publish(fmt.Sprintf(`{"specversion":"1.0","type":"signup.terms.accepted","source":"/signup","id":"old-%d","backfill":true,"data":{"domainId":%d}}`, id, id),
		nats.Header{"Content-Type": {"application/cloudevents+json"}})
}

func TestBackfilledAnnouncementsAreLookedUpFirstAndDelayNobody(t *testing.T) {
	t.Parallel()
	h := build(t, simulator.Options{})
	h.partner.Add(simulator.Customer{DomainID: 7600, Terms: true, DNS: true, Active: true})
	h.backfilled(7600)
	h.backfilled(7601)
	h.start()
	r := h.awaitState(7600, events.Activated)
	if got := h.counts(7600); got.Activates != 0 || r.Via != events.ViaLookup || r.Calls != 0 {
		t.Errorf("active before us: %d activate calls, via %s, calls %d", got.Activates, r.Via, r.Calls)
	}
	h.awaitState(7601, events.Activated)
	if got := h.counts(7601); got.Activates != 1 || got.Lookups != 1 {
		t.Errorf("%d activates and %d look-ups, wanted one of each", got.Activates, got.Lookups)
	}
	if got, want := h.states(7601), []string{"deferred(backlog)", "started", "activated"}; !slices.Equal(got, want) {
		t.Errorf("states %v, wanted %v", got, want)
	}
	h.noBreach()
}

func TestAnotherTenantsKeyPausesBeforeItFailsThousands(t *testing.T) {
	t.Parallel()
	const all = 1000
	h := build(t, simulator.Options{})
	h.partner.Script(0, simulator.OpActivate, "403*")
	h.partner.Script(0, simulator.OpCustomer, "403*")
	h.start()
	for id := int64(10001); id <= 10000+all; id++ {
		h.announce(id, "e")
	}
	h.awaitCheck("partner", false, "same no to every customer")
	eventually(t, "the pause is announced", func() bool {
		last, err := h.ledger.LastIntake(t.Context())
		return err == nil && last != nil && last.Subject == events.SubjectIntakePaused && strings.Contains(string(last.Data), consumer.EverybodyRefused)
	}, func() string { return "it is not" })
	hit := 0
	err := h.ledger.Newest(t.Context(), nil, nil, nil, func(r *events.Record) error {
		if r.Reason == events.CustomerNotFound || r.Reason == events.Refused {
			hit++
		}
		return nil
	})
	if err != nil || hit > 10 {
		t.Errorf("%d customers are not found or refused, at most 10 may be; %v", hit, err)
	}
	h.partner.Script(0, simulator.OpActivate)
	h.partner.Script(0, simulator.OpCustomer)
	for id := int64(10001); id <= 10000+all; id++ {
		if r := h.awaitState(id, events.Activated); r.Attempt > 4 {
			t.Errorf("domain %d: attempt %d", id, r.Attempt)
		}
	}
	h.awaitCheck("partner", true, "answers")
	h.noBreach()
}

func TestAPartnerThatAnswersNobodyPausesEverything(t *testing.T) {
	t.Parallel()
	h := build(t, simulator.Options{})
	h.partner.Script(0, simulator.OpActivate, "503*")
	h.partner.Script(0, simulator.OpCustomer, "503*")
	h.partner.Script(0, simulator.OpList, "503*")
	h.start()
	for id := int64(7701); id <= 7760; id++ {
		h.announce(id, "e")
	}
	h.awaitCheck("partner", false, "does not answer anybody")
	calls := 0
	for _, c := range h.partner.Journal().Calls {
		if c.Op == simulator.OpActivate {
			calls++
		}
	}
	if calls > 20 {
		t.Errorf("%d activate calls at a partner that is down", calls)
	}
	h.partner.Script(0, simulator.OpActivate)
	h.partner.Script(0, simulator.OpCustomer)
	h.partner.Script(0, simulator.OpList)
	for id := int64(7701); id <= 7760; id++ {
		h.awaitState(id, events.Activated)
	}
	h.noBreach()
}

func TestAMissingScopeIsProbedByTheOperationThatFailed(t *testing.T) {
	t.Parallel()
	h := build(t, simulator.Options{})
	h.partner.Script(0, simulator.OpActivate, "405*")
	h.start()
	for id := int64(7801); id <= 7820; id++ {
		h.announce(id, "e")
	}
	h.awaitCheck("partner", false, "does not allow this request")
	h.partner.Script(0, simulator.OpActivate)
	for id := int64(7801); id <= 7820; id++ {
		if r := h.awaitState(id, events.Activated); r.Attempt != 1 {
			t.Errorf("domain %d: attempt %d: the pause was counted", id, r.Attempt)
		}
	}
	h.noBreach()
}

func TestOneCustomerNobodyAnswersAboutStopsNobodyElse(t *testing.T) {
	t.Parallel()
	h := build(t, simulator.Options{}, func(o *consumer.Options, _ *partnerapi.Config) {
		o.Policy.Backoff[events.UnknownOutcome] = []time.Duration{20 * time.Millisecond}
	})
	h.partner.Script(7901, simulator.OpActivate, "500*")
	h.partner.Script(7901, simulator.OpCustomer, "500*")
	h.start()
	h.announce(7901, "e")
	h.await(7901, "was looked up in vain a dozen times", func(r *events.Record) bool { return r.Seen[events.UnknownOutcome].Tries > 6 })
	h.announce(7902, "e")
	h.awaitState(7902, events.Activated)
	h.awaitCheck("partner", true, "answers")
}

// A gate that is shut because nobody's activate is answered does not open for a look-up that is.
func TestTheGateOpensForAnAnswerToWhatHadFailed(t *testing.T) {
	t.Parallel()
	h := build(t, simulator.Options{})
	h.partner.Script(0, simulator.OpActivate, "503*")
	h.start() // with no more customers than it takes to shut the gate: the probes are look-ups of those
	for id := int64(7911); id <= 7920; id++ {
		h.announce(id, "e")
	}
	h.awaitCheck("partner", false, "does not answer anybody")
	probes := func() (looked int) {
		for _, c := range h.partner.Journal().Of(0, simulator.OpCustomer) {
			if c.Status == 200 {
				looked++
			}
		}
		return looked
	}
	before := probes()
	eventually(t, "look-ups were answered meanwhile", func() bool { return probes() > before+1 }, func() string { return "they were not" })
	last, err := h.ledger.LastIntake(t.Context())
	if err != nil || last == nil || last.Subject != events.SubjectIntakePaused {
		t.Errorf("the last word is %+v, %v", last, err)
	}
	h.partner.Script(0, simulator.OpActivate)
	for id := int64(7911); id <= 7920; id++ {
		h.awaitState(id, events.Activated)
	}
	h.noBreach()
}

// sickOne is a partner who refuses the look-up of one customer as if it were our fault.
type sickOne struct {
	consumer.Partner
	id int64
}

func (s *sickOne) Customer(ctx context.Context, id int64, call partnerapi.Call) (partnerapi.Customer, error) {
	if id == s.id {
		call.Starting()
		return partnerapi.Customer{}, &partnerapi.Error{Kind: partnerapi.Refused, Status: 405, Sent: 1, RetryAfter: -1}
	}
	return s.Partner.Customer(ctx, id, call)
}

func TestOneCustomersOddAnswerKeepsTheGateShutForNobody(t *testing.T) {
	t.Parallel()
	h := build(t, simulator.Options{}, func(o *consumer.Options, pc *partnerapi.Config) {
		c, err := partnerapi.New(*pc)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		o.Partner = &sickOne{Partner: c, id: 7931}
	})
	h.start()
	h.backfilled(7931)
	h.await(7931, "has paused everything", reasonIs(events.PartnerUnavailable))
	h.announce(7932, "e")
	h.awaitState(7932, events.Activated)
}

// While everybody gets the same no, the no itself is no sign that it is over, whatever becomes of the look-up after it.
func TestTheSameNoDoesNotOpenTheGateItHasShut(t *testing.T) {
	t.Parallel()
	h := build(t, simulator.Options{})
	h.partner.Script(0, simulator.OpActivate, "403*")
	h.partner.Script(0, simulator.OpCustomer, "403*")
	h.start()
	for id := int64(8001); id <= 8030; id++ {
		h.announce(id, "e")
	}
	h.awaitCheck("partner", false, "same no to every customer")
	h.partner.Script(0, simulator.OpCustomer, "503*")
	before := len(h.partner.Journal().Of(0, simulator.OpActivate))
	eventually(t, "two probes were made", func() bool { return len(h.partner.Journal().Of(0, simulator.OpActivate)) >= before+2 }, func() string { return "they were not" })
	last, err := h.ledger.LastIntake(t.Context())
	if err != nil || last == nil || last.Subject != events.SubjectIntakePaused {
		t.Errorf("the last word is %s, %v", last.Subject, err)
	}
}

// Where not all who wait can be served, those with nothing new to tell stand back for hours, and are watched meanwhile;
// so one whose records become visible behind many of them is attempted before nearly all.
func TestForcedCallsGiveWayWhereTheLaneIsFull(t *testing.T) {
	t.Parallel()
	const crowd, first, newcomer = 120, int64(8101), int64(8300)
	var z zone
	var call time.Duration
	var limits quota.Limits
	h := build(t, simulator.Options{}, quickly, z.use, func(o *consumer.Options, _ *partnerapi.Config) {
		o.Policy.DNS.Call = []time.Duration{call}
		o.Pacer = pacer(o.JetStream, limits)
	})
	limits.Concurrency = 3
	call = 24 * time.Hour
	domain := h.unready(newcomer)
	h.start()
	h.announce(newcomer, "e")
	h.await(newcomer, "waits for DNS", reasonIs(events.DNSUnverified))
	h.halt()
	call = 2 * time.Second
	h.start()
	for id := first; id < first+crowd; id++ {
		h.unready(id)
		h.announce(id, "e")
	}
	var due time.Time
	for id := first; id < first+crowd; id++ {
		due = h.await(id, "waits for DNS", reasonIs(events.DNSUnverified)).NextAttemptAt
	}
	h.halt()
	eventually(t, "all are due", func() bool { return time.Now().After(due) }, func() string { return "they are not" })

	call, limits.Peak = 24*time.Hour, quota.Rate{N: 1, Per: 500 * time.Millisecond}
	before := len(h.partner.Journal().Of(0, simulator.OpActivate))
	h.partner.SetDNS(newcomer, true)
	h.start()
	z.set(domain, true)
	h.awaitState(newcomer, events.Activated)
	forced := len(h.partner.Journal().Of(0, simulator.OpActivate)) - before - 1
	t.Logf("%d of %d forced calls came first", forced, crowd)
	if forced > crowd/10 {
		t.Errorf("%d of %d forced calls came first", forced, crowd)
	}
	looks := z.looks.Load()
	gave := func(r *events.Record) bool { return time.Until(r.NextAttemptAt) > 5*time.Hour }
	for id := first; id < first+crowd; id++ {
		h.await(id, "has given way or was called", gave)
	}
	eventually(t, "they are looked at meanwhile", func() bool { return z.looks.Load() > looks+2*crowd }, func() string { return "they are not" })
	h.noBreach()
}
