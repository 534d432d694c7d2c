package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// outcome is what became of a set of tests, by their names, subtests included.
type outcome struct {
	passed map[string]bool
	failed []string
}

// read reads what go test -json writes, and hands on what the tests said.
func read(from io.Reader, said io.Writer) (outcome, error) {
	o := outcome{passed: map[string]bool{}}
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var e struct{ Action, Test, Output string }
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue
		}
		fmt.Fprint(said, e.Output)
		switch {
		case e.Test == "":
		case e.Action == "pass":
			o.passed[e.Test] = true
		case e.Action == "fail":
			o.failed = append(o.failed, e.Test)
		}
	}
	return o, lines.Err()
}

// caughtBeside are the tests that failed here and passed in another outcome, of subtests only the innermost.
func (o outcome) caughtBeside(sound outcome) []string {
	return innermost(slices.DeleteFunc(slices.Clone(o.failed), func(name string) bool { return !sound.passed[name] }))
}

// innermost leaves out tests of which a subtest is there too.
func innermost(names []string) []string {
	var inner []string
	for _, name := range names {
		if !slices.ContainsFunc(names, func(other string) bool { return strings.HasPrefix(other, name+"/") }) {
			inner = append(inner, name)
		}
	}
	return inner
}
