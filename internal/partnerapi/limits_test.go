package partnerapi

import (
	"math/big"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestLimits(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		headers map[string][]string
		want    Limits
	}{
		"as documented": {map[string][]string{
			"rateLimit-limit": {"240"}, "rateLimit-remaining": {"17"}, "rateLimit-reset": {"48"}, "rateLimit-used": {"223"},
		}, Limits{240, 17, 48 * time.Second, 223}},
		"as HTTP/2 spells them": {map[string][]string{
			"ratelimit-limit": {"60"}, "ratelimit-remaining": {"0"}, "ratelimit-reset": {"0"}, "ratelimit-ssed": {"61"},
		}, Limits{60, 0, 0, 61}},
		"as Go does":        {map[string][]string{"Ratelimit-Limit": {"60"}, "Ratelimit-Ssed": {"3"}}, Limits{60, -1, -1, 3}},
		"aloud":             {map[string][]string{"RATELIMIT-REMAINING": {"5"}}, Limits{-1, 5, -1, -1}},
		"none":              {nil, noLimits},
		"others' names":     {map[string][]string{"X-RateLimit-Limit": {"1"}, "RateLimit": {"2"}, "rateLimit-": {"3"}, "rateLimit-limits": {"4"}}, noLimits},
		"both names":        {map[string][]string{"rateLimit-ssed": {"3"}, "rateLimit-used": {"4"}}, Limits{-1, -1, -1, 4}},
		"one of them wrong": {map[string][]string{"rateLimit-ssed": {"3"}, "rateLimit-used": {"x"}}, Limits{-1, -1, -1, 3}},
		"each by itself":    {map[string][]string{"rateLimit-limit": {"240"}, "rateLimit-remaining": {"many"}, "rateLimit-reset": {"-1"}}, Limits{240, -1, -1, -1}},
		"blanks around":     {map[string][]string{"rateLimit-limit": {" 240\t"}}, Limits{240, -1, -1, -1}},
		"noughts before":    {map[string][]string{"rateLimit-limit": {"0240"}}, Limits{240, -1, -1, -1}},
		"the most":          {map[string][]string{"rateLimit-limit": {"1000000"}, "rateLimit-reset": {"3600"}}, Limits{1_000_000, -1, time.Hour, -1}},
		"more":              {map[string][]string{"rateLimit-limit": {"1000001"}, "rateLimit-reset": {"3601"}}, noLimits},
		"a time":            {map[string][]string{"rateLimit-reset": {"1795165200"}}, noLimits},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := limitsOf(tc.headers); got != tc.want {
				t.Errorf("%+v, wanted %+v", got, tc.want)
			}
		})
	}
	for _, absurd := range []string{
		"", " ", "many", "-1", "+5", "1.5", "1e3", "0x10", "240, 60", "240;w=60", "1 2", "٣", "2147483648", "99999999999999999999", "\x00",
	} {
		h := http.Header{}
		for _, name := range []string{"limit", "remaining", "reset", "used"} {
			h["rateLimit-"+name] = []string{absurd}
		}
		if got := limitsOf(h); got != noLimits {
			t.Errorf("%q is read as %+v", absurd, got)
		}
	}
	if got := limitsOf(http.Header{"rateLimit-limit": {"240", "60"}, "rateLimit-reset": {}}); got != noLimits {
		t.Errorf("a header that comes twice, or without a value, is read as %+v", got)
	}
}

// FuzzLimits: each value is what its digits say, or unknown, whatever the others are and however the names are spelled.
func FuzzLimits(f *testing.F) {
	needSeeds(f, "FuzzLimits")
	f.Fuzz(func(t *testing.T, limit, remaining, reset, used, misspelled string, upper uint32) {
		h := http.Header{"Retry-After": {limit}, "Ratelimitation": {reset}}
		for name, value := range map[string]string{
			"limit": limit, "remaining": remaining, "reset": reset, "used": used, "ssed": misspelled,
		} {
			h[spelled("ratelimit-"+name, upper)] = []string{value}
		}
		got := limitsOf(h)
		want := Limits{said(limit, mostCalls), said(remaining, mostCalls), time.Duration(said(reset, 3600)) * time.Second, said(used, mostCalls)}
		if want.Reset < 0 {
			want.Reset = -1
		}
		if want.Used < 0 {
			want.Used = said(misspelled, mostCalls)
		}
		if got != want {
			t.Errorf("%q is read as %+v, wanted %+v", h, got, want)
		}
	})
}

// spelled writes some of the letters large.
func spelled(name string, upper uint32) string {
	letters := []byte(name)
	for i := range letters {
		if upper>>(i%32)&1 == 1 {
			letters[i] = strings.ToUpper(name)[i]
		}
	}
	return string(letters)
}

// said is the number that a text is, or -1.
func said(text string, most int64) int {
	text = strings.Trim(text, " \t")
	n, ok := new(big.Int).SetString(text, 10)
	if !ok || strings.ContainsAny(text, "+-_") || n.Cmp(big.NewInt(most)) > 0 {
		return -1
	}
	return int(n.Int64())
}

// TestEachAnswerIsTold: of the repeat, of redirects, of errors and of what was of no use; not of the token endpoint's, and not where
// there was none.
func TestEachAnswerIsTold(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		answers []int // statuses
		body    string
		want    []int // calls that remain
	}{
		"a success":           {[]int{200}, activeObject, []int{100}},
		"of no use":           {[]int{200}, `{}`, []int{100}},
		"a refusal":           {[]int{403}, `{"code":"ACCESS_DENIED"}`, []int{100}},
		"too many":            {[]int{429}, ``, []int{100}},
		"a failure":           {[]int{502}, `<html>`, []int{100}},
		"401 and the repeat":  {[]int{401, 200}, activeObject, []int{100, 99}},
		"401 twice":           {[]int{401, 401}, ``, []int{100, 99}},
		"a redirect says not": {[]int{307, 200}, activeObject, []int{-1, 99}},
		"redirects to no end": {[]int{307, 307, 307, 307}, ``, []int{-1, -1, -1, -1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var p *partner
			p = newPartner(t, func(w http.ResponseWriter, r *http.Request) {
				n := int(p.requests.Load()) - 1
				if tc.answers[n] == 307 {
					w.Header().Set("Location", r.URL.Path)
				} else {
					w.Header()["rateLimit-remaining"] = []string{big.NewInt(int64(100 - n)).String()}
				}
				w.WriteHeader(tc.answers[n])
				_, _ = w.Write([]byte(tc.body))
			}, nil)
			var told []int
			_, _ = p.client(t).Activate(t.Context(), ourID, Call{Answered: func(l Limits) { told = append(told, l.Remaining) }})
			if !slices.Equal(told, tc.want) {
				t.Errorf("told %v, wanted %v", told, tc.want)
			}
		})
	}
	t.Run("no answer", func(t *testing.T) {
		t.Parallel()
		c, _ := answering(t, nil, readyMade("ready"), func(c *Config) { c.APIURL = refusing })
		_, err := c.Activate(t.Context(), ourID, Call{Answered: func(Limits) { t.Error("told") }})
		failed(t, err, NotSent)
	})
}
