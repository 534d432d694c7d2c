package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"activation-worker/internal/events"
	"activation-worker/internal/partnerapi/simulator"
)

// logLine is a line of the log in JSON.
type logLine struct {
	Time     time.Time `json:"time"`
	Level    string    `json:"level"`
	Msg      string    `json:"msg"`
	Reason   string    `json:"reason"`
	DomainID int64     `json:"domain_id"`
	Attempt  int       `json:"attempt"`
	Took     string    `json:"took"`
	Repeated int       `json:"repeated"`
}

// logLines is all that a worker has logged.
func (p *proc) logLines() (all []logLine) {
	p.t.Helper()
	for line := range strings.Lines(p.stderr.String()) {
		var l logLine
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			p.t.Errorf("not a line of JSON: %s", line)
			continue
		}
		all = append(all, l)
	}
	return all
}

// TestBinaryOneLineAnOutcome: each customer's outcome is one line, however many end alike, and it says what there is to say.
func TestBinaryOneLineAnOutcome(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	w := startWorker(t, s.env("WORKER_LOG_LEVEL=info")...)
	w.AwaitReady(startTimeout)
	const customers = 9 // refused; ten of them in a row would be trouble of another kind
	for id := int64(51200001); id < 51200001+customers; id++ {
		s.partner.Add(simulator.Customer{DomainID: id, Terms: true, DNS: true})
		s.partner.Script(id, simulator.OpActivate, "400:NOT_ALLOWED")
		s.announce(fmt.Sprintf(`{"domainId":%d}`, id))
	}
	s.customer(51200100)
	s.await(51200100, events.Activated, w)
	for id := int64(51200001); id < 51200001+customers; id++ {
		s.await(id, events.Failed, w)
	}
	w.stop()
	outcomes := map[int64]logLine{}
	for _, l := range w.logLines() {
		if l.Msg != "activation failed" && l.Msg != "customer activated" {
			continue
		}
		if outcomes[l.DomainID].Msg != "" {
			t.Errorf("customer %d has two lines", l.DomainID)
		}
		if l.Attempt != 1 || l.Took == "" || l.Time.IsZero() || l.Repeated != 0 || (l.Reason == "") != (l.Msg == "customer activated") {
			t.Errorf("customer %d: %+v", l.DomainID, l)
		}
		outcomes[l.DomainID] = l
	}
	if len(outcomes) != customers+1 {
		t.Errorf("%d customers have a line, wanted %d", len(outcomes), customers+1)
	}
}

// TestBinarySumsUpWhatRepeats: a flood of bad messages is a line and its sum, and each is recorded all the same.
func TestBinarySumsUpWhatRepeats(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	w := startWorker(t, s.env("WORKER_LOG_LEVEL=info")...)
	w.AwaitReady(startTimeout)
	const floods = 400
	s.publishAll(floods, func(int) *nats.Msg {
		return &nats.Msg{Subject: events.DefaultIntakeSubject, Data: []byte("nonsense")}
	})
	if !eventually(t, workTimeout, func() bool { return s.state("ACTIVATION_REJECTED").Msgs == floods }) {
		t.Fatalf("%d are rejected", s.state("ACTIVATION_REJECTED").Msgs)
	}
	w.stop()
	count, written := 0, 0
	for _, l := range w.logLines() {
		if l.Msg == "announcement rejected" {
			written++
			count += max(1, l.Repeated)
		}
	}
	if count != floods || written > 4 { // one a minute, if the machine is slow
		t.Errorf("%d lines tell of %d rejections, wanted few that tell of %d", written, count, floods)
	}
}

// TestBinaryIsCalmWithoutNATS: some lines say that NATS is away, in words for people, and that is all.
func TestBinaryIsCalmWithoutNATS(t *testing.T) {
	t.Parallel()
	s := newSetUpSite(t)
	w := startWorker(t, s.env("WORKER_LOG_LEVEL=info", "WORKER_SWEEP_INTERVAL=500ms")...)
	w.AwaitReady(startTimeout)
	for id := int64(51200001); id <= 51200020; id++ {
		s.customer(id)
	}
	s.nats.Stop()
	awayAt := len(w.logLines())
	away := 15 * time.Second
	w.awaitSaid("NATS is away, and nothing is sent until it is back")
	pause(t.Context(), away)
	lines := w.logLines()[awayAt:]
	w.Term()
	w.Wait(workTimeout)
	troubles := 0
	for _, l := range lines {
		if l.Level == "warn" || l.Level == "error" {
			troubles++
		}
	}
	if troubles == 0 || troubles > 12 {
		t.Errorf("%d lines of trouble in %s:\n%s", troubles, away, w.stderr.tail())
	}
	if said := w.stderr.String(); strings.Contains(said, "outbound buffer") {
		t.Errorf("says what only the library understands:\n%s", w.stderr.tail())
	}
	t.Logf("%d lines of trouble in %s", troubles, away)
}

func TestConsoleLog(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	log := newLogger("console", zap.NewAtomicLevel(), &b)
	log.Info("hello", zap.Error(fmt.Errorf("x: %w", nats.ErrReconnectBufExceeded)))
	if !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:\d\d)\tinfo\thello\t\{"error": "x: NATS is away, `).MatchString(b.String()) {
		t.Errorf("wrote %q", b.String())
	}
}
