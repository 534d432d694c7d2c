package partnerapi

import (
	"errors"
	"net/http"
)

// failure builds the error of a call; ans is the last answer, or nil.
func (c *Client) failure(r request, kind Kind, ans *answer, trouble string) *Error {
	e := &Error{Op: r.op, DomainID: r.domainID, Kind: kind, RetryAfter: -1, Trouble: trouble}
	if ans != nil {
		e.fill(ans, &c.tokens.vault)
	}
	return e
}

// fill copies what the answer says into e, fit to be recorded.
func (e *Error) fill(ans *answer, v *vault) {
	code, raw := readErrorBody(ans.body)
	e.Status, e.Sent = ans.status, ans.sent
	e.Code, e.PartnerText = v.token(code), v.partnerText(raw)
	e.RequestID = v.token(requestIDOf(ans.header))
	e.RetryAfter = retryAfterOf(ans.status, ans.header, ans.at)
}

// lost builds the error of a request that got no answer.
func (c *Client) lost(r request, kind Kind, err error) *Error {
	trouble, safe := describe(err)
	e := c.failure(r, kind, nil, trouble)
	e.err = safe
	return e
}

// tokenFailure passes a token error on; every waiter gets a copy of its own.
// Anything else is the caller's context, which ended while waiting.
func (c *Client) tokenFailure(r request, err error, sent int) *Error {
	if shared, ok := errors.AsType[*Error](err); ok {
		e := *shared
		e.Sent = sent
		return &e
	}
	e := c.lost(r, NotSent, err)
	e.Sent = sent
	return e
}

// fixedRefused is the end for a ready-made token that the partner refused. A 403
// may as well mean a missing right, so that stays a plain no.
func (c *Client) fixedRefused(r request, ans *answer) *Error {
	if ans.status == http.StatusForbidden {
		return c.failure(r, Refused, ans, "the partner said a definite no")
	}
	e := c.failure(r, Token, ans, "LINEWORKS_ACCESS_TOKEN was refused and cannot be renewed: set a new one")
	e.Credentials = true
	return e
}
