package main

import (
	"io"
	"slices"
	"strings"
	"testing"
)

func outcomeOf(t *testing.T, lines ...string) outcome {
	t.Helper()
	var text strings.Builder
	for _, line := range lines {
		action, test, _ := strings.Cut(line, " ")
		text.WriteString(`{"Action":"` + action + `","Test":"` + test + "\"}\n")
	}
	o, err := read(strings.NewReader(text.String()), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Only what passes without a mutant catches one.
func TestCaught(t *testing.T) {
	t.Parallel()
	sound := outcomeOf(t, "pass TestA", "pass TestB/one", "fail TestB/two", "fail TestB", "fail TestC", "pass TestD/one", "pass TestD", "pass ")
	for _, c := range []struct{ said, want []string }{
		{[]string{"pass TestA", "fail TestC"}, nil},
		{[]string{"fail TestA", "fail TestC"}, []string{"TestA"}},
		{[]string{"pass TestB/one", "fail TestB/two", "fail TestB"}, nil},
		{[]string{"fail TestB/one", "fail TestB/two", "fail TestB"}, []string{"TestB/one"}},
		{[]string{"fail TestD/one", "fail TestD"}, []string{"TestD/one"}},
		{[]string{"fail TestD/another", "fail TestD"}, []string{"TestD"}},
		{[]string{"fail "}, nil}, // the package
	} {
		if got := outcomeOf(t, c.said...).caughtBeside(sound); !slices.Equal(got, c.want) {
			t.Errorf("after %q caught by %q, want %q", c.said, got, c.want)
		}
	}
}
