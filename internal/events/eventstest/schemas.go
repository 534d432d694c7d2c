// Package eventstest holds what workers write against the published schemas of docs/schemas, more strictly than readers are
// told to: a field that no schema lists is an error here, so that none gets out undocumented. It is for tests only and not
// linked into the worker.
package eventstest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"activation-worker/docs/schemas"
)

// Schemas that are not of an event type.
const (
	Envelope = "cloudevent"          // the attributes of an event
	Progress = "activation.progress" // what a worker tells who has asked for something
)

// Names are those of all published schemas: event types, [Envelope] and [Progress].
func Names() []string {
	files, _ := fs.Glob(schemas.V1, "v1/*.json") // the pattern is a good one
	names := make([]string, len(files))
	for i, file := range files {
		names[i] = strings.TrimSuffix(path.Base(file), ".json")
	}
	return names
}

// Published is a schema as it is published, parsed. The caller may change it.
func Published(name string) (map[string]any, error) {
	text, err := schemas.V1.ReadFile("v1/" + name + ".json")
	if err != nil {
		return nil, fmt.Errorf("there is no schema of %s: %w", name, err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("read the schema of %s: %w", name, err)
	}
	schema, ok := doc.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("the schema of %s is no object", name)
	}
	return schema, nil
}

// ID is the $id of the schema of that name.
func ID(name string) string { return "urn:activation-worker:" + name + "/v1" }

// Valid holds a JSON value against a published schema; strictly: without members that it does not list.
func Valid(name string, strictly bool, value []byte) error {
	compiled := asPublished
	if strictly {
		compiled = closed
	}
	all, err := compiled()
	if err != nil {
		return err
	}
	schema := all[name]
	if schema == nil {
		return fmt.Errorf("there is no schema of %s", name)
	}
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(value))
	if err != nil {
		return fmt.Errorf("read JSON: %w", err)
	}
	return schema.Validate(parsed)
}

var (
	asPublished = sync.OnceValues(func() (map[string]*jsonschema.Schema, error) { return compile(false) })
	closed      = sync.OnceValues(func() (map[string]*jsonschema.Schema, error) { return compile(true) })
)

func compile(strictly bool) (map[string]*jsonschema.Schema, error) {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	c.AssertContent()
	all := map[string]*jsonschema.Schema{}
	for _, name := range Names() {
		doc, err := Published(name)
		if err != nil {
			return nil, err
		}
		if strictly {
			closeObjects(doc)
		}
		if err := c.AddResource(ID(name), doc); err != nil {
			return nil, err
		}
		schema, err := c.Compile(ID(name))
		if err != nil {
			return nil, err
		}
		if schema.ID != ID(name) {
			return nil, errors.New("the schema of " + name + " has the $id " + schema.ID)
		}
		all[name] = schema
	}
	return all, nil
}

// closeObjects forbids members that are not listed, but where a schema says itself what others there may be.
func closeObjects(schema any) {
	switch s := schema.(type) {
	case map[string]any:
		for _, sub := range s {
			closeObjects(sub)
		}
		_, lists := s["properties"].(map[string]any)
		if _, says := s["additionalProperties"]; lists && !says {
			s["unevaluatedProperties"] = false
		}
	case []any:
		for _, sub := range s {
			closeObjects(sub)
		}
	}
}
