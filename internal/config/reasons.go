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
	return byReason(known, "something like transient=24h,unknown_outcome=24h", func(s string) (time.Duration, error) {
		d, err := duration().parse(s)
		if err == nil && d > giveUpLimit {
			return 0, complain(s, "within a round", fmt.Sprintf("at most %v", giveUpLimit))
		}
		return d, err
	})
}

// backoffs is reason=10s/60s/5m,…
func backoffs() kind[map[string][]time.Duration] {
	var known []string
	for _, t := range tunable() {
		if t.backoff {
			known = append(known, t.reason)
		}
	}
	return byReason(known, "something like transient=10s/60s/5m", func(s string) ([]time.Duration, error) {
		var waits []time.Duration
		for part := range strings.SplitSeq(s, "/") {
			d, err := duration().parse(strings.TrimSpace(part))
			if err != nil {
				return nil, err
			}
			waits = append(waits, d)
		}
		return waits, nil
	})
}

// byReason is reason=value,… with each reason at most once.
func byReason[T any](known []string, example string, value func(string) (T, error)) kind[map[string]T] {
	reason := choice(known...)
	return kind[map[string]T]{"list", func(s string) (map[string]T, error) {
		m := map[string]T{}
		for part := range strings.SplitSeq(s, ",") {
			name, rest, found := strings.Cut(strings.TrimSpace(part), "=")
			if !found {
				return nil, complain(part, "reason=value", example)
			}
			if _, err := reason.parse(name); err != nil {
				return nil, fmt.Errorf("reason %w", err)
			}
			if _, twice := m[name]; twice {
				return nil, fmt.Errorf("reason %q is there twice; wanted each once", name)
			}
			v, err := value(rest)
			if err != nil {
				return nil, fmt.Errorf("reason %q: %w", name, err)
			}
			m[name] = v
		}
		return m, nil
	}}
}
