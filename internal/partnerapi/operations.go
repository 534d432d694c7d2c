package partnerapi

import (
	"context"
	"net/http"
	"strconv"
)

// Activate asks the partner to check the ownership of the customer's domain and
// to set it active (POST /partners/customers/{domainId}/activate). It succeeds
// only on a 2xx that shows our domainId with enableActiveDomain true. Any other
// end is an *Error; see Error.MaybeApplied for the one that needs a look-up.
func (c *Client) Activate(ctx context.Context, domainID int64, call Call) (Customer, error) {
	r := request{op: OpActivate, domainID: domainID, method: http.MethodPost, path: customerPath(domainID, "activate")}
	customer, ans, fail := c.customer(ctx, r, call)
	if fail == nil && !customer.Active {
		fail = c.failure(r, Unclear, ans, "the answer shows the domain not active")
	}
	if fail != nil {
		return Customer{}, fail
	}
	return customer, nil
}

// Customer looks the customer up (GET /partners/customers/{domainId}). It
// succeeds on a 2xx about our domainId, active or not. Any other end is an
// *Error.
func (c *Client) Customer(ctx context.Context, domainID int64, call Call) (Customer, error) {
	r := request{op: OpCustomer, domainID: domainID, method: http.MethodGet, path: customerPath(domainID)}
	customer, _, fail := c.customer(ctx, r, call)
	if fail != nil {
		return Customer{}, fail
	}
	return customer, nil
}

// UpgradeDomain reads the DNS values that prove the ownership of the customer's
// domain (GET /partners/customers/{domainId}/upgrade-domain). It succeeds on a
// 2xx with a JSON object, whose fields may all be empty. Any other end is an
// *Error.
func (c *Client) UpgradeDomain(ctx context.Context, domainID int64, call Call) (DNSValues, error) {
	r := request{
		op: OpUpgradeDomain, domainID: domainID,
		method: http.MethodGet, path: customerPath(domainID, "upgrade-domain"),
	}
	ans, fail := c.do(ctx, r, call)
	if fail != nil {
		return DNSValues{}, fail
	}
	values, ok := readDNSValues(ans.body)
	if !ok {
		return DNSValues{}, c.failure(r, Unclear, ans, "the answer holds no DNS values that could be read")
	}
	return values, nil
}

// CanList returns nil if the list of customers can be read (GET
// /partners/customers?count=1): then credentials and scope are good, and a
// refusal elsewhere is about that customer. Any other end is an *Error.
func (c *Client) CanList(ctx context.Context, call Call) error {
	r := request{op: OpList, method: http.MethodGet, path: "/partners/customers", query: "count=1"}
	ans, fail := c.do(ctx, r, call)
	if fail != nil {
		return fail
	}
	if values, _ := members(ans.body); !has(values, "customers") {
		return c.failure(r, Unclear, ans, "the answer holds no list of customers: check "+settingAPIURL)
	}
	return nil
}

func (c *Client) customer(ctx context.Context, r request, call Call) (Customer, *answer, *Error) {
	ans, fail := c.do(ctx, r, call)
	if fail != nil {
		return Customer{}, nil, fail
	}
	customer, trouble := readCustomer(ans.body, ans.bodyErr != nil, r.domainID, c.cfg.MaxPayload)
	if trouble != "" {
		return Customer{}, ans, c.unreadable(r, ans, trouble)
	}
	customer.RequestID = c.tokens.vault.token(requestIDOf(ans.header))
	customer.Sent = ans.sent
	return customer, ans, nil
}

// unreadable is the error of a 2xx that does not show what was asked; a body
// that broke off is told from one that is of no use.
func (c *Client) unreadable(r request, ans *answer, trouble string) *Error {
	e := c.failure(r, Unclear, ans, trouble)
	if ans.bodyErr != nil {
		why, safe := describe(ans.bodyErr)
		e.Trouble, e.err = trouble+": "+why, safe
	}
	return e
}

func customerPath(domainID int64, below ...string) string {
	path := "/partners/customers/" + strconv.FormatInt(domainID, 10)
	for _, part := range below {
		path += "/" + part
	}
	return path
}

func has(values map[string]any, name string) bool {
	_, ok := values[name]
	return ok
}
