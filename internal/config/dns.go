package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Words that WORKER_DNS_RESOLVERS takes beside addresses.
const (
	ResolverSystem        = "system"        // those that this machine uses
	ResolverAuthoritative = "authoritative" // the domain's own name servers
	ResolverOff           = "off"           // alone: nothing is watched
)

// WatchesDNS tells whether ownership records are looked for at all.
func (w Worker) WatchesDNS() bool { return !slices.Contains(w.DNSResolvers, ResolverOff) }

const dnsPort = 53

// resolvers is a list of whom to ask for DNS records, in order; addresses come out as ip:port.
func resolvers() kind[[]string] {
	return kind[[]string]{"list", func(s string) ([]string, error) {
		all, err := eachOnce(resolver)(s)
		if err == nil && len(all) > 1 && slices.Contains(all, ResolverOff) {
			return nil, fmt.Errorf("%q stands among others; wanted it alone, or the others", ResolverOff)
		}
		return all, err
	}}
}

// eachOnce reads a comma-separated list of different things, each as one reads it.
func eachOnce(one func(string) (string, error)) func(string) ([]string, error) {
	return func(s string) ([]string, error) {
		var all []string
		for part := range strings.SplitSeq(s, ",") {
			is, err := one(strings.TrimSpace(part))
			switch {
			case err != nil:
				return nil, err
			case slices.Contains(all, is):
				return nil, fmt.Errorf("%s is there twice; wanted each once", shown(is))
			}
			all = append(all, is)
		}
		return all, nil
	}
}

// resolver takes no host names: to find their addresses there would have to be a resolver already.
func resolver(s string) (string, error) {
	if slices.Contains([]string{ResolverSystem, ResolverAuthoritative, ResolverOff}, s) {
		return s, nil
	}
	at, err := netip.ParseAddrPort(s)
	if err != nil {
		var addr netip.Addr
		if addr, err = netip.ParseAddr(s); err == nil {
			at = netip.AddrPortFrom(addr, dnsPort)
		}
	}
	if addr := at.Addr(); err != nil || at.Port() == 0 || addr.IsUnspecified() || addr.IsMulticast() {
		return "", complain(s, "a resolver", "system, authoritative, off, or an address like 192.0.2.1, 192.0.2.1:5353 or [2001:db8::1]:53")
	}
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port()).String(), nil
}

// DNSSchedule says when to look and when to call while a customer's ownership records are the likely cause of a no.
// As [Load] gives it, no list is empty.
type DNSSchedule struct {
	WatchFirst, WatchLast time.Duration // waits between two looks, from the first to the last

	Call    []time.Duration // since the first no, ascending; afterwards every last one again
	Visible []time.Duration // waits after a no since the records became visible
}

const defaultDNSSchedule = "watch=1m/30m,call=1h/6h/24h,visible=5m/15m/60m"

// dnsSchedule is watch=a/b,call=a/b/c,visible=a/b/c; a part that is left out is as in the default.
func dnsSchedule() kind[DNSSchedule] {
	const watch, call, visible = "watch", "call", "visible"
	parts := byName("part", []string{watch, call, visible}, "something like "+defaultDNSSchedule, inTurn(withinRound))
	return kind[DNSSchedule]{"list", func(s string) (DNSSchedule, error) {
		waits, err := parts.parse(defaultDNSSchedule)
		if err != nil {
			return DNSSchedule{}, fmt.Errorf("default: %w", err)
		}
		given, err := parts.parse(s)
		if err != nil {
			return DNSSchedule{}, err
		}
		if between, ok := given[watch]; ok && (len(between) != 2 || between[0] > between[1]) {
			return DNSSchedule{}, fmt.Errorf("part %q is not a range; wanted two durations, the first not above the last, like 1m/30m", watch)
		}
		for i, at := range given[call] {
			if i > 0 && at <= given[call][i-1] {
				return DNSSchedule{}, fmt.Errorf("part %q does not ascend; wanted times since the first no, like 1h/6h/24h", call)
			}
		}
		for name, list := range given {
			waits[name] = list
		}
		return DNSSchedule{WatchFirst: waits[watch][0], WatchLast: waits[watch][1], Call: waits[call], Visible: waits[visible]}, nil
	}}
}
