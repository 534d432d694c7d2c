package consumer_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/activation"
	"activation-worker/internal/audit"
	"activation-worker/internal/consumer"
	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
	"activation-worker/internal/partnerapi"
	"activation-worker/internal/partnerapi/simulator"
	"activation-worker/internal/quota"
)

func TestOneCallAndOneEventWithTheWholeAnswer(t *testing.T) {
	t.Parallel()
	h := build(t, simulator.Options{})
	h.partner.Script(7001, simulator.OpActivate, "unknown-fields+big-numbers")
	h.start()
	h.publish(`{"domainId":"7001","domain":"kawase.example","reference":"order-9","acceptedAt":"2026-11-01T09:00:00+09:00"}`,
		nats.Header{"Traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}})
	r := h.awaitState(7001, events.Activated)
	h.awaitQuiet()
	if got := h.counts(7001); got.Activates != 1 || got.Applied != 1 || got.Lookups != 0 {
		t.Errorf("partner counts %+v, wanted one activate and nothing else", got)
	}
	if got := h.states(7001); !slices.Equal(got, []string{"started", "activated"}) {
		t.Errorf("states %v", got)
	}
	if r.Via != events.ViaActivate || r.Calls != 1 || r.Attempt != 1 || r.Round != 1 || r.Reference != "order-9" || r.Domain != "kawase.example" ||
		!r.AcceptedAt.Equal(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)) || r.TraceParent == "" {
		t.Errorf("record %+v", r)
	}
	if !bytes.Contains(r.Customer, []byte(`"domainId":7001`)) || !bytes.Contains(r.Customer, []byte("privateEmail")) {
		t.Errorf("customer %s", r.Customer)
	}
}

func TestAnnouncedTwiceIsActivatedOnce(t *testing.T) {
	t.Parallel()
	h := build(t, simulator.Options{Latency: 50 * time.Millisecond})
	h.start()
	for i := range 5 {
		h.announce(7002, fmt.Sprint("event-", i%2))
	}
	h.awaitState(7002, events.Activated)
	h.awaitQuiet()
	h.announce(7002, "event-later")
	h.awaitQuiet()
	if got := h.counts(7002); got.Activates != 1 {
		t.Errorf("%d activate calls, wanted one", got.Activates)
	}
	if got := h.states(7002); !slices.Equal(got, []string{"started", "activated"}) {
		t.Errorf("states %v", got)
	}
}

func TestWhatThePartnerAnswersBecomesARecord(t *testing.T) {
	t.Parallel()
	type outcome struct {
		states    []string // "*" for any number of further records
		via       events.Via
		activates int
	}
	tests := map[string]struct {
		faults []simulator.Fault // of activate
		lookup []simulator.Fault
		want   outcome
	}{
		"a lost answer is found by looking": {
			faults: []simulator.Fault{simulator.Lost},
			want:   outcome{[]string{"started", "activated"}, events.ViaLookup, 1},
		},
		"a 500 that was applied is found by looking": {
			faults: []simulator.Fault{simulator.Applied500},
			want:   outcome{[]string{"started", "activated"}, events.ViaLookup, 1},
		},
		"a 500 that was not is looked up twice more before the next call": {
			faults: []simulator.Fault{simulator.Status500},
			want: outcome{
				[]string{"started", "deferred(unknown_outcome)", "started", "deferred(unknown_outcome)", "started", "activated"},
				events.ViaActivate, 2,
			},
		},
		"a 429 with a short hint is repeated within the attempt": {
			faults: []simulator.Fault{"429:reset=1"},
			want:   outcome{[]string{"started", "activated"}, events.ViaActivate, 2},
		},
		"a refusal of an inactive customer is final": {
			faults: []simulator.Fault{"400:SOME_CODE"},
			want:   outcome{[]string{"started", "failed(refused)"}, "", 1},
		},
		"another customer's object is no success": {
			faults: []simulator.Fault{simulator.OtherCustomer},
			want:   outcome{[]string{"started", "*", "activated"}, events.ViaLookup, 1},
		},
		"a 409 for an active customer is a success": {
			faults: []simulator.Fault{"409-applied"},
			want:   outcome{[]string{"started", "activated"}, events.ViaLookup, 1},
		},
		"not found for long is given up": {
			faults: []simulator.Fault{"404*9"}, lookup: []simulator.Fault{"404*9"},
			want: outcome{[]string{"started", "deferred(customer_not_found)", "started", "deferred(customer_not_found)", "started", "deferred(customer_not_found)", "started", "failed(customer_not_found)"}, "", 4},
		},
		"denied for this customer alone is not found": {
			faults: []simulator.Fault{"403*9"}, lookup: []simulator.Fault{"403*9"},
			want: outcome{[]string{"started", "deferred(customer_not_found)", "*"}, "", 4},
		},
		"an expired token is renewed once": {
			faults: []simulator.Fault{"401:UNAUTHORIZED"},
			want:   outcome{[]string{"started", "activated"}, events.ViaActivate, 2},
		},
		"a redirect to a strange host waits": {
			faults: []simulator.Fault{simulator.RedirectStrange},
			want:   outcome{[]string{"started", "deferred(transient)", "started", "activated"}, events.ViaActivate, 2},
		},
	}
	h := build(t, simulator.Options{})
	ids := map[string]int64{}
	next := int64(7100)
	for name, tt := range tests {
		ids[name] = next
		h.partner.Script(next, simulator.OpActivate, tt.faults...)
		h.partner.Script(next, simulator.OpCustomer, tt.lookup...)
		next++
	}
	h.start()
	for name, id := range ids {
		h.announce(id, name)
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := *h
			h.t = t
			id := ids[name]
			r := h.await(id, "is done", func(r *events.Record) bool { return r.State == events.Activated || r.State == events.Failed })
			if got := h.states(id); !matches(got, tt.want.states) {
				t.Errorf("states %v, wanted %v", got, tt.want.states)
			}
			if r.Via != tt.want.via {
				t.Errorf("via %q, wanted %q", r.Via, tt.want.via)
			}
			if got := h.counts(id).Activates; got != tt.want.activates || r.Calls != got {
				t.Errorf("%d activate calls arrived and %d are recorded, wanted %d", got, r.Calls, tt.want.activates)
			}
		})
	}
	h.noBreach()
}

