package simulator

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// denied is how the partner answers alike for a foreign and for a missing customer.
func denied() answer { return failure(http.StatusForbidden, "ACCESS_DENIED", FormCoded) }

// invalid is how it refuses a body or a parameter.
func invalid() answer { return failure(http.StatusBadRequest, "INVALID_PARAMETER", FormCoded) }

// activate is the ownership check and makes the domain active.
func (s *Simulator) activate(req *request) answer {
	proven := s.proven(req)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	c, ok := s.find(req.id)
	switch {
	case !ok:
		return denied()
	case c.Active && s.opts.Unknown.AlreadyActive.Status != http.StatusOK:
		return s.opts.Unknown.AlreadyActive.answer()
	case c.Active:
	case !c.termsDone(now) || req.plan.noTerms:
		return s.opts.Unknown.TermsPending.answer()
	case c.needsDNS() && (req.plan.noDNS || !proven && !c.dnsDone(now)):
		return s.opts.Unknown.DNSMissing.answer()
	default:
		c.Active, c.shownAt = true, now.Add(req.plan.lag.pick(req.draw))
		s.journal.applied(req.call, req.id, now)
	}
	a := shown(http.StatusOK, c.object(now, true))
	a.customer = true
	return a
}

// proven looks the ownership records up where a resolver is set, outside of the lock.
func (s *Simulator) proven(req *request) bool {
	if s.opts.Resolver == nil {
		return false
	}
	s.mu.Lock()
	c, ok := s.find(req.id)
	var copied customer
	if ok {
		copied = *c
	}
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(req.Context()), 5*time.Second)
	defer cancel()
	return ok && copied.resolves(ctx, s.opts.Resolver, orElse(copied.upgrade, copied.Domain))
}

// lookup shows one customer, perhaps not yet as it is.
func (s *Simulator) lookup(req *request) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.find(req.id)
	if !ok {
		return denied()
	}
	a := shown(http.StatusOK, s.seen(c))
	a.customer = true
	return a
}

// seen is a customer as look-ups and lists show it now.
func (s *Simulator) seen(c *customer) object {
	now := s.now()
	return c.object(now, c.Active && !now.Before(c.shownAt))
}

// list pages through the customers. The cursor holds the last domain name, in base64 of which + / and = must be escaped.
func (s *Simulator) list(req *request) answer {
	q := req.URL.Query()
	count, err := strconv.Atoi(orElse(q.Get("count"), "10"))
	order := orElse(q.Get("orderBy"), "name asc")
	after, badCursor := base64.StdEncoding.DecodeString(q.Get("cursor"))
	if err != nil || count < 1 || count > 30 || (order != "name asc" && order != "name desc") || badCursor != nil {
		return invalid()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.byDomain()
	if order == "name desc" {
		slices.Reverse(all)
	}
	if i := slices.IndexFunc(all, func(c *customer) bool { return c.Domain == string(after) }); i >= 0 {
		all = all[i+1:]
	}
	if domain := q.Get("domain"); domain != "" {
		all = slices.DeleteFunc(all, func(c *customer) bool { return c.Domain != domain })
	}
	meta := object{}
	if len(all) > count {
		all = all[:count]
		meta = object{{"nextCursor", base64.StdEncoding.EncodeToString([]byte(all[count-1].Domain))}}
	} else if s.opts.Unknown.LastCursorNull {
		meta = object{{"nextCursor", nil}}
	}
	page := make([]object, 0, len(all))
	for _, c := range all {
		page = append(page, s.seen(c))
	}
	return shown(http.StatusOK, object{{"customers", page}, {"responseMetaData", meta}})
}

// upgradeDomain shows the DNS values to publish.
func (s *Simulator) upgradeDomain(req *request) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.find(req.id)
	switch {
	case !ok:
		return denied()
	case c.upgrade != "":
		return shown(http.StatusOK, c.dnsObject(c.upgrade, false, s.opts.Unknown.SubdomainHostFull))
	case !c.Active && c.needsDNS():
		return shown(http.StatusOK, c.dnsObject(c.Domain, false, s.opts.Unknown.SubdomainHostFull))
	case s.opts.Unknown.UpgradeActive.Status != http.StatusOK:
		return s.opts.Unknown.UpgradeActive.answer()
	}
	return shown(http.StatusOK, object{{"domain", c.Domain}, {"isActiveDomain", c.Active}})
}

