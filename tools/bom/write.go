package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// bom is a CycloneDX 1.6 document, as far as it is used here. Without time and serial number the same binary gives the same document.
type bom struct {
	Format      string      `json:"bomFormat"`
	SpecVersion string      `json:"specVersion"`
	Version     int         `json:"version"`
	Metadata    metadata    `json:"metadata"`
	Components  []component `json:"components"`
	// The worker's modules are not told apart by who needs whom: all are linked into one binary.
	Dependencies []dependency `json:"dependencies"`
}

type metadata struct {
	Component component `json:"component"`
}

type component struct {
	Ref        string     `json:"bom-ref"`
	Type       string     `json:"type"`
	Name       string     `json:"name"`
	Version    string     `json:"version,omitempty"`
	PURL       string     `json:"purl"`
	Licences   []licence  `json:"licenses,omitempty"`
	Properties []property `json:"properties,omitempty"`
	Files      []file     `json:"components,omitempty"`
}

// file is one that is embedded as it is here.
type file struct {
	Type   string `json:"type"`
	Name   string `json:"name"`
	Hashes []hash `json:"hashes"`
}

type hash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

func fileOf(name string, content []byte) file {
	sum := sha256.Sum256(content)
	return file{Type: "file", Name: name, Hashes: []hash{{"SHA-256", hex.EncodeToString(sum[:])}}}
}

type licence struct {
	Licence struct {
		ID string `json:"id"`
	} `json:"license"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type dependency struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn,omitempty"`
}

// goModule is how the package URL of a Go module begins.
const goModule = "pkg:golang/"

func componentOf(kind string, m module) component {
	purl := goModule + m.path
	if m.within != "" { // scripts and styles: weaknesses are reported under their name at npm
		purl = "pkg:npm/" + strings.ToLower(m.path)
	}
	if m.version != "" {
		purl += "@" + strings.ReplaceAll(m.version, "+", "%2B")
	}
	c := component{Ref: purl, Type: kind, Name: m.path, Version: m.version, PURL: purl, Files: m.files}
	for _, id := range m.licences {
		var l licence
		l.Licence.ID = id
		c.Licences = append(c.Licences, l)
	}
	if m.sum != "" {
		c.Properties = []property{{"go.sum", m.sum}}
	}
	return c
}

func writeBOM(w io.Writer, p product) error {
	doc := bom{Format: "CycloneDX", SpecVersion: "1.6", Version: 1, Metadata: metadata{componentOf("application", p.main)}}
	all := dependency{Ref: doc.Metadata.Component.Ref}
	for _, m := range p.all() {
		c := componentOf("library", m)
		doc.Components = append(doc.Components, c)
		all.DependsOn = append(all.DependsOn, c.Ref)
	}
	doc.Dependencies = []dependency{all}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(doc)
}

// listBOM writes the modules of a document, but for Go's own packages, as go version -m lists them.
func listBOM(w io.Writer, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var doc bom
	if err := json.Unmarshal(text, &doc); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for _, c := range doc.Components {
		if c.Name != "std" && strings.HasPrefix(c.PURL, goModule) {
			fmt.Fprintln(w, c.Name, c.Version)
		}
	}
	return nil
}

func writeMarkdown(w io.Writer, p product) error {
	fmt.Fprint(w, `# Modules and their licences

What is linked into the worker for Linux, read from the binary and from the licence file of each module. Made by `+"`make licenses`"+`;
do not edit it. A licence that is not known to be acceptable stops that command, see tools/bom.

| module | version | licence |
|---|---|---|
`)
	for _, m := range append([]module{p.std}, p.linked...) {
		name := "`" + m.path + "`"
		if m.path == "std" {
			name = "Go's own packages"
		}
		fmt.Fprintf(w, "| %s | %s | %s |\n", name, m.version, strings.Join(m.licences, " and "))
	}
	if len(p.embedded) > 0 {
		fmt.Fprint(w, `
## Checked in

By others, and no Go modules: files that the worker embeds as they are. Their licence is beside them.

| what | version | licence | files |
|---|---|---|---|
`)
	}
	for _, m := range p.embedded {
		fmt.Fprintf(w, "| `%s` | %s | %s | in `%s`:", m.path, m.version, strings.Join(m.licences, " and "), filepath.ToSlash(m.within))
		for _, f := range m.files {
			fmt.Fprintf(w, " `%s`", f.Name)
		}
		fmt.Fprintln(w, " |")
	}
	return nil
}
