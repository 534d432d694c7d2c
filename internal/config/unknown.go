package config

import (
	"fmt"
	"regexp"
	"strings"
)

// accept tells whether a key is a setting, and notes the fault or the warning if it is none.
func (l *loader) accept(key, from string) bool {
	if _, known := l.known[key]; known {
		return true
	}
	if strings.HasPrefix(key, "OTEL_") { // there are many, and most are not about us
		if from == fromFile {
			l.warnings = append(l.warnings, key+": is read from the environment alone, if at all")
		}
		return false
	}
	problem := "is no setting"
	if strings.Contains(key, "=") {
		problem = "is written as for a shell; wanted a colon and a blank between the key and its value"
	} else if near := l.nearest(key); near != "" {
		problem += "; did you mean " + near + "?"
	}
	l.fault(Fault{Key: shownKey(key), Problem: problem, From: from})
	return false
}

// concerns tells whether a variable of the environment is meant for the worker.
func (l *loader) concerns(key, text string) bool {
	_, known := l.known[key]
	ours := strings.HasPrefix(key, "WORKER_") || strings.HasPrefix(key, "LINEWORKS_")
	return known || ours && !injected(key, text)
}

// injected recognises what Kubernetes puts into every container's environment for a service called worker or
// worker-something. A number in something like WORKER_HTTP_PORT is a mistaken setting: the injected one is a URL.
func injected(key, text string) bool {
	suffix := `^WORKER_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`
	if !regexp.MustCompile(suffix).MatchString(key) {
		return false
	}
	return !strings.HasSuffix(key, "_PORT") || strings.Contains(text, "://") ||
		strings.Contains(key, "_SERVICE_PORT") || strings.Contains(key, "_PORT_")
}

// nearest returns the setting that a key was probably meant to be, empty if none is near.
func (l *loader) nearest(key string) string {
	best, least := "", len(key)/2+1
	for _, s := range l.settings {
		// As the flags leave the prefix out, people do the same in files.
		d := min(distance(key, s.name), distance(key, strings.TrimPrefix(s.name, "WORKER_")))
		if d < least {
			best, least = s.name, d
		}
	}
	return best
}

// distance is the number of bytes to insert, delete or replace to make b from a (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// shownKey is a key as an error shows it: as it is if it looks like a name, else quoted and shortened. What follows an =
// is left out: in a file written as for a shell it is the value, which may be a secret.
func shownKey(key string) string {
	key, _, _ = strings.Cut(key, "=")
	if key != "" && len(key) <= shownRunes && strings.Trim(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == "" {
		return key
	}
	return fmt.Sprintf("key %s", shown(key))
}
