package config

import (
	"slices"
	"strings"
)

// Fault is one thing wrong with the settings.
type Fault struct {
	Key     string // the setting's variable, or the key as written
	Problem string // what is wrong and what is wanted instead; holds no secret
	From    string // "default", "file", "environment" or "flag"; empty where several settings are concerned
}

// Error gives key, problem and where the value came from.
func (f Fault) Error() string {
	text := f.Key + ": " + f.Problem
	if f.From == "" {
		return text
	}
	return text + " (" + f.From + ")"
}

// Faults are all things wrong with the settings, sorted by key, those of one key as they were found. Commands that get them exit with status 2.
type Faults []Fault

// Error gives one fault a line.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// orNil returns the faults sorted, or nil if there is none, so that an empty list is not a non-nil error.
func (fs Faults) orNil() error {
	if len(fs) == 0 {
		return nil
	}
	slices.SortStableFunc(fs, func(a, b Fault) int { return strings.Compare(a.Key, b.Key) })
	return fs
}
