package ownership

import (
	"net/netip"
	"slices"
)

// special are the address blocks that no public name server has (RFC 6890 and the IANA registries of special-purpose addresses).
// Outside of 2000::/3 there is no public IPv6 address at all; those of it that carry an IPv4 address inside are not trusted either.
var special = func() []netip.Prefix {
	var all []netip.Prefix
	for _, text := range []string{
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
		"192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
		"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
	} {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}()

var globalIPv6 = netip.MustParsePrefix("2000::/3")

// public tells whether an address may be asked on a customer's word. A customer writes the NS records of the domain, and must not
// be able to aim the worker at machines that only it can reach.
func public(addr netip.Addr) bool {
	addr = addr.Unmap()
	if addr.Is6() && !globalIPv6.Contains(addr) {
		return false
	}
	return addr.IsValid() && !slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(addr) })
}
