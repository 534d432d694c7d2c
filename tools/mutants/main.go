// Command mutants breaks the worker in ways that its promises forbid, one at a time, and sees whether the tests find
// out. It works on a copy of the checkout in its working directory, and prints which test caught which mutant. Each set of tests
// is run once without any mutant before: only tests that pass then can catch one.
//
//	go run ./tools/mutants [-run NAME] [-v]       (in the repository's root: go -C tools build -o bin/ ./mutants)
//
// It exits 1 when a mutant survives, or no longer fits the code.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
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
	t := trial{dir: dir, said: said, sound: map[tests]outcome{}}
	survived := 0
	for _, m := range mutants {
		if !pattern.MatchString(m.name) {
			continue
		}
		began := time.Now()
		caught, err := t.try(ctx, m)
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

// trial is a copy of the checkout, and what tests say of it while no mutant is in it.
type trial struct {
	dir   string
	said  io.Writer
	sound map[tests]outcome
}

// try changes the copy, runs the tests and changes it back. caught are the tests that found out.
func (t trial) try(ctx context.Context, m mutant) (caught []string, err error) {
	for _, set := range m.tests {
		if err := t.before(ctx, set); err != nil {
			return nil, err
		}
	}
	for _, e := range m.edits {
		path := filepath.Join(t.dir, e.file)
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
	build.Dir = t.dir
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("it does not build: %w\n%s", err, out)
	}
	for _, set := range m.tests {
		o, err := t.run(ctx, set)
		if err != nil {
			return nil, err
		}
		caught = append(caught, o.caughtBeside(t.sound[set])...)
	}
	return caught, nil
}

// before runs a set without a mutant, once, and tells which tests fail as it is.
func (t trial) before(ctx context.Context, set tests) error {
	if _, done := t.sound[set]; done {
		return nil
	}
	o, err := t.run(ctx, set)
	if err != nil {
		return fmt.Errorf("without a mutant: %w", err)
	}
	if len(o.failed) > 0 {
		fmt.Printf("fails as it is, and so catches nothing: %s of %s\n", strings.Join(innermost(o.failed), ", "), set.pkg)
	}
	t.sound[set] = o
	return nil
}

// run runs a set on the copy as it is now.
func (t trial) run(ctx context.Context, set tests) (outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "test", "-json", "-short", "-count=1", "-timeout", limit.String(), "-run", set.run, set.pkg)
	cmd.Dir = t.dir
	out, err := cmd.Output()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) || errors.Is(ctx.Err(), context.Canceled) {
		return outcome{}, err
	}
	o, err := read(bytes.NewReader(out), t.said)
	if err == nil && len(o.passed)+len(o.failed) == 0 {
		err = fmt.Errorf("no test of %s matches %q, or it ended before any did", set.pkg, set.run)
	}
	return o, err
}
