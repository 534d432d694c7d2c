package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const mit = `MIT License

Copyright (c) 2026 Somebody

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the
"Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish,
distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to
the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR
ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH
THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
`

// withoutNotice is another licence, by what is left out.
var withoutNotice = func() string {
	before, _, _ := strings.Cut(mit, ", subject to")
	_, after, _ := strings.Cut(mit, "of the Software.\n")
	return before + ".\n" + after
}()

func TestLicences(t *testing.T) {
	t.Parallel()
	for sentence, c := range map[string]struct {
		files map[string]string
		want  string
		err   string
	}{
		"a known one":             {files: map[string]string{"LICENSE": mit}, want: "MIT"},
		"its English spelling":    {files: map[string]string{"licence.md": mit, "README": "no licence"}, want: "MIT"},
		"none":                    {files: map[string]string{"README": mit}, err: "no licence file"},
		"one that is not known":   {files: map[string]string{"COPYING": "Ask the author before you do anything at all with this."}, err: "read it"},
		"a further condition":     {files: map[string]string{"LICENSE": mit + strings.Repeat("Nobody may use it on a Monday, or sell it, or print it. ", 20)}, err: "read it"},
		"one that we do not take": {files: map[string]string{"LICENSE": withoutNotice}, err: "MIT-0"},
		"a second one to be read": {files: map[string]string{"LICENSE": mit, "COPYING.txt": "all rights reserved"}, err: "COPYING.txt"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			for name, text := range c.files {
				if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got, err := licencesIn(folder)
			if strings.Join(got, " ") != c.want || (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("%q, error %v; want %q, error %q", got, err, c.want, c.err)
			}
		})
	}
}

// build makes a binary of the program at root.
func build(t *testing.T, root string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "program")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", binary, ".")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return binary
}

// This program has modules too. What is said of it is what the go command says, and the same each time.
func TestTheBillSaysWhatTheBinarySays(t *testing.T) {
	t.Parallel()
	binary := build(t, ".")
	var first, second bytes.Buffer
	for _, out := range []*bytes.Buffer{&first, &second} {
		if err := run([]string{"-version", "v1.2.3", binary}, out); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) || !strings.Contains(first.String(), `"version": "v1.2.3"`) {
		t.Errorf("the bill is\n%s", &first)
	}
	file := filepath.Join(t.TempDir(), "bill.json")
	if err := os.WriteFile(file, first.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	var listed bytes.Buffer
	if err := run([]string{"-list", file}, &listed); err != nil {
		t.Fatal(err)
	}
	said, err := exec.Command("go", "version", "-m", binary).Output()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for line := range strings.Lines(string(said)) {
		if fields := strings.Fields(line); len(fields) > 2 && fields[0] == "dep" {
			want = append(want, fields[1]+" "+fields[2])
		}
	}
	if got := strings.Split(strings.TrimSpace(listed.String()), "\n"); len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("listed %q, want %q", got, want)
	}
}

func TestTextsAreLicencesAndNoticesWordForWord(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for name, text := range map[string]string{"LICENSE": mit, "NOTICE": "by Somebody", "README": "what it is", "notice.go": "package x"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if err := writeTexts(&out, product{std: module{version: "1.0", folder: t.TempDir()}, linked: []module{{path: "example.com/m", version: "v1.2.3", folder: folder}}}); err != nil {
		t.Fatal(err)
	}
	want := "==== example.com/m v1.2.3: LICENSE\n\n" + strings.TrimSpace(mit) + "\n\n==== example.com/m v1.2.3: NOTICE\n\nby Somebody\n\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &out, want)
	}
}
