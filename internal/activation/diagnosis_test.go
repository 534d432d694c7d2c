package activation_test

import (
	"testing"
	"time"

	"activation-worker/internal/activation"
	"activation-worker/internal/events"
)

// no and notActive are how a diagnosis begins: the partner refuses, and the look-up shows a customer who is not active.
func no(code int) activation.Answer { return refused(act, code, at(time.Second)) }

func notActive(mods ...func(*activation.Answer)) activation.Answer {
	return answer(look, activation.Inactive, at(2*time.Second), mods...)
}

func shown(mods ...func(*activation.Answer)) activation.Answer {
	return answer(data, activation.Shown, at(3*time.Second), mods...)
}

func looked(mods ...func(*activation.Answer)) activation.Answer {
	return answer(dns, activation.Looked, at(4*time.Second), mods...)
}

func pending(a *activation.Answer) { a.Pending = true }
func noProof(a *activation.Answer) { a.NoProof = true }
func proven(a *activation.Answer)  { a.Proven = true }
func wantsNothing(a *activation.Answer) {
	a.Wanted = nil
}

// watched is a claim of a round that first missed the ownership records at a moment, and saw them since another.
func watched(missed, since time.Time) *events.Record {
	return claimed(func(r *events.Record) { r.Visibility = &events.Visibility{Missed: missed, Since: since} })
}

