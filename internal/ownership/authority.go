package ownership

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/miekg/dns"
)

const (
	mostCuts        = 6 // labels up from the domain to its zone
	mostNames       = 6 // name servers whose addresses are looked up
	mostAuthorities = 3 // of them that are asked
)

// askAuthorities finds the servers of the domain's zone and puts to each the questions about names in it. A zone that nobody serves is
// an answer: there is nothing to be seen.
func (l *Looker) askAuthorities(ctx context.Context, g *gathering, index int, domain string) {
	zone, authorities, err := l.authorities(ctx, domain)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return
	case err != nil:
		g.failed(index, 0, err)
		return
	case zone == "":
		g.nothing(index)
		return
	}
	var all sync.WaitGroup
	inside := false
	for i, want := range g.wants {
		if !within(want.Name, zone) {
			continue // they would refuse, and rightly so
		}
		inside = true
		all.Go(func() { l.askEach(ctx, g, index, i, authorities) })
	}
	all.Wait()
	if !inside {
		g.failed(index, 0, fmt.Errorf("no wanted name lies in %s", zone))
	}
}

// askEach puts one question to each authority; it stays open only when none answers.
func (l *Looker) askEach(ctx context.Context, g *gathering, index, want int, authorities [][]string) {
	failures := make([]error, len(authorities))
	var all sync.WaitGroup
	for i, addresses := range authorities {
		all.Go(func() {
			answer, err := ask(ctx, addresses, question{name: g.wants[want].Name, kind: g.wants[want].kind, direct: true})
			if failures[i] = err; err == nil {
				g.heard(index, want, answer)
			}
		})
	}
	all.Wait()
	if !slices.Contains(failures, nil) {
		g.failed(index, want, failures[0])
	}
}

// authorities finds the zone of a domain and, for each of some of its servers, the addresses to try in turn. It takes at most half of
// the time of a look. No zone and no error: the domain is not delegated.
func (l *Looker) authorities(ctx context.Context, domain string) (zone string, authorities [][]string, err error) {
	ctx, cancel := context.WithTimeout(ctx, l.timeout/2)
	defer cancel()
	others, err := l.others()
	if err != nil {
		return "", nil, err
	}
	zone, names, err := findZone(ctx, others, domain)
	if err != nil || zone == "" {
		return "", nil, err
	}
	authorities, err = l.addresses(ctx, others, names)
	if err != nil {
		return "", nil, fmt.Errorf("of the name servers of %s %w", zone, err)
	}
	return zone, authorities, nil
}

// findZone walks up from a domain to the first name that has name servers. It does not ask for a top-level one's: those serve
// registries, not customers.
func findZone(ctx context.Context, others []string, domain string) (zone string, names []string, err error) {
	zone = domain
	for range mostCuts {
		if !validName(zone) || !strings.Contains(zone, ".") {
			break
		}
		answer, err := ask(ctx, others, question{name: zone, kind: dns.TypeNS})
		if err != nil {
			return "", nil, fmt.Errorf("its name servers are unknown: %w", err)
		}
		for _, rr := range answer.Answer {
			if ns, ok := rr.(*dns.NS); ok && plain(ns.Hdr.Name) == zone && validName(plain(ns.Ns)) {
				names = append(names, plain(ns.Ns))
			}
		}
		if len(names) > 0 {
			slices.Sort(names)
			names = slices.Compact(names)
			return zone, names[:min(len(names), mostNames)], nil
		}
		_, zone, _ = strings.Cut(zone, ".")
	}
	return "", nil, nil
}

// addresses looks up where name servers are: for each, an IPv4 and an IPv6 address that may be asked, where there is one.
func (l *Looker) addresses(ctx context.Context, others, names []string) ([][]string, error) {
	kinds := []uint16{dns.TypeA, dns.TypeAAAA}
	found := make([][]netip.Addr, len(names)*len(kinds))
	var all sync.WaitGroup
	for i := range found {
		name, kind := names[i/len(kinds)], kinds[i%len(kinds)]
		all.Go(func() {
			if answer, err := ask(ctx, others, question{name: name, kind: kind}); err == nil {
				found[i] = addressesIn(answer, name)
			}
		})
	}
	all.Wait()
	if ctx.Err() != nil && len(slices.Concat(found...)) == 0 {
		return nil, errors.New("no address came in time")
	}
	var authorities [][]string
	for some := range slices.Chunk(found, len(kinds)) {
		var usable []string
		for _, addrs := range some {
			i := slices.IndexFunc(addrs, func(a netip.Addr) bool { return l.allowPrivate || public(a) })
			if i >= 0 {
				usable = append(usable, l.at(addrs[i]))
			}
		}
		if len(usable) > 0 && len(authorities) < mostAuthorities {
			authorities = append(authorities, usable)
		}
	}
	if len(authorities) == 0 {
		return nil, errors.New("none has a public address")
	}
	return authorities, nil
}

// addressesIn are the addresses of a name in an answer, in a fixed order.
func addressesIn(answer *dns.Msg, name string) []netip.Addr {
	owners := aliases(answer, name)
	var all []netip.Addr
	for _, rr := range answer.Answer {
		var raw []byte
		switch rr := rr.(type) {
		case *dns.A:
			raw = rr.A
		case *dns.AAAA:
			raw = rr.AAAA
		}
		if addr, ok := netip.AddrFromSlice(raw); ok && owners[plain(rr.Header().Name)] {
			all = append(all, addr.Unmap())
		}
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return all
}

// nothing notes an answer that shows no record.
func (g *gathering) nothing(resolver int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.answered, g.replied[resolver] = true, true
}
