package broker

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// finding is a setting that differs, with what mends it.
type finding[C any] struct {
	Drift
	breaks bool     // a worker must not run like this
	mend   func(*C) // nil: JetStream cannot change it
}

// compare holds what the server has against what is declared.
func compare[C any](rules []rule[C], r role, object, remedy string, have, want C) []finding[C] {
	var found []finding[C]
	for _, rule := range rules {
		if rule.on&r == 0 || rule.holds(have, want) {
			continue
		}
		f := finding[C]{
			Drift:  Drift{Object: object, Setting: rule.setting, Is: rule.is(have), Wants: rule.wanted(want)},
			breaks: rule.breaks&r != 0,
		}
		if rule.fix != nil && (rule.fixable == nil || rule.fixable(have, want)) {
			f.Fixable = true
			f.mend = func(c *C) { rule.fix(c, want) }
		} else {
			f.Do = remedy
		}
		found = append(found, f)
	}
	return found
}

func (r rule[C]) holds(have, want C) bool {
	if r.ok != nil {
		return r.ok(have, want)
	}
	return r.is(have) == r.is(want)
}

func (r rule[C]) wanted(want C) string {
	if r.must != nil {
		return r.must(want)
	}
	return r.is(want)
}

// breaking are the differences with which a worker must not run.
func breaking[C any](found []finding[C]) error {
	var drifts []Drift
	for _, f := range found {
		if f.breaks {
			drifts = append(drifts, f.Drift)
		}
	}
	return layoutError(drifts)
}

func lower(v fmt.Stringer) string { return strings.ToLower(v.String()) }

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func span(d time.Duration) string {
	if d == 0 {
		return "none"
	}
	return d.String()
}

// count shows a limit; JetStream writes "no limit" as 0 or -1.
func count[N int | int32 | int64](n N) string {
	if n <= 0 {
		return "unlimited"
	}
	return strconv.FormatInt(int64(n), 10)
}

func unlimitedOr[N int | int32 | int64](have, least N) bool { return have <= 0 || have >= least }

func list(subjects []string) string {
	if len(subjects) == 0 {
		return "none"
	}
	return strings.Join(subjects, " ")
}

func sources(streams ...*jetstream.StreamSource) string {
	var names []string
	for _, s := range streams {
		if s != nil {
			names = append(names, s.Name)
		}
	}
	return list(names)
}

func filters(c jetstream.ConsumerConfig) []string {
	if c.FilterSubject != "" {
		return []string{c.FilterSubject}
	}
	return c.FilterSubjects
}

// uncovered are the subjects of which some messages would not be taken by any of the patterns.
func uncovered(subjects, patterns []string) []string {
	var missing []string
	for _, s := range subjects {
		if !slices.ContainsFunc(patterns, func(p string) bool { return covers(p, s) }) {
			missing = append(missing, s)
		}
	}
	return missing
}

// widened takes what is wanted beside what is there, without an overlap between the two.
func widened(have, want []string) []string {
	kept := slices.DeleteFunc(slices.Clone(have), func(s string) bool {
		return slices.ContainsFunc(want, func(w string) bool { return w != s && covers(w, s) })
	})
	return append(kept, uncovered(want, kept)...)
}

// covers reports whether every subject that the second pattern matches is matched by the first.
func covers(pattern, subject string) bool {
	p, s := strings.Split(pattern, "."), strings.Split(subject, ".")
	for i, token := range p {
		switch {
		case token == ">":
			return len(s) > i
		case i >= len(s) || s[i] == ">":
			return false
		case token != "*" && token != s[i]:
			return false
		}
	}
	return len(p) == len(s)
}

// overlap reports whether some subject is matched by both patterns.
func overlap(a, b string) bool {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := 0; i < len(x) && i < len(y); i++ {
		switch {
		case x[i] == ">" || y[i] == ">":
			return true
		case x[i] != y[i] && x[i] != "*" && y[i] != "*":
			return false
		}
	}
	return len(x) == len(y)
}