func matches(got, want []string) bool {
	if i := slices.Index(want, "*"); i >= 0 {
		tail := want[i+1:]
		return len(got) >= i+len(tail) && slices.Equal(got[:i], want[:i]) && slices.Equal(got[len(got)-len(tail):], tail)
	}
	return slices.Equal(got, want)
}

func TestAFailedCustomerAnnouncedAnewStartsARound(t *testing.T) {
	t.Parallel()
	h := build(t, simulator.Options{})
	h.partner.Script(7003, simulator.OpActivate, "400")
	h.start()
	h.announce(7003, "first")
	h.awaitState(7003, events.Failed)
	h.announce(7003, "first") // the same event: nothing new
	h.awaitQuiet()
	h.announce(7003, "second")
	r := h.awaitState(7003, events.Activated)
	if r.Round != 2 || r.Attempt != 1 || r.Calls != 2 {
		t.Errorf("round %d, attempt %d, calls %d", r.Round, r.Attempt, r.Calls)
	}
}

func TestALargeAnswerIsASuccessWithoutItsObject(t *testing.T) {
	t.Parallel()
	h := build(t, simulator.Options{})
	h.partner.Script(7004, simulator.OpActivate, "huge=2MiB")
	h.start()
	h.announce(7004, "e")
	r := h.awaitState(7004, events.Activated)
	if string(r.Customer) != "null" || r.CustomerOmitted < 2<<20 || r.Via != events.ViaActivate {
		t.Errorf("customer %.100s, omitted %d, via %s", r.Customer, r.CustomerOmitted, r.Via)
	}
}

