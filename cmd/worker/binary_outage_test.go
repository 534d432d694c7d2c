package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/broker/brokertest"
	"activation-worker/internal/events"
	"activation-worker/internal/partnerapi/simulator"
)

func TestBinaryNATSAwayAtStart(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	s.nats.Stop()
	w := startWorker(t, s.env()...)
	w.awaitSaid("nats is not reachable")
	w.awaitCheck("nats", false, "NATS_URL")
	if got := w.livez(); got != 200 {
		t.Errorf("/livez is %d while NATS is away, want 200", got)
	}
	if r, err := w.Readyz("exclude=nats,streams,intake,credentials,partner,records"); err != nil || r.Status != 200 || len(r.Checks) != 0 {
		t.Errorf("/readyz without any check is %+v, %v; want 200", r, err)
	}
	s.nats.Restart()
	w.AwaitReady(startTimeout)
	s.customer(51200001)
	s.await(51200001, events.Activated, w)
	w.stop()
}

// TestBinaryNATSRestarts stops NATS in the middle of work.
func TestBinaryNATSRestarts(t *testing.T) {
	t.Parallel()
	const first, customers = 51200001, 60
	s := newSetUpSite(t)
	s.partner.answerAfter(40 * time.Millisecond)
	w := startWorker(t, s.env("WORKER_BACKOFF=unknown_outcome=1s")...)
	w.AwaitReady(startTimeout)
	for i := range int64(customers) {
		s.customer(first + i)
	}
	s.await(first+customers/6, events.Activated, w)
	s.nats.Stop()
	w.awaitCheck("nats", false)
	if got := w.livez(); got != 200 {
		t.Errorf("/livez is %d while NATS is away, want 200", got)
	}
	if applied(s.partner, first, customers) == customers {
		t.Fatal("all work was done before NATS stopped: nothing is tested")
	}
	s.nats.Restart()
	w.AwaitReady(startTimeout)
	for i := range int64(customers) {
		s.await(first+i, events.Activated, w)
	}
	j := s.partner.Journal()
	for _, breach := range j.Check() {
		t.Error(breach)
	}
	w.awaitCheck("intake", true, "0 announcements unread, 0 in hand")
	w.stop()
}

// applied counts the customers that the partner has activated.
func applied(p *partner, first int64, customers int) int {
	n := 0
	for id, counts := range p.Journal().Customers {
		if id >= first && id < first+int64(customers) && counts.Applied > 0 {
			n++
		}
	}
	return n
}

func TestBinaryWithoutJetStream(t *testing.T) {
	t.Parallel()
	s := newSite(t, brokertest.WithoutJetStream())
	w := startWorker(t, s.env()...)
	w.awaitSaid("JetStream")
	w.awaitCheck("nats", true)
	w.awaitCheck("streams", false, "JetStream")
	w.stop()
	invoke(t, "", s.env(), "setup").want(t, exitFailed, "JetStream")
}

// TestBinaryWaitsForForeignIntake: the signup pipeline's stream comes later, under names of its own.
func TestBinaryWaitsForForeignIntake(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := startWorker(t, s.env("WORKER_INTAKE_STREAM=ORDERS", "WORKER_INTAKE_SUBJECT=shop.terms.*", "WORKER_INTAKE_TYPE=shop.terms.v1", "WORKER_INTAKE_DOMAIN_ID=/customer/domainId")...)
	w.awaitCheck("intake", false, "ORDERS")
	w.awaitSaid("ORDERS")
	s.partner.Add(simulator.Customer{DomainID: 51200001, Terms: true, DNS: true})
	if _, err := s.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "ORDERS", Subjects: []string{"shop.>"}}); err != nil {
		t.Fatal(err)
	}
	w.AwaitReady(startTimeout)
	publish := func(subject, eventType string, id int64) {
		body := fmt.Sprintf(`{"specversion":"1.0","id":"%d","source":"/shop","type":%q,"data":{"customer":{"domainId":%d}}}`, id, eventType, id)
		msg := &nats.Msg{Subject: subject, Data: []byte(body), Header: nats.Header{"Content-Type": {events.ContentType}}}
		if _, err := s.js.PublishMsg(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
	}
	publish("shop.paid.jp", "shop.terms.v1", 51200002)
	publish("shop.terms.jp", "shop.terms.v2", 51200003)
	publish("shop.terms.jp", "shop.terms.v1", 51200001)
	s.await(51200001, events.Activated, w)
	w.awaitCheck("intake", true, "0 announcements unread, 0 in hand")
	for _, id := range []int64{51200002, 51200003} {
		if r := s.newest(id); r != nil {
			t.Errorf("an event on another subject or of another type was acted on: %d is %s", id, r.State)
		}
	}
	if said := strings.Count(w.stderr.String(), "cannot take work"); said > 2 {
		t.Errorf("the same trouble was logged %d times", said)
	}
	w.stop()
}

// TestBinaryIntakeWithOtherSubjects: a filter under which nothing can ever arrive is a wrong setting.
func TestBinaryIntakeWithOtherSubjects(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if _, err := s.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "SIGNUP", Subjects: []string{"signup.paid"}}); err != nil {
		t.Fatal(err)
	}
	invoke(t, "", s.env(), "run").want(t, exitFailed, "SIGNUP", "WORKER_INTAKE_SUBJECT")
}

// TestBinaryDangerousLedger: a ledger that would forget customers stops the worker until it is mended.
func TestBinaryDangerousLedger(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	ledger, err := s.js.Stream(t.Context(), "ACTIVATION")
	if err != nil {
		t.Fatal(err)
	}
	config := ledger.CachedInfo().Config
	config.MaxAge, config.Discard = 24*time.Hour, jetstream.DiscardOld
	if _, err := s.js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	invoke(t, "", s.env(), "run").want(t, exitFailed, "worker setup", "stream ACTIVATION", "max age", "24h", "discard")
	invoke(t, "", s.env(), "setup").want(t, exitDone, "max age")
	w := startWorker(t, s.env()...)
	w.AwaitReady(startTimeout)
	w.stop()
}

// TestBinaryBoundToAnotherTenant: credentials of another tenant must not work on this one's ledger.
func TestBinaryBoundToAnotherTenant(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	_, before, _ := strings.Cut(s.partner.Credentials().ServiceAccount, "@")
	s.partner = newPartner(t, simulator.Options{ServiceAccount: "sim02.serviceaccount@hoshi-partners"})
	said := invoke(t, "", s.env(), "run").want(t, exitFailed, "--rebind-partner", before, "hoshi-partners", "LINEWORKS_SERVICE_ACCOUNT", "WORKER_STREAM")
	if strings.Contains(said.stderr, "worker started") {
		t.Error("the worker took up work before it refused")
	}
	invoke(t, "", s.env(), "setup").want(t, exitFailed, "--rebind-partner")
	invoke(t, "", s.env(), "setup", "--check").want(t, exitDrift, "--rebind-partner")
	invoke(t, "", s.env(), "setup", "--rebind-partner").want(t, exitDone, before, "hoshi-partners")
	w := startWorker(t, s.env()...)
	w.AwaitReady(startTimeout)
	s.customer(51200001)
	s.await(51200001, events.Activated, w)
	w.stop()
}
