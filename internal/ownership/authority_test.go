package ownership_test

import (
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"activation-worker/internal/ownership"
)

// delegated is a resolver that knows who serves hinode.example, and nothing more.
func delegated(t *testing.T, more ...string) *server {
	t.Helper()
	return serve(t, zone(t, append([]string{
		"hinode.example. NS ns2.host.example.", "hinode.example. NS ns1.host.example.", "ns1.host.example. A 127.0.0.1",
	}, more...)...))
}

func port(s *server) func(*ownership.Options) {
	return func(o *ownership.Options) { o.Port = s.port }
}

func TestAuthoritativeServersKnowFirst(t *testing.T) {
	t.Parallel()
	authority, cache := serve(t, published(t)), delegated(t)
	s := look(t, looker(t, []string{cache.address, "authoritative"}, port(authority)), wanted())
	if got := seen(s, true); !s.Visible || len(got) != 2 || !strings.HasSuffix(got[0], "@authoritative") {
		t.Errorf("visible %t, saw %q, unanswered %q", s.Visible, got, s.Unanswered)
	}
	wantOpen(t, s)
	authority.mu.Lock()
	defer authority.mu.Unlock()
	for _, query := range authority.asked {
		if query.RecursionDesired {
			t.Errorf("asked an authority to look elsewhere: %v", query)
		}
	}
}

func TestAuthoritativeAloneIsFoundThroughTheSystem(t *testing.T) {
	t.Parallel()
	records := []string{
		"hinode.example. NS ns.host.example.", "ns.host.example. A 127.0.0.1", "a.shop.hinode.example. TXT works-verify=old", domain + ". TXT " + token,
	}
	// One server is both: the only address that resolv.conf may name has the port of the authorities.
	s := serve(t, zone(t, records...))
	l := looker(t, []string{"authoritative"}, resolvConf(t, filepath.Join(t.TempDir(), "resolv.conf"), s.port, "127.0.0.1"))
	want(t, look(t, l, wanted()), true, "TXT "+domain+" "+token)

	below := ownership.Values{Domain: "a.shop.hinode.example", TXTHost: "a.shop", TXTToken: token}
	want(t, look(t, l, below), false, "TXT a.shop.hinode.example works-verify=old")
	for _, walked := range []string{"NS a.shop.hinode.example.", "NS shop.hinode.example.", "NS hinode.example."} {
		if !slices.Contains(s.queries(), walked) {
			t.Errorf("did not ask %s among %q", walked, s.queries())
		}
	}

	want(t, look(t, l, ownership.Values{Domain: "a.nobody.example", TXTToken: token}), false)
	if slices.Contains(s.queries(), "NS example.") || slices.Contains(s.queries(), "TXT a.nobody.example.") {
		t.Errorf("asked for a top-level name's servers, or them: %q", s.queries())
	}

	elsewhere := ownership.Values{Domain: domain, TXTHost: "verify.elsewhere.example.", TXTToken: token}
	want(t, look(t, l, elsewhere), false)
	if slices.Contains(s.queries(), "TXT verify.elsewhere.example.") {
		t.Errorf("asked for what is not in the zone: %q", s.queries())
	}
}

func TestAtMostThreeAuthoritiesAreAsked(t *testing.T) {
	t.Parallel()
	first := serve(t, code(dns.RcodeRefused))
	_, p, _ := strings.Cut(first.address, ":")
	servers := []*server{first}
	for _, c := range []struct {
		host    string
		handler dns.HandlerFunc
	}{{"127.0.0.2", silent}, {"127.0.0.3", published(t)}, {"127.0.0.4", published(t)}} {
		servers = append(servers, serveAt(t, c.host+":"+p, c.handler))
	}
	cache := delegated(t, "ns2.host.example. A 127.0.0.2",
		"hinode.example. NS ns3.host.example.", "ns3.host.example. CNAME ns3.other.example.", "ns3.other.example. A 127.0.0.3",
		"hinode.example. NS ns4.host.example.", "ns4.host.example. A 127.0.0.4")
	s := look(t, looker(t, []string{cache.address, "authoritative"}, port(first)), wanted(onlyTXT))
	want(t, s, true, "TXT "+domain+" "+token)
	for i, count := range []int{1, 1, 1, 0} {
		if got := servers[i].count(); got != count {
			t.Errorf("authority %d was asked %d times, want %d", i+1, got, count)
		}
	}
}

