package ownership_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"golang.org/x/net/dns/dnsmessage"

	"activation-worker/internal/ownership"
)

// stands tells, by another reading of the packet than the product's, whether a wanted record is in it: a CNAME record at one of its
// names, a TXT record there or where an alias leads from there.
func stands(packet []byte, v ownership.Values) bool {
	var m dnsmessage.Message
	if err := m.Unpack(packet); err != nil {
		// The two readers differ in what is of no interest here. The record has to be in the bytes all the same.
		return v.TXTToken != "" && bytes.Contains(packet, []byte(v.TXTToken)) || hasLabels(packet, v.CNAMETarget)
	}
	texts, targets := places(v.TXTHost, v.Domain), places(v.CNAMEHost, v.Domain)
	for range m.Answers {
		for _, rr := range m.Answers {
			if alias, ok := rr.Body.(*dnsmessage.CNAMEResource); ok && texts[bare(rr.Header.Name)] {
				texts[bare(alias.CNAME)] = true
			}
		}
	}
	for _, rr := range m.Answers {
		switch body := rr.Body.(type) {
		case *dnsmessage.TXTResource:
			if v.TXTToken != "" && strings.Join(body.TXT, "") == v.TXTToken && texts[bare(rr.Header.Name)] {
				return true
			}
		case *dnsmessage.CNAMEResource:
			foreign := strings.Trim(v.CNAMETarget, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_") != ""
			same := bare(body.CNAME) == strings.ToLower(strings.TrimSuffix(strings.TrimSpace(v.CNAMETarget), "."))
			if targets[bare(rr.Header.Name)] && (same || foreign) {
				return true
			}
		}
	}
	return false
}

func places(host, zone string) map[string]bool {
	all := map[string]bool{}
	for _, name := range ownership.Names(host, zone) {
		all[name] = true
	}
	return all
}

func bare(name dnsmessage.Name) string {
	return strings.ToLower(strings.TrimSuffix(name.String(), "."))
}

func hasLabels(packet []byte, name string) bool {
	lower := bytes.ToLower(packet)
	for label := range strings.SplitSeq(strings.ToLower(name), ".") {
		if !bytes.Contains(lower, []byte(label)) {
			return false
		}
	}
	return name != ""
}

// FuzzPublished: a record that is published is visible if, and only if, it is what was wanted, to the byte, at one of the names where
// the partner looks; whatever the partner wants and the customer publishes.
func FuzzPublished(f *testing.F) {
	f.Add(domain, "@", token, "wm4f1c", target, domain, token, target, uint8(0))
	f.Add(domain, "@", token, "wm4f1c", target, "other.example", token, target, uint8(0))
	f.Add(domain, "", token, "", "", domain, token+" ", "", uint8(0))
	f.Add(domain, "_works", token, "wm4f1c.shop", target, "_works."+domain, "\""+token+"\"", "verify.works.example.evil.example", uint8(1))
	f.Add("shop.hinode.example", "x.shop", "a\\\"b\\065", "www", "VERIFY.works.example.", "x.shop.hinode.example", "a\\\"b\\065", target, uint8(2))
	f.Add("日の出.example", "日", "\x00\xff=1", "_a", "xn--zckzah.example", "xn--wgv.xn--2dvx4z.example", "\x00\xff=1", "テスト.example", uint8(3))
	f.Add("", ".", "=", "*", ".", "", "==", "", uint8(0))
	f.Add("a.b", "a.b.", strings.Repeat("k=", 200), strings.Repeat("l", 64), strings.Repeat("m.", 130), "a.b", strings.Repeat("k=", 200), "x", uint8(4))
	f.Fuzz(func(t *testing.T, zone, txtHost, wantedText, cnameHost, wantedTarget, name, text, alias string, pick uint8) {
		v := ownership.Values{Domain: zone, TXTHost: txtHost, TXTToken: wantedText, CNAMEHost: cnameHost, CNAMETarget: wantedTarget}
		records := v.Records()
		for _, r := range records {
			if r.Name != strings.ToLower(r.Name) || r.Value == "" || len(records) > 2 {
				t.Errorf("wanted %+v", r)
			}
		}
		// Also at the right names, which chance would not find.
		if names := ownership.Names(txtHost, zone); pick > 0 {
			name = names[int(pick)%len(names)]
		}
		var parts []string
		for rest := text; rest != ""; {
			n := min(len(rest), 255)
			parts, rest = append(parts, escaped(rest[:n])), rest[n:]
		}
		owner := dns.Fqdn(name)
		answer := []dns.RR{&dns.TXT{Hdr: dns.RR_Header{Name: owner, Rrtype: dns.TypeTXT, Class: dns.ClassINET}, Txt: parts}}
		if alias != "" {
			answer = append(answer, &dns.CNAME{Hdr: dns.RR_Header{Name: owner, Rrtype: dns.TypeCNAME, Class: dns.ClassINET}, Target: dns.Fqdn(alias)})
		}
		visible := false
		for _, q := range []struct {
			kind  uint16
			names []string
		}{{dns.TypeTXT, ownership.Names(txtHost, zone)}, {dns.TypeCNAME, ownership.Names(cnameHost, zone)}} {
			for _, asked := range q.names {
				m := new(dns.Msg).SetQuestion(dns.Fqdn(asked), q.kind)
				m.Response, m.Answer = true, answer
				packet, err := m.Pack()
				if err != nil {
					continue // no name, no text: nobody can publish it
				}
				s := ownership.ReadAnswer(v, m.Id, packet)
				visible = visible || s.Visible
				if s.Visible && !stands(packet, v) {
					t.Errorf("%+v is visible in an answer with the text %q and the target %q", v, text, alias)
				}
				if s.Visible && !slices.ContainsFunc(s.Seen, func(r ownership.Record) bool { return r.Type != "" && r.Name != "" }) {
					t.Errorf("visible, and seen are %+v", s.Seen)
				}
			}
		}
		plain := func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-'
		}
		ordinary := zone == domain && txtHost == "@" && name == zone && text != "" && !strings.ContainsFunc(alias, plain)
		if ordinary && text == wantedText && !visible && len(text) < 4000 {
			t.Errorf("the wanted text %q stands at %s and is not visible", text, name)
		}
	})
}

// escaped is a text as package dns wants it.
func escaped(text string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text)
}
