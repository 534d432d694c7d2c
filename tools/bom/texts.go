package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
)

// noticeFile is what Apache-2.0 §4(d) wants to be passed on with the licence.
var noticeFile = regexp.MustCompile(`(?i)^notice(\.(md|txt))?$`)

// writeTexts writes the licences and notices of all that is in a binary, word for word.
func writeTexts(w io.Writer, p product) error {
	for _, m := range p.all() {
		if m.path == "std" {
			m.path = "Go"
		}
		entries, err := os.ReadDir(m.folder) // sorted
		if err != nil {
			return err
		}
		for _, entry := range entries {
			if name := entry.Name(); entry.IsDir() || !licenceFile.MatchString(name) && !noticeFile.MatchString(name) {
				continue
			}
			text, err := os.ReadFile(filepath.Join(m.folder, entry.Name()))
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(w, "==== %s %s: %s\n\n%s\n\n", m.path, m.version, entry.Name(), bytes.TrimSpace(text)); err != nil {
				return err
			}
		}
	}
	return nil
}
