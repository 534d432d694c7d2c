package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"activation-worker/internal/events"
)

// view is what the ledger says, as it is written. It reads records of any version: only what all have in common.
type view struct {
	js     jetstream.JetStream
	guests map[int64]Guest
	wish   func(Guest) // called, from one goroutine, when a customer's turn has come to get what it lacks

	mu        sync.Mutex
	customers map[int64]*standing
	takeovers int
	records   int
}

// standing is a customer's newest record, and what led to it.
type standing struct {
	State  events.State
	Reason events.Reason
	Worker string
	Noes   int // deferrals for what the customer lacks
	Stored time.Time
}

// common is what the view reads of a record.
type common struct {
	Data struct {
		Reason  events.Reason  `json:"reason"`
		Worker  string         `json:"worker"`
		Trigger events.Trigger `json:"trigger"`
	} `json:"data"`
}

func newView(js jetstream.JetStream, guests []Guest, wish func(Guest)) *view {
	v := &view{js: js, guests: map[int64]Guest{}, wish: wish, customers: map[int64]*standing{}}
	for _, g := range guests {
		v.guests[g.ID] = g
	}
	return v
}

// follow reads until ctx ends. Nodes come and go, so it begins again where it was.
func (v *view) follow(ctx context.Context) {
	for next := uint64(1); pause(ctx, 200*ms); {
		next = v.read(ctx, next)
	}
}

func (v *view) read(ctx context.Context, next uint64) uint64 {
	asking, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	cons, err := v.js.OrderedConsumer(asking, events.DefaultStream, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{events.SubjectCustomers}, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: next, MaxResetAttempts: 1,
	})
	if err != nil {
		return next
	}
	messages, err := cons.Messages()
	if err != nil {
		return next
	}
	defer messages.Stop()
	for {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return next
		}
		meta, err := msg.Metadata()
		if err != nil {
			return next
		}
		v.take(msg.Subject(), msg.Data(), meta.Timestamp)
		next = meta.Sequence.Stream + 1
	}
}

// fresh is how old a record may be for what a customer lacks to come true: later it could come in the middle of the next attempt, between
// the partner's no and the look for its reason, and nobody could tell why the partner has said no.
const fresh = 1500 * ms

func (v *view) take(subject string, data []byte, stored time.Time) {
	id, ok := events.DomainOfSubject(subject)
	var record common
	if err := json.Unmarshal(data, &record); err != nil || !ok {
		return // for the audit
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.records++
	c := v.customers[id]
	if c == nil {
		c = &standing{}
		v.customers[id] = c
	}
	c.State, c.Reason, c.Stored = events.State(subject[strings.LastIndex(subject, ".")+1:]), record.Data.Reason, stored
	if c.State == events.Started {
		c.Worker = record.Data.Worker
		if record.Data.Trigger.Kind == events.TriggerRecovery {
			v.takeovers++
		}
	}
	guest := v.guests[id]
	lacks := map[fate]events.Reason{lateDNS: events.DNSUnverified, lateTerms: events.TermsPending}[guest.Fate]
	if c.State == events.Deferred && lacks != "" && c.Reason == lacks {
		if c.Noes++; c.Noes >= guest.Noes && time.Since(stored) < fresh {
			v.wish(guest)
		}
	}
}

// open sorts the customers, of those announced so far, who have not reached what is meant for them: those on their way, and those who
// have ended otherwise. Each is described.
func (v *view) open(announced []Guest) (waiting, wrong []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, g := range announced {
		if g.Fate == invalid {
			continue
		}
		state, reason := g.Fate.outcome()
		c := v.customers[g.ID]
		switch {
		case c == nil:
			waiting = append(waiting, fmt.Sprintf("%d (%s): no record", g.ID, g.Fate))
		case c.State == state && (reason == "" || c.Reason == reason):
		case c.State == events.Started || c.State == events.Deferred:
			waiting = append(waiting, fmt.Sprintf("%d (%s): %s", g.ID, g.Fate, c))
		default:
			wrong = append(wrong, fmt.Sprintf("%d (%s): %s", g.ID, g.Fate, c))
		}
	}
	return waiting, wrong
}

// String describes a customer's newest record.
func (c *standing) String() string {
	return fmt.Sprintf("%s %s since %s, worker %s", c.State, c.Reason, c.Stored.Format("15:04:05.000"), c.Worker)
}

// few are the first of many.
func few(all []string) string { return strings.Join(all[:min(10, len(all))], "; ") }

// outcomes counts the customers by state and, where there is one, reason.
func (v *view) outcomes() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	counts := map[string]int{}
	for _, c := range v.customers {
		name := string(c.State)
		if c.State != events.Activated && c.Reason != "" {
			name += " (" + string(c.Reason) + ")"
		}
		counts[name]++
	}
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		lines = append(lines, fmt.Sprintf("%-36s %7d", name, counts[name]))
	}
	return lines
}

func (v *view) sums() (records, takeovers int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.records, v.takeovers
}
