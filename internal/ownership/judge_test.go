package ownership_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/miekg/dns"

	"activation-worker/internal/ownership"
)

func TestWhatOneResolverShows(t *testing.T) {
	t.Parallel()
	apex, alias := "TXT "+domain+" ", "CNAME wm4f1c."+domain+" "
	long := "works-verify=" + strings.Repeat("x", 600)
	for name, c := range map[string]struct {
		records []string
		token   string // instead of the usual one
		visible bool
		seen    []string
	}{
		"nothing": {},
		"the TXT record": {
			records: []string{domain + ". TXT " + token}, visible: true, seen: []string{apex + token},
		},
		"the CNAME record": {
			records: []string{"wm4f1c." + domain + ". CNAME " + target + "."}, visible: true, seen: []string{alias + target},
		},
		"both": {
			records: []string{"wm4f1c." + domain + ". CNAME " + target + ".", domain + ". TXT " + token},
			visible: true, seen: []string{apex + token, alias + target},
		},
		"names and target in another case": {
			records: []string{"WM4F1C.Hinode.Example. CNAME Verify.WORKS.example."}, visible: true, seen: []string{alias + target},
		},
		"the token among others": {
			records: []string{domain + `. TXT "v=spf1 -all"`, domain + ". TXT " + token, domain + ". TXT google-site-verification=abc"},
			visible: true, seen: []string{apex + token},
		},
		"the token in pieces": {
			records: []string{domain + `. TXT "works-" "verify=" "" "7Qm2"`}, visible: true, seen: []string{apex + token},
		},
		"a token of more than 255 bytes": {
			records: []string{domain + ". TXT " + quoted(long[:255]) + quoted(long[255:510]) + quoted(long[510:])},
			token:   long, visible: true, seen: []string{apex + long[:255]},
		},
		"a token of odd bytes": {
			records: []string{domain + `. TXT "v=\"q\\\"\; \227\129\130\007"`}, token: "v=\"q\\\"; \u3042\a",
			visible: true, seen: []string{apex + "v=\"q\\\"; \u3042\ufffd"},
		},
		"the token in another case": {
			records: []string{domain + ". TXT works-verify=7qm2"}, seen: []string{apex + "works-verify=7qm2"},
		},
		"the token with quotes too many": {
			records: []string{domain + `. TXT "\"works-verify=7Qm2\""`}, seen: []string{apex + `"works-verify=7Qm2"`},
		},
		"the token and a space": {
			records: []string{domain + `. TXT "works-verify=7Qm2 "`}, seen: []string{apex + "works-verify=7Qm2 "},
		},
		"only the token's kind": {
			records: []string{domain + ". TXT works-verify="}, seen: []string{apex + "works-verify="},
		},
		"a token without a kind shows no near miss": {
			records: []string{domain + ". TXT abcd"}, token: "abc",
		},
		"a token without a kind": {
			records: []string{domain + ". TXT abc"}, token: "abc", visible: true, seen: []string{apex + "abc"},
		},
		"an old token": {
			records: []string{domain + ". TXT works-verify=old"}, seen: []string{apex + "works-verify=old"},
		},
		"a CNAME record that points elsewhere": {
			records: []string{"wm4f1c." + domain + ". CNAME parked.example."}, seen: []string{alias + "parked.example"},
		},
		"a CNAME record that leads to the target in two steps": {
			records: []string{"wm4f1c." + domain + ". CNAME a.example.", "a.example. CNAME " + target + "."}, seen: []string{alias + "a.example"},
		},
		"TXT behind an alias": {
			records: []string{domain + ". CNAME b.example.", "b.example. CNAME c.example.", "c.example. TXT " + token},
			visible: true, seen: []string{apex + token},
		},
		"the token at another name": {
			records: []string{"www." + domain + ". TXT " + token},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := wanted(func(v *ownership.Values) {
				if c.token != "" {
					v.TXTToken = c.token
				}
			})
			s := look(t, looker(t, []string{serve(t, zone(t, c.records...)).address}), v)
			want(t, s, c.visible, c.seen...)
			wantOpen(t, s)
		})
	}
}

