package activation_test

import (
	"encoding/json"
	"time"

	"pgregory.net/rapid"

	"activation-worker/internal/activation"
	"activation-worker/internal/events"
)

// partner has a truth, which its answers may hide but never contradict: nothing is said
// to be active that is not, a 4xx or 429 applied nothing, and a look-up that answers
// shows what was applied ten seconds ago.
type partner struct {
	activeFrom  time.Time // zero: not active
	visibleFrom time.Time // to look-ups
	ours        bool      // activated by a request of ours
}

// request is what becomes of a request, settled when it begins: an answer, or its loss, changes nothing of it.
type request struct {
	applied bool // an activate that takes effect, perhaps a little later
	before  bool // the customer was active when it came
	shows   bool // a look-up that finds the customer active
}

func (p *partner) activate(from, visible time.Time) {
	if p.activeFrom.IsZero() {
		p.activeFrom, p.visibleFrom = from, visible
	}
}

func (p *partner) active(now time.Time) bool {
	return !p.activeFrom.IsZero() && !now.Before(p.activeFrom)
}

// receive lets a request arrive.
func (p *partner) receive(t *rapid.T, w *world, op activation.Operation) request {
	r := request{before: !p.activeFrom.IsZero()}
	switch op {
	case activation.LookUp:
		r.shows = r.before && !w.now.Before(p.visibleFrom)
	case activation.Activate:
		if r.applied = !r.before && rapid.Bool().Draw(t, "applied"); r.applied {
			from := w.now.Add(time.Duration(rapid.Int64Range(0, int64(modelTimeout)).Draw(t, "applied after")))
			p.activate(from, from.Add(time.Duration(rapid.Int64Range(0, int64(modelLag)).Draw(t, "lag"))))
			p.ours = true
		}
	}
	return r
}

// reply is one way to answer.
type reply struct {
	kind    activation.Kind
	status  int
	address bool // 404 for the address
	pending bool
	noProof bool
	proven  bool
	wanted  []events.DNSRecord
}

var (
	unclearReplies = []reply{
		{kind: activation.Unclear},
		{kind: activation.Unclear, status: 200},
		{kind: activation.Unclear, status: 500},
		{kind: activation.Unclear, status: 503},
		{kind: activation.Refusal, status: 408},
		{kind: 99},
	}
	otherReplies = append([]reply{
		{kind: activation.NotSent},
		{kind: activation.NotAsked},
		{kind: activation.NoToken},
		{kind: activation.Redirect, status: 307},
		{kind: activation.Refusal, status: 400},
		{kind: activation.Refusal, status: 401},
		{kind: activation.Refusal, status: 403},
		{kind: activation.Refusal, status: 403},
		{kind: activation.Refusal, status: 404},
		{kind: activation.Refusal, status: 404, address: true},
		{kind: activation.Refusal, status: 405},
		{kind: activation.Refusal, status: 409},
		{kind: activation.Refusal, status: 415},
		{kind: activation.Refusal, status: 429},
		{kind: activation.Refusal, status: 429},
		{kind: activation.Refusal, status: 499},
	}, unclearReplies...)
	yes      = reply{kind: activation.Active, status: 200}
	inactive = reply{kind: activation.Inactive, status: 200}
	listed   = reply{kind: activation.Listed, status: 200}

	inactivePending = reply{kind: activation.Inactive, status: 200, pending: true}
	inactiveGroup   = reply{kind: activation.Inactive, status: 200, noProof: true}
	wants           = reply{kind: activation.Shown, status: 200, wanted: []events.DNSRecord{proof, alias}}
	wantsNone       = reply{kind: activation.Shown, status: 200}
	isProven        = reply{kind: activation.Shown, status: 200, wanted: []events.DNSRecord{proof}, proven: true}
)