// A definite no says little. What it comes to is found out by one look-up, then by the
// ownership records (contract §3, partner sheet §4 and §6).
func TestTheDiagnosisOfANo(t *testing.T) {
	t.Parallel()
	type answers = []activation.Answer
	type want struct {
		ask    activation.Operation
		state  events.State
		reason events.Reason
		cause  activation.Operation
	}
	asks := func(op activation.Operation) want { return want{ask: op} }
	waits := func(r events.Reason) want { return want{"", events.Deferred, r, act} }
	fails := want{"", events.Failed, events.Refused, act}
	dataRefused := func(code int, mods ...func(*activation.Answer)) activation.Answer {
		return refused(data, code, at(3*time.Second), mods...)
	}
	oddData := func(k activation.Kind, mods ...func(*activation.Answer)) activation.Answer {
		return answer(data, k, at(3*time.Second), mods...)
	}
	blind := answer(dns, activation.Blind, at(4*time.Second))
	fresh := claimed()

	for sentence, c := range map[string]struct {
		claim   *events.Record
		answers answers
		want    want
	}{
		"not active: which records?":                    {fresh, answers{no(400), notActive()}, asks(data)},
		"terms pending: which records all the same?":    {fresh, answers{no(400), notActive(pending)}, asks(data)},
		"records wanted: are they there?":               {fresh, answers{no(400), notActive(), shown()}, asks(dns)},
		"wanted, not there: wait for them":              {fresh, answers{no(400), notActive(), shown(), looked()}, waits(events.DNSUnverified)},
		"wanted, not there, 409":                        {fresh, answers{no(409), notActive(), shown(), looked()}, waits(events.DNSUnverified)},
		"wanted, not there, 404":                        {fresh, answers{no(404), notActive(), shown(), looked()}, waits(events.DNSUnverified)},
		"wanted, not there, 403":                        {fresh, answers{no(403), notActive(), shown(), looked()}, waits(events.DNSUnverified)},
		"wanted, not there, terms pending: DNS first":   {fresh, answers{no(400), notActive(pending), shown(), looked()}, waits(events.DNSUnverified)},
		"wanted, nobody to ask: counts as not there":    {fresh, answers{no(400), notActive(), shown(), blind}, waits(events.DNSUnverified)},
		"there from the first look: refused":            {fresh, answers{no(400), notActive(), shown(), looked(visible)}, fails},
		"there from the first look, 404: not found":     {fresh, answers{no(404), notActive(), shown(), looked(visible)}, waits(events.CustomerNotFound)},
		"there, terms pending: wait for the terms":      {fresh, answers{no(400), notActive(pending), shown(), looked(visible)}, waits(events.TermsPending)},
		"proven at the partner's: refused":              {fresh, answers{no(400), notActive(), shown(proven)}, fails},
		"proven, terms pending":                         {fresh, answers{no(400), notActive(pending), shown(proven)}, waits(events.TermsPending)},
		"nothing wanted: refused":                       {fresh, answers{no(400), notActive(), shown(wantsNothing)}, fails},
		"nothing wanted, terms pending":                 {fresh, answers{no(400), notActive(pending), shown(wantsNothing)}, waits(events.TermsPending)},
		"a group or by-works domain: refused":           {fresh, answers{no(400), notActive(noProof)}, fails},
		"a group or by-works domain, 404: not found":    {fresh, answers{no(404), notActive(noProof)}, waits(events.CustomerNotFound)},
		"a group or by-works domain, terms pending":     {fresh, answers{no(400), notActive(noProof, pending)}, waits(events.TermsPending)},
		"the records are refused: go by the look-up":    {fresh, answers{no(400), notActive(), dataRefused(400)}, fails},
		"the records are denied: go by the look-up":     {fresh, answers{no(400), notActive(), dataRefused(403)}, fails},
		"no such records: go by the look-up":            {fresh, answers{no(400), notActive(pending), dataRefused(404)}, waits(events.TermsPending)},
		"the records, 401: everyone":                    {fresh, answers{no(400), notActive(), dataRefused(401)}, want{"", events.Deferred, events.PartnerUnavailable, data}},
		"the records, without token: everyone":          {fresh, answers{no(400), notActive(), oddData(activation.NoToken)}, want{"", events.Deferred, events.PartnerUnavailable, data}},
		"the records, 429: not final":                   {fresh, answers{no(400), notActive(), dataRefused(429)}, waits(events.Transient)},
		"the records, 429 with a hint":                  {fresh, answers{no(400), notActive(), dataRefused(429, retryAfter(time.Minute))}, want{"", events.Deferred, events.Transient, data}},
		"the records, unclear: not final":               {fresh, answers{no(400), notActive(), oddData(activation.Unclear)}, waits(events.Transient)},
		"the records, 408: not final":                   {fresh, answers{no(400), notActive(), dataRefused(408)}, waits(events.Transient)},
		"the records, not sent: not final":              {fresh, answers{no(400), notActive(), oddData(activation.NotSent)}, waits(events.Transient)},
		"the records, not asked: not final":             {fresh, answers{no(400), notActive(), oddData(activation.NotAsked)}, waits(events.Transient)},
		"the records, redirected: not final":            {fresh, answers{no(400), notActive(), oddData(activation.Redirect)}, waits(events.Transient)},
		"the records, 404 for the address":              {fresh, answers{no(400), notActive(), dataRefused(404, func(a *activation.Answer) { a.NoSuchAPI = true })}, fails},
		"missed before, there now: wait for theirs":     {watched(at(-day), time.Time{}), answers{no(400), notActive(), shown(), looked(visible)}, waits(events.DNSUnverified)},
		"there for a tick less than a day: wait":        {watched(at(-9*day), at(4*time.Second+tick-day)), answers{no(400), notActive(), shown(), looked(visible)}, waits(events.DNSUnverified)},
		"there for a day: refused":                      {watched(at(-9*day), at(4*time.Second-day)), answers{no(400), notActive(), shown(), looked(visible)}, fails},
		"there for a day, terms pending":                {watched(at(-9*day), at(4*time.Second-day)), answers{no(400), notActive(pending), shown(), looked(visible)}, waits(events.TermsPending)},
		"there for an hour, terms pending":              {watched(at(-9*day), at(-time.Hour)), answers{no(400), notActive(pending), shown(), looked(visible)}, waits(events.TermsPending)},
		"there from the first look, an hour ago":        {watched(time.Time{}, at(-time.Hour)), answers{no(400), notActive(), shown(), looked(visible)}, fails},
		"there before, not there now: wait for them":    {watched(at(-9*day), at(-8*day)), answers{no(400), notActive(), shown(), looked()}, waits(events.DNSUnverified)},
		"missed before, proven now: wait for the rest":  {watched(at(-day), time.Time{}), answers{no(400), notActive(), shown(proven)}, waits(events.DNSUnverified)},
		"there for a day, the records refused: refused": {watched(at(-9*day), at(3*time.Second-day)), answers{no(400), notActive(), dataRefused(400)}, fails},
		"unclear is never diagnosed so far":             {fresh, answers{answer(act, activation.Unclear, at(time.Second)), notActive(pending)}, waits(events.UnknownOutcome)},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			ask, v := activation.Plan(c.claim, c.answers, activation.DefaultPolicy())
			if ask != c.want.ask || v.State != c.want.state || v.Reason != c.want.reason {
				t.Fatalf("it asks %q, verdict %s %s; want %q, %s %s", ask, v.State, v.Reason, c.want.ask, c.want.state, c.want.reason)
			}
			if ask == none && (v.Cause.Operation != c.want.cause || v.Text == "") {
				t.Errorf("the cause is %s, %q; want %s and a sentence", v.Cause.Operation, v.Text, c.want.cause)
			}
		})
	}
}

