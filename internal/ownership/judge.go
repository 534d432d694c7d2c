package ownership

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/miekg/dns"
)

const (
	mostSeen  = 6   // records of a sight
	mostValue = 255 // bytes of a seen value

	mostAliases = 8 // followed whatever order they come in
)

// wanted is a record at one of the names where it may stand.
type wanted struct {
	Record
	kind uint16
}

// wanted returns all that is to be asked.
func (v Values) wanted() []wanted {
	kinds := map[string]uint16{TXT: dns.TypeTXT, CNAME: dns.TypeCNAME}
	var all []wanted
	for _, r := range v.Records() {
		for _, name := range names(r.Host, v.Domain) {
			if r.Name = name; validName(name) {
				all = append(all, wanted{r, kinds[r.Type]})
			}
		}
	}
	return all
}

// judged is what an answer shows of a wanted record.
type judged struct {
	values  []string // the records that match and the near misses, fit to be shown
	matches []bool   // which of them match
}

func (j *judged) add(value string, match bool) {
	j.values, j.matches = append(j.values, shown(value)), append(j.matches, match)
}

// judge compares. A CNAME record counts at the wanted name alone, and wherever it points it is worth showing; TXT records count also
// behind an alias, as a resolver follows it, and those of other services are nobody's business here.
func (w wanted) judge(answer *dns.Msg) judged {
	var j judged
	if w.kind == dns.TypeCNAME {
		for _, rr := range answer.Answer {
			if cname, ok := alias(rr); ok && plain(cname.Hdr.Name) == w.Name {
				j.add(plain(cname.Target), plain(cname.Target) == ascii(w.Value))
			}
		}
		return j
	}
	names := aliases(answer, w.Name)
	for _, rr := range answer.Answer {
		txt, ok := rr.(*dns.TXT)
		if !ok || !names[plain(txt.Hdr.Name)] {
			continue
		}
		text := unescape(strings.Join(txt.Txt, ""))
		if text == w.Value || similar(text, w.Value) {
			j.add(text, text == w.Value)
		}
	}
	return j
}

// similar tells whether a text looks like an earlier or a mistyped token: in quotes too many, say, but of the same kind up to the "=".
func similar(text, token string) bool {
	kind, _, ok := strings.Cut(token, "=")
	text = strings.Trim(text, "\"' \t")
	return ok && len(text) > len(kind) && strings.EqualFold(text[:len(kind)+1], kind+"=")
}

// aliases are a name and those that the answer says it stands for. A record of any other name does not belong there.
func aliases(answer *dns.Msg, name string) map[string]bool {
	all := map[string]bool{name: true}
	for range mostAliases {
		for _, rr := range answer.Answer {
			if cname, ok := alias(rr); ok && all[plain(cname.Hdr.Name)] {
				all[plain(cname.Target)] = true
			}
		}
	}
	return all
}

// alias reads a CNAME record. One without data, which package dns lets pass, is no alias of the root.
func alias(rr dns.RR) (*dns.CNAME, bool) {
	cname, ok := rr.(*dns.CNAME)
	return cname, ok && cname.Target != ""
}

// plain is a name of an answer in the form of [Record.Name].
func plain(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// unescape undoes what package dns does to the bytes of a text: \" and \\ and, for what is not printable ASCII, \DDD.
func unescape(text string) string {
	if !strings.Contains(text, `\`) {
		return text
	}
	raw := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' || i+1 == len(text) {
			raw = append(raw, text[i])
			continue
		}
		i++
		if i+2 < len(text) && digit(text[i]) && digit(text[i+1]) && digit(text[i+2]) {
			raw = append(raw, (text[i]-'0')*100+(text[i+1]-'0')*10+text[i+2]-'0')
			i += 2
			continue
		}
		raw = append(raw, text[i])
	}
	return string(raw)
}

func digit(b byte) bool { return b >= '0' && b <= '9' }

// shown makes a value of a stranger fit for a terminal and a record: printable, and not long.
func shown(value string) string {
	value = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return utf8.RuneError
	}, value)
	if len(value) <= mostValue {
		return value
	}
	end := mostValue
	for !utf8.RuneStart(value[end]) {
		end--
	}
	return value[:end]
}
