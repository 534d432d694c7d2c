package ownership_test

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"activation-worker/internal/ownership"
)

// published are the records of a customer who did all.
func published(t *testing.T) dns.HandlerFunc {
	t.Helper()
	return zone(t, domain+". TXT "+token, "wm4f1c."+domain+". CNAME "+target+".")
}

// onlyTXT wants one record, so that a look is one question.
func onlyTXT(v *ownership.Values) { v.CNAMETarget = "" }

// overUDP tells by which protocol a question came.
func overUDP(w dns.ResponseWriter) bool {
	_, udp := w.RemoteAddr().(*net.UDPAddr)
	return udp
}

func TestAQueryThatIsLostIsRepeated(t *testing.T) {
	t.Parallel()
	var before atomic.Int64
	truth := published(t)
	s := serve(t, func(w dns.ResponseWriter, query *dns.Msg) {
		if before.Add(1) > 1 {
			truth(w, query)
		}
	})
	want(t, look(t, looker(t, []string{s.address}), wanted(onlyTXT)), true, "TXT "+domain+" "+token)
	if s.count() != 2 {
		t.Errorf("%d queries, want 2", s.count())
	}
	first, second := s.asked[0], s.asked[1]
	if opt := first.IsEdns0(); opt == nil || opt.UDPSize() != 1232 || !first.RecursionDesired {
		t.Errorf("the first query is %v, want EDNS0 with 1232 bytes and recursion", first)
	}
	if second.IsEdns0() != nil || second.Id != first.Id {
		t.Errorf("the second query is %v, want the same without EDNS0", second)
	}
}

func TestAServerWithoutEDNS0IsAskedPlainly(t *testing.T) {
	t.Parallel()
	for name, refusal := range map[string]func(query *dns.Msg) *dns.Msg{
		"FORMERR":                      func(query *dns.Msg) *dns.Msg { return new(dns.Msg).SetRcode(query, dns.RcodeFormatError) },
		"NOTIMP":                       func(query *dns.Msg) *dns.Msg { return new(dns.Msg).SetRcode(query, dns.RcodeNotImplemented) },
		"FORMERR without the question": func(query *dns.Msg) *dns.Msg { return new(dns.Msg).SetRcodeFormatError(query) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			truth := published(t)
			s := serve(t, func(w dns.ResponseWriter, query *dns.Msg) {
				if query.IsEdns0() == nil {
					truth(w, query)
					return
				}
				reply := refusal(query)
				reply.Response, reply.Id = true, query.Id
				_ = w.WriteMsg(reply)
			})
			began := time.Now()
			want(t, look(t, looker(t, []string{s.address}), wanted(onlyTXT)), true, "TXT "+domain+" "+token)
			if took := time.Since(began); took > 900*time.Millisecond {
				t.Errorf("took %s: waited for the repeat", took)
			}
		})
	}
}

func TestWhatComesBeforeTheTrueAnswerIsPassedOver(t *testing.T) {
	t.Parallel()
	truth := published(t)
	s := serve(t, func(w dns.ResponseWriter, query *dns.Msg) {
		forged := lookUp(nil, query)
		forged.Id++
		_ = w.WriteMsg(forged)
		_, _ = w.Write([]byte{1})
		_, _ = w.Write([]byte("this is no DNS message"))
		truth(w, query)
	})
	want(t, look(t, looker(t, []string{s.address}), wanted(onlyTXT)), true, "TXT "+domain+" "+token)
}

