package operator

import (
	"fmt"
	"slices"
	"strings"

	"activation-worker/internal/events"
)

// Proof is one record, wanted or seen.
type Proof struct {
	events.DNSRecord
	Zone    string // a line of a zone file: what somebody else wrote cannot leave its line or its quotes
	Matches bool   // what is wanted is seen, what is seen is as wanted
}

// Proofs are the records wanted, one of which is enough, and those seen where they should be.
func Proofs(d *events.DNS) (wanted, seen []Proof) {
	if d == nil {
		return nil, nil
	}
	of := func(r events.DNSRecord, others []events.DNSRecord, same func(other events.DNSRecord) bool) Proof {
		return Proof{r, zoneName(r.Name) + " " + zoneRest(r), slices.ContainsFunc(others, same)}
	}
	for _, w := range d.Wanted {
		wanted = append(wanted, of(w, d.Seen, func(s events.DNSRecord) bool { return sameName(w, s) && sameValue(w, s) }))
	}
	for _, s := range d.Seen {
		seen = append(seen, of(s, d.Wanted, func(w events.DNSRecord) bool { return sameValue(w, s) }))
	}
	return wanted, seen
}

// ZoneFile is the records wanted as lines of a zone file, to be copied.
func ZoneFile(d *events.DNS) []string {
	wanted, _ := Proofs(d)
	width := 0
	for _, w := range wanted {
		width = max(width, len(zoneName(w.Name)))
	}
	var lines []string
	for _, w := range wanted {
		lines = append(lines, fmt.Sprintf("%-*s %s", width, zoneName(w.Name), zoneRest(w.DNSRecord)))
	}
	return lines
}

// SightLines tells what was seen where the records wanted should be, and by which resolver.
func SightLines(d *events.DNS) []string {
	_, seen := Proofs(d)
	var lines []string
	for _, s := range seen {
		match := "not as wanted"
		if s.Matches {
			match = "as wanted"
		}
		lines = append(lines, fmt.Sprintf("%s (%s, seen by %s)", s.Zone, match, escaped(s.Resolver, "")))
	}
	return lines
}

// zoneRest is what follows the name.
func zoneRest(r events.DNSRecord) string { return "IN " + zoneType(r.Type) + " " + zoneValue(r) }

func sameName(a, b events.DNSRecord) bool {
	return strings.EqualFold(strings.TrimSuffix(a.Name, "."), strings.TrimSuffix(b.Name, "."))
}

func sameValue(wanted, seen events.DNSRecord) bool {
	if wanted.Type == "CNAME" && seen.Type == "CNAME" {
		return strings.EqualFold(strings.TrimSuffix(wanted.Value, "."), strings.TrimSuffix(seen.Value, "."))
	}
	return wanted.Type == seen.Type && wanted.Value == seen.Value
}

func zoneType(kind string) string { return escaped(kind, "") }

// zoneName is a full name with its final dot.
func zoneName(name string) string {
	return escaped(strings.TrimSuffix(name, "."), `"();@$\`) + "."
}

// longestString is that of one string of a TXT record, in bytes (RFC 1035 §3.3).
const longestString = 255

// zoneValue is the target of a CNAME record, or the text of any other in pieces that fit.
func zoneValue(r events.DNSRecord) string {
	if r.Type == "CNAME" {
		return zoneName(r.Value)
	}
	text, pieces := r.Value, []string(nil)
	for len(text) > longestString {
		pieces, text = append(pieces, quoted(text[:longestString])), text[longestString:]
	}
	return strings.Join(append(pieces, quoted(text)), " ")
}

func quoted(text string) string {
	words := strings.Split(text, " ") // which stays as it is within quotes
	for i := range words {
		words[i] = escaped(words[i], `"\`)
	}
	return `"` + strings.Join(words, " ") + `"`
}

// escaped writes bytes that are not printable ASCII, and the special ones, as a zone file wants them (RFC 1035 §5.1).
func escaped(text, special string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		switch {
		case strings.IndexByte(special, c) >= 0:
			b.WriteByte('\\')
			b.WriteByte(c)
		case c > ' ' && c < 0x7f:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, `\%03d`, c)
		}
	}
	return b.String()
}
