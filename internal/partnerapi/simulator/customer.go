package simulator

import (
	"context"
	"hash/fnv"
	"strconv"
	"strings"
	"time"
)

// Customer is a customer of the partner. Fields left zero, apart from the states, are invented from the domain id.
type Customer struct {
	DomainID      int64         `json:"domainId"`
	TenantID      int64         `json:"tenantId,omitempty"`
	Domain        string        `json:"domain,omitempty"`
	DomainType    string        `json:"domainType,omitempty"` // DOMAIN, or GROUP when the domain has no dot
	ProductID     string        `json:"productId,omitempty"`  // empty: null in answers
	CompanyName   string        `json:"companyName,omitempty"`
	PhoneNumber   string        `json:"phoneNumber,omitempty"`
	TimeZone      string        `json:"timeZone,omitempty"`
	Locale        string        `json:"locale,omitempty"`
	CustomerCode  string        `json:"customerCode,omitempty"`
	Memo          string        `json:"memo,omitempty"`
	Administrator Administrator `json:"administrator,omitzero"`

	Terms  bool   `json:"terms,omitempty"`  // the terms of service are accepted
	DNS    bool   `json:"dns,omitempty"`    // the partner's resolver sees an ownership record
	Active bool   `json:"active,omitempty"` // enableActiveDomain
	Status string `json:"status,omitempty"` // partnership.status for good; empty: as the states say

	// DNSRecords say what of it others see: [Simulator.DNSHandler] shows, once DNS is done, DNSBoth, DNSTXT and so on.
	DNSRecords string `json:"dnsRecords,omitempty"`

	TermsAfter time.Duration `json:"-"` // Terms comes true so long after [Simulator.Add]; in JSON "termsAfter":"30s"
	DNSAfter   time.Duration `json:"-"` // DNS likewise; in JSON "dnsAfter"
}

// Administrator is a customer's first administrator: personal data, made up.
type Administrator struct {
	LastName     string `json:"lastName,omitempty"`
	FirstName    string `json:"firstName,omitempty"`
	ID           string `json:"id,omitempty"`
	PrivateEmail string `json:"privateEmail,omitempty"`
	Cellphone    string `json:"cellphone,omitempty"`
	CountryCode  string `json:"countryCode,omitempty"`
}

// Resolver looks up ownership records; [*net.Resolver] is one.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
	LookupCNAME(ctx context.Context, host string) (string, error)
}

// customer is one with what the simulator notes about it.
type customer struct {
	Customer
	added    time.Time
	shownAt  time.Time // until then look-ups still show it inactive
	upgrade  string    // domain it is about to change to
	accepted bool      // TermsAfter has been overruled by hand
	resolved bool      // DNSAfter likewise
}

func (c *customer) termsDone(now time.Time) bool {
	return c.Terms || !c.accepted && c.TermsAfter > 0 && now.Sub(c.added) >= c.TermsAfter
}

func (c *customer) dnsDone(now time.Time) bool {
	return c.DNS || !c.resolved && c.DNSAfter > 0 && now.Sub(c.added) >= c.DNSAfter
}

// needsDNS is false for group names and the partner's own subdomains, which nobody has to prove.
func (c *customer) needsDNS() bool {
	return c.DomainType != "GROUP" && !strings.HasSuffix(c.Domain, ".by-works.com") && !strings.HasSuffix(c.Domain, ".by-works.net")
}

// status is a hint at best: some active customers stay TRANSFER_READY, as in the partner's own example.
func (c *customer) status(now time.Time) string {
	switch {
	case c.Status != "":
		return c.Status
	case !c.termsDone(now):
		return "TERMS_AGREEMENT_READY"
	case c.Active && c.DomainID%4 == 3:
		return "TRANSFER_READY"
	}
	return "APPROVED"
}

// object is the customer as the partner shows it. active is a parameter because a look-up may lag behind.
func (c *customer) object(now time.Time, active bool) object {
	a := c.Administrator
	return object{
		{"tenantId", c.TenantID},
		{"domainId", c.DomainID},
		{"domain", c.Domain},
		{"productId", orNull(c.ProductID)},
		{"companyName", c.CompanyName},
		{"phoneNumber", c.PhoneNumber},
		{"timeZone", c.TimeZone},
		{"locale", c.Locale},
		{"enableActiveMxrecord", false},
		{"enableActiveDomain", active},
		{"domainType", c.DomainType},
		{"administrator", object{
			{"lastName", a.LastName},
			{"firstName", orNull(a.FirstName)},
			{"id", a.ID},
			{"privateEmail", a.PrivateEmail},
			{"cellphone", orNull(a.Cellphone)},
			{"countryCode", orNull(a.CountryCode)},
		}},
		{"partnership", object{
			{"status", c.status(now)},
			{"customerCode", orNull(c.CustomerCode)},
			{"enablePartnerProfileDisplay", true},
			{"memo", c.Memo},
			{"enableDeveloperConsoleAccessControl", false},
			{"enableAdminConsoleAccessControl", false},
			{"useOptionPlus", true},
		}},
	}
}

// dnsToken is what a TXT record has to say to prove the domain.
func (c *customer) dnsToken(domain string) string {
	return "works-verify=" + strconv.FormatUint(mark(c.DomainID, domain), 36)
}

func (c *customer) cnameHost(domain string) string {
	return "wm" + strconv.FormatUint(mark(c.DomainID, domain)>>40, 16)
}

// cnameTarget is what the CNAME record has to point to.
const cnameTarget = "verify.works.example"

// dnsObject are the DNS values to publish for a domain.
func (c *customer) dnsObject(domain string, active, fullNames bool) object {
	host, apex := c.cnameHost(domain), "@"
	if fullNames {
		host, apex = host+"."+domain+".", domain+"."
	}
	return object{
		{"domain", domain},
		{"isActiveDomain", active},
		{"cnameHost", host},
		{"cnameTarget", cnameTarget},
		{"txtHost", apex},
		{"txtToken", c.dnsToken(domain)},
		{"mxRecordHost", apex},
		{"mxRecordValue", object{{"priority10", "mx1.works.example"}, {"priority20", "mx2.works.example"}}},
	}
}

// resolves looks for one of the two ownership records.
func (c *customer) resolves(ctx context.Context, r Resolver, domain string) bool {
	if texts, err := r.LookupTXT(ctx, domain); err == nil {
		for _, text := range texts {
			if text == c.dnsToken(domain) {
				return true
			}
		}
	}
	target, err := r.LookupCNAME(ctx, c.cnameHost(domain)+"."+domain)
	return err == nil && strings.EqualFold(strings.TrimSuffix(target, "."), cnameTarget)
}

// mark is a number that belongs to a customer and a text.
func mark(id int64, text string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(strconv.FormatInt(id, 10) + "/" + text)) // never fails
	return h.Sum64()
}

func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}
