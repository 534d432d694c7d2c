package main

import (
	"context"
	"strings"
	"time"

	"activation-worker/internal/audit"
	"activation-worker/internal/events"
	"activation-worker/internal/partnerapi/simulator"
)

const (
	// longestWay is how long a proxy may hold up a request or its answer: the latency and jitter of kinds, and a little.
	longestWay = time.Second
	// windows is how many windows of the rate are looked at together.
	windows = 3
	// auditLimit is how long the reading may take.
	auditLimit = 5 * time.Minute
)

// audit holds the ledger and what the partner saw against the promises.
func (g *game) audit(ctx context.Context, journal simulator.Journal) (*audit.Report, error) {
	ctx, cancel := context.WithTimeout(ctx, auditLimit)
	defer cancel()
	report, err := audit.Run(ctx, g.js, audit.Options{
		Streams: events.StreamsOf(events.DefaultStream), Intake: events.DefaultIntakeStream,
		Skew: clockSpread, Calls: callsOf(journal), Hold: g.plan.longestFreeze() + longestWay,
		Caps: audit.Caps{
			Fleet: true, Concurrency: concurrency, Waited: timeout - longestWay + 50*ms,
			// What is allowed in a second is allowed so often in so many; a request can be on its way for as long as one of them.
			Windows: []audit.Window{{Calls: windows * g.plan.rate(), Per: windows * time.Second}}, Jitter: longestWay,
		},
	}, nil)
	if err != nil {
		return nil, err
	}
	for _, b := range report.Breaches {
		g.notes.breach("%s: customer %d, sequence %d: %s", b.Rule, b.DomainID, b.Sequence, b.Text)
	}
	if report.Ledger.Foreign > 0 {
		g.notes.breach("%d records could not be read: this program wants FAULTS_RECORD_VERSION=2 and the tag faults, see make chaos", report.Ledger.Foreign)
	}
	return report, nil
}

// longestFreeze is how long a request can have been held in a worker that was stopped where it stood.
func (p Plan) longestFreeze() time.Duration {
	longest := time.Duration(0)
	for _, b := range p.Blows {
		if b.Kind == workerFrozen || b.Kind == workerFrozenLong {
			longest = max(longest, b.For)
		}
	}
	return longest
}

// callsOf is the simulator's journal in the auditor's words.
func callsOf(journal simulator.Journal) []audit.Call {
	all := make([]audit.Call, 0, len(journal.Calls))
	for _, c := range journal.Calls {
		call := audit.Call{At: c.At, EndedAt: c.EndedAt, AppliedAt: c.AppliedAt, Op: audit.Op(c.Op), DomainID: c.DomainID, Applied: c.Applied, Lost: c.Lost}
		switch c.Op {
		case simulator.OpActivate:
			call.Op = audit.Activate
		case simulator.OpCustomer:
			call.Op = audit.LookUp
		}
		switch c.Told {
		case simulator.ToldActive:
			call.Told = audit.ToldActive
		case simulator.ToldInactive:
			call.Told = audit.ToldInactive
		}
		all = append(all, call)
	}
	return all
}

// readsNewer reports whether this program can read the records that workers of the newer version write.
func readsNewer() bool {
	sample, err := events.EncodeRecord(&events.Record{State: events.Started, DomainID: 1}, "/chaos", 0, time.Now())
	return err == nil && strings.Contains(string(sample), `/v2"`)
}
