package partnerapi

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const maxDomainBytes = 253 // of a domain name in text form

// Customer is the partner's customer object as far as it matters here.
type Customer struct {
	// Object is the object as received, without byte order mark and outer blanks;
	// nil if Omitted.
	Object json.RawMessage
	// Omitted is the size in bytes, decompressed, of a body that was not kept:
	// longer than Config.MaxPayload, cut off, or not JSON from end to end. Else 0.
	Omitted int
	// Altered tells that invalid UTF-8 in Object was replaced by U+FFFD.
	Altered bool
	// Active tells that the object shows our domainId with enableActiveDomain true.
	Active bool

	Domain            string // as the partner spells it; empty if missing
	DomainType        string // DOMAIN, GROUP or a newer one
	PartnershipStatus string // TRANSFER_READY, TERMS_AGREEMENT_READY, APPROVED or newer ones; a hint only
	RequestID         string // see Error.RequestID
	Sent              int    // requests written, repeats and redirects included
}

// tally collects what the values of one field say. The partner's object has each
// field once; where one comes twice, the two have to agree.
type tally struct{ yes, no int }

func (t *tally) add(yes bool) {
	if yes {
		t.yes++
	} else {
		t.no++
	}
}

func (t tally) holds() bool    { return t.yes > 0 && t.no == 0 }
func (t tally) disputed() bool { return t.yes > 0 && t.no > 0 }
func (t tally) seen() bool     { return t.yes+t.no > 0 }

// readCustomer reads the body of a 2xx about domainID. The second result is a
// sentence that says why it does not show that customer, or empty.
func readCustomer(body []byte, cut bool, domainID int64, maxPayload int) (Customer, string) {
	var ours, active tally
	var c Customer
	status := false // was shown, whatever it is
	wanted := strconv.FormatInt(domainID, 10)
	whole := scan(body, func(name []byte, v value) {
		switch string(name) {
		case "domainId":
			ours.add(isNumeral(v.decoded(), wanted))
		case "enableActiveDomain":
			active.add(v.decoded() == true)
		case "domain":
			c.Domain = domainName(v.decoded())
		case "domainType":
			c.DomainType = codeOf(v.decoded())
		case "partnership.status":
			c.PartnershipStatus, status = codeOf(v.decoded()), true
		}
	})
	switch {
	case ours.disputed() || active.disputed():
		return Customer{}, "the answer contradicts itself"
	case !ours.seen():
		return Customer{}, "the answer holds no customer object that could be read"
	case !ours.holds():
		return Customer{}, "the answer is about another customer"
	case !active.seen() && (cut || !whole):
		return Customer{}, "the answer was cut off before it said whether the domain is active"
	case !active.holds() && !status && (cut || !whole):
		// What is missing may be what explains a no, and without it the no would be final.
		return Customer{}, "the answer was cut off before it showed the partnership's status"
	}
	c.Active = active.holds()
	if whole && !cut {
		c.Object, c.Altered = keep(body, maxPayload)
	}
	if c.Object == nil {
		c.Omitted = len(body)
	}
	return c, ""
}

// keep returns body as JSON that can be embedded, and whether it was repaired; nil if it is too long or not JSON from end to
// end. It is the body itself, without what stands around the object: nothing is encoded anew.
func keep(body []byte, maxPayload int) (json.RawMessage, bool) {
	if len(body) > maxPayload {
		return nil, false
	}
	object := bytes.TrimSpace(bytes.TrimPrefix(body, byteOrderMark))
	altered := !utf8.Valid(object)
	if altered {
		object = bytes.ToValidUTF8(object, []byte("\uFFFD"))
	}
	if len(object) > maxPayload || !json.Valid(object) {
		return nil, false
	}
	return object, altered
}

// isNumeral compares digit by digit: ids have up to 19 digits, which a float64
// would round.
func isNumeral(value any, wanted string) bool {
	switch v := value.(type) {
	case json.Number:
		return v.String() == wanted
	case string:
		return v == wanted
	}
	return false
}

func domainName(value any) string {
	s, _ := value.(string)
	if len(s) > maxDomainBytes || strings.ContainsFunc(s, unicode.IsControl) {
		return ""
	}
	return s
}

// DNSValues are the records that prove the ownership of a domain. Any may be
// empty; their formats are not documented: a host may be "@", a label or a full
// name.
type DNSValues struct {
	Domain         string
	IsActiveDomain bool // false also when the answer does not say
	CNAMEHost      string
	CNAMETarget    string
	TXTHost        string
	TXTToken       string
}

// readDNSValues reads the body of a 2xx; false if it is not one JSON object.
func readDNSValues(body []byte) (DNSValues, bool) {
	values, whole := members(body)
	return DNSValues{
		Domain:         domainName(values["domain"]),
		IsActiveDomain: values["isActiveDomain"] == true,
		CNAMEHost:      dnsText(values, "cnameHost"),
		CNAMETarget:    dnsText(values, "cnameTarget"),
		TXTHost:        dnsText(values, "txtHost"),
		TXTToken:       dnsText(values, "txtToken"),
	}, whole
}

// maxDNSText is more than any record needs; what is longer is no value to publish.
const maxDNSText = 1024

func dnsText(values map[string]any, name string) string {
	s := text(values, name)
	if len(s) > maxDNSText || strings.ContainsFunc(s, unicode.IsControl) {
		return ""
	}
	return s
}
