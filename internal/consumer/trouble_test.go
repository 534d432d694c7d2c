package consumer_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"activation-worker/internal/broker"
	"activation-worker/internal/broker/brokertest"
	"activation-worker/internal/consumer"
	"activation-worker/internal/events"
	"activation-worker/internal/partnerapi/simulator"
	"activation-worker/internal/repeats"
)

// awaitCheck waits until a line of readiness is as wanted and says something.
func (h *house) awaitCheck(name string, ok bool, text string) {
	h.t.Helper()
	var last consumer.Check
	eventually(h.t, fmt.Sprintf("check %s is %v and says %q", name, ok, text), func() bool {
		for _, c := range h.worker.Checks(h.t.Context()) {
			if c.Name == name {
				last = c
			}
		}
		return last.OK == ok && strings.Contains(last.Detail, text)
	}, func() string { return fmt.Sprintf("it is %+v", last) })
}

// A new ledger would know nobody who is active: it is made only where an operator says so.
func TestALedgerThatIsGoneHaltsWork(t *testing.T) {
	t.Parallel()
	h := build(t, simulator.Options{})
	core, logs := observer.New(zap.InfoLevel)
	h.log = zap.New(core)
	h.start()
	h.announce(7201, "e")
	h.awaitState(7201, events.Activated)
	if err := h.js.DeleteStream(t.Context(), "ACTIVATION"); err != nil {
		t.Fatal(err)
	}
	calls := len(h.partner.Journal().Calls)
	for id := int64(7202); id < 7262; id++ {
		h.announce(id, "e")
	}
	h.awaitCheck("streams", false, "--accept-ledger")
	before := logs.Len()
	if got := len(h.partner.Journal().Calls); got != calls {
		t.Errorf("%d requests to the partner without a ledger", got-calls)
	}
	if _, err := h.js.Stream(t.Context(), "ACTIVATION"); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("the ledger was made anew: %v", err)
	}
	if _, err := broker.Accept(t.Context(), h.js, h.layout); err != nil {
		t.Fatal(err)
	}
	for id := int64(7202); id < 7262; id++ {
		h.awaitState(id, events.Activated)
	}
	h.awaitCheck("streams", true, "there")
	if before > 20 {
		t.Errorf("%d log lines while the ledger was away: %+v", before, logs.All()[:20])
	}
}

// Whoever reads the log finds how it stands now, also where the second pause follows soon and says what the first has said.
func TestEachPauseIsLogged(t *testing.T) {
	t.Parallel()
	h := build(t, simulator.Options{})
	core, logs := observer.New(zap.InfoLevel)
	h.log = zap.New(repeats.Wrap(core))
	h.start()
	said := func() (lines []string) {
		for _, line := range logs.All() {
			if strings.HasPrefix(line.Message, "intake ") {
				lines = append(lines, line.Message)
			}
		}
		return lines
	}
	for i := range 2 {
		h.partner.SetCredentialsValid(false)
		h.partner.RevokeTokens()
		h.announce(7420+int64(i), "e")
		h.awaitCheck("credentials", false, "")
		eventually(t, "the pause is logged", func() bool { return len(said()) == 2*i+1 }, func() string { return fmt.Sprint(said()) })
		h.partner.SetCredentialsValid(true)
		h.awaitState(7420+int64(i), events.Activated)
		eventually(t, "its end is logged", func() bool { return len(said()) == 2*i+2 }, func() string { return fmt.Sprint(said()) })
	}
}

func TestEachHaltIsLogged(t *testing.T) {
	t.Parallel()
	h := build(t, simulator.Options{})
	core, logs := observer.New(zap.InfoLevel)
	h.log = zap.New(repeats.Wrap(core))
	h.start()
	h.announce(7430, "e")
	h.awaitState(7430, events.Activated)
	for i := range 2 {
		if err := h.js.DeleteStream(t.Context(), "ACTIVATION"); err != nil {
			t.Fatal(err)
		}
		h.announce(7431, "e")
		h.awaitCheck("streams", false, "--accept-ledger")
		eventually(t, "the halt is logged", func() bool { return logs.FilterMessageSnippet("work is halted").Len() == i+1 }, func() string { return fmt.Sprint(logs.All()) })
		if _, err := broker.Accept(t.Context(), h.js, h.layout); err != nil {
			t.Fatal(err)
		}
		h.awaitCheck("streams", true, "there")
	}
}

func TestBadInputDoesNotStopTheIntakeWhenRejectionsCannotBeRecorded(t *testing.T) {
	t.Parallel()
	h := build(t, simulator.Options{})
	h.start()
	h.announce(7270, "e")
	h.awaitState(7270, events.Activated)
	if err := h.js.DeleteStream(t.Context(), "ACTIVATION_REJECTED"); err != nil {
		t.Fatal(err)
	}
	for range 8 {
		h.publish("{}", nil)
	}
	h.announce(7271, "e")
	h.awaitState(7271, events.Activated)
	eventually(t, "all are rejected", func() bool {
		s, err := h.js.Stream(t.Context(), "ACTIVATION_REJECTED")
		return err == nil && s.CachedInfo().State.Msgs == 8
	}, func() string { return "they are not" })
}

func TestDeliveriesThatRestDoNotCountAsAttempts(t *testing.T) {
	t.Parallel()
	h := build(t, simulator.Options{})
	h.layout.MaxBytes = 20 << 20
	h.resize(20 << 20)
	for id := int64(7300); id < 7400; id++ { // records that must be left alone, whose announcements come again and again
		if _, err := h.js.Publish(t.Context(), fmt.Sprintf("activation.customer.%d.dreaming", id), []byte(`{"specversion":"1.0"}`)); err != nil {
			t.Fatal(err)
		}
		h.announce(id, "e")
	}
	h.start()
	h.announce(7400, "e")
	h.awaitState(7400, events.Activated)
}

func TestTheIntakeResumesAlsoWhereItsPauseMayNotBeAnnounced(t *testing.T) {
	t.Parallel()
	server := brokertest.Start(t, brokertest.WithConfig(`authorization { users = [
		{ user: worker, password: worker, permissions: { publish: { allow: [">"], deny: ["activation.intake.>"] } } }
	] }`))
	h := buildOn(t, server, simulator.Options{})
	h.start()
	h.announce(7410, "e")
	h.awaitState(7410, events.Activated)
	h.partner.SetCredentialsValid(false)
	h.partner.RevokeTokens()
	h.announce(7411, "e")
	h.awaitCheck("credentials", false, "")
	h.partner.SetCredentialsValid(true)
	h.awaitState(7411, events.Activated)
}
