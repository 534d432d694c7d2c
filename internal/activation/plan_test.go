package activation_test

import (
	"testing"
	"time"

	"activation-worker/internal/activation"
	"activation-worker/internal/events"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	for sentence, c := range map[string]struct {
		answer  activation.Answer
		reason  events.Reason
		unclear bool
	}{
		"no connection":                   {answer(activation.Activate, activation.NotSent, at(0)), events.Transient, false},
		"not asked by our own choice":     {answer(activation.Activate, activation.NotAsked, at(0)), events.Transient, false},
		"a redirect that is not followed": {answer(activation.Activate, activation.Redirect, at(0)), events.Transient, false},
		"no token":                        {answer(activation.Activate, activation.NoToken, at(0)), events.PartnerUnavailable, false},
		"a time-out":                      {answer(activation.Activate, activation.Unclear, at(0)), events.UnknownOutcome, true},
		"200 that shows something else":   {answer(activation.Activate, activation.Unclear, at(0), status(200)), events.UnknownOutcome, true},
		"202":                             {answer(activation.Activate, activation.Unclear, at(0), status(202)), events.UnknownOutcome, true},
		"204":                             {answer(activation.Activate, activation.Unclear, at(0), status(204)), events.UnknownOutcome, true},
		"500":                             {answer(activation.Activate, activation.Unclear, at(0), status(500)), events.UnknownOutcome, true},
		"502":                             {answer(activation.Activate, activation.Unclear, at(0), status(502)), events.UnknownOutcome, true},
		"503":                             {answer(activation.Activate, activation.Unclear, at(0), status(503)), events.UnknownOutcome, true},
		"504":                             {answer(activation.Activate, activation.Unclear, at(0), status(504)), events.UnknownOutcome, true},
		"400":                             {refused(activation.Activate, 400, at(0)), events.Refused, false},
		"401 for a new token too":         {refused(activation.Activate, 401, at(0)), events.PartnerUnavailable, false},
		"403":                             {refused(activation.Activate, 403, at(0)), events.Refused, false},
		"404, an API that does not exist": {refused(activation.Activate, 404, at(0), func(a *activation.Answer) { a.NoSuchAPI = true }), events.PartnerUnavailable, false},
		"404 otherwise":                   {refused(activation.Activate, 404, at(0)), events.CustomerNotFound, false},
		"405":                             {refused(activation.Activate, 405, at(0)), events.PartnerUnavailable, false},
		"408":                             {refused(activation.Activate, 408, at(0)), events.UnknownOutcome, true},
		"409":                             {refused(activation.Activate, 409, at(0)), events.Refused, false},
		"413":                             {refused(activation.Activate, 413, at(0)), events.PartnerUnavailable, false},
		"415":                             {refused(activation.Activate, 415, at(0)), events.PartnerUnavailable, false},
		"422":                             {refused(activation.Activate, 422, at(0)), events.Refused, false},
		"429":                             {refused(activation.Activate, 429, at(0)), events.Transient, false},
		"499":                             {refused(activation.Activate, 499, at(0)), events.Refused, false},
		"a kind that nobody knows":        {answer(activation.Activate, 99, at(0)), events.UnknownOutcome, true},
		"no kind at all":                  {activation.Answer{Operation: activation.Activate}, events.UnknownOutcome, true},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			reason, unclear := activation.Classify(c.answer)
			if reason != c.reason || unclear != c.unclear {
				t.Errorf("it is %s, unclear %v; want %s, %v", reason, unclear, c.reason, c.unclear)
			}
		})
	}
}

// short names for the table below.
const (
	act  = activation.Activate
	look = activation.LookUp
	list = activation.List
	data = activation.DNSData
	dns  = activation.LookDNS
	none = activation.Nothing
)

