package partnerapi

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"time"
)

// Call is what one call may do.
type Call struct {
	// Before is the wall-clock time by which every request has to have ended; zero:
	// no limit. No request, repeat or redirect is written unless it can end by
	// then. This is checked before dialling and again at the last moment before
	// the write, when the connection stands.
	Before time.Time

	// Starting, if set, is called right before each request is written, repeats and
	// redirects included. It must not block. If it says no, nothing is written, and the
	// call ends as TooLate. A write that fails after a yes counts all the same.
	Starting func() bool

	// Answered, if set, is called once for each answer to one of the requests, whatever it says, repeats and redirects
	// included, with what its rate headers told. It must not block.
	Answered func(Limits)

	// Again, if set, is asked for leave before a repeat and before each redirect, which
	// are further requests. It may wait; its error ends the call as TooLate.
	Again func(context.Context) error
}

// request is what is asked: the same for repeats and redirects.
type request struct {
	op       Operation
	domainID int64 // 0: about no one customer
	method   string
	path     string // below the API's base
	query    string
}

// What ends the context of a request whose write the gate forbade.
var (
	errLate  = errors.New("too late to begin")
	errAgain = errors.New("it would be a further request")
)

// do makes one call: a request with its redirects, and after a 401 one repeat
// with a new token. It returns the answer if it is a 2xx, else an *Error.
func (c *Client) do(ctx context.Context, r request, call Call) (*answer, *Error) {
	tok, err := c.tokens.get(ctx)
	if err != nil {
		return nil, c.tokenFailure(r, err, 0)
	}
	ans, fail := c.follow(ctx, r, call, tok, 0)
	if fail == nil && tokenRefused(ans) {
		ans, fail = c.repeat(ctx, r, call, tok, ans)
	}
	return c.judge(r, ans, fail)
}

// repeat sends the request anew with a new token, after the partner answered the
// first with refused.
func (c *Client) repeat(ctx context.Context, r request, call Call, tok token, refused *answer) (*answer, *Error) {
	c.tokens.drop(tok)
	fresh, err := c.tokens.get(ctx)
	if err != nil {
		return nil, c.tokenFailure(r, err, refused.sent)
	}
	if fresh.fixed && fresh.value == tok.value {
		return nil, c.fixedRefused(r, refused)
	}
	if fail := c.again(ctx, r, call, refused.sent); fail != nil {
		return nil, fail
	}
	return c.follow(ctx, r, call, fresh, refused.sent)
}

// again asks for leave for a further request of a call that has written some already.
func (c *Client) again(ctx context.Context, r request, call Call, written int) *Error {
	if call.Again == nil || call.Again(ctx) == nil {
		return nil
	}
	fail := c.failure(r, TooLate, nil, "there was no leave for a further request")
	fail.Sent = written
	return fail
}

// judge decides by the status alone.
func (c *Client) judge(r request, ans *answer, fail *Error) (*answer, *Error) {
	switch {
	case fail != nil:
		return nil, fail
	case ans.status/100 == 2:
		return ans, nil
	case ans.status == http.StatusTooManyRequests:
		return nil, c.failure(r, Refused, ans, "too many requests: slow down")
	case tokenRefused(ans):
		return nil, c.failure(r, Refused, ans, "the partner refused a new token too")
	case ans.status/100 == 4:
		return nil, c.failure(r, Refused, ans, "the partner said a definite no")
	}
	return nil, c.failure(r, Unclear, ans, "the partner failed, and may have carried the request out")
}

// tokenRefused: any 401, and the 403 that says the same.
func tokenRefused(ans *answer) bool {
	if ans.status == http.StatusForbidden {
		code, _ := readErrorBody(ans.body)
		return code == "UNAUTHORIZED"
	}
	return ans.status == http.StatusUnauthorized
}

// follow sends the request and follows its redirects, all within one time-out.
// written is the number of requests of this call written before.
func (c *Client) follow(ctx context.Context, r request, call Call, tok token, written int) (*answer, *Error) {
	deadline := c.now().Add(c.cfg.Timeout)
	if !call.Before.IsZero() && deadline.After(call.Before.Round(0)) {
		fail := c.failure(r, TooLate, nil, "it could not end in the time that is left")
		fail.Sent = written
		return nil, fail
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	first := *c.base
	first.Path += r.path
	first.RawQuery = r.query
	target := &first
	for hop := 0; ; hop++ {
		g := &gate{now: c.now, deadline: deadline, starting: call.Starting, method: r.method, sent: written, before: written}
		sending, span := c.cfg.span(ctx, r.op, r.method, target, r.domainID)
		ans, fail := c.send(sending, r, target, tok, g)
		endSpan(span, ans, fail)
		if ans != nil && call.Answered != nil {
			call.Answered(ans.limits)
		}
		if fail != nil || !isRedirect(ans.status) {
			return ans, fail
		}
		next, why := nextHop(c.base, target, ans.status, ans.header)
		if why == "" && hop == maxRedirects {
			why = "too many redirects"
		}
		if why != "" {
			return nil, c.failure(r, Redirect, ans, why)
		}
		if fail := c.again(ctx, r, call, ans.sent); fail != nil {
			return nil, fail
		}
		target, written = next, ans.sent
	}
}

// send writes one request and reads its answer, whatever it is.
func (c *Client) send(ctx context.Context, r request, target *url.URL, tok token, g *gate) (*answer, *Error) {
	parent, before := ctx, g.sent
	ctx, g.cancel = context.WithCancelCause(ctx)
	defer g.cancel(nil)
	g.ctx = ctx
	req := &http.Request{Method: r.method, URL: target, Header: http.Header{
		"Authorization": {"Bearer " + tok.value}, // on each hop: Go's client would drop it on another host
		"Accept":        {"application/json"},
		"User-Agent":    {c.cfg.UserAgent},
	}}
	var secured handshake
	trace := &httptrace.ClientTrace{GotConn: g.gotConn, WroteHeaders: g.wroteHeaders, TLSHandshakeDone: secured.done}
	began := time.Now()
	resp, err := c.transport.RoundTrip(req.WithContext(httptrace.WithClientTrace(ctx, trace)))
	if err == nil {
		ans := readAnswer(resp)
		ans.sent, ans.at, ans.limits = g.sent, c.now(), limitsOf(resp.Header)
		c.cfg.Observer.Requested(string(r.op), ans.status, resultOf(ans), time.Since(began))
		return ans, nil
	}
	switch { // rather than what closing the connection or cancelling looked like
	case parent.Err() != nil:
		err = parent.Err()
	case errors.Is(context.Cause(ctx), errAgain):
		err = errAgain
	default:
		err = secured.mark(err)
	}
	var fail *Error
	switch {
	case g.late:
		fail = c.failure(r, TooLate, nil, "the time was up before the request could be written")
	case g.sent == before:
		fail = c.lost(r, NotSent, err)
	default:
		fail = c.lost(r, Unclear, err)
	}
	if fail.Kind != TooLate { // else there was no request
		c.cfg.Observer.Requested(string(r.op), 0, string(fail.Kind), time.Since(began))
	}
	fail.Sent = g.sent
	return nil, fail
}
