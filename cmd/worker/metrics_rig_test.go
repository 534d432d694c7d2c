package main

import (
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// scraped is what /metrics has said.
type scraped struct {
	t      testing.TB
	text   string
	values map[string]float64 // by series, as it is written: name{label="value",…}, labels in the order of their names
	types  map[string]string  // by family
}

// scrape asks /metrics once, in the text form.
func (p *proc) scrape() scraped {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, "http://"+p.Probes()+"/metrics", http.NoBody)
	if err != nil {
		p.t.Fatal(err)
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		p.t.Fatalf("/metrics: %v", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		p.t.Fatalf("/metrics is %d, %v:\n%s", resp.StatusCode, err, body)
	}
	return readMetrics(p.t, string(body))
}

func readMetrics(t testing.TB, text string) scraped {
	t.Helper()
	s := scraped{t, text, map[string]float64{}, map[string]string{}}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if strings.HasPrefix(line, "#") {
			if words[1] == "TYPE" {
				s.types[words[2]] = words[3]
			}
			continue
		}
		at := strings.LastIndex(line, " ")
		value, err := strconv.ParseFloat(strings.TrimSpace(line[at:]), 64)
		if err != nil {
			t.Fatalf("/metrics has the line %q: %v", line, err)
		}
		s.values[line[:at]] = value
	}
	return s
}

// ours reports a name that is not the client library's.
func ours(name string) bool { return strings.HasPrefix(name, "activation_") }

// series are the names and labels of all that was said, without the values, whose digits may be anything.
func (s scraped) series() string {
	return strings.Join(slices.Sorted(maps.Keys(s.values)), "\n") + "\n"
}

// want checks the value of a series.
func (s scraped) want(series string, value float64) {
	s.t.Helper()
	if got, there := s.values[series]; !there || got != value {
		s.t.Errorf("%s is %v (there: %t), want %v", series, got, there, value)
	}
}

// sum adds up the series of a name with all of these labels, each name="value".
func (s scraped) sum(name string, labels ...string) (sum float64) {
	for series, value := range s.values {
		if s.fits(series, name, labels) {
			sum += value
		}
	}
	return sum
}

func (s scraped) fits(series, name string, labels []string) bool {
	bare, rest, _ := strings.Cut(series, "{")
	if bare != name {
		return false
	}
	for _, l := range labels {
		if !strings.Contains("{"+rest, "{"+l) && !strings.Contains(rest, ","+l) {
			return false
		}
	}
	return true
}

var (
	labelName  = regexp.MustCompile(`[{,]([a-z_]+)="`)
	labelValue = regexp.MustCompile(`[{,]([a-z_]+)="([^"]*)"`)
)

// labels are the names of the labels of each family of ours, but those of buckets.
func (s scraped) labels() map[string]map[string]bool {
	all := map[string]map[string]bool{}
	for series := range s.values {
		name, rest, _ := strings.Cut(series, "{")
		family := name
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if base := strings.TrimSuffix(name, suffix); s.types[base] == "histogram" {
				family = base
			}
		}
		if !ours(family) {
			continue
		}
		if all[family] == nil {
			all[family] = map[string]bool{}
		}
		for _, m := range labelName.FindAllStringSubmatch("{"+rest, -1) {
			if m[1] != "le" {
				all[family][m[1]] = true
			}
		}
	}
	return all
}