// Plan, given each sequence of answers that can come (partner sheet §4, contract §3).
func TestPlan(t *testing.T) {
	t.Parallel()
	type verdict struct {
		state  events.State
		reason events.Reason
		via    events.Via
		cause  int // which of the answers, from 1
	}
	deferred := func(r events.Reason, cause int) verdict {
		return verdict{state: events.Deferred, reason: r, cause: cause}
	}
	s := func(seconds int) time.Time { return at(time.Duration(seconds) * time.Second) }
	ok := func(op activation.Operation, seconds int) activation.Answer {
		return answer(op, activation.Active, s(seconds))
	}
	inactive := func(seconds int) activation.Answer { return answer(look, activation.Inactive, s(seconds)) }
	listed := answer(list, activation.Listed, s(9))
	odd := func(op activation.Operation, kind activation.Kind) activation.Answer { return answer(op, kind, s(5)) }
	no := func(op activation.Operation, code int) activation.Answer { return refused(op, code, s(5)) }

	type answers = []activation.Answer
	fresh := claimed()
	first := func(r *events.Record) { r.LookFirst = true }
	lookFirst := claimed(first)
	for sentence, c := range map[string]struct {
		claim   *events.Record
		answers answers
		ask     activation.Operation
		want    verdict
	}{
		"a fresh claim: activate":         {fresh, nil, act, verdict{}},
		"an unsettled claim: look up":     {claimed(unsettled(at(0), 0)), nil, look, verdict{}},
		"unsettled without its bookmarks": {claimed(func(r *events.Record) { r.Unsettled = true }), nil, look, verdict{}},

		"activate says active": {fresh, answers{ok(act, 5)}, none, verdict{state: events.Activated, via: events.ViaActivate, cause: 1}},

		"400: look up":                          {fresh, answers{no(act, 400)}, look, verdict{}},
		"400, active already":                   {fresh, answers{no(act, 400), ok(look, 6)}, none, verdict{state: events.Activated, via: events.ViaLookup, cause: 2}},
		"400, not active: which records?":       {fresh, answers{no(act, 400), inactive(6)}, data, verdict{}},
		"400, look-up 404: not found":           {fresh, answers{no(act, 400), no(look, 404)}, none, deferred(events.CustomerNotFound, 1)},
		"400, look-up 403: list":                {fresh, answers{no(act, 400), no(look, 403)}, list, verdict{}},
		"400, look-up 400: list":                {fresh, answers{no(act, 400), no(look, 400)}, list, verdict{}},
		"400, look-up 400, listed: refused":     {fresh, answers{no(act, 400), no(look, 400), listed}, none, verdict{state: events.Failed, reason: events.Refused, cause: 1}},
		"400, look-up 400, list 403: everyone":  {fresh, answers{no(act, 400), no(look, 400), no(list, 403)}, none, deferred(events.PartnerUnavailable, 3)},
		"400, look-up 400, list 429: not final": {fresh, answers{no(act, 400), no(look, 400), no(list, 429)}, none, deferred(events.Transient, 1)},
		"400, look-up unclear: not final":       {fresh, answers{no(act, 400), odd(look, activation.Unclear)}, none, deferred(events.Transient, 1)},
		"400, look-up not sent: not final":      {fresh, answers{no(act, 400), odd(look, activation.NotSent)}, none, deferred(events.Transient, 1)},
		"400, look-up not asked: not final":     {fresh, answers{no(act, 400), odd(look, activation.NotAsked)}, none, deferred(events.Transient, 1)},
		"400, look-up redirected: not final":    {fresh, answers{no(act, 400), odd(look, activation.Redirect)}, none, deferred(events.Transient, 1)},
		"400, look-up 429: not final":           {fresh, answers{no(act, 400), no(look, 429)}, none, deferred(events.Transient, 1)},
		"400, look-up 429 with a hint":          {fresh, answers{no(act, 400), refused(look, 429, s(5), retryAfter(time.Minute))}, none, deferred(events.Transient, 2)},
		"400, look-up without token: everyone":  {fresh, answers{no(act, 400), odd(look, activation.NoToken)}, none, deferred(events.PartnerUnavailable, 2)},
		"400, look-up 401: everyone":            {fresh, answers{no(act, 400), no(look, 401)}, none, deferred(events.PartnerUnavailable, 2)},

		"409: look up":                    {fresh, answers{no(act, 409)}, look, verdict{}},
		"409, active already":             {fresh, answers{no(act, 409), ok(look, 6)}, none, verdict{state: events.Activated, via: events.ViaLookup, cause: 2}},
		"409, not active: which records?": {fresh, answers{no(act, 409), inactive(6)}, data, verdict{}},

		"401: everyone":                             {fresh, answers{no(act, 401)}, none, deferred(events.PartnerUnavailable, 1)},
		"no token: everyone":                        {fresh, answers{odd(act, activation.NoToken)}, none, deferred(events.PartnerUnavailable, 1)},
		"405: everyone":                             {fresh, answers{no(act, 405)}, none, deferred(events.PartnerUnavailable, 1)},
		"413: everyone":                             {fresh, answers{no(act, 413)}, none, deferred(events.PartnerUnavailable, 1)},
		"415: everyone":                             {fresh, answers{no(act, 415)}, none, deferred(events.PartnerUnavailable, 1)},
		"404 for the address: everyone":             {fresh, answers{refused(act, 404, s(5), func(a *activation.Answer) { a.NoSuchAPI = true })}, none, deferred(events.PartnerUnavailable, 1)},
		"403: look up":                              {fresh, answers{no(act, 403)}, look, verdict{}},
		"403, active already":                       {fresh, answers{no(act, 403), ok(look, 6)}, none, verdict{state: events.Activated, via: events.ViaLookup, cause: 2}},
		"403, readable and not active: records?":    {fresh, answers{no(act, 403), inactive(6)}, data, verdict{}},
		"403, look-up 403: list":                    {fresh, answers{no(act, 403), no(look, 403)}, list, verdict{}},
		"403, look-up 404: list":                    {fresh, answers{no(act, 403), no(look, 404)}, list, verdict{}},
		"403, 404, the list reads: not found":       {fresh, answers{no(act, 403), no(look, 404), listed}, none, deferred(events.CustomerNotFound, 1)},
		"403, 404, list 403: everyone":              {fresh, answers{no(act, 403), no(look, 404), no(list, 403)}, none, deferred(events.PartnerUnavailable, 3)},
		"403, look-up 400: list":                    {fresh, answers{no(act, 403), no(look, 400)}, list, verdict{}},
		"403, 400, the list reads: refused":         {fresh, answers{no(act, 403), no(look, 400), listed}, none, verdict{state: events.Failed, reason: events.Refused, cause: 1}},
		"403, 403, the list reads: not found":       {fresh, answers{no(act, 403), no(look, 403), listed}, none, deferred(events.CustomerNotFound, 1)},
		"403, 403, list 403: everyone":              {fresh, answers{no(act, 403), no(look, 403), no(list, 403)}, none, deferred(events.PartnerUnavailable, 3)},
		"403, 403, list 401: everyone":              {fresh, answers{no(act, 403), no(look, 403), no(list, 401)}, none, deferred(events.PartnerUnavailable, 3)},
		"403, 403, list without token: everyone":    {fresh, answers{no(act, 403), no(look, 403), odd(list, activation.NoToken)}, none, deferred(events.PartnerUnavailable, 3)},
		"403, 403, list 429: not known":             {fresh, answers{no(act, 403), no(look, 403), no(list, 429)}, none, deferred(events.Transient, 1)},
		"403, 403, list 429 with a hint":            {fresh, answers{no(act, 403), no(look, 403), refused(list, 429, s(5), retryAfter(time.Minute))}, none, deferred(events.Transient, 3)},
		"403, 403, list unclear: not known":         {fresh, answers{no(act, 403), no(look, 403), odd(list, activation.Unclear)}, none, deferred(events.Transient, 1)},
		"403, 403, list not sent: not known":        {fresh, answers{no(act, 403), no(look, 403), odd(list, activation.NotSent)}, none, deferred(events.Transient, 1)},
		"403, 403, list not asked: not known":       {fresh, answers{no(act, 403), no(look, 403), odd(list, activation.NotAsked)}, none, deferred(events.Transient, 1)},
		"404: look up":                              {fresh, answers{no(act, 404)}, look, verdict{}},
		"404, active already":                       {fresh, answers{no(act, 404), ok(look, 6)}, none, verdict{state: events.Activated, via: events.ViaLookup, cause: 2}},
		"404, look-up 404: not found":               {fresh, answers{no(act, 404), no(look, 404)}, none, deferred(events.CustomerNotFound, 1)},
		"404, look-up inactive: which records?":     {fresh, answers{no(act, 404), inactive(6)}, data, verdict{}},
		"404, look-up 403: list":                    {fresh, answers{no(act, 404), no(look, 403)}, list, verdict{}},
		"404, look-up 400, listed: not found":       {fresh, answers{no(act, 404), no(look, 400), listed}, none, deferred(events.CustomerNotFound, 1)},
		"404, look-up 404 for the address":          {fresh, answers{no(act, 404), refused(look, 404, s(5), func(a *activation.Answer) { a.NoSuchAPI = true })}, none, deferred(events.PartnerUnavailable, 2)},
		"429: wait":                                 {fresh, answers{no(act, 429)}, none, deferred(events.Transient, 1)},
		"not sent: wait":                            {fresh, answers{odd(act, activation.NotSent)}, none, deferred(events.Transient, 1)},
		"not asked: wait":                           {fresh, answers{odd(act, activation.NotAsked)}, none, deferred(events.Transient, 1)},
		"redirected: wait":                          {fresh, answers{odd(act, activation.Redirect)}, none, deferred(events.Transient, 1)},
		"unclear: look up":                          {fresh, answers{odd(act, activation.Unclear)}, look, verdict{}},
		"408: look up":                              {fresh, answers{no(act, 408)}, look, verdict{}},
		"an unknown kind: look up":                  {fresh, answers{odd(act, 99)}, look, verdict{}},
		"unclear, active: done":                     {fresh, answers{odd(act, activation.Unclear), ok(look, 6)}, none, verdict{state: events.Activated, via: events.ViaLookup, cause: 2}},
		"unclear, not active: still open":           {fresh, answers{odd(act, activation.Unclear), inactive(6)}, none, deferred(events.UnknownOutcome, 1)},
		"unclear, look-up 404: still open":          {fresh, answers{odd(act, activation.Unclear), no(look, 404)}, none, deferred(events.UnknownOutcome, 1)},
		"unclear, look-up 403: still open":          {fresh, answers{odd(act, activation.Unclear), no(look, 403)}, none, deferred(events.UnknownOutcome, 1)},
		"unclear, look-up unclear: still open":      {fresh, answers{odd(act, activation.Unclear), odd(look, activation.Unclear)}, none, deferred(events.UnknownOutcome, 1)},
		"unclear, look-up not asked: still open":    {fresh, answers{odd(act, activation.Unclear), odd(look, activation.NotAsked)}, none, deferred(events.UnknownOutcome, 1)},
		"unclear, an active customer listed by 200": {fresh, answers{odd(act, activation.Unclear), ok(look, 5)}, none, verdict{state: events.Activated, via: events.ViaLookup, cause: 2}},

		"unsettled, active: done":                       {claimed(unsettled(s(0), 0)), answers{ok(look, 6)}, none, verdict{state: events.Activated, via: events.ViaLookup, cause: 1}},
		"unsettled, too early a no":                     {claimed(unsettled(s(0), 0)), answers{inactive(6)}, none, deferred(events.UnknownOutcome, 1)},
		"unsettled, the first spaced no":                {claimed(unsettled(s(0), 0)), answers{inactive(20)}, none, deferred(events.UnknownOutcome, 1)},
		"unsettled, the second no, too early":           {claimed(unsettled(s(0), 1)), answers{inactive(50)}, none, deferred(events.UnknownOutcome, 1)},
		"unsettled, the second spaced no: activate":     {claimed(unsettled(s(0), 1)), answers{inactive(70)}, act, verdict{}},
		"settled in this attempt, then active":          {claimed(unsettled(s(0), 1)), answers{inactive(70), ok(act, 72)}, none, verdict{state: events.Activated, via: events.ViaActivate, cause: 2}},
		"settled in this attempt, then 400: look up":    {claimed(unsettled(s(0), 1)), answers{inactive(70), no(act, 400)}, look, verdict{}},
		"settled in this attempt, 400, not active":      {claimed(unsettled(s(0), 1)), answers{inactive(70), no(act, 400), inactive(72)}, data, verdict{}},
		"settled in this attempt, unclear: look up":     {claimed(unsettled(s(0), 1)), answers{inactive(70), odd(act, activation.Unclear)}, look, verdict{}},
		"settled in this attempt, unclear, not active":  {claimed(unsettled(s(0), 1)), answers{inactive(70), odd(act, activation.Unclear), inactive(99)}, none, deferred(events.UnknownOutcome, 2)},
		"settled in this attempt, 403, 403: list":       {claimed(unsettled(s(0), 1)), answers{inactive(70), no(act, 403), no(look, 403)}, list, verdict{}},
		"settled in this attempt, 403, 403, listed":     {claimed(unsettled(s(0), 1)), answers{inactive(70), no(act, 403), no(look, 403), listed}, none, deferred(events.CustomerNotFound, 2)},
		"unsettled, look-up 400: stays open":            {claimed(unsettled(s(0), 1)), answers{no(look, 400)}, none, deferred(events.UnknownOutcome, 1)},
		"unsettled, look-up 404: not found":             {claimed(unsettled(s(0), 1)), answers{no(look, 404)}, none, deferred(events.CustomerNotFound, 1)},
		"unsettled, look-up 403: list":                  {claimed(unsettled(s(0), 1)), answers{no(look, 403)}, list, verdict{}},
		"unsettled, look-up 403, listed: not found":     {claimed(unsettled(s(0), 1)), answers{no(look, 403), listed}, none, deferred(events.CustomerNotFound, 1)},
		"unsettled, look-up 403, list 403: everyone":    {claimed(unsettled(s(0), 1)), answers{no(look, 403), no(list, 403)}, none, deferred(events.PartnerUnavailable, 2)},
		"unsettled, look-up unclear: open":              {claimed(unsettled(s(0), 1)), answers{odd(look, activation.Unclear)}, none, deferred(events.UnknownOutcome, 1)},
		"unsettled, look-up 429: wait":                  {claimed(unsettled(s(0), 1)), answers{no(look, 429)}, none, deferred(events.Transient, 1)},
		"unsettled, look-up not sent: wait":             {claimed(unsettled(s(0), 1)), answers{odd(look, activation.NotSent)}, none, deferred(events.Transient, 1)},
		"unsettled, look-up not asked: wait":            {claimed(unsettled(s(0), 1)), answers{odd(look, activation.NotAsked)}, none, deferred(events.Transient, 1)},
		"unsettled, look-up without token: everyone":    {claimed(unsettled(s(0), 1)), answers{odd(look, activation.NoToken)}, none, deferred(events.PartnerUnavailable, 1)},
		"look first: look up":                           {lookFirst, nil, look, verdict{}},
		"look first, active: done":                      {lookFirst, answers{ok(look, 6)}, none, verdict{state: events.Activated, via: events.ViaLookup, cause: 1}},
		"look first, not active: activate at once":      {lookFirst, answers{inactive(6)}, act, verdict{}},
		"look first, then active":                       {lookFirst, answers{inactive(6), ok(act, 7)}, none, verdict{state: events.Activated, via: events.ViaActivate, cause: 2}},
		"look first, then 400: look up again":           {lookFirst, answers{inactive(6), no(act, 400)}, look, verdict{}},
		"look first, 400: activate says more":           {lookFirst, answers{no(look, 400)}, act, verdict{}},
		"look first, 404: not found":                    {lookFirst, answers{no(look, 404)}, none, deferred(events.CustomerNotFound, 1)},
		"look first, 403: list":                         {lookFirst, answers{no(look, 403)}, list, verdict{}},
		"look first, 403, listed: not found":            {lookFirst, answers{no(look, 403), listed}, none, deferred(events.CustomerNotFound, 1)},
		"look first, 403, list 403: everyone":           {lookFirst, answers{no(look, 403), no(list, 403)}, none, deferred(events.PartnerUnavailable, 2)},
		"look first, unclear: wait":                     {lookFirst, answers{odd(look, activation.Unclear)}, none, deferred(events.UnknownOutcome, 1)},
		"look first, 429: wait":                         {lookFirst, answers{no(look, 429)}, none, deferred(events.Transient, 1)},
		"look first, not asked: wait":                   {lookFirst, answers{odd(look, activation.NotAsked)}, none, deferred(events.Transient, 1)},
		"look first, without token: everyone":           {lookFirst, answers{odd(look, activation.NoToken)}, none, deferred(events.PartnerUnavailable, 1)},
		"look first and unsettled: one no is too few":   {claimed(unsettled(s(0), 0), first), answers{inactive(20)}, none, deferred(events.UnknownOutcome, 1)},
		"look first and unsettled, 400: stays open":     {claimed(unsettled(s(0), 0), first), answers{no(look, 400)}, none, deferred(events.UnknownOutcome, 1)},
		"unsettled since nobody knows when: begin anew": {claimed(func(r *events.Record) { r.Unsettled = true }), answers{inactive(999)}, none, deferred(events.UnknownOutcome, 1)},
		"unsettled, a slow no to a look-up begun too early": {
			// What it shows is the partner of 35 s after the no before, not of 61 s.
			claimed(unsettled(s(0), 1)), answers{answer(look, activation.Inactive, s(61), func(a *activation.Answer) { a.StartedAt = s(35) })}, none, deferred(events.UnknownOutcome, 1),
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			ask, v := activation.Plan(c.claim, c.answers, activation.DefaultPolicy())
			if ask != c.ask {
				t.Fatalf("it asks %q (verdict %s %s), want %q", ask, v.State, v.Reason, c.ask)
			}
			if v.State != c.want.state || v.Reason != c.want.reason || v.Via != c.want.via {
				t.Errorf("the verdict is %q %q via %q, want %q %q via %q", v.State, v.Reason, v.Via, c.want.state, c.want.reason, c.want.via)
			}
			if ask != none {
				return
			}
			if blamed := c.answers[c.want.cause-1]; v.Cause.Operation != blamed.Operation || v.Cause.Status != blamed.Status || v.Cause.Kind != blamed.Kind || !v.Cause.At.Equal(blamed.At) {
				t.Errorf("the cause is %s %d at %v, want answer %d", v.Cause.Operation, v.Cause.Status, v.Cause.At, c.want.cause)
			}
			if v.State != events.Activated && v.Text == "" {
				t.Error("the verdict has no sentence for the operator")
			}
		})
	}
}
