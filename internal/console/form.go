package console

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	queryBytes = 8 << 10
	valueBytes = 100
)

// form reads a query strictly, as one that is taken for another shows the wrong customers. It keeps the first thing that
// is wrong. What is there without a value is as if it were not there.
type form struct {
	given   url.Values
	asked   []string
	problem error
}

func formOf(query string) *form {
	f := &form{}
	if len(query) > queryBytes {
		f.wrong("the query is too long; wanted at most %d bytes", queryBytes)
		return f
	}
	var err error
	if f.given, err = url.ParseQuery(query); err != nil {
		f.wrong("the query cannot be understood; wanted name=value, with & between and escaped as in URLs")
	}
	return f
}

func (f *form) wrong(format string, args ...any) {
	if f.problem == nil {
		f.problem = fmt.Errorf(format, args...)
	}
}

// all are the values of a parameter that may be repeated, at most so often.
func (f *form) all(name string, most int) []string {
	f.asked = append(f.asked, name)
	var values []string
	for _, v := range f.given[name] {
		switch {
		case v == "":
		case len(v) > valueBytes || strings.ContainsFunc(v, unprintable):
			f.wrong("%s=%.40q is too long or holds what cannot be printed; wanted at most %d bytes", name, v, valueBytes)
		default:
			values = append(values, v)
		}
	}
	if len(f.given[name]) > most {
		f.wrong("%s is there %d times; wanted at most %d", name, len(f.given[name]), most)
		return nil
	}
	return values
}

func unprintable(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }

// one is the value of a parameter that is there once, empty where it is not.
func (f *form) one(name string) string {
	if values := f.all(name, 1); len(values) == 1 {
		return values[0]
	}
	return ""
}

// among are values of a parameter that has only these.
func (f *form) among(name string, these []string) []string {
	values := f.all(name, len(these))
	for _, v := range values {
		if !slices.Contains(these, v) {
			f.wrong("%s=%.40q is not known; wanted %s", name, v, strings.Join(these, ", "))
		}
	}
	return values
}

// flag is true or false.
func (f *form) flag(name string) bool {
	v := f.one(name)
	if v != "" && v != "true" && v != "false" {
		f.wrong("%s=%.40q is neither; wanted true or false", name, v)
	}
	return v == "true"
}

// number is a whole number as it is usually written.
func (f *form) number(name string, def, low, high int64) int64 {
	v := f.one(name)
	if v == "" {
		return def
	}
	n, ok := decimal(v)
	if !ok || n < low || n > high {
		f.wrong("%s=%.40q is no number that fits; wanted one from %d to %d", name, v, low, high)
	}
	return n
}

func decimal(text string) (int64, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil && strconv.FormatInt(n, 10) == text
}

// moment is a point in time, given as such or as how long ago it was; zero where it is not there.
func (f *form) moment(name string, now time.Time) time.Time {
	v := f.one(name)
	if v == "" {
		return time.Time{}
	}
	if at, err := time.Parse(time.RFC3339, v); err == nil {
		return at
	}
	if d, err := time.ParseDuration(v); err == nil && d > 0 {
		return now.Add(-d)
	}
	f.wrong("%s=%.40q is no time; wanted RFC 3339, such as 2026-11-01T00:00:00Z, or how long ago, such as 24h or 30m", name, v)
	return time.Time{}
}

// cursor is a place in the list of customers, nil where it is not there.
func (f *form) cursor(name string) *Cursor {
	v := f.one(name)
	if v == "" {
		return nil
	}
	seconds, id, _ := strings.Cut(v, ".")
	at, ok := decimal(seconds)
	domainID, err := domainIDOf(id)
	if !ok || at < 0 || err != nil {
		f.wrong("%s=%.40q is no row's cursor; wanted one as the list has it", name, v)
	}
	return &Cursor{at, domainID}
}

func domainIDOf(text string) (int64, error) {
	id, ok := decimal(text)
	if !ok || id <= 0 {
		return 0, fmt.Errorf("%.40q is no domain id; wanted a whole number from 1 to 9223372036854775807", text)
	}
	return id, nil
}

// end gives the first thing that was wrong. What nobody has asked for is.
func (f *form) end() error {
	wanted := "none"
	if len(f.asked) > 0 {
		wanted = strings.Join(f.asked, ", ")
	}
	for _, name := range slices.Sorted(maps.Keys(f.given)) {
		if !slices.Contains(f.asked, name) {
			f.wrong("there is no parameter %.40q; wanted %s", name, wanted)
		}
	}
	return f.problem
}
