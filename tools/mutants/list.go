package main

// mutant is one way to break a promise.
type mutant struct {
	name  string
	edits []edit
	tests []tests // that are to find out
}

// edit replaces the one place where old stands in a file.
type edit struct{ file, old, new string }

// tests are those of a package whose names match.
type tests struct{ pkg, run string }

const (
	handle = "internal/consumer/handle.go"
	write  = "internal/ledger/write.go"
)

var (
	ofConsumer = tests{"./internal/consumer", "."}
	ofLedger   = tests{"./internal/ledger", "."}
	ofDecision = tests{"./internal/activation", "."}
	ofTimers   = tests{"./cmd/worker", "^TestNoRecordWithoutItsTimer$"}
	ofCrashes  = tests{"./cmd/worker", "^(TestKill|TestDeathAtEveryPoint|TestLostAnswersAreLookedUp)$"}
)

var mutants = []mutant{
	{
		name:  "ack before the record",
		edits: []edit{{handle, "\t\tcurrent, err = w.attempt(ctx, claim, turn)\n", "\t\tw.ack(d.msg, faults.AckOutcome)\n\t\tcurrent, err = w.attempt(ctx, claim, turn)\n"}},
		tests: []tests{ofConsumer, ofCrashes},
	},
	{
		name:  "call without a claim",
		edits: []edit{{handle, "\tcurrent, err = w.Ledger.Claim(claiming, claim, r.Expected())\n", "\tclaim.Sequence = r.Expected()\n\tcurrent, err = claim, claiming.Err()\n"}},
		tests: []tests{ofConsumer, ofCrashes},
	},
	{
		name:  "no look-up after an unclear outcome",
		edits: []edit{{"internal/activation/plan.go", "\t\tif claim.Unsettled || claim.LookFirst {\n", "\t\tif claim.LookFirst {\n"}},
		tests: []tests{ofDecision, ofConsumer, ofCrashes},
	},
	{
		name:  "lease of another ignored",
		edits: []edit{{"internal/activation/next.go", "\tif now.Before(r.LeaseExpiresAt) {\n", "\tif now.Before(r.LeaseExpiresAt.Add(-time.Hour)) {\n"}},
		tests: []tests{ofDecision, ofConsumer},
	},
	{
		name:  "own lease not checked before a call",
		edits: []edit{{"internal/partnerapi/exchange.go", "\tif !call.Before.IsZero() && deadline.After(call.Before.Round(0)) {\n", "\tif false {\n"}},
		tests: []tests{{"./internal/partnerapi", "."}, ofConsumer},
	},
	{
		name: "the call is retried in place of the write",
		edits: []edit{
			{handle, "\t\tif err != nil {\n\t\t\treturn current, err\n\t\t}\n\t\tfaults.After(recordStep[next.State])\n", "\t\tif err != nil && ctx.Err() == nil && !errors.Is(err, ledger.ErrConflict) {\n\t\t\tanswers, permit = nil, nil\n\t\t\tcontinue\n\t\t}\n\t\tif err != nil {\n\t\t\treturn current, err\n\t\t}\n\t\tfaults.After(recordStep[next.State])\n"},
			{write, "\t\tif !pause(ctx, retry.NextBackOff()) {\n\t\t\treturn nil, fmt.Errorf(\"write %s of", "\t\tif retry.NextBackOff() != backoff.Stop {\n\t\t\treturn nil, fmt.Errorf(\"write %s of"},
		},
		tests: []tests{ofLedger, ofConsumer},
	},
	{
		name: "timer after the record",
		edits: []edit{
			{handle, "\t\tif err := w.arm(ctx, next, faults.ArmOutcome); err != nil {\n\t\t\treturn nil, err\n\t\t}\n", ""},
			{handle, "\t\tfaults.After(recordStep[next.State])\n", "\t\tfaults.After(recordStep[next.State])\n\t\tif err := w.arm(ctx, next, faults.ArmOutcome); err != nil {\n\t\t\treturn nil, err\n\t\t}\n"},
		},
		tests: []tests{ofTimers},
	},
	{
		name: "timer after the record, without a claim",
		edits: []edit{
			{write, "\tfaults.Before(faults.PutTimer)\n\tif err := l.Arm(ctx, r.DomainID, events.WakeUpSubject(r), wake); err != nil {\n\t\treturn nil, err\n\t}\n\tfaults.After(faults.PutTimer)\n", ""},
			{write, "\t\tfaults.After(faults.Put)\n", "\t\tfaults.After(faults.Put)\n\t\terr = l.Arm(ctx, r.DomainID, events.WakeUpSubject(r), wake)\n"},
		},
		tests: []tests{ofTimers},
	},
	{
		name:  "a lost race taken for a won one",
		edits: []edit{{write, "m != nil && tokenOf(m) == token:", "m != nil:"}},
		tests: []tests{ofLedger},
	},
	{
		name:  "deduplication of state writes",
		edits: []edit{{write, "\t\t\t\tevents.HeaderWriteToken:                 {token},\n", "\t\t\t\tevents.HeaderWriteToken:                 {token},\n\t\t\t\tjetstream.MsgIDHeader:                   {written.ID},\n"}},
		tests: []tests{ofLedger},
	},
	{
		name:  "no second look at a lost timer",
		edits: []edit{{"internal/ledger/sweep.go", "\treturn true, nil\n}", "\treturn false, nil\n}"}, {"internal/ledger/sweep.go", "\tif err := l.Arm(ctx, r.DomainID, events.WakeUpSubject(r), l.now()); err != nil {\n\t\treturn false, err\n\t}\n", ""}},
		tests: []tests{ofLedger, ofConsumer},
	},
}
