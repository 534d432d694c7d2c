package config

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// shownRunes is how much of a wrong value an error shows.
const shownRunes = 40

// shown quotes a value for an error, shortened. It is not for values that may be or hold a secret.
func shown(text string) string {
	if r := []rune(text); len(r) > shownRunes {
		text = string(r[:shownRunes]) + "…"
	}
	return strconv.Quote(text)
}

func complain(text, what, wanted string) error {
	return fmt.Errorf("%s is not %s; wanted %s", shown(text), what, wanted)
}

// text takes everything.
func text() kind[string] {
	return kind[string]{"text", func(s string) (string, error) { return s, nil }}
}

// path is the name of a file that must be there, see [checkFiles].
func path() kind[string] {
	return kind[string]{"file", text().parse}
}

func choice(of ...string) kind[string] {
	return kind[string]{"choice", func(s string) (string, error) {
		if !slices.Contains(of, s) {
			return "", complain(s, "known here", "one of "+strings.Join(of, ", "))
		}
		return s, nil
	}}
}

func between(low, high int) kind[int] {
	return kind[int]{"number", func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if err != nil || n < low || n > high {
			return 0, complain(s, "in range", fmt.Sprintf("a whole number from %d to %d", low, high))
		}
		return n, nil
	}}
}

func replicas() kind[int] {
	return kind[int]{"number", func(s string) (int, error) {
		if s != "1" && s != "3" && s != "5" {
			return 0, complain(s, "a number of replicas", "1, 3 or 5")
		}
		return strconv.Atoi(s)
	}}
}

// duration is a time span in Go's form of at least a millisecond: less is a mistyped unit.
func duration() kind[time.Duration] {
	return kind[time.Duration]{"duration", func(s string) (time.Duration, error) {
		d, err := time.ParseDuration(s)
		if err != nil {
			return 0, complain(s, "a duration", "something like 60s")
		}
		if d < time.Millisecond {
			return 0, complain(s, "long enough", "at least 1ms")
		}
		return d, nil
	}}
}

// rate is N/s, N/m or N/h; 0 alone or before a unit is no limit.
func rate() kind[Rate] {
	units := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}
	return kind[Rate]{"rate", func(s string) (Rate, error) {
		number, unit, found := strings.Cut(s, "/")
		n, err := strconv.ParseUint(number, 10, 31)
		per := units[unit]
		switch {
		case err != nil, found && per == 0, !found && n != 0:
			return Rate{}, complain(s, "a rate", "something like 240/m (units s, m, h), or 0 for no limit")
		case n == 0:
			return Rate{}, nil
		}
		return Rate{N: int(n), Per: per}, nil
	}}
}

// size is a positive number of bytes, plain or with a decimal (kB, MB, GB, TB) or binary (KiB … TiB) unit.
func size() kind[int64] {
	units := map[string]int64{
		"": 1, "b": 1,
		"kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12,
		"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
	}
	return kind[int64]{"size", func(s string) (int64, error) {
		number := strings.TrimRightFunc(s, func(r rune) bool { return !unicode.IsDigit(r) })
		n, err := strconv.ParseInt(number, 10, 64)
		unit := units[strings.ToLower(strings.TrimSpace(s[len(number):]))]
		if err != nil || unit == 0 || n <= 0 || n > math.MaxInt64/unit {
			return 0, complain(s, "a size", "something like 10GiB, 512MiB or a number of bytes")
		}
		return n * unit, nil
	}}
}

// address is host:port as a listener takes it; without host it means every interface.
func address() kind[string] {
	return kind[string]{"address", func(s string) (string, error) {
		_, port, err := net.SplitHostPort(s)
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		if err != nil {
			return "", complain(s, "an address", "host:port, something like 127.0.0.1:8080")
		}
		return s, nil
	}}
}

// baseURL is an absolute http or https URL; which of the two is a matter of the host, see [checkURLs]. Its errors do
// not show the value, since people write credentials into URLs.
func baseURL() kind[string] {
	return kind[string]{"URL", func(s string) (string, error) {
		u, err := url.Parse(s)
		if err != nil || u.Hostname() == "" || (u.Scheme != "https" && u.Scheme != "http") {
			return "", errors.New("is not a URL that can be called; wanted something like https://host/path")
		}
		if u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery {
			return "", errors.New("holds more than host and path; wanted no user, no query and no fragment")
		}
		return strings.TrimRight(s, "/"), nil
	}}
}

// serverList is a list of NATS servers. Its errors do not show the value: it may hold credentials.
func serverList() kind[string] {
	schemes := []string{"nats", "tls", "ws", "wss"}
	return kind[string]{"servers", func(s string) (string, error) {
		servers := strings.Split(s, ",")
		for i, server := range servers {
			server = strings.TrimSpace(server)
			servers[i] = server
			if !strings.Contains(server, "://") {
				server = "nats://" + server
			}
			u, err := url.Parse(server)
			// An @ that ends no user and password belongs to a password with a / or # that is not escaped: what stands
			// before that would be taken for the host, and shown.
			if err != nil || u.Hostname() == "" || !slices.Contains(schemes, u.Scheme) || u.User == nil && strings.Contains(server, "@") {
				return "", fmt.Errorf("server %d of the list cannot be understood; wanted something like "+
					"nats://host:4222,nats://other:4222 (schemes %s)", i+1, strings.Join(schemes, ", "))
			}
		}
		return strings.Join(servers, ","), nil
	}}
}

// uriReference is what CloudEvents allows as source.
func uriReference() kind[string] {
	return kind[string]{"URI", func(s string) (string, error) {
		if _, err := url.Parse(s); err != nil || strings.Contains(s, " ") {
			return "", complain(s, "a URI reference", "something like "+sourceReal)
		}
		return s, nil
	}}
}