func TestUndecodableIsRejectedWithItsOriginalAndNeverComesAgain(t *testing.T) {
	t.Parallel()
	h := build(t, simulator.Options{})
	bodies := []string{
		`{"domainId":0}`, `{"domainId":-1}`, `{"domainId":9223372036854775808}`, `{"domainId":5.0}`, `{"domainId":1e3}`, `{"domainId":"*"}`, `{"domainId":">"}`,
		`{"domainId":1,"domainId":1}`, `{}`, `[]`, ``, `{"domainId":1} x`, "{\"domainId\":1,\"a\":\"\xff\"}", `null`, `{"domainId":1`,
	}
	sequences := map[uint64]string{}
	for _, body := range bodies {
		sequences[h.publish(body, nil)] = body
	}
	h.publish(`{"specversion":"1.0","id":"x"}`, nats.Header{"Content-Type": {"application/cloudevents+json"}})
	h.start()
	h.announce(7005, "good") // the rest of the work goes on
	h.awaitState(7005, events.Activated)
	h.awaitQuiet()
	rejected := 0
	err := h.ledger.Rejections(t.Context(), func(e ledger.Entry) error {
		rejected++
		r, err := events.DecodeRejection(e.Data)
		if err != nil {
			return err
		}
		data, err := base64.StdEncoding.DecodeString(r.Original.DataBase64)
		if body, ok := sequences[r.Original.Sequence]; err != nil || ok && string(data) != body {
			t.Errorf("original %q, wanted %q", data, body)
		}
		return nil
	})
	if err != nil || rejected != len(bodies)+1 {
		t.Errorf("%d rejected, wanted %d: %v", rejected, len(bodies)+1, err)
	}
}

// claimedBy writes a started record of another worker.
func (h *house) claimedBy(worker string, domainID int64, lease time.Duration, mods ...func(*events.Record)) *events.Record {
	h.t.Helper()
	now := time.Now()
	r := activation.Start(activation.Claim, nil, &events.Accepted{DomainID: domainID, AcceptedAt: now, Event: events.EventRef{ID: "of another", Stream: "SIGNUP", Sequence: 1, StoredAt: now}},
		domainID, activation.Claimant{Worker: worker, LeaseExpiresAt: now.Add(lease)}, now)
	for _, mod := range mods {
		mod(r)
	}
	claim, err := h.ledger.Claim(h.t.Context(), r, 0)
	if err != nil {
		h.t.Fatal(err)
	}
	return claim
}

func TestAnExpiredLeaseIsTakenOverAndLookedUpFirst(t *testing.T) {
	t.Parallel()
	for name, applied := range map[string]bool{"the dead worker's call was applied": true, "it was not": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := build(t, simulator.Options{})
			h.partner.Add(simulator.Customer{DomainID: 7006, Terms: true, DNS: true, Active: applied})
			h.claimedBy("dead", 7006, 300*time.Millisecond)
			h.start()
			h.announce(7006, "e")
			r := h.awaitState(7006, events.Activated)
			calls := h.partner.Journal().Of(7006, "")
			if len(calls) == 0 || calls[0].Op != simulator.OpCustomer {
				t.Fatalf("the first request was not a look-up: %+v", calls)
			}
			if applied && (r.Via != events.ViaLookup || r.Calls != 1 || h.counts(7006).Activates != 0) {
				t.Errorf("via %s, %d calls, %d arrived", r.Via, r.Calls, h.counts(7006).Activates)
			}
			if !applied && (r.Via != events.ViaActivate || r.Calls != 2 || h.counts(7006).Lookups < 2) {
				t.Errorf("via %s, %d calls, %d look-ups", r.Via, r.Calls, h.counts(7006).Lookups)
			}
			if len(h.states(7006)) < 3 {
				t.Errorf("states %v", h.states(7006))
			}
		})
	}
}

func TestAnExpiredLeaseWithoutAMessageIsFoundByTheSweep(t *testing.T) {
	t.Parallel()
	h := build(t, simulator.Options{})
	h.claimedBy("dead", 7007, 100*time.Millisecond)
	h.start()
	r := h.awaitState(7007, events.Activated)
	if r.Calls != 2 {
		t.Errorf("%d calls recorded, wanted the presumed one and ours", r.Calls)
	}
}

