package ownership_test

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"activation-worker/internal/ownership"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	domain = "hinode.example"
	token  = "works-verify=7Qm2"
	target = "verify.works.example"
)

// wanted are the usual values, changed by mods.
func wanted(mods ...func(*ownership.Values)) ownership.Values {
	v := ownership.Values{Domain: domain, TXTHost: "@", TXTToken: token, CNAMEHost: "wm4f1c", CNAMETarget: target}
	for _, mod := range mods {
		mod(&v)
	}
	return v
}

// server is a DNS server on loopback, over UDP and TCP.
type server struct {
	address string
	port    uint16

	mu    sync.Mutex
	asked []*dns.Msg
}

// serve starts one at a free port of 127.0.0.1.
func serve(t *testing.T, handler dns.HandlerFunc) *server {
	t.Helper()
	return serveAt(t, "127.0.0.1:0", handler)
}

func serveAt(t *testing.T, address string, handler dns.HandlerFunc) *server {
	t.Helper()
	listener, packets := listen(t, address)
	s := &server{address: packets.LocalAddr().String(), port: uint16(packets.LocalAddr().(*net.UDPAddr).Port)}
	noting := dns.HandlerFunc(func(w dns.ResponseWriter, query *dns.Msg) {
		s.mu.Lock()
		s.asked = append(s.asked, query.Copy())
		s.mu.Unlock()
		handler(w, query)
	})
	for _, d := range []*dns.Server{{PacketConn: packets, Handler: noting}, {Listener: listener, Handler: noting}} {
		started, ended := make(chan struct{}), make(chan error, 1)
		d.NotifyStartedFunc = func() { close(started) }
		go func() { ended <- d.ActivateAndServe() }()
		<-started
		t.Cleanup(func() {
			if err := d.Shutdown(); err != nil {
				t.Errorf("stop the DNS server: %v", err)
			}
			<-ended
		})
	}
	return s
}

// listen opens the same port for both protocols.
func listen(t *testing.T, address string) (net.Listener, net.PacketConn) {
	t.Helper()
	for range 20 {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		packets, err := net.ListenPacket("udp", listener.Addr().String())
		if err == nil {
			return listener, packets
		}
		_ = listener.Close()
	}
	t.Fatalf("no port of %s is free for UDP and TCP", address)
	return nil, nil
}

// queries are the questions that came, as "TYPE name", sorted, each once.
func (s *server) queries() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, m := range s.asked {
		all = append(all, dns.TypeToString[m.Question[0].Qtype]+" "+m.Question[0].Name)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// count is how many packets and connections brought a question.
func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked)
}

// silent never answers.
func silent(dns.ResponseWriter, *dns.Msg) {}

// code answers with nothing but a code.
func code(rcode int) dns.HandlerFunc {
	return func(w dns.ResponseWriter, query *dns.Msg) { _ = w.WriteMsg(new(dns.Msg).SetRcode(query, rcode)) }
}

// zone answers from records in the form of zone files, as an authority and a resolver in one.
func zone(t *testing.T, records ...string) dns.HandlerFunc {
	t.Helper()
	all := parse(t, records...)
	return func(w dns.ResponseWriter, query *dns.Msg) { send(w, query, lookUp(all, query)) }
}

// send cuts an answer off where the query says, as servers do.
func send(w dns.ResponseWriter, query, reply *dns.Msg) {
	if _, udp := w.RemoteAddr().(*net.UDPAddr); udp {
		size := dns.MinMsgSize
		if opt := query.IsEdns0(); opt != nil {
			size = int(opt.UDPSize())
		}
		reply.Truncate(size)
	}
	_ = w.WriteMsg(reply)
}

func parse(t *testing.T, records ...string) []dns.RR {
	t.Helper()
	var all []dns.RR
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatalf("record %q: %v", text, err)
		}
		all = append(all, rr)
	}
	return all
}

func lookUp(records []dns.RR, query *dns.Msg) *dns.Msg {
	reply := new(dns.Msg).SetReply(query)
	reply.Authoritative = true
	asked := query.Question[0]
	reply.Rcode = dns.RcodeNameError
	name := strings.ToLower(asked.Name)
	for range 4 { // aliases deep
		alias := ""
		for _, rr := range records {
			owner := strings.ToLower(rr.Header().Name)
			if owner == name || strings.HasSuffix(owner, "."+name) {
				reply.Rcode = dns.RcodeSuccess
			}
			cname, isAlias := rr.(*dns.CNAME)
			if owner != name || rr.Header().Rrtype != asked.Qtype && !isAlias {
				continue
			}
			reply.Answer = append(reply.Answer, rr)
			if isAlias && asked.Qtype != dns.TypeCNAME {
				alias = strings.ToLower(cname.Target)
			}
		}
		if name = alias; name == "" {
			break
		}
	}
	return reply
}

// looker asks these resolvers; a test that is to time out sets a shorter time.
func looker(t *testing.T, resolvers []string, mods ...func(*ownership.Options)) *ownership.Looker {
	t.Helper()
	o := ownership.Options{Resolvers: resolvers, Timeout: 10 * time.Second, AllowPrivate: true}
	for _, mod := range mods {
		mod(&o)
	}
	l, err := ownership.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func timeout(d time.Duration) func(*ownership.Options) {
	return func(o *ownership.Options) { o.Timeout = d }
}

// look is a look that has to succeed.
func look(t *testing.T, l *ownership.Looker, v ownership.Values) ownership.Sight {
	t.Helper()
	s, err := l.Look(t.Context(), v)
	if err != nil {
		t.Fatalf("look: %v", err)
	}
	return s
}

// seen are the records of a sight as "TYPE name value", and with resolvers " @resolver".
func seen(s ownership.Sight, withResolver bool) []string {
	var all []string
	for _, r := range s.Seen {
		text := r.Type + " " + r.Name + " " + r.Value
		if withResolver {
			text += " @" + r.Resolver
		}
		all = append(all, text)
	}
	return all
}

func want(t *testing.T, s ownership.Sight, visible bool, records ...string) {
	t.Helper()
	if got := seen(s, false); s.Visible != visible || !slices.Equal(got, records) {
		t.Errorf("visible %t, saw %q, unanswered %q; want %t and %q", s.Visible, got, s.Unanswered, visible, records)
	}
}

func wantOpen(t *testing.T, s ownership.Sight, texts ...string) {
	t.Helper()
	if !slices.Equal(s.Unanswered, texts) {
		t.Errorf("unanswered %q, want %q", s.Unanswered, texts)
	}
}

func quoted(text string) string { return strconv.Quote(text) }
