package simulator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"unicode"

	"github.com/miekg/dns"
	"golang.org/x/net/idna"
)

// What a customer publishes once its DNS is done, for [Customer.DNSRecords].
const (
	DNSBoth  = ""      // both ownership records
	DNSTXT   = "txt"   // one of them
	DNSCNAME = "cname" // the other
	DNSWrong = "wrong" // both, with an earlier token and a foreign target: the partner sees what others do not
	DNSNone  = "none"  // neither: as above
)

const (
	dnsTTL    = 1   // seconds, of records and of their absence: what was set by hand shows soon
	textPiece = 255 // bytes of one string of a TXT record
)

// DNSHandler answers as the public DNS would, resolver and authority in one: for each customer whose DNS is done the ownership records of
// [Customer.DNSRecords]. Only names that customers have exist; it never makes a customer, [Options.Auto] or not.
func (s *Simulator) DNSHandler() dns.Handler {
	return dns.HandlerFunc(func(w dns.ResponseWriter, query *dns.Msg) {
		reply := s.resolve(query)
		if _, overUDP := w.RemoteAddr().(*net.UDPAddr); overUDP {
			size := dns.MinMsgSize
			if opt := query.IsEdns0(); opt != nil {
				size = int(opt.UDPSize())
			}
			reply.Truncate(size)
		}
		_ = w.WriteMsg(reply) // who asked has gone
	})
}

func (s *Simulator) resolve(query *dns.Msg) *dns.Msg {
	if query.Opcode != dns.OpcodeQuery || len(query.Question) != 1 || query.Question[0].Qclass != dns.ClassINET {
		return new(dns.Msg).SetRcode(query, dns.RcodeNotImplemented)
	}
	reply := new(dns.Msg).SetReply(query)
	reply.Authoritative, reply.RecursionAvailable = true, true
	asked := query.Question[0]
	name := strings.ToLower(asked.Name)
	known, zone := false, "."
	for _, rr := range s.dnsRecords(name) {
		if soa, ok := rr.(*dns.SOA); ok {
			zone = soa.Hdr.Name
		}
		owner := rr.Header().Name
		known = known || owner == name || strings.HasSuffix(owner, "."+name)
		if owner == name && (rr.Header().Rrtype == asked.Qtype || rr.Header().Rrtype == dns.TypeCNAME) {
			rr.Header().Name = asked.Name // spelled as asked
			reply.Answer = append(reply.Answer, rr)
		}
	}
	if len(reply.Answer) > 0 {
		return reply
	}
	if !known {
		reply.Rcode = dns.RcodeNameError
	}
	reply.Ns = []dns.RR{startOf(zone)}
	return reply
}

// dnsRecords are the records of those customers whose domain is a name, lies above it or below.
func (s *Simulator) dnsRecords(name string) []dns.RR {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []dns.RR
	for _, c := range s.customers {
		domain := orElse(c.upgrade, c.Domain)
		zone := zoneName(domain)
		if zone != name && !strings.HasSuffix(name, "."+zone) && !strings.HasSuffix(zone, "."+name) {
			continue
		}
		all = append(all, startOf(zone))
		if c.dnsDone(s.now()) {
			all = append(all, c.publishes(domain, zone)...)
		}
	}
	return all
}

// publishes are the customer's ownership records.
func (c *customer) publishes(domain, zone string) []dns.RR {
	token, target := c.dnsToken(domain), cnameTarget
	if c.DNSRecords == DNSWrong {
		token, target = token+"-old", "parked.example"
	}
	header := func(name string, kind uint16) dns.RR_Header {
		return dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET, Ttl: dnsTTL}
	}
	var all []dns.RR
	if slices.Contains([]string{DNSBoth, DNSTXT, DNSWrong}, c.DNSRecords) {
		var pieces []string
		for piece := range slices.Chunk([]byte(token), textPiece) {
			pieces = append(pieces, string(piece))
		}
		all = append(all, &dns.TXT{Hdr: header(zone, dns.TypeTXT), Txt: pieces})
	}
	if slices.Contains([]string{DNSBoth, DNSCNAME, DNSWrong}, c.DNSRecords) {
		all = append(all, &dns.CNAME{Hdr: header(c.cnameHost(domain)+"."+zone, dns.TypeCNAME), Target: target + "."})
	}
	return all
}

// startOf is the record that says how long a name's absence may be remembered.
func startOf(zone string) dns.RR {
	return &dns.SOA{
		Hdr: dns.RR_Header{Name: zone, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: dnsTTL},
		Ns:  "ns.works.example.", Mbox: "hostmaster.works.example.", Serial: 1, Refresh: 60, Retry: 60, Expire: 60, Minttl: dnsTTL,
	}
}

// zoneName is a domain as DNS spells it.
func zoneName(domain string) string {
	if strings.ContainsFunc(domain, func(r rune) bool { return r > unicode.MaxASCII }) {
		if converted, err := idna.Lookup.ToASCII(domain); err == nil {
			domain = converted
		}
	}
	return dns.Fqdn(strings.ToLower(domain))
}

// DNSServer serves [Simulator.DNSHandler] at one address, over UDP and TCP.
type DNSServer struct {
	handler  dns.Handler
	listener net.Listener
	packets  net.PacketConn
}

// ListenDNS opens both ports, as "127.0.0.1:8053"; port 0 is a free one. It starts nothing: the next is [DNSServer.Serve] or
// [DNSServer.Close].
func (s *Simulator) ListenDNS(ctx context.Context, address string) (*DNSServer, error) {
	var config net.ListenConfig
	var failed error
	for range 10 { // a free port of one protocol may be taken in the other
		listener, err := config.Listen(ctx, "tcp", address)
		if err != nil {
			return nil, fmt.Errorf("listen for DNS on %s: %w", address, err)
		}
		packets, err := config.ListenPacket(ctx, "udp", listener.Addr().String())
		if err == nil {
			return &DNSServer{s.DNSHandler(), listener, packets}, nil
		}
		failed = errors.Join(err, listener.Close())
		if _, port, _ := net.SplitHostPort(address); port != "0" {
			break
		}
	}
	return nil, fmt.Errorf("listen for DNS on %s: %w", address, failed)
}

// Addr is where the server listens, for both protocols.
func (d *DNSServer) Addr() string { return d.packets.LocalAddr().String() }

// Close gives the ports back when the server is not to serve after all.
func (d *DNSServer) Close() error { return errors.Join(d.listener.Close(), d.packets.Close()) }

// Serve answers until ctx ends, which is no error, and then closes the server.
func (d *DNSServer) Serve(ctx context.Context) error {
	servers := []*dns.Server{{Listener: d.listener, Handler: d.handler}, {PacketConn: d.packets, Handler: d.handler}}
	ended := make(chan error, len(servers))
	for _, server := range servers {
		started, stop := context.WithCancel(context.WithoutCancel(ctx))
		server.NotifyStartedFunc = stop
		go func() {
			err := server.ActivateAndServe()
			stop()
			ended <- err
		}()
		<-started.Done() // one that has not started cannot be stopped
	}
	var failed error
	running := len(servers)
	select {
	case failed = <-ended:
		running--
	case <-ctx.Done():
	}
	for _, server := range servers {
		_ = server.Shutdown() // fails only where it has ended by itself
	}
	for range running {
		failed = errors.Join(failed, <-ended)
	}
	if failed != nil {
		return fmt.Errorf("serve DNS: %w", failed)
	}
	return nil
}
