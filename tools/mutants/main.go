// Command mutants breaks the worker in ways that its promises forbid, one at a time, and sees whether the tests find
// out. It works on a copy of the checkout in its working directory, and prints which test caught which mutant:
//
//	go run ./tools/mutants [-run NAME] [-v]       (in the repository's root: go -C tools build -o bin/ ./mutants)
//
// It exits 1 when a mutant survives, or no longer fits the code.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// limit bounds the tests of one mutant: one that hangs is caught too.
const limit = 10 * time.Minute

func main() {
	only := flag.String("run", "", "only the mutants whose name matches this pattern")
	verbose := flag.Bool("v", false, "print what the tests say")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *only, *verbose)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only string, verbose bool) error {
	pattern, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := copyTree(ctx, dir); err != nil {
		return err
	}
	var said io.Writer = io.Discard
	if verbose {
		said = os.Stderr
	}
	survived := 0
	for _, m := range mutants {
		if !pattern.MatchString(m.name) {
			continue
		}
		began := time.Now()
		caught, err := m.try(ctx, dir, said)
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", m.name, err)
		case len(caught) == 0:
			survived++
			fmt.Printf("SURVIVED  %-34s %s\n", m.name, took(began))
		default:
			fmt.Printf("caught    %-34s %s  by %s\n", m.name, took(began), strings.Join(caught, ", "))
		}
	}
	if survived > 0 {
		return fmt.Errorf("%d mutants survived: the tests would not find such a defect", survived)
	}
	return nil
}

func took(began time.Time) string { return fmt.Sprintf("%4.0f s", time.Since(began).Seconds()) }

// copyTree copies what git knows of the checkout, changes included.
func copyTree(ctx context.Context, dir string) error {
	list, err := exec.CommandContext(ctx, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		return fmt.Errorf("git ls-files: %w", err)
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(list), "\x00"), "\x00") {
		data, err := os.ReadFile(name)
		if errors.Is(err, os.ErrNotExist) {
			continue // deleted and not committed yet
		}
		if err == nil {
			err = os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), data, 0o700)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// try changes the copy, runs the tests and changes it back. caught are the tests that failed.
func (m mutant) try(ctx context.Context, dir string, said io.Writer) (caught []string, err error) {
	for _, e := range m.edits {
		path := filepath.Join(dir, e.file)
		before, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if n := strings.Count(string(before), e.old); n != 1 {
			return nil, fmt.Errorf("%s has %d times what is to be changed, want 1: write the mutant anew\n%s", e.file, n, e.old)
		}
		defer os.WriteFile(path, before, 0o600)
		if err := os.WriteFile(path, []byte(strings.Replace(string(before), e.old, e.new, 1)), 0o600); err != nil {
			return nil, err
		}
	}
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", os.DevNull, "./cmd/worker")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("it does not build: %w\n%s", err, out)
	}
	for _, t := range m.tests {
		failed, err := t.fail(ctx, dir, said)
		if err != nil {
			return nil, err
		}
		caught = append(caught, failed...)
	}
	return caught, nil
}

// fail runs tests and returns the names of those that failed, of subtests only the innermost.
func (t tests) fail(ctx context.Context, dir string, said io.Writer) (failed []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "test", "-json", "-short", "-count=1", "-timeout", limit.String(), "-run", t.run, t.pkg)
	cmd.Dir = dir
	out, err := cmd.Output()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) || errors.Is(ctx.Err(), context.Canceled) {
		return nil, err
	}
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 64<<20)
	ran := false
	for lines.Scan() {
		var e struct{ Action, Test, Output string }
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue
		}
		ran = ran || e.Test != ""
		fmt.Fprint(said, e.Output)
		if e.Action == "fail" && e.Test != "" {
			failed = slices.DeleteFunc(failed, func(outer string) bool { return strings.HasPrefix(e.Test, outer+"/") })
			if !slices.ContainsFunc(failed, func(inner string) bool { return strings.HasPrefix(inner, e.Test+"/") }) {
				failed = append(failed, e.Test)
			}
		}
	}
	if !ran {
		return nil, fmt.Errorf("no test of %s matches %q", t.pkg, t.run)
	}
	return failed, lines.Err()
}
