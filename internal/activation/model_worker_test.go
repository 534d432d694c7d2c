package activation_test

import (
	"slices"
	"time"

	"pgregory.net/rapid"

	"activation-worker/internal/activation"
	"activation-worker/internal/events"
)

// worker follows the decisions with one delivery at a time. Its clock may be wrong.
type worker struct {
	name   string
	offset time.Duration
	job    *job
}

func (by *worker) clock(w *world) time.Time {
	if by == nil {
		return w.now
	}
	return w.now.Add(by.offset)
}

// stage is what a job does in its next step. A crash can come before any.
type stage int

const (
	reading stage = iota
	arming
	claiming
	asking
	awaiting
	looking
	schedulingOutcome
	recording
)

// job is what a worker holds in memory of one delivery.
type job struct {
	delivery *delivery
	stage    stage
	lost     bool // a compare-and-set after our own claim

	expected int // the family's last sequence when it was read, or our claim
	step     activation.Step
	decided  time.Time
	next     *events.Record // to be written

	claim     *events.Record
	doubt     *doubt // the model's account within this attempt
	answers   []activation.Answer
	questions int
	activates int

	op      activation.Operation
	began   time.Time // true time
	started time.Time // the same by the worker's clock
	request request
}

// take begins with a delivery, which is delivered again if it is not acknowledged in time.
func (by *worker) take(w *world, d *delivery) {
	d.from = w.now.Add(modelAckWait)
	by.job = &job{delivery: d}
}

func (by *worker) ack() {
	by.job.delivery.acked = true
	by.job = nil
}

// again leaves the message for later.
func (by *worker) again(w *world, d time.Duration) {
	by.job.delivery.from = w.now.Add(d)
	by.job = nil
}

// answerer draws what comes back of a request.
type answerer func(t *rapid.T, w *world, by *worker) activation.Answer

// step does the next thing of the job, which may be its last.
func (by *worker) step(t *rapid.T, w *world, partner answerer) {
	j := by.job
	switch j.stage {
	case reading:
		by.decide(t, w)
	case arming:
		w.timer = activation.WakeAt(j.next, policy, by.clock(w), jitter(t))
		by.ack()
	case claiming:
		by.claim(t, w)
	case asking:
		by.ask(t, w)
	case awaiting:
		by.receive(partner(t, w, by))
	case looking:
		by.look(t, w)
	case schedulingOutcome:
		w.timer = activation.WakeAt(j.next, policy, by.clock(w), jitter(t))
		j.stage = recording
	case recording:
		by.record(t, w)
	}
}

// decide reads the ledger and follows the table.
func (by *worker) decide(t *rapid.T, w *world) {
	j, r, now := by.job, w.newest(), by.clock(w)
	var cue activation.Cue
	if j.delivery.accepted != nil {
		cue = activation.CueOf(j.delivery.accepted, now)
	}
	d := activation.Next(r, cue, now)
	if j.lost { // somebody wrote over our claim: the timer must be his
		switch r.State {
		case events.Deferred:
			w.timer = activation.WakeAt(r, policy, now, jitter(t))
		case events.Started:
			w.timer = r.LeaseExpiresAt
		}
		if d.Step == activation.ComeAgain { // neither ack nor nak under his live lease
			by.again(w, modelAckWait)
			return
		}
		j.lost = false
	}
	j.expected, j.step, j.decided = w.sequence, d.Step, now
	switch {
	case d.Step == activation.Done:
		if cue.Event != nil && r != nil && (cue.Backlog && r.State == events.Deferred || r.State == events.Activated) {
			w.passedOver[cue.Event.ID] = true
		}
		by.ack()
	case d.Step == activation.ComeAgain:
		by.again(w, time.Duration(rapid.IntRange(1, 10).Draw(t, "come again after"))*time.Second)
	case d.Step == activation.Arm, d.Step == activation.Look && w.zone.off:
		j.next, j.stage = r, arming
	case d.Step == activation.Look:
		j.next, j.stage = r, looking
	case d.Step == activation.Queue:
		trigger := events.Trigger{Kind: events.TriggerAccepted, ID: cue.Event.ID}
		due := now.Add(time.Duration(rapid.IntRange(0, 7200).Draw(t, "turn after")) * time.Second)
		j.next, j.stage = activation.Queued(r, j.delivery.accepted, domainID, events.Backlog, trigger, due), schedulingOutcome
	case d.Step == activation.PutOff:
		j.next, j.stage = activation.PutOffUntil(r, j.delivery.accepted, d.At, now), schedulingOutcome
	case d.Step.Claims():
		j.next = activation.Start(d.Step, r, j.delivery.accepted, domainID,
			activation.Claimant{Worker: by.name, LeaseExpiresAt: now.Add(modelLease)}, now)
		j.stage = claiming
	default:
		t.Fatalf("the step is %v", d.Step)
	}
}