func TestALostTimerIsArmedAgainByTheSweep(t *testing.T) {
	t.Parallel()
	h := build(t, simulator.Options{})
	claim := h.claimedBy("dead", 7008, time.Minute)
	next := activation.Conclude(claim, []activation.Answer{{Operation: activation.Activate, Kind: activation.NotSent, RetryAfter: -1}},
		activation.Verdict{State: events.Deferred, Reason: events.Transient}, activation.DefaultPolicy(), time.Now().Add(-time.Minute), 0)
	if _, err := h.ledger.Record(t.Context(), next, claim.Sequence); err != nil { // and no timer
		t.Fatal(err)
	}
	h.start()
	h.awaitState(7008, events.Activated)
}

// overtaken is a partner during whose call somebody else writes.
type overtaken struct {
	consumer.Partner
	once sync.Once
	do   func()
}

func (o *overtaken) Activate(ctx context.Context, id int64, call partnerapi.Call) (partnerapi.Customer, error) {
	c, err := o.Partner.Activate(ctx, id, call)
	o.once.Do(o.do)
	return c, err
}

func TestAnOvertakenClaimDropsItsAnswer(t *testing.T) {
	t.Parallel()
	h := build(t, simulator.Options{})
	h.change = append(h.change, func(o *consumer.Options, pc *partnerapi.Config) {
		client, err := partnerapi.New(*pc)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.Close)
		o.Partner = &overtaken{Partner: client, do: func() {
			r, err := h.ledger.Load(context.Background(), 7009)
			if err != nil {
				t.Error(err)
				return
			}
			now := time.Now()
			rival := activation.Start(activation.TakeOver, r, nil, 7009, activation.Claimant{Worker: "rival", LeaseExpiresAt: now.Add(500 * time.Millisecond)}, now)
			if _, err := h.ledger.Claim(context.Background(), rival, r.Sequence); err != nil {
				t.Error(err)
			}
		}}
	})
	h.start()
	h.announce(7009, "e")
	r := h.awaitState(7009, events.Activated)
	if r.Via != events.ViaLookup || h.counts(7009).Activates != 1 {
		t.Errorf("via %s, %d activate calls: the rival's claim was not respected", r.Via, h.counts(7009).Activates)
	}
	if got := h.states(7009); !slices.Equal(got, []string{"started", "started", "started", "activated"}) {
		t.Errorf("states %v", got)
	}
	h.awaitQuiet()
	h.noBreach(audit.RuleLease) // the rival did not wait for the end
}

func TestRefusedCredentialsPauseTheIntakeAndFailNobody(t *testing.T) {
	t.Parallel()
	h := build(t, simulator.Options{})
	h.start()
	h.announce(7010, "before")
	h.awaitState(7010, events.Activated)
	h.partner.SetCredentialsValid(false)
	h.partner.RevokeTokens()
	for id := int64(7011); id < 7031; id++ {
		h.announce(id, "during")
	}
	eventually(t, "the pause is announced", func() bool {
		last, err := h.ledger.LastIntake(t.Context())
		return err == nil && last != nil && last.Subject == events.SubjectIntakePaused
	}, func() string { return "nothing is announced" })
	checks := h.worker.Checks(t.Context())
	for _, c := range checks {
		if (c.Name == "credentials" || c.Name == "intake") == c.OK {
			t.Errorf("check %+v", c)
		}
	}
	tokens := h.partner.Journal().TokenRequests
	h.partner.SetCredentialsValid(true)
	for id := int64(7011); id < 7031; id++ {
		r := h.awaitState(id, events.Activated)
		if r.Attempt != 1 {
			t.Errorf("domain %d: attempt %d: the pause was counted", id, r.Attempt)
		}
		for _, s := range h.states(id) {
			if strings.HasPrefix(s, "failed") {
				t.Errorf("domain %d went through %v", id, h.states(id))
			}
		}
	}
	if tokens > 15 {
		t.Errorf("%d token requests within moments", tokens)
	}
	eventually(t, "the return is announced", func() bool {
		last, err := h.ledger.LastIntake(t.Context())
		return err == nil && last.Subject == events.SubjectIntakeResumed
	}, func() string { return "it is not" })
}

