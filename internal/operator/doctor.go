package operator

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/activation"
	"activation-worker/internal/broker"
	"activation-worker/internal/events"
	"activation-worker/internal/ownership"
	"activation-worker/internal/partnerapi"
	"activation-worker/internal/quota"
)

// Level is how a check came out.
type Level string

// The levels.
const (
	OK      Level = "ok"
	Warn    Level = "warn"    // works, but somebody should look
	Fail    Level = "fail"    // keeps customers from being activated, or soon will
	Skipped Level = "skipped" // could not be checked, and is nobody's fault
)

// Check is what was found about one thing that a worker depends on.
type Check struct {
	Name     string `json:"name"`
	Level    Level  `json:"level"`
	Detail   string `json:"detail"`
	WhatToDo string `json:"whatToDo,omitempty"` // of warn and fail
}

// Link is a connection to NATS.
type Link interface {
	RTT() (time.Duration, error)
	ConnectedUrlRedacted() string
	ConnectedServerVersion() string
	LastError() error
}

// Records reads the ledger.
type Records interface {
	LastIntake
	Newest(ctx context.Context, states []events.State, wanted func(*events.Record) bool, foreign func(error), fn func(*events.Record) error) error
}

// Partner answers whether we may call it.
type Partner interface {
	EnsureToken(ctx context.Context) error
	CanList(ctx context.Context, call partnerapi.Call) error
}

// Looker looks at DNS.
type Looker interface {
	Look(ctx context.Context, v ownership.Values) (ownership.Sight, error)
}

// Doctor looks at everything that a worker depends on. It changes nothing, and asks the partner for at most one token and one
// page of its list, outside of the pace that workers share.
type Doctor struct {
	Connecting error // why there is no connection to NATS: then the next three are not used
	Link       Link
	JetStream  jetstream.JetStream
	Records    Records

	Layout  broker.Layout // with the names filled in
	Partner Partner       // nil: no credentials
	Host    string        // of the partner's API
	Looker  Looker        // nil: DNS is not watched

	DataDir string // of the embedded server; empty where NATS is another's

	Exposed []string // of our settings: which hold secrets that others can read, and what to do

	quota.Limits
	Quota     quota.Store // as all workers share it; not used without a connection
	Simulated bool        // the partner is on this machine, and its limits are nobody's

	Policy activation.Policy
	Now    func() time.Time
	At     func(time.Time) string // writes a time for people
}

// How long checks may take.
const (
	checkTime  = 15 * time.Second
	surveyTime = 10 * time.Minute // it reads a record of every customer who is not active
)

// Examine makes the checks in their order and reports each when it is done. One that fails, or cannot be made, does not
// keep the others from being made. The error is report's, or the cause of ctx's end.
func (d *Doctor) Examine(ctx context.Context, report func(Check) error) error {
	var s survey
	for _, c := range []struct {
		name    string
		needs   func(*Doctor) (reason string) // empty: nothing is missing
		atMost  time.Duration
		examine func(context.Context) Check
	}{
		{"nats", nothing, checkTime, d.nats},
		{"disk", embedded, checkTime, d.disk},
		{"permissions", connection, checkTime, d.permissions},
		{"streams", connection, checkTime, d.streams},
		{"clock", connection, checkTime, d.clock},
		{"secrets", nothing, checkTime, d.secrets},
		{"credentials", credentials, time.Minute, d.credentials},
		{"partner", credentials, time.Minute, d.partner},
		{"dns", nothing, checkTime, d.dns},
		{"quota", nothing, checkTime, d.quota},
		{"intake", connection, checkTime, d.intake},
		{"timers", connection, surveyTime, func(ctx context.Context) Check { return s.timers(ctx, d) }},
		{"answers", connection, surveyTime, func(ctx context.Context) Check { return s.answers(ctx, d) }},
	} {
		check := Check{Level: Skipped}
		if check.Detail = c.needs(d); check.Detail == "" {
			limited, cancel := context.WithTimeout(ctx, c.atMost)
			check = c.examine(limited)
			cancel()
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		check.Name = c.name
		if err := report(check); err != nil {
			return err
		}
	}
	return nil
}

func nothing(*Doctor) string { return "" }

func embedded(d *Doctor) string {
	if d.DataDir == "" {
		return "the records are on the disk of the NATS server"
	}
	return ""
}

func connection(d *Doctor) string {
	if d.Connecting != nil {
		return "not known without a connection to NATS"
	}
	return ""
}

func credentials(d *Doctor) string {
	if d.Partner == nil {
		return "there are no LINEWORKS_ credentials; worker run starts paused without them"
	}
	return ""
}

// unread is the check of something that could not be read.
func unread(err error) Check {
	return Check{Level: Fail, Detail: err.Error(), WhatToDo: "see the check of what it needs, above; run worker doctor again"}
}

// nothingYet reports that there is no stream because no worker has run yet.
func nothingYet(err error) bool { return errors.Is(err, jetstream.ErrStreamNotFound) }
