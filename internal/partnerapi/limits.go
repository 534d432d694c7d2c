package partnerapi

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Limits are what the rate headers of one answer said (page "rate-limits"), each about the operation that was called. A value
// that was missing, twice there, or absurd is -1; so is all of it on a redirect. The zero value says that nothing is left.
type Limits struct {
	Limit     int           // calls a minute
	Remaining int           // calls left of them
	Reset     time.Duration // until the count starts anew, in whole seconds
	Used      int           // calls counted so far; the partner spells this header in two ways
}

// What is more is taken for a mistake.
const (
	mostCalls = 1_000_000
	mostReset = time.Hour
)

var noLimits = Limits{Limit: -1, Remaining: -1, Reset: -1, Used: -1}

// limitsOf reads the rate headers, whatever the case of their names.
func limitsOf(h http.Header) Limits {
	l, misspelled := noLimits, -1
	for name, values := range h {
		if len(name) <= len("rateLimit-") || !strings.EqualFold(name[:len("rateLimit-")], "rateLimit-") {
			continue
		}
		switch strings.ToLower(name[len("rateLimit-"):]) {
		case "limit":
			l.Limit = number(values, mostCalls)
		case "remaining":
			l.Remaining = number(values, mostCalls)
		case "reset":
			l.Reset = seconds(number(values, int(mostReset/time.Second)))
		case "used":
			l.Used = number(values, mostCalls)
		case "ssed":
			misspelled = number(values, mostCalls)
		}
	}
	if l.Used < 0 {
		l.Used = misspelled
	}
	return l
}

// number returns the one value if it is nothing but digits and at most most, else -1.
func number(values []string, most int) int {
	if len(values) != 1 {
		return -1
	}
	digits := strings.Trim(values[0], " \t")
	if strings.Trim(digits, "0123456789") != "" { // a sign, among others
		return -1
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n > most {
		return -1
	}
	return n
}
