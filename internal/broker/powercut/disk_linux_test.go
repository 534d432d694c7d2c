package powercut_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"activation-worker/internal/broker/powercut"
)

// before is what is on the disk when writeFiles begins.
var before = map[string]string{"new": "old", "d/gone": "g", "cut": "0123456789"}

// writeFiles does what a careless program does, in the working directory.
func writeFiles() error {
	var errs []error
	do := func(err error) { errs = append(errs, err) }
	file := func(name string, flags int, parts ...string) {
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|flags, 0o600)
		do(err)
		for _, part := range parts {
			if part == "sync" {
				do(f.Sync())
				continue
			}
			_, err = f.WriteString(part)
			do(err)
		}
		do(f.Close())
	}
	file("half", 0, "one", "sync", "two")
	file("never", 0, "x")
	file("mixed", 0, "aaa")
	file("mixed", os.O_APPEND|os.O_SYNC, "b")
	do(os.Mkdir("sub", 0o700))
	file("sub/deep", 0, "x", "sync")
	file("new.tmp", os.O_SYNC, "new")
	do(os.Rename("new.tmp", "new"))
	file("d/f", 0, "y", "sync")
	d, err := os.Open("d")
	do(err)
	do(d.Sync())
	do(d.Close())
	do(os.Remove("d/gone"))
	do(os.Truncate("cut", 4)) // by path: not to be followed
	return errors.Join(errs...)
}

// TestRestore knows for each disk what can become of each file; over many draws all of it does, and nothing else.
func TestRestore(t *testing.T) {
	t.Parallel()
	const gone = "no such file"
	for _, c := range []struct {
		model powercut.Model
		wants map[string][]string
	}{
		{powercut.Model{}, map[string][]string{
			"half": {"onetwo"}, "mixed": {"aaab"}, "never": {"x"}, "sub/deep": {"x"}, "new": {"new"}, "new.tmp": {gone}, "d/f": {"y"}, "d/gone": {gone},
		}},
		{powercut.Model{Data: powercut.DataLost}, map[string][]string{
			"half": {"one"}, "mixed": {"\x00\x00\x00b"}, "never": {""}, "sub/deep": {"x"}, "new": {"new"}, "new.tmp": {gone}, "d/f": {"y"}, "d/gone": {gone},
		}},
		{powercut.Model{Data: powercut.DataTorn}, map[string][]string{
			"half": {"one", "one\x00\x00\x00", "onetwo"}, "never": {"", "\x00", "x"}, "sub/deep": {"x"}, "new": {"new"}, "d/f": {"y"},
		}},
		{powercut.Model{Data: powercut.DataLost, Names: powercut.NamesOwn}, map[string][]string{
			"half": {"one"}, "never": {"", gone}, "sub/deep": {"x"}, "new": {"new", "old"}, "new.tmp": {gone, "new"}, "d/f": {"y"}, "d/gone": {"g", gone},
		}},
		{powercut.Model{Data: powercut.DataLost, Names: powercut.NamesStrict}, map[string][]string{
			"half": {gone, "one"}, "never": {"", gone}, "sub/deep": {gone, "x"}, "new": {"new", "old"}, "new.tmp": {gone, "new"}, "d/f": {"y"}, "d/gone": {"g", gone},
		}},
	} {
		t.Run(c.model.String(), func(t *testing.T) {
			t.Parallel()
			trace := careless(t)
			is := map[string][]string{}
			for seed := range uint64(64) {
				dir := scratch(t)
				restore(t, trace, dir, trace.Last, c.model, seed)
				for name := range c.wants {
					content, err := os.ReadFile(filepath.Join(dir, name))
					text := string(content)
					if errors.Is(err, fs.ErrNotExist) {
						text = gone
					}
					if at, found := slices.BinarySearch(is[name], text); !found {
						is[name] = slices.Insert(is[name], at, text)
					}
				}
			}
			for name, wants := range c.wants {
				if slices.Sort(wants); !slices.Equal(is[name], wants) {
					t.Errorf("%s is %q, want each of %q", name, is[name], wants)
				}
			}
		})
	}
}

// careless runs writeFiles in a process under watch.
func careless(t *testing.T) *powercut.Trace {
	t.Helper()
	dir := t.TempDir()
	for name, content := range before {
		if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700), os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	cmd.Env = append(os.Environ(), filesEnv+"=1")
	r, err := powercut.Record(cmd, dir)
	if err != nil {
		t.Fatal(err)
	}
	trace, err := r.Wait()
	if err == nil || err.Error() != "truncate of cut cannot be followed" {
		t.Errorf("the trace vouches for what it has not seen: %v", err)
	}
	return trace
}