func (by *worker) claim(t *rapid.T, w *world) {
	j := by.job
	if !w.write(t, by, j.next, j.expected) {
		j.stage = reading // a refused claim just follows the table
		return
	}
	if j.step == activation.TakeOver {
		w.counted++
		w.doubt = &doubt{since: j.decided}
	}
	j.claim, j.doubt = w.newest(), w.doubt
	j.expected, j.answers, j.questions, j.activates = w.sequence, nil, 0, 0
	j.stage = asking
}

// ask begins the next request of the attempt, or ends the attempt.
func (by *worker) ask(t *rapid.T, w *world) {
	j, now := by.job, by.clock(w)
	op, v := activation.Plan(j.claim, j.answers, policy)
	if op == activation.Nothing {
		j.next = activation.Conclude(j.claim, j.answers, v, policy, now, jitter(t))
		j.stage = recording
		if j.next.State == events.Deferred {
			j.stage = schedulingOutcome
		}
		return
	}
	if op == activation.LookDNS {
		j.answers = append(j.answers, w.zone.prove(now))
		return
	}
	if j.questions++; j.questions > 4 {
		t.Fatalf("a fifth question, %s, after %+v", op, j.answers)
	}
	if now.Add(modelTimeout + modelMargin).After(j.claim.LeaseExpiresAt) {
		j.answers = append(j.answers, activation.Answer{Operation: op, Kind: activation.NotAsked, RetryAfter: -1, At: now})
		return
	}
	j.op, j.began, j.started = op, w.now, now
	if op == activation.Activate {
		w.checkCall(t, by)
		j.activates++
	}
	j.request = w.partner.receive(t, w, op)
	j.stage = awaiting
}

// look looks at DNS between two calls, and goes on with what is newly seen.
func (by *worker) look(t *rapid.T, w *world) {
	j, r, now := by.job, by.job.next, by.clock(w)
	j.stage = arming
	if s, ok := w.zone.sight(); ok {
		if next := activation.Watched(r, s, policy, now); next != nil {
			w.inspectLook(t, r, next)
			j.next, j.stage = next, schedulingOutcome
		}
	}
}

func jitter(t *rapid.T) float64 { return rapid.Float64Range(0, 0.999).Draw(t, "jitter") }

// receive takes an answer into the attempt, and into the model's own account of what is in doubt.
func (by *worker) receive(a activation.Answer) {
	j := by.job
	j.answers, j.stage = append(j.answers, a), asking
	_, unclear := activation.Classify(a)
	switch {
	case a.Operation == activation.Activate && a.Kind != activation.Active && unclear:
		j.doubt = &doubt{since: a.At}
	case a.Operation == activation.LookUp && a.Kind == activation.Inactive && j.doubt != nil:
		wait := []time.Duration{10 * time.Second, time.Minute, 0}[j.doubt.noes]
		if !a.At.Before(j.doubt.since.Add(wait - 2*modelSkew)) { // the two noes may be by two clocks
			j.doubt = &doubt{since: a.At, noes: min(2, j.doubt.noes+1)}
		}
	}
}

func (by *worker) record(t *rapid.T, w *world) {
	j := by.job
	if !w.write(t, by, j.next, j.expected) {
		j.lost, j.stage, j.answers = true, reading, nil // the answer is dropped
		return
	}
	for _, a := range j.answers {
		if a.Operation == activation.Activate {
			w.counted += a.Sent
		}
	}
	if j.claim != nil {
		w.doubt = j.doubt
		if w.doubt != nil && w.doubt.noes == 2 || j.next.State == events.Activated {
			w.doubt = nil
		}
		w.lookFirst = w.lookFirst && !slices.ContainsFunc(j.answers, func(a activation.Answer) bool {
			return a.Kind == activation.Active || a.Kind == activation.Inactive || a.Operation == activation.Activate && a.Sent > 0
		})
	}
	by.ack()
}
