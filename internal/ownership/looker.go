package ownership

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/miekg/dns"
)

// Names of resolvers that are not addresses.
const (
	System        = "system"        // the servers of resolv.conf, read at each look
	Authoritative = "authoritative" // the authoritative servers of the domain, found through the other resolvers
)

const (
	defaultTimeout = 5 * time.Second
	defaultPort    = 53
	resolvConf     = "/etc/resolv.conf"
	mostServers    = 3 // of resolv.conf, as the C library has it
)

// Options set up a [Looker]. The zero value asks the system's servers.
type Options struct {
	Resolvers []string      // [System], [Authoritative], addresses with a port or without; none: [System]
	Timeout   time.Duration // of one look; 0: 5 s

	// For tests, which cannot serve port 53 of the internet.
	ResolvConf   string // path; empty: /etc/resolv.conf
	Port         uint16 // where an address has none; 0: 53
	AllowPrivate bool   // authoritative servers may have addresses that are not public
}

// Looker looks at ownership records. It is safe for concurrent use. A look holds one socket for each resolver and name at a time, for
// [Authoritative] up to three.
type Looker struct {
	timeout      time.Duration
	resolvConf   string
	port         uint16
	allowPrivate bool
	resolvers    []resolver
}

// resolver is one of the configured ones.
type resolver struct {
	name    string
	address string // empty: not an address
}

// New makes a Looker and asks nothing yet. Its error names each resolver that cannot be understood.
func New(o Options) (*Looker, error) {
	l := &Looker{timeout: o.Timeout, resolvConf: o.ResolvConf, port: o.Port, allowPrivate: o.AllowPrivate}
	if l.timeout <= 0 {
		l.timeout = defaultTimeout
	}
	if l.resolvConf == "" {
		l.resolvConf = resolvConf
	}
	if l.port == 0 {
		l.port = defaultPort
	}
	texts := o.Resolvers
	if len(texts) == 0 {
		texts = []string{System}
	}
	var faults []error
	for _, text := range texts {
		r, err := l.resolver(text)
		if err != nil {
			faults = append(faults, err)
		}
		if !slices.Contains(l.resolvers, r) {
			l.resolvers = append(l.resolvers, r)
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("set up the look at DNS: %w", err)
	}
	return l, nil
}

func (l *Looker) resolver(text string) (resolver, error) {
	if text == System || text == Authoritative {
		return resolver{name: text}, nil
	}
	if addr, err := netip.ParseAddr(text); err == nil {
		return resolver{name: text, address: l.at(addr)}, nil
	}
	addr, err := netip.ParseAddrPort(text)
	if err != nil || addr.Port() == 0 {
		return resolver{}, fmt.Errorf("resolver %q: want %s, %s, or an address such as 192.0.2.53, 192.0.2.53:5353 or [2001:db8::53]:53",
			text, System, Authoritative)
	}
	return resolver{name: text, address: addr.String()}, nil
}

// at is an address with the port where it has none.
func (l *Looker) at(addr netip.Addr) string {
	return net.JoinHostPort(addr.String(), strconv.Itoa(int(l.port)))
}

// servers are the addresses of a resolver, to be tried in this order. [Authoritative] has none.
func (l *Looker) servers(r resolver) ([]string, error) {
	if r.address != "" {
		return []string{r.address}, nil
	}
	read, err := dns.ClientConfigFromFile(l.resolvConf)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read", l.resolvConf)
	}
	var all []string
	for _, text := range read.Servers {
		if addr, err := netip.ParseAddr(text); err == nil && len(all) < mostServers {
			all = append(all, l.at(addr))
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s names no server", l.resolvConf)
	}
	return all, nil
}

// others are the servers through which authoritative ones are found: those of all other resolvers, or the system's.
func (l *Looker) others() ([]string, error) {
	if len(l.resolvers) == 1 {
		return l.servers(resolver{name: System})
	}
	var all []string
	var faults []error
	for _, r := range l.resolvers {
		if r.name == Authoritative {
			continue
		}
		some, err := l.servers(r)
		all, faults = append(all, some...), append(faults, err)
	}
	if len(all) > 0 {
		return all, nil
	}
	return nil, errors.Join(faults...)
}
