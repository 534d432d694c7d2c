package ownership

import (
	"net/netip"

	"github.com/miekg/dns"
)

// Names are all names that are asked for a host.
func Names(host, domain string) []string { return names(host, domain) }

// Public tells whether a customer's name server may have an address.
func Public(addr netip.Addr) bool { return public(addr) }

// ReadAnswer is what a look does with a packet that came as the answer to its question about the wanted records, one after the other.
func ReadAnswer(v Values, id uint16, packet []byte) Sight {
	wants := v.wanted()
	g := newGathering([]resolver{{name: System}}, wants)
	for i, want := range wants {
		query := new(dns.Msg).SetQuestion(dns.Fqdn(want.Name), want.kind)
		query.Id = id
		answer, belongs := read(query, packet)
		if !belongs || answer.Truncated {
			continue
		}
		if err := usable(answer, false); err != nil {
			g.failed(0, i, err)
			continue
		}
		g.heard(0, i, answer)
		addressesIn(answer, want.Name)
	}
	return g.sight()
}
