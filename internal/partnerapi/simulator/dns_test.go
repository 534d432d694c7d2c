package simulator_test

import (
	"context"
	"encoding/json"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"activation-worker/internal/partnerapi/simulator"
)

// names serves the simulator's DNS until the test ends, and returns where.
func (p *partner) names() string {
	p.t.Helper()
	server, err := p.ListenDNS(p.t.Context(), "127.0.0.1:0")
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(p.t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx) }()
	p.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			p.t.Errorf("DNS ended with %v", err)
		}
	})
	return server.Addr()
}

// resolve asks over UDP and over TCP, and wants the same.
func resolve(t *testing.T, address, name string, kind uint16) *dns.Msg {
	t.Helper()
	query := new(dns.Msg).SetQuestion(name, kind)
	var replies []*dns.Msg
	for _, network := range []string{"udp", "tcp"} {
		client := dns.Client{Net: network, Timeout: 10 * time.Second}
		reply, _, err := client.ExchangeContext(t.Context(), query, address)
		if err != nil {
			t.Fatalf("%s: %v", network, err)
		}
		replies = append(replies, reply)
	}
	if replies[0].String() != replies[1].String() {
		t.Fatalf("over UDP and TCP: %v", replies)
	}
	return replies[0]
}

// answers are the values in an answer, and absence is how it says that there are none.
func answers(reply *dns.Msg) (values []string, absence string) {
	for _, rr := range reply.Answer {
		switch rr := rr.(type) {
		case *dns.TXT:
			values = append(values, strings.Join(rr.Txt, ""))
		case *dns.CNAME:
			values = append(values, rr.Target)
		}
	}
	if len(reply.Answer) == 0 && len(reply.Ns) == 1 {
		soa, ok := reply.Ns[0].(*dns.SOA)
		if ok && soa.Minttl <= 5 && soa.Hdr.Ttl <= 5 {
			absence = dns.RcodeToString[reply.Rcode] + " " + soa.Hdr.Name
		}
	}
	return values, absence
}

// upgrade is what the partner wants a customer to publish.
func (p *partner) upgrade(id string) (v struct{ Domain, TxtHost, TxtToken, CnameHost, CnameTarget string }) {
	p.t.Helper()
	r := p.call("GET", "/customers/"+id+"/upgrade-domain", "")
	r.has(p.t, 200)
	if err := json.Unmarshal([]byte(r.body), &v); err != nil {
		p.t.Fatal(err)
	}
	return v
}

func TestDNSShowsWhatTheCustomerPublished(t *testing.T) {
	t.Parallel()
	p := start(t)
	address := p.names()
	for kind, c := range map[string]struct{ txt, cname string }{
		simulator.DNSBoth: {"token", "target"}, simulator.DNSTXT: {"token", ""}, simulator.DNSCNAME: {"", "target"},
		simulator.DNSWrong: {"token-old", "parked.example"}, simulator.DNSNone: {},
	} {
		p.Add(simulator.Customer{DomainID: 31, Terms: true, DNS: true, DNSRecords: kind})
		v := p.upgrade("31")
		expect := func(text string) []string {
			if text == "" {
				return nil
			}
			return []string{strings.NewReplacer("token", v.TxtToken, "target", v.CnameTarget+".", "parked.example", "parked.example.").Replace(text)}
		}
		if got, _ := answers(resolve(t, address, v.Domain+".", dns.TypeTXT)); !slices.Equal(got, expect(c.txt)) {
			t.Errorf("%q: TXT %q, want %q", kind, got, expect(c.txt))
		}
		if got, _ := answers(resolve(t, address, v.CnameHost+"."+v.Domain+".", dns.TypeCNAME)); !slices.Equal(got, expect(c.cname)) {
			t.Errorf("%q: CNAME %q, want %q", kind, got, expect(c.cname))
		}
	}
}

func TestDNSFollowsTheCustomersState(t *testing.T) {
	t.Parallel()
	var now time.Time
	clock := make(chan time.Time, 1)
	clock <- time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	p := start(t, func(o *simulator.Options) {
		o.Now = func() time.Time { at := <-clock; clock <- at; return at }
	})
	address := p.names()
	p.Add(simulator.Customer{DomainID: 32, Domain: "Shop.例え.example", DNSAfter: time.Minute})
	const name = "shop.xn--r8jz45g.example."
	txt := func(want int, absence string) {
		t.Helper()
		got, missing := answers(resolve(t, address, name, dns.TypeTXT))
		if len(got) != want || missing != absence {
			t.Errorf("TXT %q, absence %q; want %d and %q", got, missing, want, absence)
		}
	}
	txt(0, "NOERROR "+name)
	now = <-clock
	clock <- now.Add(time.Minute)
	txt(1, "")
	p.SetDNS(32, false)
	txt(0, "NOERROR "+name)
	p.SetDNS(32, true)
	txt(1, "")
	p.Remove(32)
	txt(0, "NXDOMAIN .")
}

func TestDNSOfOtherNames(t *testing.T) {
	t.Parallel()
	p := start(t, func(o *simulator.Options) { o.Auto = true })
	address := p.names()
	p.Add(simulator.Customer{DomainID: 33, Domain: "shop.hinode.example", DNS: true})
	for name, want := range map[string]string{
		"www.shop.hinode.example.": "NXDOMAIN shop.hinode.example.",
		"hinode.example.":          "NOERROR shop.hinode.example.", // exists by what lies below it
		"xshop.hinode.example.":    "NXDOMAIN .",
		"nobody.example.":          "NXDOMAIN .",
	} {
		if got, absence := answers(resolve(t, address, name, dns.TypeTXT)); len(got) > 0 || absence != want {
			t.Errorf("%s: %q, absence %q, want %q", name, got, absence, want)
		}
	}
	if _, absence := answers(resolve(t, address, "shop.hinode.example.", dns.TypeMX)); absence != "NOERROR shop.hinode.example." {
		t.Errorf("MX: absence %q", absence)
	}
	reply := resolve(t, address, "SHOP.hinode.Example.", dns.TypeTXT)
	if len(reply.Answer) != 1 || reply.Answer[0].Header().Name != "SHOP.hinode.Example." || !reply.Authoritative {
		t.Errorf("in another case: %v", reply)
	}
	odd := new(dns.Msg).SetQuestion("shop.hinode.example.", dns.TypeTXT)
	odd.Question[0].Qclass = dns.ClassCHAOS
	client := dns.Client{Timeout: 10 * time.Second}
	if reply, _, err := client.ExchangeContext(t.Context(), odd, address); err != nil || reply.Rcode != dns.RcodeNotImplemented {
		t.Errorf("another class: %v, %v", reply, err)
	}
}

func TestDNSCannotListen(t *testing.T) {
	t.Parallel()
	p := start(t)
	first, err := p.ListenDNS(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.ListenDNS(t.Context(), first.Addr()); err == nil || !strings.Contains(err.Error(), first.Addr()) {
		t.Errorf("two at one address: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	var config net.ListenConfig
	packets, err := config.ListenPacket(t.Context(), "udp", "127.0.0.1:0") // the port is free for TCP alone
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.ListenDNS(t.Context(), packets.LocalAddr().String()); err == nil {
		t.Error("listens without UDP")
	}
	_ = packets.Close()

	closed, err := p.ListenDNS(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	if err := closed.Serve(t.Context()); err == nil {
		t.Error("served on closed ports, and nobody was told")
	}
}
