package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// program writes the source of a program that embeds a page, a part of which is by others.
func program(t *testing.T, changed map[string]string) string {
	t.Helper()
	files := map[string]string{
		"go.mod":                      "module example.com/program\n\ngo 1.26\n",
		"main.go":                     "package main\n\nimport \"example.com/program/internal/page\"\n\nfunc main() { print(page.All.ReadDir(\".\")) }\n",
		"internal/page/page.go":       "package page\n\nimport \"embed\"\n\n//go:embed ours.js chart\nvar All embed.FS\n",
		"internal/page/ours.js":       "// see https://github.com/somebody/else (v9.9.9)\n",
		"internal/page/chart/LICENSE": mit,
		"internal/page/chart/c.js":    "/*! https://github.com/Somebody/cHart (v1.2.3) */ let c\n",
		"internal/page/chart/c.css":   "canvas {}\n",
	}
	for name, text := range changed {
		files[name] = text
	}
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// What is checked in and embedded stands in all that is said of a binary, and not among the modules.
func TestWhatIsEmbeddedIsToldToo(t *testing.T) {
	t.Parallel()
	root := program(t, nil)
	p, err := read(root, build(t, root))
	if err != nil {
		t.Fatal(err)
	}
	var bill, table, texts, listed bytes.Buffer
	for out, err := range map[*bytes.Buffer]error{&bill: writeBOM(&bill, p), &table: writeMarkdown(&table, p), &texts: writeTexts(&texts, p)} {
		if err != nil {
			t.Fatalf("%v after\n%s", err, out)
		}
	}
	file := filepath.Join(t.TempDir(), "bill.json")
	if err := os.WriteFile(file, bill.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := listBOM(&listed, file); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct{ said, want string }{
		"the bill names it":           {bill.String(), `"purl": "pkg:npm/chart@1.2.3"`},
		"its licence":                 {bill.String(), `"id": "MIT"`},
		"each file with its checksum": {bill.String(), fileOf("", []byte("canvas {}\n")).Hashes[0].Content},
		"the table names it":          {table.String(), "| `cHart` | 1.2.3 | MIT | in `internal/page/chart`: `c.css` `c.js` |\n"},
		"its licence word for word":   {texts.String(), "==== cHart 1.2.3: LICENSE\n\n" + strings.TrimSpace(mit)},
	} {
		if !strings.Contains(c.said, c.want) {
			t.Errorf("%s: %q is not in\n%s", what, c.want, c.said)
		}
	}
	if listed.Len() > 0 {
		t.Errorf("%q is listed among the modules", &listed)
	}
	if said := bill.String() + table.String() + texts.String(); strings.Contains(said, "ours.js") || strings.Contains(said, "9.9.9") {
		t.Errorf("our own file is told as another's:\n%s", said)
	}
}

func TestWhatIsEmbeddedIsRefused(t *testing.T) {
	t.Parallel()
	for sentence, c := range map[string]struct {
		changed map[string]string // in the source
		later   map[string]string // after it was built
		err     string
	}{
		"with a licence that we do not take": {changed: map[string]string{"internal/page/chart/LICENSE": withoutNotice}, err: "MIT-0"},
		"without a name and version":         {changed: map[string]string{"internal/page/chart/c.js": "let c\n"}, err: "says what it is"},
		"if it was built of other files":     {later: map[string]string{"internal/page/chart/c.css": "canvas { color: red }\n"}, err: "build it anew"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			root := program(t, c.changed)
			binary := build(t, root)
			for name, text := range c.later {
				if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, err := read(root, binary)
			if err == nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(err.Error(), "internal/page/chart") {
				t.Errorf("error %v; want %q, and the folder", err, c.err)
			}
		})
	}
}
