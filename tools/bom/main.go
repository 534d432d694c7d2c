// Command bom tells what a Go binary is made of, as the binary itself says: its modules with versions and licences, and what others have
// written and is embedded in it, as a CycloneDX bill of materials or as Markdown tables.
//
//	bom [-markdown] [-version VERSION] BINARY    writes to standard output
//	bom -texts BINARY                            the texts of the licences, for what a binary is given out with
//	bom -list FILE                               name and version of each module in a bill of materials, a line each
//
// It runs where the binary was built, in the root of its module: licences are read from the module cache, and beside embedded files. One
// that is not recognised, or not among those that we accept, is an error. The same binary gives the same bytes.
package main

import (
	"bufio"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bom:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	fs := flag.NewFlagSet("bom", flag.ContinueOnError)
	markdown := fs.Bool("markdown", false, "write the table of licences")
	texts := fs.Bool("texts", false, "write the texts of the licences")
	list := fs.Bool("list", false, "read a bill of materials and list its modules")
	version := fs.String("version", "", "version of the binary's own module")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() != 1 {
		return errors.New("one file is wanted")
	}
	w := bufio.NewWriter(out)
	write := writeBOM
	switch {
	case *list:
		if err := listBOM(w, fs.Arg(0)); err != nil {
			return err
		}
		return w.Flush()
	case *markdown:
		write = writeMarkdown
	case *texts:
		write = writeTexts
	}
	p, err := read(".", fs.Arg(0))
	if err != nil {
		return err
	}
	if *version != "" {
		p.main.version = *version
	}
	if err := write(w, p); err != nil {
		return err
	}
	return w.Flush()
}

// module is one that a binary is made of.
type module struct {
	path, version string
	sum           string   // as in go.sum; "": none
	licences      []string // SPDX identifiers, all of which hold
	folder        string   // where its files are
	within        string   // of what is embedded: that folder in the binary's own module
	files         []file   // of what is embedded, but for its licence
}

// product is a binary.
type product struct {
	main     module
	std      module   // Go's own packages
	linked   []module // sorted by path
	embedded []module // no Go modules: by others, checked in and embedded; sorted by path
}

// all is everything in it that others have written.
func (p product) all() []module { return slices.Concat([]module{p.std}, p.linked, p.embedded) }

// read reads what the linker has written into the binary, and finds the licences. The source of its own module is at root.
func read(root, binary string) (product, error) {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return product{}, err
	}
	version, _, _ := strings.Cut(info.GoVersion, " ")
	p := product{
		main: module{path: info.Main.Path, version: info.Main.Version},
		std:  module{path: "std", version: strings.TrimPrefix(version, "go")},
	}
	for _, dep := range info.Deps {
		if dep.Replace != nil {
			dep = dep.Replace
		}
		p.linked = append(p.linked, module{path: dep.Path, version: dep.Version, sum: dep.Sum})
	}
	slices.SortFunc(p.linked, func(a, b module) int { return strings.Compare(a.path, b.path) })
	folders, err := foldersOf(p.linked)
	if err != nil {
		return product{}, err
	}
	var faults []error
	for i, m := range p.linked {
		p.linked[i].folder = folders[m.path+"@"+m.version]
		p.linked[i].licences, err = licencesIn(p.linked[i].folder)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s %s: %w", m.path, m.version, err))
		}
	}
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err == nil {
		p.std.folder = strings.TrimSpace(string(goroot))
		p.std.licences, err = licencesIn(p.std.folder)
	}
	if err != nil {
		faults = append(faults, fmt.Errorf("go %s: %w", p.std.version, err))
	}
	if p.embedded, err = embeddedIn(root, binary); err != nil {
		faults = append(faults, err)
	}
	return p, errors.Join(faults...)
}

// foldersOf finds modules in the module cache, by path@version.
func foldersOf(all []module) (map[string]string, error) {
	if len(all) == 0 { // or the go command takes that for all modules of where we are
		return nil, nil
	}
	args := []string{"mod", "download", "-json"}
	for _, m := range all {
		args = append(args, m.path+"@"+m.version)
	}
	out, err := exec.Command("go", args...).Output()
	if err != nil {
		return nil, fmt.Errorf("go mod download: %w", err)
	}
	folders := map[string]string{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var m struct{ Path, Version, Dir string }
		if err := dec.Decode(&m); err != nil {
			return nil, fmt.Errorf("go mod download: %w", err)
		}
		folders[m.Path+"@"+m.Version] = filepath.Clean(m.Dir)
	}
	return folders, nil
}