// The operator's table comes before ours, for what is a definite no to activate and nothing else.
func TestTheOperatorsTable(t *testing.T) {
	t.Parallel()
	p := activation.DefaultPolicy()
	p.Table = []activation.Known{
		{Status: 400, Reason: events.Refused},
		{Status: 400, Code: "TERMS", Reason: events.TermsPending},
		{Status: 400, Code: "DNS", Reason: events.DNSUnverified},
		{Status: 400, Code: "WAIT", Reason: events.Transient},
		{Status: 400, Code: "GONE", Reason: events.CustomerNotFound},
		{Status: 403, Reason: events.PartnerUnavailable},
		{Status: 404, Code: "NO", Reason: events.Refused},
		{Status: 408, Reason: events.Refused},
		{Status: 500, Reason: events.Refused},
	}
	code := func(status int, code string) activation.Answer {
		return refused(act, status, at(time.Second), func(a *activation.Answer) { a.Code = code })
	}
	type answers = []activation.Answer
	type want struct {
		ask    activation.Operation
		state  events.State
		reason events.Reason
	}
	for sentence, c := range map[string]struct {
		answers answers
		want    want
	}{
		"a known code: active already?":             {answers{code(400, "TERMS")}, want{ask: look}},
		"a known code, active already":              {answers{code(400, "TERMS"), answer(look, activation.Active, at(2*time.Second))}, want{"", events.Activated, ""}},
		"terms, not active":                         {answers{code(400, "TERMS"), notActive()}, want{"", events.Deferred, events.TermsPending}},
		"terms, whatever the look-up's no is":       {answers{code(400, "TERMS"), refused(look, 403, at(2*time.Second))}, want{"", events.Deferred, events.TermsPending}},
		"terms, not found by the look-up":           {answers{code(400, "TERMS"), refused(look, 404, at(2*time.Second))}, want{"", events.Deferred, events.TermsPending}},
		"terms, but the look-up failed":             {answers{code(400, "TERMS"), refused(look, 429, at(2*time.Second))}, want{"", events.Deferred, events.Transient}},
		"terms, the look-up without token":          {answers{code(400, "TERMS"), answer(look, activation.NoToken, at(2*time.Second))}, want{"", events.Deferred, events.PartnerUnavailable}},
		"DNS: which records?":                       {answers{code(400, "DNS"), notActive()}, want{ask: data}},
		"DNS, a group: which records all the same?": {answers{code(400, "DNS"), notActive(noProof)}, want{ask: data}},
		"DNS, the records are there: it says so":    {answers{code(400, "DNS"), notActive(), shown(), looked(visible)}, want{"", events.Deferred, events.DNSUnverified}},
		"DNS, the records are refused: it says so":  {answers{code(400, "DNS"), notActive(), refused(data, 400, at(3*time.Second))}, want{"", events.Deferred, events.DNSUnverified}},
		"DNS, the terms pending as well":            {answers{code(400, "DNS"), notActive(pending), shown(), looked(visible)}, want{"", events.Deferred, events.DNSUnverified}},
		"any other code":                            {answers{code(400, "OTHER"), notActive(pending)}, want{"", events.Failed, events.Refused}},
		"no code at all":                            {answers{code(400, ""), notActive()}, want{"", events.Failed, events.Refused}},
		"transient: nothing more is asked":          {answers{code(400, "WAIT")}, want{"", events.Deferred, events.Transient}},
		"not found: active already?":                {answers{code(400, "GONE")}, want{ask: look}},
		"not found, not active":                     {answers{code(400, "GONE"), notActive()}, want{"", events.Deferred, events.CustomerNotFound}},
		"for everybody":                             {answers{code(403, "X")}, want{"", events.Deferred, events.PartnerUnavailable}},
		"another code of a status listed with one":  {answers{code(404, "YES"), notActive()}, want{ask: data}},
		"a code in other letters is another code":   {answers{code(404, "no"), notActive()}, want{ask: data}},
		"not in the table":                          {answers{code(409, "TERMS"), notActive()}, want{ask: data}},
		"unclear is not labelled anew":              {answers{answer(act, activation.Unclear, at(time.Second), status(500)), notActive()}, want{"", events.Deferred, events.UnknownOutcome}},
		"408 is unclear, and not labelled anew":     {answers{code(408, ""), notActive()}, want{"", events.Deferred, events.UnknownOutcome}},
		"what the look-up is answered is not meant": {answers{code(409, "X"), refused(look, 403, at(2*time.Second))}, want{ask: list}},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			ask, v := activation.Plan(claimed(), c.answers, p)
			if ask != c.want.ask || v.State != c.want.state || v.Reason != c.want.reason {
				t.Errorf("it asks %q, verdict %s %s; want %q, %s %s", ask, v.State, v.Reason, c.want.ask, c.want.state, c.want.reason)
			}
		})
	}
}

func TestALineWithTheCodeWinsWhereverItStands(t *testing.T) {
	t.Parallel()
	anyCode := activation.Known{Status: 400, Reason: events.Refused}
	terms := activation.Known{Status: 400, Code: "TERMS", Reason: events.TermsPending}
	for _, table := range [][]activation.Known{{anyCode, terms}, {terms, anyCode}} {
		p := activation.DefaultPolicy()
		p.Table = table
		_, v := activation.Plan(claimed(), []activation.Answer{
			refused(act, 400, at(time.Second), func(a *activation.Answer) { a.Code = "TERMS" }), notActive(),
		}, p)
		if v.Reason != events.TermsPending {
			t.Errorf("with %+v it is %s", table, v.Reason)
		}
	}
}
