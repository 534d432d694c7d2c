package events

import "strings"

// APIPrefix is what the subjects of JetStream's API begin with, its final dot included, for a domain or a prefix of
// its own; usually there is neither.
func APIPrefix(domain, prefix string) string {
	switch {
	case domain != "":
		return "$JS." + domain + ".API."
	case prefix != "":
		return strings.TrimSuffix(prefix, ".") + "."
	}
	return "$JS.API."
}
