package partnerapi

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	maxRetryAfter     = time.Hour // more is taken for a mistake
	maxRequestIDBytes = 128
)

// headerNumber returns the header's value, or -1 if it is no number from 0 up.
func headerNumber(h http.Header, name string) int {
	n, err := strconv.ParseInt(strings.TrimSpace(h.Get(name)), 10, 32)
	if err != nil || n < 0 {
		return -1
	}
	return int(n)
}

// retryAfterOf returns the longest wait that the answer asks for, or -1. Of
// rateLimit-reset only a 429 makes a wait; Retry-After counts on any status.
func retryAfterOf(status int, h http.Header, now time.Time) time.Duration {
	waits := []time.Duration{seconds(headerNumber(h, "Retry-After")), untilDate(h, now)}
	if status == http.StatusTooManyRequests {
		waits = append(waits, seconds(headerNumber(h, "rateLimit-reset")))
	}
	waits = slices.DeleteFunc(waits, func(d time.Duration) bool { return d < 0 || d > maxRetryAfter })
	return slices.Max(append(waits, -1))
}

func seconds(n int) time.Duration {
	if n < 0 {
		return -1
	}
	return time.Duration(n) * time.Second
}

// untilDate reads a Retry-After that is a date, against the answer's own Date
// where there is one, so that a wrong clock of ours does not count.
func untilDate(h http.Header, now time.Time) time.Duration {
	at, err := http.ParseTime(h.Get("Retry-After"))
	if err != nil {
		return -1
	}
	if theirs, err := http.ParseTime(h.Get("Date")); err == nil {
		now = theirs
	}
	return at.Sub(now)
}

// requestIDPattern has neither blanks nor @ nor %: it is logged, and must not be a
// person's name or address.
var requestIDPattern = regexp.MustCompile(`^[A-Za-z0-9._:/+=|,;~-]+$`)

// requestIDOf returns the first header that looks like the partner's own name
// for the request; none is documented. Names are tried in order, since a header
// map has none.
func requestIDOf(h http.Header) string {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, part := range []string{"request-id", "trace"} {
		for _, name := range names {
			if !containsFold(name, part) {
				continue
			}
			if id := printable(h.Get(name)); requestIDPattern.MatchString(id) {
				return id
			}
		}
	}
	return ""
}

// containsFold is strings.Contains for ASCII in any case.
func containsFold(s, part string) bool {
	for i := range len(s) - len(part) + 1 {
		if strings.EqualFold(s[i:i+len(part)], part) {
			return true
		}
	}
	return false
}

func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
	return strings.TrimSpace(s[:min(len(s), maxRequestIDBytes)])
}