// anyAnswer draws any answer that does not contradict the truth, after any time.
func (p *partner) anyAnswer(t *rapid.T, w *world, by *worker) activation.Answer {
	j := by.job
	w.pass(rapid.SampledFrom([]time.Duration{0, 100 * time.Millisecond, 3 * time.Second, 15 * time.Second, 29 * time.Second}).Draw(t, "answer after"))
	var choice []reply
	switch {
	case w.now.Sub(j.began) > modelTimeout:
		choice = unclearReplies[:1]
	case j.op == activation.List:
		choice = append([]reply{listed, listed, listed, listed, listed}, otherReplies...)
	case j.op == activation.DNSData:
		choice = append([]reply{wants, wants, wants, wants, wants, wants, wants, wants, wants, wants, wantsNone, isProven}, otherReplies...)
	case j.op == activation.LookUp && rapid.Bool().Draw(t, "truth"):
		choice = []reply{inactive, inactive, inactivePending, inactiveGroup}
		if j.request.shows {
			choice = []reply{yes}
		}
	case j.op == activation.LookUp:
		choice = otherReplies
	case j.request.applied && p.active(w.now):
		choice = append([]reply{yes, yes}, unclearReplies...)
	case j.request.applied:
		choice = unclearReplies
	case j.request.before && p.active(w.now):
		choice = append([]reply{yes, yes, yes, yes}, otherReplies...)
	default:
		choice = otherReplies
	}
	a := by.answer(w, rapid.SampledFrom(choice).Draw(t, "answer"))
	if a.Sent > 0 && a.Operation == activation.Activate {
		a.Sent = rapid.IntRange(1, 2).Draw(t, "requests sent")
	}
	if a.Status == 429 || a.Status == 503 {
		a.RetryAfter = time.Duration(rapid.SampledFrom([]int{-1, 0, 1, 61, 600, 7200}).Draw(t, "retry after")) * time.Second
		a.RetryAfter = max(-1, a.RetryAfter)
	}
	return a
}

// answer dresses a reply.
func (by *worker) answer(w *world, r reply) activation.Answer {
	a := activation.Answer{
		Operation: by.job.op, Kind: r.kind, Status: r.status, NoSuchAPI: r.address, RetryAfter: -1,
		Pending: r.pending, NoProof: r.noProof, Proven: r.proven, Wanted: r.wanted,
		Sent: 1, StartedAt: by.job.started, At: by.clock(w),
	}
	switch r.kind {
	case activation.Active:
		a.Object = json.RawMessage(`{"domainId":51200931,"enableActiveDomain":true}`)
	case activation.NotSent, activation.NotAsked, activation.NoToken:
		a.Sent, a.StartedAt = 0, time.Time{}
	}
	return a
}

// mood is how the partner is when the faults have ended: always the same, and in time.
type mood struct {
	name     string
	activate reply         // the answer to an activate that did not apply
	look     reply         // the answer to a look-up that does not show an active customer
	well     time.Duration // after which all is well; 0: never
	visible  time.Duration // after which the ownership records are visible to us; 0: never
	began    time.Time
}

var (
	refusal400 = reply{kind: activation.Refusal, status: 400}
	moods      = []mood{
		{name: "well", activate: yes, look: inactive},
		{name: "refusing", activate: refusal400, look: inactive, visible: tick},
		{name: "refusing a group", activate: refusal400, look: inactiveGroup},
		{name: "without this customer", activate: reply{kind: activation.Refusal, status: 404}, look: reply{kind: activation.Refusal, status: 404}},
		{name: "denying this customer", activate: reply{kind: activation.Refusal, status: 403}, look: reply{kind: activation.Refusal, status: 403}},
		{name: "at its limit", activate: reply{kind: activation.Refusal, status: 429}, look: inactive},
		{name: "vague", activate: reply{kind: activation.Unclear, status: 500}, look: inactive},
		{name: "redirecting", activate: reply{kind: activation.Redirect, status: 307}, look: reply{kind: activation.Redirect, status: 307}},
		{name: "missing ownership records", activate: refusal400, look: inactive},
		{name: "missing ownership records for days", activate: refusal400, look: inactive, visible: 3 * day, well: 3*day + 40*time.Minute},
		{name: "seeing ownership records that we do not", activate: refusal400, look: inactive, well: 2 * day},
		{name: "waiting for the terms", activate: refusal400, look: inactivePending, visible: tick},
		{name: "waiting for the terms for days", activate: refusal400, look: inactivePending, visible: tick, well: 3 * day},
	}
)

func (m mood) answer(p *partner) answerer {
	return func(_ *rapid.T, w *world, by *worker) activation.Answer {
		j := by.job
		switch {
		case w.now.Sub(j.began) > modelTimeout:
			return by.answer(w, unclearReplies[0])
		case j.op == activation.List:
			return by.answer(w, listed)
		case j.op == activation.DNSData:
			return by.answer(w, wants)
		case j.op == activation.LookUp && j.request.shows:
			return by.answer(w, yes)
		case j.op == activation.LookUp:
			return by.answer(w, m.look)
		case p.active(w.now):
			return by.answer(w, yes)
		case j.request.applied:
			return by.answer(w, unclearReplies[0])
		case m.activate.kind == activation.Active, m.well > 0 && !w.now.Before(m.began.Add(m.well)):
			p.activate(w.now, w.now)
			p.ours = true
			return by.answer(w, yes)
		}
		return by.answer(w, m.activate)
	}
}