func TestWithoutCredentialsNothingIsTaken(t *testing.T) {
	t.Parallel()
	h := build(t, simulator.Options{}, func(o *consumer.Options, _ *partnerapi.Config) { o.Partner = nil })
	h.change = append(h.change, func(o *consumer.Options, _ *partnerapi.Config) { o.Partner = nobody{} })
	h.start()
	h.announce(7032, "e")
	eventually(t, "the pause is announced", func() bool {
		last, err := h.ledger.LastIntake(t.Context())
		return err == nil && last != nil && last.Subject == events.SubjectIntakePaused
	}, func() string { return "nothing is announced" })
	eventually(t, "it stays unread", func() bool {
		cons, err := h.js.Consumer(t.Context(), "SIGNUP", events.ConsumerActivator)
		return err == nil && cons.CachedInfo().NumPending == 1 && cons.CachedInfo().NumAckPending == 0
	}, func() string { return "it does not" })
}

// nobody is a partner that no token can be had for.
type nobody struct{ consumer.Partner }

func (nobody) EnsureToken(context.Context) error {
	return &partnerapi.Error{Op: partnerapi.OpToken, Kind: partnerapi.Token, Credentials: true, RetryAfter: -1}
}

func TestStoppingLetsARequestEndAndRecordsIt(t *testing.T) {
	t.Parallel()
	h := build(t, simulator.Options{})
	h.partner.Script(7033, simulator.OpActivate, "slow=600ms")
	h.partner.Script(7034, simulator.OpActivate, "slow=600ms+500")
	h.start()
	h.announce(7033, "e")
	h.announce(7034, "e")
	eventually(t, "both requests are on their way", func() bool {
		return h.counts(7033).Activates == 1 && h.counts(7034).Activates == 1
	}, func() string { return "they are not" })
	h.halt()
	if got := h.states(7033); !slices.Equal(got, []string{"started", "activated"}) {
		t.Errorf("states %v", got)
	}
	if got := h.states(7034); !slices.Equal(got, []string{"started", "deferred(unknown_outcome)"}) {
		t.Errorf("states %v: what needs another request is deferred", got)
	}
	if h.counts(7034).Lookups != 0 {
		t.Error("a request was started after the stop")
	}
}

func (h *house) resize(bytes int64) {
	h.t.Helper()
	s, err := h.js.Stream(h.t.Context(), "ACTIVATION")
	if err != nil {
		h.t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	cfg.MaxBytes = bytes
	if _, err := h.js.UpdateStream(h.t.Context(), cfg); err != nil {
		h.t.Fatal(err)
	}
}

func TestAFullLedgerTakesNoClaimAndHeals(t *testing.T) {
	t.Parallel()
	h := build(t, simulator.Options{})
	h.resize(100 << 10)
	h.start()
	h.announce(7035, "e")
	eventually(t, "readiness says that there is no room", func() bool {
		for _, c := range h.worker.Checks(t.Context()) {
			if c.Name == "streams" && !c.OK && strings.Contains(c.Detail, "WORKER_STREAM_MAX_BYTES") {
				return true
			}
		}
		return false
	}, func() string { return "it does not" })
	if h.counts(7035).Activates != 0 || len(h.states(7035)) != 0 {
		t.Error("a claim was made without room for its outcome")
	}
	h.resize(100 << 20)
	h.awaitState(7035, events.Activated)
}

func TestNATSAwayInTheMiddleLosesNothing(t *testing.T) {
	t.Parallel()
	h := build(t, simulator.Options{})
	h.partner.Script(7036, simulator.OpActivate, "slow=700ms")
	h.start()
	h.announce(7036, "e")
	eventually(t, "the request is on its way", func() bool { return h.counts(7036).Activates == 1 }, func() string { return "it is not" })
	h.nats.Stop()
	h.nats.Restart()
	h.awaitState(7036, events.Activated)
	h.announce(7037, "e")
	h.awaitState(7037, events.Activated)
	if h.counts(7036).Activates != 1 {
		t.Error("the call was repeated in place of the write")
	}
	h.noBreach()
}

func TestARecordOfANewerWorkerIsLeftUntouchedAndNamed(t *testing.T) {
	t.Parallel()
	h := build(t, simulator.Options{})
	if _, err := h.js.Publish(t.Context(), "activation.customer.7038.dreaming", []byte(`{"specversion":"1.0"}`)); err != nil {
		t.Fatal(err)
	}
	h.start()
	h.announce(7038, "e")
	eventually(t, "readiness names it", func() bool {
		for _, c := range h.worker.Checks(t.Context()) {
			if c.Name == "records" && !c.OK && strings.Contains(c.Detail, "7038") {
				return true
			}
		}
		return false
	}, func() string { return "it does not" })
	entries, err := h.ledger.History(t.Context(), 7038)
	if err != nil || len(entries) != 1 {
		t.Errorf("%d records, wanted the one: %v", len(entries), err)
	}
}

func TestConsumersThatAreDeletedAreMadeAgain(t *testing.T) {
	t.Parallel()
	h := build(t, simulator.Options{})
	h.start()
	h.announce(7039, "e")
	h.awaitState(7039, events.Activated)
	for stream, name := range map[string]string{"SIGNUP": events.ConsumerActivator, "ACTIVATION_WORK": events.ConsumerDue} {
		if err := h.js.DeleteConsumer(t.Context(), stream, name); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			t.Fatal(err)
		}
	}
	h.announce(7040, "e")
	h.awaitState(7040, events.Activated)
	if h.counts(7039).Activates != 1 {
		t.Error("what was read again was called again")
	}
}

