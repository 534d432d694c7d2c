package activation_test

import (
	"testing"

	"activation-worker/internal/activation"
	"activation-worker/internal/events"
)

func TestAnswersThatNoTableKnows(t *testing.T) {
	t.Parallel()
	p := activation.DefaultPolicy()
	p.Table = []activation.Known{
		{Status: 409, Code: "ALREADY_DONE", Reason: events.Refused},
		{Status: 422, Reason: events.TermsPending},
	}
	refused := func(status int, code string) *events.Cause {
		return &events.Cause{Operation: "activate", HTTPStatus: status, Code: code}
	}
	for name, c := range map[string]struct {
		cause *events.Cause
		known bool
	}{
		"an unexplained code":              {refused(400, "INVALID_PARAMETER"), false},
		"no code":                          {refused(400, ""), false},
		"denied":                           {refused(403, "ACCESS_DENIED"), false},
		"not found":                        {refused(404, "NOT_FOUND"), false},
		"another code of a status mapped":  {refused(409, "OTHER"), false},
		"mapped by the operator":           {refused(409, "ALREADY_DONE"), true},
		"a whole status mapped":            {refused(422, "ANYTHING"), true},
		"the rate limit":                   {refused(429, "TOO_MANY_REQUESTS"), true},
		"the token":                        {refused(401, "UNAUTHORIZED"), true},
		"a time-out, which stays unclear":  {refused(408, ""), true},
		"our address":                      {&events.Cause{Operation: "activate", HTTPStatus: 404, Code: "NOT_FOUND", Description: "the partner knows no such API: LINEWORKS_API_URL is wrong"}, true},
		"a look-up":                        {&events.Cause{Operation: "customer", HTTPStatus: 403, Code: "ACCESS_DENIED"}, true},
		"the partner's own trouble":        {refused(500, "INTERNAL_SERVER_ERROR"), true},
		"an operator's word, and no cause": {nil, true},
	} {
		if got := p.Knows(c.cause); got != c.known {
			t.Errorf("%s: known is %t", name, got)
		}
	}
}

// A refusal of what is only read is understood by its status alone.
func TestRecognizesLookUps(t *testing.T) {
	t.Parallel()
	p := activation.DefaultPolicy()
	for status, want := range map[int]bool{403: true, 404: true, 429: true, 400: false, 409: false} {
		a := activation.Answer{Operation: activation.LookUp, Kind: activation.Refusal, Status: status, Code: "ODD"}
		if got := p.Recognizes(a); got != want {
			t.Errorf("a look-up refused with %d: %t, want %t", status, got, want)
		}
	}
	if !p.Recognizes(activation.Answer{Operation: activation.Activate, Kind: activation.Unclear, Status: 500}) {
		t.Error("what is no refusal has no code to know")
	}
}
