package operator

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/activation"
	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
)

// kept is a ledger for readers; nil stands for a record of a newer worker.
type kept struct {
	records []*events.Record
	err     error
	reads   int
}

func (k *kept) LastIntake(context.Context) (*ledger.Entry, error) {
	return nil, errors.New("not asked for")
}

func (k *kept) Newest(_ context.Context, _ []events.State, wanted func(*events.Record) bool, foreign func(error), fn func(*events.Record) error) error {
	k.reads++
	for _, r := range k.records {
		if r == nil {
			foreign(events.ErrForeignRecord)
		} else if !wanted(r) {
			continue
		} else if err := fn(r); err != nil {
			return err
		}
	}
	return k.err
}

// quiet is a connection on which nothing is refused.
type quiet struct{ Link }

func (quiet) LastError() error { return nil }

func TestSurvey(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	deferred := func(id int64, late time.Duration) *events.Record {
		return &events.Record{State: events.Deferred, DomainID: id, Reason: events.Transient, NextAttemptAt: now.Add(-late)}
	}
	started := func(id int64, late time.Duration) *events.Record {
		return &events.Record{State: events.Started, DomainID: id, LeaseExpiresAt: now.Add(-late)}
	}
	failed := func(reason events.Reason, status int, code string) *events.Record {
		return &events.Record{State: events.Failed, Reason: reason, Cause: &events.Cause{Operation: "activate", HTTPStatus: status, Code: code}}
	}
	var many, pairs []*events.Record
	for id := range int64(7) {
		many = append(many, deferred(id+1, time.Hour))
	}
	for i := range mostPairs + 1 {
		pairs = append(pairs, failed(events.Refused, 400, fmt.Sprintf("C%03d", i)))
	}
	for name, c := range map[string]struct {
		ledger  kept
		timers  Level
		late    string
		answers Level
		unknown string
	}{
		"nobody":                       {kept{}, OK, "no customer", OK, "in a table"},
		"no ledger yet":                {kept{err: jetstream.ErrStreamNotFound}, OK, "no customer", OK, "in a table"},
		"a ledger that cannot be read": {kept{err: errors.New("disk on fire")}, Fail, "disk on fire", Fail, "disk on fire"},
		"due for as long as may be":    {kept{records: []*events.Record{deferred(1, lateAfter), started(2, lateAfter)}}, OK, "no customer", OK, ""},
		"due for longer":               {kept{records: []*events.Record{deferred(1, lateAfter+1), started(2, lateAfter+1)}}, Fail, "2 customers have been due for more than 2m0s: 1, 2", OK, ""},
		"many are due":                 {kept{records: many}, Fail, "7 customers have been due for more than 2m0s: 1, 2, 3, 4, 5, …", OK, ""},
		"failed ones are never due":    {kept{records: []*events.Record{failed(events.Transient, 429, "X")}}, OK, "", OK, ""},
		"a newer worker's":             {kept{records: []*events.Record{nil}}, Warn, "1 records are of a newer worker", OK, ""},
		"unknown answers": {kept{records: []*events.Record{
			failed(events.Refused, 409, "B"), failed(events.Refused, 400, ""), failed(events.DNSUnverified, 409, "B"), failed(events.Refused, 409, "B"),
		}}, OK, "", Warn, "HTTP 400 without code (1 refused); HTTP 409 B (2 refused, 1 dns_unverified)"},
		"more than are kept": {kept{records: pairs}, OK, "", Warn, "C199 (1 refused); and others"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &Doctor{Link: quiet{}, Records: &c.ledger, Policy: activation.DefaultPolicy(), Now: func() time.Time { return now }}
			var s survey
			timers, answers := s.timers(t.Context(), d), s.answers(t.Context(), d)
			if timers.Level != c.timers || !strings.Contains(timers.Detail, c.late) {
				t.Errorf("timers: %+v", timers)
			}
			if answers.Level != c.answers || !strings.Contains(answers.Detail, c.unknown) {
				t.Errorf("answers: %+v", answers)
			}
			if c.ledger.reads != 1 {
				t.Errorf("the ledger was read %d times", c.ledger.reads)
			}
		})
	}
}
