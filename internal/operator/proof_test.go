package operator_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"activation-worker/internal/events"
	"activation-worker/internal/operator"
)

func TestOwnershipRecordsAsAZoneFile(t *testing.T) {
	t.Parallel()
	d := &events.DNS{
		Wanted: []events.DNSRecord{
			{Type: "TXT", Name: "hinode.example", Value: "works-verify=7Qm2"},
			{Type: "CNAME", Name: "wm4f1c.hinode.example", Value: "Verify.works.example."},
		},
		Seen: []events.DNSRecord{
			{Type: "TXT", Name: "hinode.example", Value: "works-verify=old", Resolver: "system"},
			{Type: "CNAME", Name: "wm4f1c.hinode.example", Value: "verify.WORKS.example", Resolver: "192.0.2.53:53"},
		},
	}
	want := []string{
		`hinode.example.        IN TXT "works-verify=7Qm2"`,
		`wm4f1c.hinode.example. IN CNAME Verify.works.example.`,
	}
	if got := operator.ZoneFile(d); !slices.Equal(got, want) {
		t.Errorf("zone file is\n%s", strings.Join(got, "\n"))
	}
	want = []string{
		`hinode.example. IN TXT "works-verify=old" (not as wanted, seen by system)`,
		`wm4f1c.hinode.example. IN CNAME verify.WORKS.example. (as wanted, seen by 192.0.2.53:53)`,
	}
	if got := operator.SightLines(d); !slices.Equal(got, want) {
		t.Errorf("seen is\n%s", strings.Join(got, "\n"))
	}
	wanted, seen := operator.Proofs(d)
	for i, matches := range []bool{false, true} {
		if wanted[i].Matches != matches || seen[i].Matches != matches || wanted[i].DNSRecord != d.Wanted[i] || seen[i].DNSRecord != d.Seen[i] {
			t.Errorf("record %d is %+v, seen %+v", i, wanted[i], seen[i])
		}
	}
	if wanted[0].Zone != `hinode.example. IN TXT "works-verify=7Qm2"` || seen[0].Zone != `hinode.example. IN TXT "works-verify=old"` {
		t.Errorf("alone they are %s and %s", wanted[0].Zone, seen[0].Zone)
	}
	if operator.ZoneFile(nil) != nil || operator.SightLines(nil) != nil {
		t.Error("no DNS data is no lines")
	}
}

// TestZoneFileIsRead has a name server's parser read what is to be copied.
func TestZoneFileIsRead(t *testing.T) {
	t.Parallel()
	for _, value := range []string{
		"works-verify=7Qm2", `with "quotes" and \ and ; and (`, "  two  spaces ", "日の出", "line\nbreak\x1b[2J", strings.Repeat("x", 600), `\"`, "",
	} {
		lines := operator.ZoneFile(&events.DNS{Wanted: []events.DNSRecord{{Type: "TXT", Name: "hinode.example", Value: value}}})
		if len(lines) != 1 || strings.ContainsAny(lines[0], "\n\x1b") {
			t.Fatalf("%q: lines are %q", value, lines)
		}
		rr, err := dns.NewRR(lines[0])
		if err != nil {
			t.Errorf("%q: %s: %v", value, lines[0], err)
			continue
		}
		packed := make([]byte, 4096)
		n, err := dns.PackRR(rr, packed, 0, nil, false)
		if err != nil {
			t.Errorf("%q: %v", value, err)
			continue
		}
		data := packed[len(" hinode.example.")+10 : n] // after name, type, class, time to live and length
		text := ""
		for len(data) > 0 {
			end := 1 + int(data[0])
			text, data = text+string(data[1:end]), data[end:]
		}
		if text != value {
			t.Errorf("%q is read as %q", value, text)
		}
	}
	for _, name := range []string{"a b.example", "x;y.example", "x\n.example", `q"uote\.example`} {
		lines := operator.ZoneFile(&events.DNS{Wanted: []events.DNSRecord{{Type: "CNAME", Name: name, Value: name}}})
		if _, err := dns.NewRR(lines[0]); err != nil || strings.Contains(lines[0], "\n") {
			t.Errorf("%q: %q: %v", name, lines[0], err)
		}
	}
}
