package config

import (
	"fmt"
	"strings"
	"time"
)

// giveUpLimit is how long a round lasts at most, so a longer limit would not be kept.
const giveUpLimit = 45 * 24 * time.Hour

// tunable says which reasons of a deferral can be tuned by which setting. Those that are missing either wait for
// nothing (replay, backlog) or are final (refused, cancelled).
func tunable() []struct {
	reason          string
	giveUp, backoff bool
} {
	return []struct {
		reason          string
		giveUp, backoff bool
	}{
		{"transient", true, true},
		{"unknown_outcome", true, true},
		{"dns_unverified", true, false}, // its waits are WORKER_DNS_SCHEDULE
		{"terms_pending", true, true},
		{"partner_unavailable", false, true}, // never gives up
		{"customer_not_found", false, true},  // gives up after its last wait
	}
}

// giveUps is reason=24h,…
func giveUps() kind[map[string]time.Duration] {
	var known []string
	for _, t := range tunable() {
		if t.giveUp {
			known = append(known, t.reason)
		}
	}
	return byName("reason", known, "something like transient=24h,unknown_outcome=24h", withinRound)
}

// backoffs is reason=10s/60s/5m,…
func backoffs() kind[map[string][]time.Duration] {
	var known []string
	for _, t := range tunable() {
		if t.backoff {
			known = append(known, t.reason)
		}
	}
	return byName("reason", known, "something like transient=10s/60s/5m", inTurn(duration().parse))
}

// withinRound is a duration that can pass in a round.
func withinRound(s string) (time.Duration, error) {
	d, err := duration().parse(s)
	if err == nil && d > giveUpLimit {
		return 0, complain(s, "within a round", fmt.Sprintf("at most %v", giveUpLimit))
	}
	return d, err
}

// inTurn is a/b/c.
func inTurn(one func(string) (time.Duration, error)) func(string) ([]time.Duration, error) {
	return func(s string) ([]time.Duration, error) {
		var all []time.Duration
		for part := range strings.SplitSeq(s, "/") {
			d, err := one(strings.TrimSpace(part))
			if err != nil {
				return nil, err
			}
			all = append(all, d)
		}
		return all, nil
	}
}

// byName is name=value,… with each name at most once; what is what the names are of.
func byName[T any](what string, known []string, example string, value func(string) (T, error)) kind[map[string]T] {
	name := choice(known...)
	return kind[map[string]T]{"list", func(s string) (map[string]T, error) {
		m := map[string]T{}
		for part := range strings.SplitSeq(s, ",") {
			key, rest, found := strings.Cut(strings.TrimSpace(part), "=")
			if !found {
				return nil, complain(part, what+"=value", example)
			}
			if _, err := name.parse(key); err != nil {
				return nil, fmt.Errorf("%s %w", what, err)
			}
			if _, twice := m[key]; twice {
				return nil, fmt.Errorf("%s %q is there twice; wanted each once", what, key)
			}
			v, err := value(rest)
			if err != nil {
				return nil, fmt.Errorf("%s %q: %w", what, key, err)
			}
			m[key] = v
		}
		return m, nil
	}}
}
