package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/google/licensecheck"
)

// accepted are the licences that a module may have: they let a binary be passed on, with their texts beside it.
var accepted = []string{"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT"}

// leastCoverage is how much of a file has to be the licence, in per cent: what else it says may be a further condition.
const leastCoverage = 75

var errNoLicence = errors.New("no licence file is there")

var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|unlicense)(-[a-z0-9.-]+)?(\.(md|txt|rst))?$`)

// licencesIn reads the licence files at the top of a module.
func licencesIn(folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, entry := range entries {
		if entry.IsDir() || !licenceFile.MatchString(entry.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(folder, entry.Name()))
		if err != nil {
			return nil, err
		}
		found, err := licencesOf(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", entry.Name(), err)
		}
		all = append(all, found...)
	}
	if len(all) == 0 {
		return nil, errNoLicence
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// licencesOf recognises the licences of a text, and refuses what it does not recognise or we do not accept.
func licencesOf(text []byte) ([]string, error) {
	coverage := licensecheck.Scan(text)
	if coverage.Percent < leastCoverage {
		return nil, fmt.Errorf("only %.0f%% of it is a known licence: read it", coverage.Percent)
	}
	var all []string
	for _, match := range coverage.Match {
		if match.IsURL {
			continue
		}
		if !slices.Contains(accepted, match.ID) {
			return nil, fmt.Errorf("licence %s is none of %q: read it, and accept it in tools/bom or do without the module", match.ID, accepted)
		}
		all = append(all, match.ID)
	}
	return all, nil
}