func TestAuthoritativeGivesNoAnswer(t *testing.T) {
	t.Parallel()
	lame := func(w dns.ResponseWriter, query *dns.Msg) {
		reply := lookUp(parse(t, domain+". TXT "+token), query)
		reply.Authoritative = false
		_ = w.WriteMsg(reply)
	}
	for name, c := range map[string]struct {
		authority dns.HandlerFunc
		reason    string
	}{
		"lame":     {lame, "is not authoritative"},
		"silent":   {silent, "timed out"},
		"SERVFAIL": {code(dns.RcodeServerFailure), "SERVFAIL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			authority, cache := serve(t, c.authority), delegated(t)
			s := look(t, looker(t, []string{cache.address, "authoritative"}, port(authority), timeout(time.Second)), wanted())
			want(t, s, false)
			wantOpen(t, s, "authoritative: "+authority.address+" "+c.reason)
		})
	}
	t.Run("no resolver to find it", func(t *testing.T) {
		t.Parallel()
		broken := serve(t, code(dns.RcodeServerFailure))
		s, err := looker(t, []string{"authoritative", broken.address}).Look(t.Context(), wanted())
		wantUnanswered(t, err)
		wantOpen(t, s, "authoritative: its name servers are unknown: "+broken.address+" SERVFAIL", broken.address+": SERVFAIL")
	})
}

// A customer writes the NS records. Without the test's leave no server inside is asked.
func TestAuthorityInsideIsNotAsked(t *testing.T) {
	t.Parallel()
	authority := serve(t, published(t))
	cache := delegated(t, "ns2.host.example. A 10.1.2.3", "ns2.host.example. AAAA ::1", "ns2.host.example. AAAA ::ffff:127.0.0.1")
	guarded := func(o *ownership.Options) { o.AllowPrivate = false }
	s := look(t, looker(t, []string{cache.address, "authoritative"}, port(authority), guarded), wanted())
	want(t, s, false)
	wantOpen(t, s, "authoritative: of the name servers of hinode.example none has a public address")
	if authority.count() != 0 {
		t.Errorf("asked a server on loopback: %q", authority.queries())
	}
}

func TestPublicAddresses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"8.8.8.8": true, "1.1.1.1": true, "172.32.0.1": true, "100.128.0.1": true, "2001:4860:4860::8888": true, "2606:4700::1111": true,
		"::ffff:8.8.8.8": true,
		"0.0.0.0":        false, "0.1.2.3": false, "10.0.0.1": false, "100.64.0.1": false, "127.0.0.1": false, "127.255.255.254": false,
		"169.254.169.254": false, "172.16.0.1": false, "172.31.255.255": false, "192.0.0.9": false, "192.0.2.1": false, "192.88.99.1": false,
		"192.168.1.1": false, "198.18.0.1": false, "198.19.255.255": false, "198.51.100.1": false, "203.0.113.1": false,
		"224.0.0.251": false, "239.1.1.1": false, "240.0.0.1": false, "255.255.255.255": false,
		"::": false, "::1": false, "::ffff:127.0.0.1": false, "::ffff:169.254.169.254": false, "::127.0.0.1": false,
		"64:ff9b::7f00:1": false, "64:ff9b:1::1": false, "100::1": false, "2001::1": false, "2001:db8::1": false, "2002:7f00:1::": false,
		"3fff::1": false, "5f00::1": false, "fc00::1": false, "fd12::1": false, "fe80::1": false, "fec0::1": false, "ff02::fb": false,
	} {
		if got := ownership.Public(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s is public: %t, want %t", text, got, want)
		}
	}
	if ownership.Public(netip.Addr{}) {
		t.Error("no address is public")
	}
}
