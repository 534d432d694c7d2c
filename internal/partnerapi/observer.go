package partnerapi

import (
	"net/http"
	"time"
)

// Observer is told what a client asks for, as it happens. It is called by several goroutines at once and must not block.
type Observer interface {
	// Requested is told of each HTTP request, repeats, redirects and those for a token included: its operation, the status
	// answered (0: none), one of the results below, and how long it took with its connection and its body. A request
	// that was not made for want of time is none.
	Requested(operation string, status int, result string, took time.Duration)
	// TokenFetched is told of each access token asked for: [ResultOK], [Refused] where somebody has to change
	// something, else [Unclear].
	TokenFetched(result string)
}

// What a single request came to, beside [NotSent], [Redirect], [Refused] and [Unclear]. ResultOK is a 2xx that came whole,
// whatever it says; ResultLimited is a 429; with ResultToken the access token was refused.
const (
	ResultOK      = "ok"
	ResultLimited = "limited"
	ResultToken   = string(Token)
)

type nobody struct{}

func (nobody) Requested(string, int, string, time.Duration) {}
func (nobody) TokenFetched(string)                          {}

// resultOf tells an answer by its status.
func resultOf(ans *answer) string {
	switch {
	case ans.status/100 == 2 && ans.bodyErr == nil:
		return ResultOK
	case ans.status == http.StatusTooManyRequests:
		return ResultLimited
	case tokenRefused(ans):
		return ResultToken
	case ans.status/100 == 3:
		return string(Redirect)
	case ans.status/100 == 4:
		return string(Refused)
	}
	return string(Unclear)
}

// observeRequest tells of a request to the token endpoint.
func (t *tokens) observeRequest(r *endpointReader, granted bool, took time.Duration) {
	status, result := 0, string(Unclear)
	switch {
	case r.ans != nil:
		status, result = r.ans.status, resultOf(r.ans)
	case !r.reached:
		result = string(NotSent)
	}
	if result == ResultToken { // of an endpoint that gives tokens it is a plain no
		result = string(Refused)
	}
	if result == ResultOK && !granted {
		result = string(Unclear)
	}
	t.cfg.Observer.Requested(string(OpToken), status, result, took)
}

// observe tells of a fetch. A token that was ready-made was not fetched.
func (t *tokens) observe(f *flight) {
	switch {
	case f.fail == nil && f.tok.fixed:
	case f.fail == nil:
		t.cfg.Observer.TokenFetched(ResultOK)
	case f.fail.Credentials:
		t.cfg.Observer.TokenFetched(string(Refused))
	default:
		t.cfg.Observer.TokenFetched(string(Unclear))
	}
}
