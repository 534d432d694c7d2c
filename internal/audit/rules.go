package audit

// Rule is what a breach is a breach of.
type Rule string

// The rules about the ledger alone.
const (
	RuleReadable   Rule = "readable"   // a record is an event of ours, and whole
	RuleSubject    Rule = "subject"    // subject, domain id and state agree, and nobody else writes there
	RuleChain      Rule = "chain"      // each record was written over the one before it, and none is missing
	RuleOutcome    Rule = "outcome"    // a round has one outcome
	RuleTransition Rule = "transition" // a state follows on one that it may follow on
	RuleRound      Rule = "round"      // rounds rise by one, only after a failure or after forgetting, and each for a reason
	RuleLease      Rule = "lease"      // nobody else writes under a live lease, and no call begins after its end
	RuleCounts     Rule = "counts"     // attempts, calls, tries and events are carried on and counted
	RuleUnsettled  Rule = "unsettled"  // an unclear outcome stays one until it was asked about
	RuleGiveUp     Rule = "give_up"    // deadlines never move back nor beyond the longest round, and giving up keeps them
	RuleErased     Rule = "erased"     // nothing older is left of who was forgotten
	RuleOverdue    Rule = "overdue"    // whoever waits will be woken
)

// The rules about what stands beside the ledger.
const (
	RuleLost      Rule = "lost"      // an announcement that was acknowledged is on record
	RuleRejected  Rule = "rejected"  // one that nobody can act on is among the rejections
	RulePublished Rule = "published" // the publish stream has who is activated, and nobody else
)

// LedgerRules are those that an audit can find broken that knows nothing of what the partner saw.
func LedgerRules() []Rule {
	return []Rule{
		RuleReadable, RuleSubject, RuleChain, RuleOutcome, RuleTransition, RuleRound, RuleLease, RuleCounts, RuleUnsettled, RuleGiveUp, RuleErased, RuleOverdue,
		RuleLost, RuleRejected, RulePublished,
	}
}

// The rules about what the partner saw.
const (
	RuleAfterSuccess Rule = "after_success" // no activate call after the activated record
	RuleUnlicensed   Rule = "unlicensed"    // each activate call lies within the lease of a claim stored before it
	RuleNoLookUp     Rule = "no_look_up"    // after an activate call that took effect, none without a look-up between
	RuleUnrecorded   Rule = "unrecorded"    // whom the partner activated is on record as activated
	RulePhantom      Rule = "phantom"       // who is on record as activated was so at the partner
	RuleConcurrency  Rule = "concurrency"   // no more calls at once than configured
	RuleRate         Rule = "rate"          // no more calls in a window than configured
)

// Meaning is what a breach of a rule means, and what to do about it.
type Meaning struct {
	Means string `json:"means"`
	Do    string `json:"do"`
}

const (
	doForeign = "find out who else may publish on activation.customer.>, and withdraw that (deploy/nats/README.md)"
	doReport  = "keep the ledger as it is (nats stream backup) and report this as a defect of the worker"
	doLook    = "see worker status of the customer"
)

var meanings = map[Rule]Meaning{
	RuleReadable:     {"a message in the ledger is no record, so the customer's state cannot be read", doForeign + "; " + doLook},
	RuleSubject:      {"a message stands under a subject that is not its own, so another customer's state may be read from it", doForeign},
	RuleChain:        {"a record was not written over the one before it, or one is missing in between: something wrote without compare-and-set, records were deleted, a restore has lost some, or the stream kept fewer records than now", doForeign + "; if a backup was restored lately, announcements since then are to be read again (worker setup --rewind-intake)"},
	RuleOutcome:      {"a round has two outcomes, so readers of the event stream were told twice", doReport},
	RuleTransition:   {"a state follows on one that it cannot follow on", doReport},
	RuleRound:        {"a round began that nothing asked for, or was skipped", doReport},
	RuleLease:        {"somebody else wrote under a live lease, or a call began after its end: the partner may have been called twice", "compare the clocks of the workers (worker doctor: clock), which may differ by 5 s; else " + doReport},
	RuleCounts:       {"what a record counts does not follow from the one before it", doReport},
	RuleUnsettled:    {"an outcome that nobody knew was taken as known without asking the partner: it may have been called twice", doReport},
	RuleGiveUp:       {"a customer was given up too early, or is waited for too long", "compare WORKER_GIVE_UP of all workers; " + doLook + ", worker replay takes it up again"},
	RuleErased:       {"records of a customer who was forgotten are still there", "start a worker: its sweep erases them; if one runs, ask again with worker forget"},
	RuleOverdue:      {"a customer waits for something that is over, and nothing will wake it", "start a worker: its sweep finds it within WORKER_SWEEP_INTERVAL; if one runs, see /readyz of it"},
	RuleLost:         {"an announcement was acknowledged, and the ledger does not know it", "first make sure that the audit runs with the workers' WORKER_INTAKE_TYPE and WORKER_INTAKE_DOMAIN_ID: an event of a type that they do not act on, or that names the customer elsewhere, is not lost, and announcing its customer may activate somebody who must not be; then announce the customer again with worker submit --backfill, which asks the partner before it calls, and report this as a defect unless the ledger was restored from a backup"},
	RuleRejected:     {"an announcement that nobody can act on was acknowledged, and its rejection is not there", "if WORKER_INTAKE_DOMAIN_ID or WORKER_INTAKE_TYPE have changed it was acted on as they were before; else look at it in the intake and announce the customer again with worker submit --backfill"},
	RulePublished:    {"the publish stream does not agree with the ledger", "see that it still sources the ledger (worker setup --check); what is left of who was forgotten goes with worker forget"},
	RuleAfterSuccess: {"the partner was called for a customer whose success was on record", doReport},
	RuleUnlicensed:   {"the partner was called without a claim, or outside of its lease", doReport},
	RuleNoLookUp:     {"the partner was called again although the call before had taken effect, and was not asked in between", doReport},
	RuleUnrecorded:   {"the partner has activated a customer whom the ledger does not show as activated", doLook + "; worker replay asks the partner first"},
	RulePhantom:      {"a customer is on record as activated whom the partner has not activated", doReport},
	RuleConcurrency:  {"more calls were under way at once than LINEWORKS_CONCURRENCY says", doReport},
	RuleRate:         {"more calls came within a window than the configured rate", doReport},
}

// MeaningOf explains a rule to an operator.
func MeaningOf(r Rule) Meaning { return meanings[r] }
