package operator

import (
	"fmt"
	"strings"

	"activation-worker/internal/events"
)

// ZoneFile is the records wanted as lines of a zone file, to be copied: one of them is enough. What
// somebody else wrote cannot leave its line or its quotes.
func ZoneFile(d *events.DNS) []string {
	if d == nil {
		return nil
	}
	width := 0
	for _, w := range d.Wanted {
		width = max(width, len(zoneName(w.Name)))
	}
	lines := make([]string, 0, len(d.Wanted))
	for _, w := range d.Wanted {
		lines = append(lines, fmt.Sprintf("%-*s IN %s %s", width, zoneName(w.Name), zoneType(w.Type), zoneValue(w)))
	}
	return lines
}

// SightLines tells what was seen where the records wanted should be, and by which resolver.
func SightLines(d *events.DNS) []string {
	if d == nil {
		return nil
	}
	lines := make([]string, 0, len(d.Seen))
	for _, s := range d.Seen {
		match := "not as wanted"
		for _, w := range d.Wanted {
			if sameValue(w, s) {
				match = "as wanted"
			}
		}
		lines = append(lines, fmt.Sprintf("%s IN %s %s (%s, seen by %s)", zoneName(s.Name), zoneType(s.Type), zoneValue(s), match, escaped(s.Resolver, "")))
	}
	return lines
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
