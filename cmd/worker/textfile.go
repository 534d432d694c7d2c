package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"activation-worker/internal/audit"
)

// textfile is a file for node_exporter's textfile collector that is being written. Who reads the old one meets it whole, or the
// new one whole; an audit that could not run leaves the old one, whose age then tells.
type textfile struct {
	path string
	temp *os.File // beside it, under a name that the collector leaves alone
}

// newTextfile finds out whether a file can be written, before an audit of minutes.
func newTextfile(path string) (*textfile, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil, fmt.Errorf("--metrics: %s is a directory; name a file in it, which ends in .prom", path)
	}
	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return nil, unwritable(path, err)
	}
	return &textfile{path, temp}, nil
}

// write puts the text in the file's place.
func (f *textfile) write(text string) error {
	_, err := f.temp.WriteString(text)
	if err == nil {
		err = f.temp.Chmod(0o644) // the collector runs as somebody else, and nothing in it is secret
	}
	if closing := f.temp.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(f.temp.Name(), f.path)
	}
	if err != nil {
		return unwritable(f.path, err)
	}
	return nil
}

// discard removes what was not put in place.
func (f *textfile) discard() {
	_ = f.temp.Close()
	_ = os.Remove(f.temp.Name()) // after write it is not there
}

func unwritable(path string, err error) error {
	return fmt.Errorf("--metrics: %s cannot be written: %w; the directory must be there, and the user who audits must be allowed to write in it", path, err)
}

// auditMetrics is a report in the text format of Prometheus. Every rule that an audit of the ledger can find broken has a line.
func auditMetrics(r *audit.Report) string {
	var b strings.Builder
	b.WriteString("# HELP activation_audit_breaches Breaches that the last audit of the ledger found, by the rule that was broken (worker doctor --audit).\n" +
		"# TYPE activation_audit_breaches gauge\n")
	for _, rule := range audit.LedgerRules() {
		fmt.Fprintf(&b, "activation_audit_breaches{rule=%q} %d\n", rule, r.ByRule[rule])
	}
	fmt.Fprintf(&b, "# HELP activation_audit_last_run_timestamp_seconds When the last audit of the ledger ended that could run.\n"+
		"# TYPE activation_audit_last_run_timestamp_seconds gauge\n"+
		"activation_audit_last_run_timestamp_seconds %d\n", r.At.Add(r.Took).Unix())
	return b.String()
}
