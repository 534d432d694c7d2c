package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// fileParser reads the settings file for koanf: one YAML mapping of keys to single values. Values are taken as they
// are written; through YAML's types 0123 would become 83 and a time something else than was written.
type fileParser struct{ l *loader }

// Unmarshal returns the values by variable. What is wrong with single keys goes to the loader's faults.
func (p fileParser) Unmarshal(b []byte) (map[string]any, error) {
	root, err := document(b)
	if err != nil || root == nil {
		return nil, err
	}
	if root.Kind != yaml.MappingNode {
		return nil, errors.New("it is not a mapping; wanted lines like WORKER_LEASE: 60s")
	}
	values := map[string]any{}
	seen := map[string]bool{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		node := root.Content[i+1]
		key := strings.ToUpper(root.Content[i].Value)
		switch {
		case !p.l.accept(key, fromFile):
		case seen[key]:
			p.fault(key, "is there twice; wanted once, case does not matter")
		case node.Kind != yaml.ScalarNode:
			p.fault(key, "is not a single value; wanted one text or number, lists are written a,b")
		case node.Value != "" && node.Tag != "!!null":
			values[key] = node.Value
		}
		seen[key] = true
	}
	return values, nil
}

// Marshal is there because koanf asks for it. Nothing here writes the file.
func (p fileParser) Marshal(map[string]any) ([]byte, error) {
	return nil, errors.ErrUnsupported
}

func (p fileParser) fault(key, problem string) {
	p.l.fault(Fault{Key: key, Problem: problem, From: fromFile})
}

// document returns what a file's one document is, nil if the file holds nothing but comments.
func document(b []byte) (*yaml.Node, error) {
	d := yaml.NewDecoder(bytes.NewReader(b))
	var doc, more yaml.Node
	switch err := d.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, notYAML(err)
	}
	if err := d.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, errors.New("it holds more than one YAML document; wanted one")
	}
	root := doc.Content[0]
	if root.Tag == "!!null" {
		return nil, nil
	}
	return root, nil
}

// notYAML keeps the line of a syntax error and drops its text, which may quote the file, hence a secret.
func notYAML(err error) error {
	if line := regexp.MustCompile(`line \d+`).FindString(err.Error()); line != "" {
		return fmt.Errorf("it is not valid YAML at %s", line)
	}
	return errors.New("it is not valid YAML")
}