func TestPaceAndConcurrencyAreKeptAtThePartner(t *testing.T) {
	t.Parallel()
	const customers, most, window = 45, 15, 2 * time.Second
	h := build(t, simulator.Options{Latency: 5 * time.Millisecond}, func(o *consumer.Options, _ *partnerapi.Config) {
		o.Pacer = pacer(o.JetStream, quota.Limits{Peak: quota.Rate{N: most, Per: window}, Concurrency: 3})
	})
	for id := int64(7500); id < 7500+customers; id++ {
		if id%5 == 0 { // a repeat is a request too
			h.partner.Script(id, simulator.OpActivate, "401:UNAUTHORIZED")
		}
	}
	h.start()
	for id := int64(7500); id < 7500+customers; id++ {
		h.announce(id, "e")
	}
	for id := int64(7500); id < 7500+customers; id++ {
		h.awaitState(id, events.Activated)
	}
	j := h.partner.Journal()
	if peak := j.Peak(simulator.OpActivate, window); peak > most || peak < most-3 {
		t.Errorf("%d activate calls arrived within %v, allowed are %d", peak, window, most)
	}
	if j.MaxConcurrent > 3 {
		t.Errorf("%d requests at once, allowed are 3", j.MaxConcurrent)
	}
}

// Where the partner has less left than we believe, its headers tell before a 429 does.
func TestThePartnersOwnCountIsHeeded(t *testing.T) {
	t.Parallel()
	const most, customers, atOnce = 15, 25, 3
	h := build(t, simulator.Options{RatePerMinute: most}, func(o *consumer.Options, _ *partnerapi.Config) {
		o.Pacer = pacer(o.JetStream, quota.Limits{Peak: quota.Rate{N: 240, Per: time.Minute}, Concurrency: atOnce})
	})
	h.start()
	for id := int64(7600); id < 7600+customers; id++ {
		h.announce(id, "e")
	}
	activates := func() (n int) {
		for _, c := range h.partner.Journal().Calls {
			if c.Op == simulator.OpActivate {
				n++
			}
			if c.Status == 429 {
				t.Errorf("%s of %d was one too many", c.Op, c.DomainID)
			}
		}
		return n
	}
	// What is under way with an answer may be counted in it or not: so many may be left out.
	eventually(t, "what the partner has left in this minute is used", func() bool { return activates() > most-atOnce }, func() string { return fmt.Sprint(activates()) })
}