func TestEachNameThatAHostMayMeanCounts(t *testing.T) {
	t.Parallel()
	for name, v := range map[string]ownership.Values{
		"wm4f1c.shop.hinode.example.":      {Domain: "shop.hinode.example", CNAMEHost: "wm4f1c.shop", CNAMETarget: target + "."},
		"wm4f1c.shop.shop.hinode.example.": {Domain: "shop.hinode.example", CNAMEHost: "wm4f1c.shop", CNAMETarget: target},
		"verify.other.example.":            {Domain: domain, CNAMEHost: "verify.other.example", CNAMETarget: "VERIFY.works.example."},
		"wm.xn--wgv71a119e.example.":       {Domain: "日本語.example", CNAMEHost: "wm", CNAMETarget: target},
	} {
		s := look(t, looker(t, []string{serve(t, zone(t, name+" CNAME "+target+".")).address}), v)
		want(t, s, true, "CNAME "+strings.TrimSuffix(name, ".")+" "+target)
	}
}

func TestASightIsBounded(t *testing.T) {
	t.Parallel()
	var records []string
	for i := range 30 {
		records = append(records, fmt.Sprintf("%s. TXT \"works-verify=%d%s\" \"%s\"", domain, i%25, strings.Repeat("\\227\\129\\130", 75), strings.Repeat("\\227\\129\\130", 20)))
	}
	records = append(records, domain+". TXT "+token)
	l := looker(t, []string{serve(t, zone(t, records...)).address})
	first := look(t, l, wanted())
	if len(first.Seen) != 6 || first.Seen[0].Value != token {
		t.Fatalf("saw %q, want 6 records, the token first", seen(first, false))
	}
	for _, r := range first.Seen[1:] {
		if len(r.Value) > 255 || len(r.Value) < 250 || !utf8.ValidString(r.Value) {
			t.Errorf("value of %d bytes: %q", len(r.Value), r.Value)
		}
	}
	want(t, look(t, l, wanted()), true, seen(first, false)...)
}

// A server that lies shows nothing, and nothing of it is taken for an answer where it can be told.
func TestLies(t *testing.T) {
	t.Parallel()
	truth := parse(t, domain+". TXT "+token, "wm4f1c."+domain+". CNAME "+target+".")
	lie := func(how func(*dns.Msg)) dns.HandlerFunc {
		return func(w dns.ResponseWriter, query *dns.Msg) {
			reply := lookUp(truth, query)
			how(reply)
			_ = w.WriteMsg(reply)
		}
	}
	for name, c := range map[string]struct {
		how      func(*dns.Msg)
		answered bool
	}{
		"wrong id":       {how: func(m *dns.Msg) { m.Id++ }},
		"no answer bit":  {how: func(m *dns.Msg) { m.Response = false }},
		"other question": {how: func(m *dns.Msg) { m.Question[0].Name = "other.example." }},
		"other type":     {how: func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeMX }},
		"other class":    {how: func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }},
		"two questions":  {how: func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }},
		"other opcode":   {how: func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }},
		"records of another name": {answered: true, how: func(m *dns.Msg) {
			m.Answer[0] = dns.Copy(m.Answer[0])
			m.Answer[0].Header().Name = "other.example."
		}},
		"records in the wrong section": {answered: true, how: func(m *dns.Msg) { m.Extra, m.Answer = m.Answer, nil }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := looker(t, []string{serve(t, lie(c.how)).address}, timeout(500*time.Millisecond))
			s, err := l.Look(t.Context(), wanted())
			if (err == nil) != c.answered {
				t.Errorf("error %v, want one: %t", err, !c.answered)
			}
			want(t, s, false)
		})
	}
}
