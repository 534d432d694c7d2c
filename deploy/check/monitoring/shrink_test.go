package monitoring

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The shipped rules with other durations and nothing else changed: each is a 180th of what it was, but 2 s at least and 20 s at most. So
// five minutes are 2 s, half an hour is 10, and whatever is an hour or more is 20.
const (
	shrinkBy = 180
	shortest = 2 * time.Second
	longest  = 20 * time.Second
)

func shrunk(d time.Duration) time.Duration {
	return min(max((d/shrinkBy).Truncate(time.Second), shortest), longest)
}

var (
	duration = regexp.MustCompile(`(for: |\[|offset )(\d+)([mhd])\b`)
	seconds  = regexp.MustCompile(`> (2 \* 86400|3600)\b`) // of a time that is compared
	units    = map[string]time.Duration{"m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}
)

func shrink(rules string) string {
	rules = duration.ReplaceAllStringFunc(rules, func(text string) string {
		m := duration.FindStringSubmatch(text)
		n, _ := strconv.Atoi(m[2]) // digits
		return m[1] + strconv.Itoa(int(shrunk(time.Duration(n)*units[m[3]]).Seconds())) + "s"
	})
	lines := strings.Split(rules, "\n")
	for i, line := range lines {
		lines[i] = seconds.ReplaceAllString(line, fmt.Sprintf("> %d", int(longest.Seconds())))
	}
	return strings.Join(lines, "\n")
}

// TestShrinkChangesDurationsAlone: what is tested on real workers is what is shipped.
func TestShrinkChangesDurationsAlone(t *testing.T) {
	t.Parallel()
	before := shippedRules(t)
	after := rulesIn(t, []byte(shrink(string(read(t, rulesFile())))))
	anyTime := regexp.MustCompile(`\[\d+[smhd]\]|offset \d+[smhd]|> (2 \* 86400|3600|20)\b`)
	for i, r := range before {
		if a, b := anyTime.ReplaceAllString(r.Expr, "T"), anyTime.ReplaceAllString(after[i].Expr, "T"); a != b {
			t.Errorf("%s: %s became %s", r.name(), a, b)
		}
		if strings.Contains(after[i].Expr, "86400") || regexp.MustCompile(`\d[mhd]\b`).MatchString(after[i].Expr+after[i].For) {
			t.Errorf("%s: a long time is left: for %s, %s", r.name(), after[i].For, after[i].Expr)
		}
	}
}
