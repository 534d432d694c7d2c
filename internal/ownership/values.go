package ownership

import (
	"slices"
	"strings"

	"golang.org/x/net/idna"
)

// Types of records.
const (
	TXT   = "TXT"
	CNAME = "CNAME"
)

// Values are what the partner wants to see in DNS, as its GET upgrade-domain gave them: one record of the two is enough. Any may be
// empty; without token or target the record is not wanted.
type Values struct {
	Domain      string
	TXTHost     string
	TXTToken    string
	CNAMEHost   string
	CNAMETarget string
}

// Record is one DNS record, wanted or seen.
type Record struct {
	Type     string // [TXT] or [CNAME]
	Host     string // as the partner gave it
	Name     string // full name, lower case, in ASCII, without final dot; of a wanted record the most likely one
	Value    string // token or target; of a seen record at most 255 bytes, printable
	Resolver string // where it was seen, as configured; empty if only wanted
}

// Records returns what the customer has to publish: none, one or two, the TXT record first.
func (v Values) Records() []Record {
	var all []Record
	for _, r := range []Record{
		{Type: TXT, Host: v.TXTHost, Value: v.TXTToken},
		{Type: CNAME, Host: v.CNAMEHost, Value: v.CNAMETarget},
	} {
		if r.Value == "" {
			continue
		}
		names := names(r.Host, v.Domain)
		r.Name = names[0]
		if i := slices.IndexFunc(names, validName); i > 0 {
			r.Name = names[i]
		}
		all = append(all, r)
	}
	return all
}

// names returns the full names that a host of a domain may mean, the most likely first, always at least one. Not all need to be valid.
func names(host, domain string) []string {
	full := strings.HasSuffix(host, ".")
	host, domain = ascii(host), ascii(domain)
	switch {
	case host == "" || host == "@":
		return []string{domain}
	case within(host, domain):
		return []string{host}
	}
	var all []string
	add := func(name string) {
		if !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	dotted := strings.Contains(host, ".")
	if full && dotted {
		add(host)
	}
	// For a subdomain the host field carries the subdomain part: below shop.hinode.example, x.shop means x.shop.hinode.example.
	parts, labels := strings.Split(host, "."), strings.Split(domain, ".")
	for n := min(len(parts), len(labels)-1); n > 0; n-- {
		if slices.Equal(parts[len(parts)-n:], labels[:n]) {
			add(host + "." + strings.Join(labels[n:], "."))
		}
	}
	add(host + "." + domain)
	if dotted {
		add(host)
	}
	return all
}

// within tells whether a name is that of the zone or one below it.
func within(name, zone string) bool {
	return name == zone || zone != "" && strings.HasSuffix(name, "."+zone)
}

// ascii is the form of a name in which names are compared: lower case, punycode, no final dot. What cannot be converted stays as it
// is; an underscore, which is no letter of host names, spoils a label but not the others.
func ascii(name string) string {
	name = strings.TrimSpace(name)
	whole, err := idna.Lookup.ToASCII(name)
	if err != nil {
		labels := strings.Split(name, ".")
		for i, label := range labels {
			if converted, err := idna.Lookup.ToASCII(label); err == nil {
				labels[i] = converted
			}
		}
		whole = strings.Join(labels, ".")
	}
	return strings.ToLower(strings.TrimSuffix(whole, "."))
}

// validName is stricter than DNS, which allows any byte: nobody wants ownership records at names that need escapes.
func validName(name string) bool {
	if name == "" || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, notInLabel) {
			return false
		}
	}
	return true
}

func notInLabel(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
}