func TestATruncatedAnswerIsFetchedOverTCP(t *testing.T) {
	t.Parallel()
	truth := published(t)
	cut := func(w dns.ResponseWriter, query *dns.Msg) {
		reply := new(dns.Msg).SetReply(query)
		reply.Truncated = true
		_ = w.WriteMsg(reply)
	}
	inMidRecord := func(w dns.ResponseWriter, query *dns.Msg) {
		reply := lookUp(parse(t, domain+". TXT works-verify=0123456789"), query)
		reply.Truncated = true
		packed, err := reply.Pack()
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(packed[:len(packed)-5])
	}
	forged := func(w dns.ResponseWriter, query *dns.Msg) {
		reply := new(dns.Msg).SetReply(query)
		reply.Id++
		_ = w.WriteMsg(reply)
	}
	for name, c := range map[string]struct {
		udp, tcp dns.HandlerFunc
		reason   string
	}{
		"cut":              {cut, truth, ""},
		"cut in a record":  {inMidRecord, truth, ""},
		"cut over TCP too": {cut, cut, "sent something else than an answer"},
		"wrong id":         {cut, forged, "sent something else than an answer"},
		"no TCP": {cut, func(w dns.ResponseWriter, _ *dns.Msg) {
			_ = w.Close()
		}, "hung up"},
		"refused over TCP": {cut, code(dns.RcodeRefused), "REFUSED"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, func(w dns.ResponseWriter, query *dns.Msg) {
				if overUDP(w) {
					c.udp(w, query)
				} else {
					c.tcp(w, query)
				}
			})
			sight, err := looker(t, []string{s.address}).Look(t.Context(), wanted(onlyTXT))
			if c.reason == "" {
				if err != nil {
					t.Fatal(err)
				}
				want(t, sight, true, "TXT "+domain+" "+token)
				return
			}
			wantUnanswered(t, err)
			wantOpen(t, sight, s.address+": "+c.reason)
		})
	}
}

func wantUnanswered(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, ownership.ErrUnanswered) {
		t.Errorf("error %v, want %v", err, ownership.ErrUnanswered)
	}
}

func TestNoUsableAnswer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		handler dns.HandlerFunc
		reason  string
	}{
		"silence":  {silent, "timed out"},
		"SERVFAIL": {code(dns.RcodeServerFailure), "SERVFAIL"},
		"REFUSED":  {code(dns.RcodeRefused), "REFUSED"},
		"referral": {func(w dns.ResponseWriter, query *dns.Msg) {
			reply := new(dns.Msg).SetReply(query)
			reply.Ns = parse(t, ". NS a.root.example.")
			_ = w.WriteMsg(reply)
		}, "does not look up for others"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, c.handler)
			sight, err := looker(t, []string{s.address}, timeout(time.Second)).Look(t.Context(), wanted())
			wantUnanswered(t, err)
			want(t, sight, false)
			wantOpen(t, sight, s.address+": "+c.reason)
		})
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	const address = "127.0.0.1:1" // a port that was free a moment ago may be another test's by now
	began := time.Now()
	sight, err := looker(t, []string{address}).Look(t.Context(), wanted())
	wantUnanswered(t, err)
	wantOpen(t, sight, address+": connection refused")
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("took %s", took)
	}
}

func TestNoSuchNameIsAnAnswer(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]dns.HandlerFunc{
		"NXDOMAIN": code(dns.RcodeNameError),
		"NODATA":   code(dns.RcodeSuccess),
	} {
		sight := look(t, looker(t, []string{serve(t, handler).address}), wanted())
		if want(t, sight, false); len(sight.Unanswered) > 0 {
			t.Errorf("%s: unanswered %q", name, sight.Unanswered)
		}
	}
}

func TestAnOpenQuestionIsSaid(t *testing.T) {
	t.Parallel()
	truth := published(t)
	s := serve(t, func(w dns.ResponseWriter, query *dns.Msg) {
		if query.Question[0].Qtype == dns.TypeCNAME {
			code(dns.RcodeServerFailure)(w, query)
			return
		}
		truth(w, query)
	})
	v := wanted(func(v *ownership.Values) { v.TXTToken = "other" })
	sight := look(t, looker(t, []string{s.address}), v)
	want(t, sight, false)
	wantOpen(t, sight, s.address+": SERVFAIL (CNAME wm4f1c."+domain+")")
}

func TestAContextThatEnds(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 10)
	s := serve(t, func(dns.ResponseWriter, *dns.Msg) { asked <- struct{}{} })
	cause := errors.New("the worker stops")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() { <-asked; cancel(cause) }()
	began := time.Now()
	sight, err := looker(t, []string{s.address}).Look(ctx, wanted())
	if !errors.Is(err, cause) {
		t.Errorf("error %v, want %v", err, cause)
	}
	wantOpen(t, sight)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("took %s", took)
	}
	short, end := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer end()
	if _, err := looker(t, []string{s.address}).Look(short, wanted()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want %v", err, context.DeadlineExceeded)
	}
}