// requestUpgrade starts the change from a group name to a real domain.
func (s *Simulator) requestUpgrade(req *request) answer {
	var body struct{ Domain string }
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.find(req.id)
	switch {
	case !ok:
		return denied()
	case json.Unmarshal(req.body, &body) != nil || domainType(body.Domain) != "DOMAIN":
		return invalid()
	}
	c.upgrade = body.Domain
	return shown(http.StatusCreated, c.dnsObject(body.Domain, false, s.opts.Unknown.SubdomainHostFull))
}

// changeDomain ends that change once the DNS is there.
func (s *Simulator) changeDomain(req *request) answer {
	var body struct{ Domain string }
	proven := s.proven(req)
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.find(req.id)
	switch {
	case !ok:
		return denied()
	case json.Unmarshal(req.body, &body) != nil || c.upgrade == "" || body.Domain != c.upgrade || !proven && !c.dnsDone(s.now()):
		return invalid()
	}
	c.Domain, c.DomainType, c.upgrade = body.Domain, domainType(body.Domain), ""
	return answer{status: http.StatusNoContent}
}

// verifyDomain tells whether a name can be registered, and as what.
func (s *Simulator) verifyDomain(req *request) answer {
	var body struct{ Domain string }
	if err := json.Unmarshal(req.body, &body); err != nil || !s.free(body.Domain) {
		return invalid()
	}
	return shown(http.StatusOK, object{{"domain", body.Domain}, {"type", domainType(body.Domain)}})
}

// free tells whether a name has 2 to 22 characters and no owner.
func (s *Simulator) free(domain string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := slices.ContainsFunc(s.byDomain(), func(c *customer) bool { return c.Domain == domain })
	return !taken && len(domain) >= 2 && len(domain) <= 22 && domain == strings.ToLower(domain)
}

// register makes a customer that has yet to accept the terms and to publish its DNS records.
func (s *Simulator) register(req *request) answer {
	var body struct {
		Domain, ProductID, CompanyName, PhoneNumber, TimeZone, Locale string
		Administrator                                                 Administrator
		Partnership                                                   struct{ CustomerCode, Memo string }
	}
	err := json.Unmarshal(req.body, &body)
	missing := slices.Contains([]string{
		body.CompanyName, body.PhoneNumber, body.TimeZone, body.Locale,
		body.Administrator.LastName, body.Administrator.ID, body.Administrator.PrivateEmail,
	}, "")
	if err != nil || missing || utf8.RuneCountInString(body.CompanyName) > 40 || !s.free(body.Domain) {
		return invalid()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.add(Customer{
		DomainID: s.nextID, Domain: body.Domain, ProductID: body.ProductID, CompanyName: body.CompanyName, PhoneNumber: body.PhoneNumber,
		TimeZone: body.TimeZone, Locale: body.Locale, Administrator: body.Administrator,
		CustomerCode: body.Partnership.CustomerCode, Memo: body.Partnership.Memo,
	})
	return shown(s.opts.Unknown.RegisterStatus, s.seen(c))
}

// modify changes what a body names; a replacement is not told apart from a change.
func (s *Simulator) modify(req *request) answer {
	var body struct {
		CompanyName, PhoneNumber, TimeZone, Locale *string
		Partnership                                struct{ CustomerCode, Memo *string }
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.find(req.id)
	switch {
	case !ok:
		return denied()
	case json.Unmarshal(req.body, &body) != nil,
		body.Partnership.CustomerCode != nil && len(*body.Partnership.CustomerCode) > 200,
		body.Partnership.Memo != nil && len(*body.Partnership.Memo) > 700:
		return invalid()
	}
	for _, change := range []struct{ from, to *string }{
		{body.CompanyName, &c.CompanyName},
		{body.PhoneNumber, &c.PhoneNumber},
		{body.TimeZone, &c.TimeZone},
		{body.Locale, &c.Locale},
		{body.Partnership.CustomerCode, &c.CustomerCode},
		{body.Partnership.Memo, &c.Memo},
	} {
		if change.from != nil {
			*change.to = *change.from
		}
	}
	a := shown(http.StatusOK, s.seen(c))
	a.customer = true
	return a
}
