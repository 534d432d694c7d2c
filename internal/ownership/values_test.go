package ownership_test

import (
	"slices"
	"strings"
	"testing"

	"activation-worker/internal/ownership"
)

func TestNamesThatAHostMayMean(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		host, domain string
		want         []string
	}{
		{"@", "hinode.example", []string{"hinode.example"}},
		{"", "hinode.example", []string{"hinode.example"}},
		{" @ ", "HINODE.Example.", []string{"hinode.example"}},
		{"WM4F1C", "hinode.example", []string{"wm4f1c.hinode.example"}},
		{"_works", "hinode.example", []string{"_works.hinode.example"}},
		{"hinode.example", "hinode.example", []string{"hinode.example"}},
		{"hinode.example.", "hinode.example", []string{"hinode.example"}},
		{"wm4f1c.hinode.example", "hinode.example", []string{"wm4f1c.hinode.example"}},
		{"a.b", "hinode.example", []string{"a.b.hinode.example", "a.b"}},
		{"verify.elsewhere.example.", "hinode.example", []string{"verify.elsewhere.example", "verify.elsewhere.example.hinode.example"}},
		{"wm4f1c.shop", "shop.hinode.example", []string{"wm4f1c.shop.hinode.example", "wm4f1c.shop.shop.hinode.example", "wm4f1c.shop"}},
		{"shop", "shop.hinode.example", []string{"shop.hinode.example", "shop.shop.hinode.example"}},
		{"wm4f1c.a.b", "a.b.hinode.example", []string{
			"wm4f1c.a.b.hinode.example", "wm4f1c.a.b.a.b.hinode.example", "wm4f1c.a.b",
		}},
		{"wm4f1c", "shop.hinode.example", []string{"wm4f1c.shop.hinode.example"}},
		{"xhinode.example", "hinode.example", []string{"xhinode.example.hinode.example", "xhinode.example"}},
		{"日本", "日本語.Example", []string{"xn--wgv71a.xn--wgv71a119e.example"}},
		{"_a", "日本語.example", []string{"_a.xn--wgv71a119e.example"}},
		{"@", "ab--cd.example", []string{"ab--cd.example"}},
	} {
		if got := ownership.Names(c.host, c.domain); !slices.Equal(got, c.want) {
			t.Errorf("host %q of %s: %q, want %q", c.host, c.domain, got, c.want)
		}
	}
}

func TestRecordsToPublish(t *testing.T) {
	t.Parallel()
	txt := ownership.Record{Type: "TXT", Host: "@", Name: domain, Value: token}
	cname := ownership.Record{Type: "CNAME", Host: "wm4f1c", Name: "wm4f1c." + domain, Value: target}
	for name, c := range map[string]struct {
		values ownership.Values
		want   []ownership.Record
	}{
		"both":         {wanted(), []ownership.Record{txt, cname}},
		"no token":     {wanted(func(v *ownership.Values) { v.TXTToken = "" }), []ownership.Record{cname}},
		"no target":    {wanted(func(v *ownership.Values) { v.CNAMETarget = "" }), []ownership.Record{txt}},
		"empty fields": {ownership.Values{Domain: domain}, nil},
		"a host that makes the likeliest name too long": {
			wanted(func(v *ownership.Values) {
				v.TXTToken, v.CNAMEHost = "", strings.Repeat("a2345.", 40)+"example"
			}),
			[]ownership.Record{{Type: "CNAME", Host: strings.Repeat("a2345.", 40) + "example", Name: strings.Repeat("a2345.", 40) + "example", Value: target}},
		},
	} {
		if got := c.values.Records(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestNamesThatAreNoneAreNotAsked(t *testing.T) {
	t.Parallel()
	s := serve(t, zone(t))
	l := looker(t, []string{s.address})
	for _, host := range []string{"a..b", strings.Repeat("a", 64), `a\.b`, "a b", "*", "a\x00", strings.Repeat("a2345.", 43) + "x"} {
		v := wanted(func(v *ownership.Values) { v.TXTHost, v.CNAMEHost = host, host })
		want(t, look(t, l, v), false)
	}
	want(t, look(t, l, ownership.Values{Domain: domain}), false)
	if got := s.queries(); got != nil {
		t.Errorf("asked %q", got)
	}
}
