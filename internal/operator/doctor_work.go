package operator

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"activation-worker/internal/activation"
	"activation-worker/internal/events"
	"activation-worker/internal/ledger"
)

func (d *Doctor) intake(ctx context.Context) Check {
	var in Intake
	err := d.ask(ctx, probeTime, func(ctx context.Context) (err error) {
		in, err = ReadIntake(ctx, d.JetStream, d.Records, d.Layout.IntakeStream, d.Layout.Streams)
		return err
	})
	if err != nil {
		return unread(err)
	}
	c := Check{Level: OK}
	if c.Detail, c.WhatToDo = in.Sentence(d.At); c.WhatToDo != "" {
		c.Level = Fail
	}
	return c
}

// survey is what the newest records of all customers who are not active say. They are read once for all checks.
type survey struct {
	read bool
	err  error

	overdue []int64 // the first few
	late    int     // how many
	foreign int

	unknown map[answer]map[events.Reason]int
	more    bool // there are further pairs
}

// answer is what the partner said.
type answer struct {
	status int
	code   string
}

const (
	// lateAfter is how long a customer may be due: a wake-up waits its turn, and the sweep finds lost ones.
	lateAfter = 2 * time.Minute
	// shownIDs is how many customers are named.
	shownIDs = 5
	// mostPairs bounds what others can make us remember.
	mostPairs = 200
)

func (s *survey) take(ctx context.Context, d *Doctor) error {
	if s.read {
		return s.err
	}
	s.read, s.unknown = true, map[answer]map[events.Reason]int{}
	now := d.Now()
	// Of the claims that are over, most are seen to be so by the activated record that follows.
	states := []events.State{events.Deferred, events.Started, events.Failed, events.Activated}
	wanted := func(r *events.Record) bool {
		return r.State != events.Activated && (late(r, now) || !d.Policy.Knows(r.Cause))
	}
	s.err = d.ask(ctx, surveyTime, func(ctx context.Context) error {
		return d.Records.Newest(ctx, states, wanted, func(error) { s.foreign++ }, func(r *events.Record) error {
			s.look(r, d.Policy, now)
			return nil
		})
	})
	if nothingYet(s.err) {
		s.err = nil
	}
	return s.err
}

func late(r *events.Record, now time.Time) bool {
	due, waits := ledger.DueAt(r)
	return waits && now.Sub(due) > lateAfter
}

func (s *survey) look(r *events.Record, p activation.Policy, now time.Time) {
	if late(r, now) {
		if s.late++; len(s.overdue) < shownIDs {
			s.overdue = append(s.overdue, r.DomainID)
		}
	}
	if !p.Knows(r.Cause) {
		s.note(answer{r.Cause.HTTPStatus, r.Cause.Code}, r.Reason)
	}
}

func (s *survey) note(a answer, reason events.Reason) {
	if s.unknown[a] == nil {
		if len(s.unknown) >= mostPairs {
			s.more = true
			return
		}
		s.unknown[a] = map[events.Reason]int{}
	}
	s.unknown[a][reason]++
}

// timers finds customers whose time has come and whom nobody attends to.
func (s *survey) timers(ctx context.Context, d *Doctor) Check {
	switch err := s.take(ctx, d); {
	case err != nil:
		return unread(err)
	case s.late == 0 && s.foreign > 0:
		return Check{
			Level: Warn, Detail: fmt.Sprintf("no customer is overdue, but %d records are of a newer worker, and are left alone by this one", s.foreign),
			WhatToDo: "use the newest version of the worker everywhere",
		}
	case s.late == 0:
		return Check{Level: OK, Detail: "no customer is overdue"}
	}
	ids := make([]string, 0, len(s.overdue))
	for _, id := range s.overdue {
		ids = append(ids, strconv.FormatInt(id, 10))
	}
	if s.late > len(ids) {
		ids = append(ids, "…")
	}
	return Check{
		Level:    Fail,
		Detail:   fmt.Sprintf("%d customers have been due for more than %s: %s", s.late, lateAfter, strings.Join(ids, ", ")),
		WhatToDo: "see that a worker is taking work (intake, above); while one is paused they wait for it, else its sweep finds them within WORKER_SWEEP_INTERVAL",
	}
}

// answers lists what the partner said to activations and no table knows.
func (s *survey) answers(ctx context.Context, d *Doctor) Check {
	if err := s.take(ctx, d); err != nil {
		return unread(err)
	}
	if len(s.unknown) == 0 {
		return Check{Level: OK, Detail: "every refusal of an activation is in a table"}
	}
	pairs := slices.SortedFunc(maps.Keys(s.unknown), func(a, b answer) int {
		return cmp.Or(cmp.Compare(a.status, b.status), cmp.Compare(a.code, b.code))
	})
	lines := make([]string, 0, len(pairs))
	for _, pair := range pairs {
		lines = append(lines, pair.String()+" ("+counted(s.unknown[pair])+")")
	}
	if s.more {
		lines = append(lines, "and others")
	}
	c := Check{
		Level:    OK,
		Detail:   "answers to activate that no table knows, with what became of the customers: " + strings.Join(lines, "; "),
		WhatToDo: "once the partner has said what one means, name it in the file of WORKER_CLASSIFICATION (docs/concepts.md, What a no means)",
	}
	for _, reasons := range s.unknown {
		if reasons[events.Refused]+reasons[events.CustomerNotFound] > 0 { // others wait, and the worker goes on asking
			c.Level = Warn
		}
	}
	return c
}

func (a answer) String() string {
	return fmt.Sprintf("HTTP %d %s", a.status, cmp.Or(a.code, "without code"))
}

// counted lists reasons, the most frequent first.
func counted(reasons map[events.Reason]int) string {
	names := slices.SortedFunc(maps.Keys(reasons), func(a, b events.Reason) int {
		return cmp.Or(cmp.Compare(reasons[b], reasons[a]), cmp.Compare(a, b))
	})
	parts := make([]string, 0, len(names))
	for _, name := range names {
		parts = append(parts, fmt.Sprintf("%d %s", reasons[name], name))
	}
	return strings.Join(parts, ", ")
}
