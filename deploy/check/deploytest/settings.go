package deploytest

import (
	"fmt"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// Known are the settings of the worker, with their defaults as it prints them.
type Known map[string]string

// Settings asks the worker for its settings.
func Settings(t testing.TB) Known {
	t.Helper()
	text := Must(t, Command{Path: Worker(t), Args: []string{"run", "--print-config"}})
	// What is found out at a start is commented out.
	text = strings.ReplaceAll(text, "\n# ", "\n")
	known := Known{}
	if err := yaml.Unmarshal([]byte(text), &known); err != nil {
		t.Fatalf("what worker run --print-config says: %v", err)
	}
	if len(known) < 20 {
		t.Fatalf("worker run --print-config names %d settings only", len(known))
	}
	return known
}

// Check tells what is wrong with a setting of this name and value in a file that is shipped: it must be known, and a secret
// must not be text.
func (k Known) Check(name, value string) error {
	if _, known := k[name]; !known {
		return fmt.Errorf("%s is no setting of the worker's", name)
	}
	if _, secret := k[name+"_FILE"]; secret && value != "" {
		return fmt.Errorf("%s is a secret: name a file with %s_FILE", name, name)
	}
	return nil
}
